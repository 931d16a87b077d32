/** Builds the verdict on a matrix: the first line of every report of the report action. */
import type {MergedResult} from '../results/merged.ts';
import {type Cause, countCells, groupCauses, type Matrix} from './merge-results.ts';
import {listCommonValues} from './merged-grid.ts';
import {capitalize, formatCount, formatDuration} from './words.ts';

export interface MergedHeadline {
  icon: '✅' | '⚠️' | '❌';
  words: string;
  facts: string[];
  /** A note for cells without a real cluster. */
  rehearsal: string | null;
}

const resultIcons: Record<MergedResult, MergedHeadline['icon']> = {
  passed: '✅',
  tolerated: '⚠️',
  failed: '❌',
  error: '❌'
};

export function buildMergedHeadline(matrix: Matrix): MergedHeadline {
  const rehearsed = matrix.cells.filter(cell => cell.rehearsal).length;
  return {
    icon: resultIcons[matrix.result],
    words: describeVerdict(matrix),
    facts: [...listCommonValues(matrix), ...describeChanges(matrix), ...describeDurations(matrix)],
    rehearsal:
      rehearsed === 0
        ? null
        : `Rehearsal: recorded answers in ${formatShare(rehearsed, matrix.cells.length)}, no real cluster.`
  };
}

const formatShare = (some: number, all: number): string =>
  some === all ? (all === 1 ? 'the one cell' : `all ${all} cells`) : `${some} of ${all} cells`;

function describeVerdict(matrix: Matrix): string {
  const {cells, result} = matrix;
  const number = countCells(cells);
  if (cells.length === 0) return 'No cells found, so nothing is proven';
  if (result === 'passed') return `Dual-stack works in ${formatShare(cells.length, cells.length)}`;
  const red = groupCauses(cells).filter(cause => cause.counts === (result !== 'tolerated'));
  const many = red.reduce((sum, cause) => sum + cause.cells.length, 0);
  const are = many === 1 ? 'is' : 'are';
  const aside = number.tolerated ?? 0;
  const of = result === 'tolerated' ? ', with a class that fail-on excludes' : '';
  const words = `${formatShare(many, cells.length)} ${are} red${of}: ${describeRedCells(red)}`;
  const more = aside > 0 && result !== 'tolerated' ? `; ${aside} more not counted` : '';
  return `${capitalize(words)}${more}`;
}

/** Returns `2 at layer path, 1 without results`. */
function describeRedCells(red: Cause[]): string {
  const numbers = new Map<string, number>();
  for (const {first, cells} of red) {
    const where = first.layer ? `at layer ${first.layer}` : describeClass(first.class);
    numbers.set(where, (numbers.get(where) ?? 0) + cells.length);
  }
  const sorted = [...numbers].sort(([, one], [, other]) => other - one);
  const [only] = sorted;
  if (only && sorted.length === 1) return only[0];
  const shown = sorted.slice(0, 4).map(([where, number]) => `${number} ${where}`);
  return [...shown, ...(sorted.length > 4 ? ['others elsewhere'] : [])].join(', ');
}

const describeClass = (found: string | null): string =>
  found === 'missing' ? 'without results' : `class ${found}`;

function describeChanges({cells, gone}: Matrix): string[] {
  const countChanged = (what: string) => cells.filter(cell => cell.change === what).length;
  if (cells.every(cell => cell.change === null)) return [];
  const parts = [
    countChanged('broke') > 0 && `${countChanged('broke')} broke`,
    countChanged('mended') > 0 && `${countChanged('mended')} mended`,
    countChanged('new') > 0 && `${countChanged('new')} new`,
    gone.length > 0 && `${gone.length} gone`
  ].filter(Boolean);
  return [`${parts.length > 0 ? parts.join(', ') : 'nothing changed'} since the previous run`];
}

function describeDurations({cells}: Matrix): string[] {
  const times = cells.flatMap(({seconds}) => seconds ?? []);
  const checks = cells.reduce(
    (sum, {results}) =>
      sum + (results?.checks.filter(check => check.verdict !== 'skipped').length ?? 0),
    0
  );
  if (times.length === 0) return [];
  return [`${formatCount(checks, 'check')}`, `slowest cell ${formatDuration(Math.max(...times))}`];
}

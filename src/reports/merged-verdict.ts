import type {MergedResult} from '../results/merged.ts';
import {type Cause, causes, counts, type Matrix} from './merge-results.ts';
import {inCommon} from './merged-grid.ts';
import {count, duration, upper} from './words.ts';

/** The verdict on a matrix, as the first line of every report says it. Pure. */

export interface MergedHeadline {
  icon: '✅' | '⚠️' | '❌';
  words: string;
  facts: string[];
  /** Said beside the verdict when there was no real cluster. */
  rehearsal: string | null;
}

const icons: Record<MergedResult, MergedHeadline['icon']> = {
  passed: '✅',
  tolerated: '⚠️',
  failed: '❌',
  error: '❌'
};

export function mergedHeadline(matrix: Matrix): MergedHeadline {
  const rehearsed = matrix.cells.filter(cell => cell.rehearsal).length;
  return {
    icon: icons[matrix.result],
    words: words(matrix),
    facts: [...inCommon(matrix), ...change(matrix), ...took(matrix)],
    rehearsal:
      rehearsed === 0
        ? null
        : `Rehearsal: recorded answers in ${ofAll(rehearsed, matrix.cells.length)}, no real cluster.`
  };
}

const ofAll = (some: number, all: number): string =>
  some === all ? (all === 1 ? 'the one cell' : `all ${all} cells`) : `${some} of ${all} cells`;

function words(matrix: Matrix): string {
  const {cells, result} = matrix;
  const number = counts(cells);
  if (cells.length === 0) return 'No cell was found, so nothing is proven';
  if (result === 'passed') return `Dual-stack works in ${ofAll(cells.length, cells.length)}`;
  const red = causes(cells).filter(cause => cause.counts === (result !== 'tolerated'));
  const many = red.reduce((sum, cause) => sum + cause.cells.length, 0);
  const are = many === 1 ? 'is' : 'are';
  const aside = number.tolerated ?? 0;
  const of = result === 'tolerated' ? ', of a class that fail-on leaves out' : '';
  const said = `${ofAll(many, cells.length)} ${are} red${of}: ${whereRed(red)}`;
  const more = aside > 0 && result !== 'tolerated' ? `; ${aside} more not counted` : '';
  return `${upper(said)}${more}`;
}

/** `2 at layer path, 1 missing`. */
function whereRed(red: Cause[]): string {
  const numbers = new Map<string, number>();
  for (const {first, cells} of red) {
    const where = first.layer ? `at layer ${first.layer}` : plainWords(first.class);
    numbers.set(where, (numbers.get(where) ?? 0) + cells.length);
  }
  const sorted = [...numbers].sort(([, one], [, other]) => other - one);
  const [only] = sorted;
  if (only && sorted.length === 1) return only[0];
  const shown = sorted.slice(0, 4).map(([where, number]) => `${number} ${where}`);
  return [...shown, ...(sorted.length > 4 ? ['others elsewhere'] : [])].join(', ');
}

const plainWords = (found: string | null): string =>
  found === 'missing' ? 'without results' : `class ${found}`;

function change({cells, gone}: Matrix): string[] {
  const of = (what: string) => cells.filter(cell => cell.change === what).length;
  if (cells.every(cell => cell.change === null)) return [];
  const said = [
    of('broke') > 0 && `${of('broke')} broke`,
    of('mended') > 0 && `${of('mended')} mended`,
    of('new') > 0 && `${of('new')} new`,
    gone.length > 0 && `${gone.length} gone`
  ].filter(Boolean);
  return [`${said.length > 0 ? said.join(', ') : 'nothing changed'} since the run before`];
}

function took({cells}: Matrix): string[] {
  const times = cells.flatMap(({seconds}) => seconds ?? []);
  const checks = cells.reduce(
    (sum, {results}) =>
      sum + (results?.checks.filter(check => check.verdict !== 'skipped').length ?? 0),
    0
  );
  if (times.length === 0) return [];
  return [`${count(checks, 'check')}`, `the slowest cell ${duration(Math.max(...times))}`];
}

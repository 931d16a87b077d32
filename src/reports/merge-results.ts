import {groupBy} from '../base/group.ts';
import {
  type CellClass,
  type CellResult,
  type Change,
  type Merged,
  type MergedResult,
  mergedSchema
} from '../results/merged.ts';
import type {Results} from '../results/results.ts';
import {type Cell, getBaseName} from './merged-cells.ts';

/** The cells as one result, compared with the run before. Pure. */

export interface Matrix extends Merged {
  cells: Cell[];
}

export function mergeCells(
  cells: Cell[],
  failOn: CellClass[],
  before: CellResult[] | null,
  run: Results['run']
): Matrix {
  const {pairs, gone} = pairCells(cells, before ?? []);
  return {
    schema: mergedSchema,
    result: getMergedResult(cells),
    failOn,
    run,
    cells: cells.map(cell => ({
      ...cell,
      change: before === null ? null : getChange(cell, pairs.get(cell))
    })),
    gone: gone.map(({name}) => name)
  };
}

/** What goes into results.json: the checks stay in the cells' own. */
export const stripResults = ({cells, ...rest}: Matrix): Merged => ({
  ...rest,
  cells: cells.map(({results: _, ...cell}) => cell)
});

/** A failed check weighs more than what could not be checked. No cell at all proves nothing. */
function getMergedResult(cells: Cell[]): MergedResult {
  const counted = cells.filter(cell => cell.counts);
  if (counted.some(({outcome}) => outcome === 'failed')) return 'failed';
  if (counted.length > 0 || cells.length === 0) return 'error';
  return cells.every(({outcome}) => outcome === 'passed') ? 'passed' : 'tolerated';
}

/** How many cells ended how. */
export const countCells = (cells: CellResult[]): Record<string, number> => {
  const countOutcome = (outcome: string) => cells.filter(cell => cell.outcome === outcome).length;
  return {
    cells: cells.length,
    passed: countOutcome('passed'),
    failed: countOutcome('failed'),
    error: countOutcome('error'),
    missing: countOutcome('missing'),
    tolerated: cells.filter(cell => cell.outcome !== 'passed' && !cell.counts).length
  };
};

// ---- The run before ----

const getChange = (cell: Cell, before: CellResult | undefined): Change => {
  if (before === undefined) return 'new';
  if ((before.outcome === 'passed') === (cell.outcome === 'passed')) return 'same';
  return cell.outcome === 'passed' ? 'mended' : 'broke';
};

/** By name; then without patch versions, so that a new patch follows the one before; then by directory; then without Kubernetes, which a cell that is missing does not tell. */
const matchKeys: ((cell: CellResult) => string | null)[] = [
  cell => cell.name,
  cell =>
    getBaseName({
      ...cell,
      istio: getMinorVersion(cell.istio),
      kubernetes: getMinorVersion(cell.kubernetes)
    }),
  cell => cell.directory || null,
  cell => getBaseName({...cell, istio: getMinorVersion(cell.istio), kubernetes: null})
];

const getMinorVersion = (version: string | null): string | null =>
  version?.split('.').slice(0, 2).join('.') ?? null;

/** Each cell with its own of the run before, where there is exactly one on both sides. */
function pairCells(
  cells: Cell[],
  before: CellResult[]
): {pairs: Map<Cell, CellResult>; gone: CellResult[]} {
  const pairs = new Map<Cell, CellResult>();
  const left = new Set(before);
  for (const key of matchKeys) {
    const now = groupBy(
      cells.filter(cell => !pairs.has(cell)),
      key
    );
    for (const [value, [old, ...more]] of groupBy([...left], key)) {
      const [cell, ...others] = now.get(value) ?? [];
      if (value === null || !cell || !old || more.length + others.length > 0) continue;
      pairs.set(cell, old);
      left.delete(old);
    }
  }
  return {pairs, gone: [...left]};
}

// ---- What broke, once ----

/** Red cells with the same cause. */
export interface Cause {
  counts: boolean;
  cells: Cell[];
  /** Its message, hint and command stand for all. */
  first: Cell;
}

/** What a Deployment gives the names of its pods, which no two clusters have alike. */
const podSuffix = /-[a-z0-9]{6,10}-[a-z0-9]{5}\b/g;

/** Those that count first, then what is in most cells. */
export function groupCauses(cells: Cell[]): Cause[] {
  const red = cells.filter(cell => cell.outcome !== 'passed');
  const key = ({class: attribution, layer, check, message}: Cell) =>
    JSON.stringify([attribution, layer, check ?? message.replace(podSuffix, '')]);
  return [...groupBy(red, key).values()]
    .flatMap(([first, ...rest]) =>
      first ? [{counts: first.counts, cells: [first, ...rest], first}] : []
    )
    .sort(
      (one, other) =>
        Number(other.counts) - Number(one.counts) || other.cells.length - one.cells.length
    );
}

/** Merges the cells of a matrix into one result, and compares it with the previous run. */
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

/** Returns the contents of results.json, without the checks of the cells. */
export const stripResults = ({cells, ...rest}: Matrix): Merged => ({
  ...rest,
  cells: cells.map(({results: _, ...cell}) => cell)
});

/** `failed` takes precedence over `error`. No cells at all are an error. */
function getMergedResult(cells: Cell[]): MergedResult {
  const counted = cells.filter(cell => cell.counts);
  if (counted.some(({outcome}) => outcome === 'failed')) return 'failed';
  if (counted.length > 0 || cells.length === 0) return 'error';
  return cells.every(({outcome}) => outcome === 'passed') ? 'passed' : 'tolerated';
}

/** Returns the number of cells by outcome. */
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

// ---- The previous run ----

const getChange = (cell: Cell, before: CellResult | undefined): Change => {
  if (before === undefined) return 'new';
  if ((before.outcome === 'passed') === (cell.outcome === 'passed')) return 'same';
  return cell.outcome === 'passed' ? 'mended' : 'broke';
};

/** Tried in order: the name, the name without patch versions, the directory, the name without Kubernetes, which is unknown for a missing cell. */
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

/** Pairs each cell with the same cell of the previous run, if exactly one matches on both sides. */
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

// ---- Causes ----

/** Red cells with the same cause. */
export interface Cause {
  counts: boolean;
  cells: Cell[];
  /** Provides the message, hint and command for all. */
  first: Cell;
}

/** The random suffix of a pod of a Deployment, which differs between clusters. */
const podSuffix = /-[a-z0-9]{6,10}-[a-z0-9]{5}\b/g;

/** Groups red cells by cause: causes that count first, then by number of cells. */
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

/** Builds the grid of a matrix: versions, families and layers, one row for each cell. */
import type {CellResult, LayerState} from '../results/merged.ts';
import {familyNames, type Layer, layers} from '../results/results.ts';
import type {Matrix} from './merge-results.ts';
import {type Cell, formatFamilyOrder} from './merged-cells.ts';
import {capitalize, formatCount} from './words.ts';

export interface Dimension {
  title: string;
  /** Empty if unknown. */
  getValue: (cell: CellResult) => string;
}

export type Mark = LayerState | 'unproven' | 'none';

/** A field of the grid: its mark, and a word or two. */
export interface GridField {
  mark: Mark;
  words: string;
}

export interface MergedGrid {
  /** The dimensions in which the cells differ, and always the version of Istio. */
  dimensions: Dimension[];
  /** The layers with an independent failure in any cell. */
  layers: Layer[];
  /** A sentence about the other layers; empty if none ran. */
  others: string;
  isCompared: boolean;
}

const dimensions: Dimension[] = [
  {title: 'Istio', getValue: cell => cell.istio ?? ''},
  {title: 'Kubernetes', getValue: cell => cell.kubernetes ?? ''},
  {title: 'families', getValue: formatFamilyOrder},
  {title: 'data plane', getValue: cell => cell.dataplane},
  {title: 'operator', getValue: cell => cell.operator ?? ''}
];

export function buildMergedGrid({cells}: Matrix): MergedGrid {
  const differing = dimensions.filter(
    ({title, getValue}) => title === 'Istio' || listValues(cells, getValue).length > 1
  );
  const unique = new Set(cells.map(cell => differing.map(({getValue}) => getValue(cell)).join()))
    .size;
  const shown = layers.filter(layer => cells.some(cell => cell.layers[layer]?.state === 'failed'));
  return {
    dimensions:
      unique === cells.length ? differing : [{title: 'cell', getValue: cell => cell.name}],
    layers: shown,
    others: describeOtherLayers(cells, shown),
    isCompared: cells.some(cell => cell.change !== null)
  };
}

/** Returns the values that all cells share: `Kubernetes 1.34.4`, `IPv4 first`. */
export const listCommonValues = ({cells}: Matrix): string[] =>
  dimensions.flatMap(({title, getValue}) => {
    const [value, ...more] = listValues(cells, getValue);
    if (value === undefined || more.length > 0) return [];
    return [formatDimension(title, value)];
  });

/** Returns the distinct known values of a dimension. */
const listValues = (cells: Cell[], of: Dimension['getValue']): string[] =>
  [...new Set(cells.map(of))].filter(value => value !== '');

/** Returns `Kubernetes 1.34.4` for a version; other values need no title. */
export const formatDimension = (title: string, value: string): string =>
  /^\d/.test(value) ? `${title === 'operator' ? 'Sail Operator' : title} ${value}` : value;

function describeOtherLayers(cells: Cell[], shown: Layer[]): string {
  const others = layers.filter(
    layer => !shown.includes(layer) && cells.some(cell => isReached(cell.layers[layer]?.state))
  );
  if (others.length === 0) return '';
  const follow = others.filter(layer =>
    cells.some(cell => cell.layers[layer]?.state === 'follows')
  );
  const reached = cells.filter(({layers}) => Object.keys(layers).length > 0).length;
  const where =
    reached === cells.length ? 'every cell' : `the ${formatCount(reached, 'cell')} with results`;
  return follow.length === 0
    ? `${capitalize(formatCount(others.length, shown.length > 0 ? 'other layer' : 'layer'))} passed in ${where} that ran ${others.length === 1 ? 'it' : 'them'}: ${others.join(', ')}.`
    : `No other layer failed independently: ${others.join(', ')}. Failures in ${follow.join(', ')} are consequences.`;
}

const isReached = (state: LayerState | undefined): boolean =>
  state !== undefined && state !== 'skipped';

export function getFamilyField(cell: CellResult, family: 'ipv4' | 'ipv6'): GridField {
  const found = cell.families[family];
  if (found === null) return {mark: 'none', words: ''};
  if (found.state === 'proven') return {mark: 'passed', words: ''};
  return found.state === 'unproven'
    ? {mark: 'unproven', words: 'not proven'}
    : {mark: 'failed', words: found.layer ?? ''};
}

export function getLayerField(cell: CellResult, layer: Layer): GridField {
  const found = cell.layers[layer];
  if (!found) return {mark: 'none', words: ''};
  const family = found.family ? familyNames[found.family] : '';
  return {mark: found.state, words: found.state === 'failed' ? family : stateWords[found.state]};
}

const stateWords: Record<Exclude<LayerState, 'failed'>, string> = {
  passed: '',
  flaky: 'after a retry',
  skipped: 'skipped',
  follows: 'consequence'
};

/** Returns the verdict on a cell in a few words. */
export function describeCell(cell: CellResult): string {
  if (cell.outcome === 'passed') return 'passed';
  if (cell.outcome === 'missing') return cell.directory === null ? 'missing' : 'unreadable';
  const where = cell.layer ? `${cell.class}, layer ${cell.layer}` : `${cell.class}`;
  return cell.counts ? where : `${where}; not counted`;
}

export const describeChange = (cell: CellResult): string => {
  if (cell.change === 'broke' || cell.change === 'mended' || cell.change === 'new')
    return cell.change;
  return cell.outcome === 'passed' ? '' : 'red before';
};

/** A longer grid shows the rows with problems, and folds the others. */
const maxRows = 24;

export function foldCells(cells: Cell[]): {shown: Cell[]; folded: Cell[]; title: string} {
  if (cells.length <= maxRows) return {shown: cells, folded: [], title: ''};
  const isQuiet = (cell: Cell) =>
    cell.outcome === 'passed' && cell.change !== 'mended' && !isFlaky(cell);
  const folded = cells.filter(isQuiet);
  const shown = cells.filter(cell => !isQuiet(cell));
  const title = `${formatCount(folded.length, shown.length > 0 ? 'more cell' : 'cell')} passed`;
  return {shown, folded, title};
}

const isFlaky = (cell: Cell): boolean =>
  Object.values(cell.layers).some(({state}) => state === 'flaky');

import type {CellResult, LayerState} from '../results/merged.ts';
import {familyNames, type Layer, layers} from '../results/results.ts';
import type {Matrix} from './merge-results.ts';
import {type Cell, order} from './merged-cells.ts';
import {count, upper} from './words.ts';

/** Versions × families × layers, one row for each cell. Pure. */

export interface Dimension {
  title: string;
  /** Empty where it is not known. */
  of: (cell: CellResult) => string;
}

export type Mark = LayerState | 'unproven' | 'none';

/** A field of the grid: its mark, and a word or two. */
export interface Field {
  mark: Mark;
  says: string;
}

export interface MergedGrid {
  /** Those in which the cells differ, and always Istio's version. */
  dimensions: Dimension[];
  /** The layers with a failure of their own somewhere, and no other. */
  layers: Layer[];
  /** What is said of the other layers; empty where none was reached. */
  others: string;
  compared: boolean;
}

const dimensions: Dimension[] = [
  {title: 'Istio', of: cell => cell.istio ?? ''},
  {title: 'Kubernetes', of: cell => cell.kubernetes ?? ''},
  {title: 'families', of: order},
  {title: 'data plane', of: cell => cell.dataplane},
  {title: 'operator', of: cell => cell.operator ?? ''}
];

export function mergedGrid({cells}: Matrix): MergedGrid {
  const differing = dimensions.filter(
    ({title, of}) => title === 'Istio' || valuesOf(cells, of).length > 1
  );
  const unique = new Set(cells.map(cell => differing.map(({of}) => of(cell)).join())).size;
  const shown = layers.filter(layer => cells.some(cell => cell.layers[layer]?.state === 'failed'));
  return {
    dimensions: unique === cells.length ? differing : [{title: 'cell', of: cell => cell.name}],
    layers: shown,
    others: otherLayers(cells, shown),
    compared: cells.some(cell => cell.change !== null)
  };
}

/** What the cells have in common: `Kubernetes 1.34.4`, `IPv4 first`. */
export const inCommon = ({cells}: Matrix): string[] =>
  dimensions.flatMap(({title, of}) => {
    const [value, ...more] = valuesOf(cells, of);
    if (value === undefined || more.length > 0) return [];
    return [titled(title, value)];
  });

/** What is known of one dimension, each once. */
const valuesOf = (cells: Cell[], of: Dimension['of']): string[] =>
  [...new Set(cells.map(of))].filter(value => value !== '');

/** `Kubernetes 1.34.4`; what is no version says itself what it is. */
export const titled = (title: string, value: string): string =>
  /^\d/.test(value) ? `${title === 'operator' ? 'Sail Operator' : title} ${value}` : value;

function otherLayers(cells: Cell[], shown: Layer[]): string {
  const others = layers.filter(
    layer => !shown.includes(layer) && cells.some(cell => isReached(cell.layers[layer]?.state))
  );
  if (others.length === 0) return '';
  const follow = others.filter(layer =>
    cells.some(cell => cell.layers[layer]?.state === 'follows')
  );
  const reached = cells.filter(({layers}) => Object.keys(layers).length > 0).length;
  const where =
    reached === cells.length ? 'every cell' : `the ${count(reached, 'cell')} with results`;
  return follow.length === 0
    ? `${upper(count(others.length, shown.length > 0 ? 'other layer' : 'layer'))} ${others.length === 1 ? 'holds' : 'hold'} in ${where} that reached ${others.length === 1 ? 'it' : 'them'}: ${others.join(', ')}.`
    : `No other layer broke by itself: ${others.join(', ')}; what failed in ${follow.join(', ')} only follows.`;
}

const isReached = (state: LayerState | undefined): boolean =>
  state !== undefined && state !== 'skipped';

export function familyField(cell: CellResult, family: 'ipv4' | 'ipv6'): Field {
  const found = cell.families[family];
  if (found === null) return {mark: 'none', says: ''};
  if (found.state === 'proven') return {mark: 'passed', says: ''};
  return found.state === 'unproven'
    ? {mark: 'unproven', says: 'not proven'}
    : {mark: 'failed', says: found.layer ?? ''};
}

export function layerField(cell: CellResult, layer: Layer): Field {
  const found = cell.layers[layer];
  if (!found) return {mark: 'none', says: ''};
  const family = found.family ? familyNames[found.family] : '';
  return {mark: found.state, says: found.state === 'failed' ? family : sayings[found.state]};
}

const sayings: Record<Exclude<LayerState, 'failed'>, string> = {
  passed: '',
  flaky: 'at a later try',
  skipped: 'skipped',
  follows: 'follows'
};

/** The verdict on a cell in a few words. */
export function cellSays(cell: CellResult): string {
  if (cell.outcome === 'passed') return 'passed';
  if (cell.outcome === 'missing') return cell.directory === null ? 'missing' : 'unreadable';
  const where = cell.layer ? `${cell.class}, layer ${cell.layer}` : `${cell.class}`;
  return cell.counts ? where : `${where}; not counted`;
}

export const changeWords = (cell: CellResult): string => {
  if (cell.change === 'broke' || cell.change === 'mended' || cell.change === 'new')
    return cell.change;
  return cell.outcome === 'passed' ? '' : 'red before';
};

/** Rows to show, and rows to fold: a longer grid shows those with trouble. */
const mostRows = 24;

export function foldCells(cells: Cell[]): {shown: Cell[]; folded: Cell[]; title: string} {
  if (cells.length <= mostRows) return {shown: cells, folded: [], title: ''};
  const quiet = (cell: Cell) =>
    cell.outcome === 'passed' && cell.change !== 'mended' && !isFlaky(cell);
  const folded = cells.filter(quiet);
  const shown = cells.filter(cell => !quiet(cell));
  const title = `${count(folded.length, shown.length > 0 ? 'more cell' : 'cell')} passed`;
  return {shown, folded, title};
}

const isFlaky = (cell: Cell): boolean =>
  Object.values(cell.layers).some(({state}) => state === 'flaky');

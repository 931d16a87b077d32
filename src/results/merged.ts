/** The types of results.json of the report action. A later schema only adds fields. */
import {type Family, failureClasses, type Layer, type Results} from './results.ts';

export const mergedSchema = 1;

/** `missing`: the results do not exist, or cannot be read. */
export const cellClasses = [...failureClasses, 'missing'] as const;
export type CellClass = (typeof cellClasses)[number];

/** `tolerated`: cells are red, but only with classes that `fail-on` excludes. */
export type MergedResult = 'passed' | 'tolerated' | 'failed' | 'error';

export type Outcome = Results['result'] | 'missing';

/** `follows`: its failures are consequences of another layer. */
export type LayerState = 'passed' | 'flaky' | 'failed' | 'follows' | 'skipped';

export interface LayerResult {
  state: LayerState;
  /** The family that failed; null if both failed, or the layer has no family. */
  family: Family | null;
}

/** `proven`: pods received answers over it with mutual TLS, and none of its checks failed. */
export interface FamilyResult {
  state: 'proven' | 'failed' | 'unproven';
  /** The layer of the failure; null if it did not fail. */
  layer: Layer | null;
}

/** The comparison with the previous run: `broke` is now red, `mended` is now green, `new` was not in it. */
export type Change = 'same' | 'broke' | 'mended' | 'new';

export interface CellResult {
  /** Unique among the cells, and the same in each run with the same versions. */
  name: string;
  /** The directory of its results, relative to the input `directory`; null if there are none. */
  directory: string | null;
  istio: string | null;
  kubernetes: string | null;
  operator: string | null;
  ipFamilies: Family[];
  dataplane: string;
  outcome: Outcome;
  /** Null if it passed. */
  class: CellClass | null;
  layer: Layer | null;
  /** Id of the broken check; null if there is none. */
  check: string | null;
  message: string;
  hint: string;
  reproduce: string | null;
  /** Whether it fails the report action. */
  counts: boolean;
  families: Record<Family, FamilyResult | null>;
  /** The layers that have checks. */
  layers: Partial<Record<Layer, LayerResult>>;
  seconds: number | null;
  rehearsal: boolean;
  change: Change | null;
}

export interface Merged {
  schema: typeof mergedSchema;
  result: MergedResult;
  /** The classes that fail the report action. */
  failOn: CellClass[];
  run: Results['run'];
  cells: CellResult[];
  /** Cells of the previous run that are not in this one. */
  gone: string[];
}

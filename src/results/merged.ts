import {type Family, failureClasses, type Layer, type Results} from './results.ts';

/** The results.json of the report action: what the cells of a matrix came to. A later schema only adds. */
export const mergedSchema = 1;

/** `missing`: there are no results, or none that can be read. */
export const cellClasses = [...failureClasses, 'missing'] as const;
export type CellClass = (typeof cellClasses)[number];

/** `tolerated`: cells are red, but only of classes that `fail-on` leaves out. */
export type MergedResult = 'passed' | 'tolerated' | 'failed' | 'error';

export type Outcome = Results['result'] | 'missing';

/** `follows`: what failed in it only follows from another layer. */
export type LayerState = 'passed' | 'flaky' | 'failed' | 'follows' | 'skipped';

export interface LayerResult {
  state: LayerState;
  /** The family that broke; null where both did, or none has to do with it. */
  family: Family | null;
}

/** `proven`: pods were answered over it under mutual TLS, and no check of it failed. */
export interface FamilyResult {
  state: 'proven' | 'failed' | 'unproven';
  /** The layer that broke it; null where it did not fail. */
  layer: Layer | null;
}

/** `broke` and `mended` compare with the run before; `new` was not in it. */
export type Change = 'same' | 'broke' | 'mended' | 'new';

export interface CellResult {
  /** Unique among the cells, and the same from run to run as long as the versions are. */
  name: string;
  /** Where its results lay, relative to the directory that was read; null where there are none. */
  directory: string | null;
  istio: string | null;
  kubernetes: string | null;
  operator: string | null;
  ipFamilies: Family[];
  dataplane: string;
  outcome: Outcome;
  /** Null when it passed. */
  class: CellClass | null;
  layer: Layer | null;
  /** Id of the broken check; null where none was reached. */
  check: string | null;
  message: string;
  hint: string;
  reproduce: string | null;
  /** Whether it fails the report. */
  counts: boolean;
  families: Record<Family, FamilyResult | null>;
  /** Those that were reached. */
  layers: Partial<Record<Layer, LayerResult>>;
  seconds: number | null;
  rehearsal: boolean;
  change: Change | null;
}

export interface Merged {
  schema: typeof mergedSchema;
  result: MergedResult;
  /** The classes that fail the report. */
  failOn: CellClass[];
  run: Results['run'];
  cells: CellResult[];
  /** Cells of the run before that are not in this one. */
  gone: string[];
}

import type {Thing} from '../base/kube.ts';
import type {Work} from '../base/schedule.ts';
import type {Sh} from '../base/sh.ts';
import type {OwnSample} from '../manifests/extra-sample.ts';
import type {Plan} from '../plan/plan.ts';
import type {Attempt, CheckResult, FailureClass, Layer} from '../results/results.ts';

/** What is told of a failure: whose fault it is, what a person can do next, and the first line of every report. */
export interface Told {
  class: FailureClass;
  hint: string;
  headline: string;
}

/** A check before it is made: data, the same from run to run. Without `blame` it is told as its layer is. */
export type Row = Pick<
  CheckResult,
  'id' | 'layer' | 'title' | 'family' | 'from' | 'to' | 'target' | 'expected' | 'grid'
> & {
  blame?: Partial<Told>;
  /** Its failure follows from none but that of another such check of the same target. */
  apart?: boolean;
};

/** What a check found. `blame` tells more than the row's, by what was seen. */
export type Finding = Pick<CheckResult, 'observed' | 'verdict'> &
  Partial<
    Pick<CheckResult, 'address' | 'upstream' | 'reason' | 'because' | 'reproduce' | 'load'>
  > & {
    attempts?: Attempt[];
    blame?: Partial<Told>;
  };

/** A check once it was made, with what its row and its finding tell of a failure. */
export type Made = CheckResult & Pick<Row, 'blame' | 'apart'>;

/** What is told of a layer's failures, where a row or a finding does not tell more. */
export interface Blame extends Omit<Told, 'headline'> {
  /** For one family, or (an empty name) for both. */
  headline: (family: string) => string;
  /** What the other checks tell of a failed one; it wins over all else. */
  evidence?: (failed: CheckResult, all: CheckResult[]) => Partial<Told>;
}

/** Tells what was found of a row. */
export type Tell = (id: string, finding: Finding) => void;

/** For the checks of what is there before a cluster is. */
export interface Preflight {
  work: Work;
  sh: Sh;
  tell: Tell;
  /** How many nodes the cluster will have. */
  nodes: number;
}

/** For the checks of what stands before there are samples. */
export interface Standing extends Preflight {
  plan: Plan;
  /** The images that this run has put into the nodes, with their ids; what is not here, the nodes pulled. */
  brought: ReadonlyMap<string, string>;
}

/** For the checks of the mesh; `things` is what the API server said once all samples were ready. */
export interface Checking extends Standing {
  things: Thing[];
  /** Where public URLs are fetched, as `mirror` says; null: there. */
  mirror: string | null;
  /** Tells post what to take back, should this run be cut off before it has done so itself. */
  undo: (commands: string[][]) => void;
}

/** The checks of one layer, with all that belongs to them. */
export interface Checks<Given> {
  layer: Layer;
  rows: Row[];
  blame: Blame;
  /** How the grid shows what connects to something; `named`: with its target's name. */
  grid?: {title: string; named: boolean};
  /** What they need in the cluster beside the documentation's samples; deployed when one of them is asked for. */
  samples?: OwnSample[];
  /** Tells a finding for each row that is asked for. */
  look: (given: Given, asked: Row[]) => Promise<void>;
}

/** A row with what most rows share. */
export function row(
  layer: Layer,
  id: string,
  title: string,
  expected: string,
  more: Partial<Row> = {}
): Row {
  const [, target = ''] = id.split('/');
  return {id, layer, title, family: null, from: null, to: null, target, expected, ...more};
}

/** Passed where the two are the same, else failed. */
export function compare(expected: string, observed: string, more: Partial<Finding> = {}): Finding {
  const passed = expected === observed;
  return {
    observed,
    verdict: passed ? 'passed' : 'failed',
    reason: passed ? null : `${observed} instead of ${expected}`,
    ...more
  };
}

export const skip = (reason: string): Finding => ({observed: '', verdict: 'skipped', reason});

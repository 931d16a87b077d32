import type {KubeObject} from '../base/kube.ts';
import type {PhaseContext} from '../base/schedule.ts';
import type {Sh} from '../base/sh.ts';
import type {ExtraSample} from '../manifests/extra-sample.ts';
import type {Plan} from '../plan/plan.ts';
import type {Attempt, CheckResult, FailureClass, Layer} from '../results/results.ts';

/** What is told of a failure: whose fault it is, what a person can do next, and the first line of every report. */
export interface Attribution {
  class: FailureClass;
  hint: string;
  headline: string;
}

/** A check before it is made: data, the same from run to run. Without `blame` it is told as its layer is. */
export type CheckDefinition = Pick<
  CheckResult,
  'id' | 'layer' | 'title' | 'family' | 'from' | 'to' | 'target' | 'expected' | 'grid'
> & {
  attribution?: Partial<Attribution>;
  /** Its failure follows from none but that of another such check of the same target. */
  independent?: boolean;
};

/** What a check found. `blame` tells more than the row's, by what was seen. */
export type Outcome = Pick<CheckResult, 'observed' | 'verdict'> &
  Partial<
    Pick<CheckResult, 'address' | 'upstream' | 'reason' | 'because' | 'reproduce' | 'load'>
  > & {
    attempts?: Attempt[];
    attribution?: Partial<Attribution>;
  };

/** A check once it was made, with what its row and its finding tell of a failure. */
export type EvaluatedCheck = CheckResult & Pick<CheckDefinition, 'attribution' | 'independent'>;

/** What is told of a layer's failures, where a row or a finding does not tell more. */
export interface LayerAttribution extends Omit<Attribution, 'headline'> {
  /** For one family, or (an empty name) for both. */
  headline: (family: string) => string;
  /** What the other checks tell of a failed one; it wins over all else. */
  evidence?: (failed: CheckResult, all: CheckResult[]) => Partial<Attribution>;
}

/** Tells what was found of a row. */
export type Report = (id: string, outcome: Outcome) => void;

/** For the checks of what is there before a cluster is. */
export interface PreflightInput {
  work: PhaseContext;
  sh: Sh;
  report: Report;
  /** How many nodes the cluster will have. */
  nodes: number;
}

/** For the checks of what stands before there are samples. */
export interface StandingCheckInput extends PreflightInput {
  plan: Plan;
  /** The images that this run has put into the nodes, with their ids; what is not here, the nodes pulled. */
  preloaded: ReadonlyMap<string, string>;
}

/** For the checks of the mesh; `things` is what the API server said once all samples were ready. */
export interface MeshCheckInput extends StandingCheckInput {
  snapshot: KubeObject[];
  /** Where public URLs are fetched, as `mirror` says; null: there. */
  mirror: string | null;
  /** Tells post what to take back, should this run be cut off before it has done so itself. */
  undo: (commands: string[][]) => void;
}

/** The checks of one layer, with all that belongs to them. */
export interface LayerChecks<Input> {
  layer: Layer;
  definitions: CheckDefinition[];
  attribution: LayerAttribution;
  /** How the grid shows what connects to something; `named`: with its target's name. */
  grid?: {title: string; named: boolean};
  /** What they need in the cluster beside the documentation's samples; deployed when one of them is asked for. */
  samples?: ExtraSample[];
  /** Tells a finding for each row that is asked for. */
  run: (input: Input, selected: CheckDefinition[]) => Promise<void>;
}

/** A row with what most rows share. */
export function defineCheck(
  layer: Layer,
  id: string,
  title: string,
  expected: string,
  more: Partial<CheckDefinition> = {}
): CheckDefinition {
  const [, target = ''] = id.split('/');
  return {id, layer, title, family: null, from: null, to: null, target, expected, ...more};
}

/** Passed where the two are the same, else failed. */
export function compare(expected: string, observed: string, more: Partial<Outcome> = {}): Outcome {
  const passed = expected === observed;
  return {
    observed,
    verdict: passed ? 'passed' : 'failed',
    reason: passed ? null : `${observed} instead of ${expected}`,
    ...more
  };
}

export const skip = (reason: string): Outcome => ({observed: '', verdict: 'skipped', reason});

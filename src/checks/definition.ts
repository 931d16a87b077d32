/** The types of checks, and the constructors of definitions and outcomes. */
import type {KubeObject} from '../base/kube.ts';
import type {PhaseContext} from '../base/schedule.ts';
import type {Sh} from '../base/sh.ts';
import type {ExtraSample} from '../manifests/extra-sample.ts';
import type {Plan} from '../plan/plan.ts';
import type {Attempt, CheckResult, FailureClass, Layer} from '../results/results.ts';

/** The explanation of a failure: the component to blame, the next step, and the first line of every report. */
export interface Attribution {
  class: FailureClass;
  hint: string;
  headline: string;
}

/** A check before it runs: constant data. Without `attribution`, the layer's applies. */
export type CheckDefinition = Pick<
  CheckResult,
  'id' | 'layer' | 'title' | 'family' | 'from' | 'to' | 'target' | 'expected' | 'grid'
> & {
  attribution?: Partial<Attribution>;
  /** Its failure follows only from the failure of another independent check of the same target. */
  independent?: boolean;
};

/** The result of a check. `attribution` overrides that of the definition, by the observed state. */
export type Outcome = Pick<CheckResult, 'observed' | 'verdict'> &
  Partial<
    Pick<CheckResult, 'address' | 'upstream' | 'reason' | 'because' | 'reproduce' | 'load'>
  > & {
    attempts?: Attempt[];
    attribution?: Partial<Attribution>;
  };

/** A check after it ran, with the attribution from its definition and its outcome. */
export type EvaluatedCheck = CheckResult & Pick<CheckDefinition, 'attribution' | 'independent'>;

/** The attribution of a layer's failures, where neither definition nor outcome has one. */
export interface LayerAttribution extends Omit<Attribution, 'headline'> {
  /** For one family, or for both with an empty name. */
  headline: (family: string) => string;
  /** The attribution that follows from the results of other checks; it takes precedence. */
  evidence?: (failed: CheckResult, all: CheckResult[]) => Partial<Attribution>;
}

/** Reports the outcome of a check. */
export type Report = (id: string, outcome: Outcome) => void;

/** The input of checks that run before the cluster exists. */
export interface PreflightInput {
  work: PhaseContext;
  sh: Sh;
  report: Report;
  /** How many nodes the cluster will have. */
  nodes: number;
}

/** The input of checks that run before the samples exist. */
export interface StandingCheckInput extends PreflightInput {
  plan: Plan;
  /** Preloaded images with their ids. The nodes pulled all others. */
  preloaded: ReadonlyMap<string, string>;
}

/** The input of checks of the mesh. `snapshot` holds the objects in the cluster once all samples were ready. */
export interface MeshCheckInput extends StandingCheckInput {
  snapshot: KubeObject[];
  /** The mirror of public URLs, from `mirror`; null: none. */
  mirror: string | null;
  /** Saves the commands that post must run to undo changes, if this run ends early. */
  undo: (commands: string[][]) => void;
}

/** The checks of one layer. */
export interface LayerChecks<Input> {
  layer: Layer;
  definitions: CheckDefinition[];
  attribution: LayerAttribution;
  /** How the grid shows the connections of this layer; `named`: with the name of the target. */
  grid?: {title: string; named: boolean};
  /** Samples in addition to the documented ones; deployed when one of the checks is selected. */
  samples?: ExtraSample[];
  /** Runs the selected checks and reports an outcome for each. */
  run: (input: Input, selected: CheckDefinition[]) => Promise<void>;
}

/** Returns a check with default values for the optional fields. */
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

/** Returns `passed` if the two texts are equal, else `failed` with a reason. */
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

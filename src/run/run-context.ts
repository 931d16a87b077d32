/** The mutable state of one run. */
import type {KubeObject, Service} from '../base/kube.ts';
import {type Clock, Schedule} from '../base/schedule.ts';
import type {Sh} from '../base/sh.ts';
import {Ledger} from '../checks/ledger.ts';
import type {RunningLoad} from '../checks/upgrade.ts';
import type {Inputs} from '../inputs/inputs.ts';
import type {ImageIds, LocalImages} from '../phases/load-images.ts';
import type {Logins} from '../phases/logins.ts';
import type {Tool} from '../phases/tools.ts';
import type {ClusterSurvey, ExistingCluster} from '../plan/existing-cluster.ts';
import type {Plan, SampleFiles} from '../plan/plan.ts';
import type {PostState} from '../plan/state.ts';
import type {ToolName} from '../versions/pins.ts';
import type {Chart} from '../versions/read-chart.ts';

/** The state of a run. The phase that finds a value sets its field; an upgrade sets `snapshot` and `istio` again. */
export interface RunContext {
  readonly sh: Sh;
  readonly clock: Clock;
  readonly started: Date;
  readonly schedule: Schedule;
  readonly ledger: Ledger;
  /** Results of the checks that run again after an upgrade. */
  readonly ledgerAfterUpgrade: Ledger;
  readonly save: (change: Partial<PostState>) => void;
  /** Errors outside of phases. */
  readonly errors: {phase: string; error: unknown}[];
  tools: Partial<Record<ToolName, Tool>>;
  /** The private directory of this run. */
  directory?: string;
  inputs?: Inputs;
  /** The survey of an existing cluster, and the parts of it that the run uses. */
  found?: ClusterSurvey;
  existing?: ExistingCluster;
  /** The cluster and the Services that `targets` names. */
  targetCluster?: {context: string; name: string; services: Service[]};
  /** The reservation of the name while this run creates its cluster. */
  claim?: NonNullable<PostState['claim']>;
  chart?: Chart;
  samples?: SampleFiles | null;
  plan?: Plan;
  /** The planned images that the local Docker has, with their ids. */
  localImages?: LocalImages;
  /** Docker's logins for the registries of this run. */
  logins?: Logins;
  /** The local images that are preloaded, with their ids in the nodes. */
  readonly preloaded: ImageIds;
  /** The snapshotter of the nodes' containerd. */
  snapshotter?: string;
  kubernetes?: string;
  /** The final version in the Istio resource. */
  istio?: string;
  /** The load that runs during an upgrade. */
  load?: RunningLoad;
  /** The objects of the API server once the samples were ready. */
  snapshot?: KubeObject[];
}

export function createRunContext(sh: Sh, save: RunContext['save']): RunContext {
  const start = performance.now();
  const clock = () => (performance.now() - start) / 1000;
  return {
    sh,
    clock,
    started: new Date(),
    schedule: new Schedule(clock),
    ledger: new Ledger(),
    ledgerAfterUpgrade: new Ledger('upgrade'),
    save,
    errors: [],
    preloaded: new Map(),
    tools: {}
  };
}

/** The value that an earlier phase has set, as `needs` guarantees. Throws if it is missing, which is a bug. */
export function required<Value>(value: Value | undefined, what: string): Value {
  if (value === undefined) throw new Error(`${what} is not set yet: a phase lacks a need`);
  return value;
}

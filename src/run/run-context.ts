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

/** What a run knows so far. Each field is set by the phase that finds it out; `things` and `istio` anew where the mesh has changed. */
export interface RunContext {
  readonly sh: Sh;
  readonly clock: Clock;
  readonly started: Date;
  readonly schedule: Schedule;
  readonly ledger: Ledger;
  /** Of what is checked once more after an upgrade. */
  readonly ledgerAfterUpgrade: Ledger;
  readonly save: (change: Partial<PostState>) => void;
  /** Errors outside of phases. */
  readonly errors: {phase: string; error: unknown}[];
  tools: Partial<Record<ToolName, Tool>>;
  /** The private directory of this run. */
  directory?: string;
  inputs?: Inputs;
  /** What a cluster that was there holds, and what of it is used. */
  found?: ClusterSurvey;
  existing?: ExistingCluster;
  /** The cluster whose Services are only looked at, and those. */
  targetCluster?: {context: string; name: string; services: Service[]};
  /** The name that this run holds while it makes its cluster. */
  claim?: NonNullable<PostState['claim']>;
  chart?: Chart;
  samples?: SampleFiles | null;
  plan?: Plan;
  /** The images that the local Docker has, of those that the plan needs, with their ids. */
  localImages?: LocalImages;
  /** What Docker is logged in with at the registries of this run. */
  logins?: Logins;
  /** The local images that were archived for the nodes, with the ids that they have there. */
  readonly preloaded: ImageIds;
  /** What the nodes' containerd keeps images in. */
  snapshotter?: string;
  kubernetes?: string;
  /** The version that the Istio resource asked for in the end. */
  istio?: string;
  /** The client asks all the while. */
  load?: RunningLoad;
  /** What the API server said once the samples were ready. */
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

/** What an earlier phase has found out; that it has is what `needs` says. */
export function required<Value>(value: Value | undefined, what: string): Value {
  if (value === undefined) throw new Error(`${what} is not known yet: a phase lacks a need`);
  return value;
}

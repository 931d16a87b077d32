/** Saves the state that post needs for cleanup, and reads it back. */
import * as core from '@actions/core';

/** The state that main passes to post. Main saves each part before it creates the object, so that an aborted run is cleaned up. */
export interface PostState {
  /** Name of the cluster that this run creates; null: none. */
  cluster: string | null;
  /** Whether kind has finished. Before that, a deleted cluster may still get a container. */
  made: boolean;
  /** The planned number of nodes. */
  nodes: number;
  /** Ids of its containers; null: unknown. Other containers with its name belong to another run. */
  containers: string[] | null;
  /** The claimed cluster name and the token that proves the claim; null: none. */
  claim: {name: string; token: string} | null;
  /** The private directory of this run, with kubeconfig, manifests and downloads. */
  work: string | null;
  /** Directory of the kind that created the cluster; PATH may differ in post. */
  kind: string | null;
  /** What this run creates in an existing cluster; null: nothing. */
  existing: InCluster | null;
  /** Commands that revert the current change of a check. */
  undo: string[][];
  cleanup: string;
  result: string;
}

/** The objects with the label of this run in an existing cluster. */
export interface InCluster {
  /** The value of the label. */
  run: string;
  /** Whether the run has begun to install the operator's chart. */
  operator: boolean;
  /** `NAMESPACE/NAME` of an istiod's ConfigMaps from before the run; null: the run installs no istiod. */
  configMaps: string[] | null;
  /** Directories of kubectl and helm; PATH may differ in post. */
  tools: string[];
}

const emptyState: PostState = {
  cluster: null,
  made: false,
  nodes: 0,
  containers: null,
  claim: null,
  work: null,
  kind: null,
  existing: null,
  undo: [],
  cleanup: 'always',
  result: 'error'
};

/** Saves an empty state. Returns a function that changes and saves it. */
export function openState(): (change: Partial<PostState>) => void {
  const state = {...emptyState};
  const save = (change: Partial<PostState>) => {
    Object.assign(state, change);
    core.saveState('run', JSON.stringify(state)); // the last value of a name takes effect
  };
  save({});
  return save;
}

/** The state from main, in post; null if main saved none. */
export function readState(): PostState | null {
  const saved = core.getState('run');
  return saved === '' ? null : {...emptyState, ...JSON.parse(saved)};
}

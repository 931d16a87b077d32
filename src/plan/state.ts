import * as core from '@actions/core';

/** What main tells post. Saved before the thing is made, so that a run cut off anywhere is cleaned up. */
export interface PostState {
  /** Name of the cluster that this run is making or has made; null: none. */
  cluster: string | null;
  /** kind is through with it; else it may grow a container after it is deleted. */
  made: boolean;
  /** How many nodes it is to have. */
  nodes: number;
  /** Ids of its containers; null: not known. What else has its name is not this run's. */
  containers: string[] | null;
  /** The name that this run has claimed, and the token that says so; null: none. */
  claim: {name: string; token: string} | null;
  /** The private directory of this run: kubeconfig, manifests, downloads. */
  work: string | null;
  /** Directory of the kind that made the cluster; PATH may be another one in post. */
  kind: string | null;
  /** What this run is making in a cluster that was there before; null: nothing. */
  existing: InCluster | null;
  /** Commands that take back what a check has changed, while it is changed. */
  undo: string[][];
  cleanup: string;
  result: string;
}

/** What is made in a cluster that is not ours: all that has the label of this run. */
export interface InCluster {
  /** The value of the label. */
  run: string;
  /** The operator's chart is being installed, or is. */
  operator: boolean;
  /** `NAMESPACE/NAME` of an istiod's ConfigMaps that were there before ours; null: istiod is not ours. */
  configMaps: string[] | null;
  /** Directories of the kubectl and helm that make it; PATH may have others in post. */
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

/** Starts with nothing made. */
export function openState(): (change: Partial<PostState>) => void {
  const state = {...emptyState};
  const save = (change: Partial<PostState>) => {
    Object.assign(state, change);
    core.saveState('run', JSON.stringify(state)); // of a name written twice the last stands
  };
  save({});
  return save;
}

/** What main said, in post; null where it has said nothing. */
export function readState(): PostState | null {
  const saved = core.getState('run');
  return saved === '' ? null : {...emptyState, ...JSON.parse(saved)};
}

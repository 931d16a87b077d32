/** The images that samples may run; `proxy` is the sidecars', and null where the chart does not tell it. */
export interface SampleImages {
  echo: string;
  client: string;
  proxy: string | null;
}

/**
 * What checks need in the cluster beside the documentation's samples: data, of which the plan makes files.
 * When a manifest is applied is read from it: what has pods comes once the documentation's samples are ready;
 * Istio's and the Gateway API's resources come as soon as their CRDs are served; the rest comes at once. All pods of its Deployments, StatefulSets and DaemonSets are waited for, by their label `app`.
 */
export interface ExtraSample {
  /** Its namespace: one of the documentation's, which stays as it is, or one of its own. */
  namespace: string;
  /** Whether its pods get sidecars: a namespace of its own is then labelled, as `injection-label` asks. */
  sidecars: boolean;
  /** What a cluster that was there may not have: nodes that are ours to use, or the CRDs of the Gateway API. */
  needs?: 'kind' | 'gateway-api';
  /** How the ids of the checks begin that need it, where not all of their layer do. */
  checkIdPrefix?: string;
  /** More labels of a namespace of its own. */
  labels?: Record<string, string>;
  /** Kubernetes manifests as YAML documents; they are put into the namespace. */
  manifests: (images: SampleImages) => string;
}

/** A workload whose pods are waited for. */
export interface Workload {
  namespace: string;
  kind: string;
  name: string;
  /** The value of the pods' label `app`. */
  app: string;
  /** How many pods there are to be, at least. */
  pods: number;
}

/** Types of the samples that checks bring. */
/** The images for samples. `proxy` is the image of the sidecars; null if the chart does not name it. */
export interface SampleImages {
  echo: string;
  client: string;
  proxy: string | null;
}

/**
 * A sample that checks need beside the documented ones. The plan turns it into files.
 * The run applies workloads after the documented samples are ready, resources of Istio and of the Gateway API when
 * their CRDs exist, and other manifests at once. It waits for the pods of all workloads by their label `app`.
 */
export interface ExtraSample {
  /** The namespace, a documented one or a new one. */
  namespace: string;
  /** Whether its pods get sidecars. A new namespace then gets the label from `injection-label`. */
  sidecars: boolean;
  /** What an existing cluster may lack: nodes that the run owns, or the CRDs of the Gateway API. */
  needs?: 'kind' | 'gateway-api';
  /** The prefix of the ids of the checks that need the sample; absent: all checks of the layer. */
  checkIdPrefix?: string;
  /** More labels of a new namespace. */
  labels?: Record<string, string>;
  /** Kubernetes manifests as YAML documents, which the plan puts into the namespace. */
  manifests: (images: SampleImages) => string;
}

/** A workload whose pods the run waits for. */
export interface Workload {
  namespace: string;
  kind: string;
  name: string;
  /** The value of the pods' label `app`. */
  app: string;
  /** The least number of pods. */
  pods: number;
}

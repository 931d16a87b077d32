import {type Layer, layers} from './results.ts';

/** Of what a phase is part: where a time that is over is told of, and what could not be done where it failed. */
export interface PhaseKind {
  layer: Layer;
  /** A headline. */
  failureHeadline: string;
}

/** Of all phases but those that come once for each of something. A test holds them to the graph. */
const kindsByPhase: Record<string, PhaseKind> = {
  kind: {layer: 'runner', failureHeadline: 'kind could not be provided'},
  kubectl: {layer: 'runner', failureHeadline: 'kubectl could not be provided'},
  helm: {layer: 'runner', failureHeadline: 'Helm could not be provided'},
  chart: {layer: 'runner', failureHeadline: 'The chart of the Sail Operator could not be provided'},
  'sample files': {layer: 'runner', failureHeadline: 'The sample manifests could not be provided'},
  survey: {layer: 'node', failureHeadline: 'The cluster could not be looked at'},
  name: {layer: 'runner', failureHeadline: 'Cluster could not be made'},
  cluster: {layer: 'node', failureHeadline: 'Cluster could not be made'},
  containerd: {layer: 'node', failureHeadline: 'Cluster did not come up'},
  api: {layer: 'node', failureHeadline: 'Cluster did not come up'},
  logins: {layer: 'node', failureHeadline: 'The nodes could not be given the logins of Docker'},
  pulls: {layer: 'node', failureHeadline: 'Images could not be pulled'},
  unpack: {layer: 'node', failureHeadline: 'Images of the node could not be unpacked'},
  'pod network': {layer: 'node', failureHeadline: 'Cluster did not come up'},
  'kube-proxy': {layer: 'node', failureHeadline: 'Cluster did not come up'},
  cordon: {layer: 'node', failureHeadline: 'Cluster did not come up'},
  uncordon: {layer: 'node', failureHeadline: 'Cluster did not come up'},
  namespaces: {layer: 'node', failureHeadline: 'Namespaces could not be made'},
  crds: {layer: 'operator', failureHeadline: 'CRDs of the Sail Operator could not be made'},
  operator: {layer: 'operator', failureHeadline: 'Sail Operator could not be installed'},
  istio: {layer: 'control-plane', failureHeadline: 'Istio could not be installed'},
  istiod: {layer: 'control-plane', failureHeadline: 'Istio could not be installed'},
  mesh: {layer: 'control-plane', failureHeadline: 'Istio did not become healthy'},
  'revision tag': {layer: 'control-plane', failureHeadline: 'Istio could not be installed'},
  ambient: {layer: 'ambient', failureHeadline: 'IstioCNI and ZTunnel did not become healthy'},
  strict: {layer: 'control-plane', failureHeadline: 'STRICT mutual TLS could not be asked for'},
  'strict off': {
    layer: 'control-plane',
    failureHeadline: 'STRICT mutual TLS could not be taken back'
  },
  'gateway api': {
    layer: 'runner',
    failureHeadline: 'The CRDs of the Gateway API could not be provided'
  },
  'gateway crds': {
    layer: 'node',
    failureHeadline: 'The CRDs of the Gateway API could not be made'
  },
  resources: {
    layer: 'control-plane',
    failureHeadline: 'Istio resources of the samples could not be applied'
  },
  services: {layer: 'node', failureHeadline: 'Samples could not be deployed'},
  samples: {layer: 'workload', failureHeadline: 'Samples could not be deployed'},
  'plain samples': {layer: 'workload', failureHeadline: 'Samples could not be deployed'},
  'more samples': {layer: 'workload', failureHeadline: 'Samples could not be deployed'},
  look: {layer: 'node', failureHeadline: 'Cluster could not be read'},
  'look again': {layer: 'node', failureHeadline: 'Cluster could not be read'},
  upgrade: {layer: 'control-plane', failureHeadline: 'Istio could not be upgraded'},
  restart: {
    layer: 'workload',
    failureHeadline: 'Workloads could not be restarted after the upgrade'
  },
  'restart of the rest': {
    layer: 'workload',
    failureHeadline: 'Workloads could not be restarted after the upgrade'
  }
};

/** What is known of a phase by its name; null where that is nobody's. */
export function getPhaseKind(name: string): PhaseKind | null {
  const bare = name.replace(/ after the upgrade$/, '');
  if (/^(images|(save|images): .+)$/.test(bare))
    return {layer: 'node', failureHeadline: 'Images could not be transferred'};
  const layer = layers.find(one => bare === `check ${one}`);
  if (layer !== undefined) return {layer, failureHeadline: 'Checks could not be made'};
  return Object.hasOwn(kindsByPhase, bare) ? (kindsByPhase[bare] ?? null) : null;
}

/** The names of the table, for the test that holds them to the graph. */
export const phaseKindNames: readonly string[] = Object.keys(kindsByPhase);

import {type Layer, layers} from './results.ts';

/** Of what a phase is part: where a time that is over is told of, and what could not be done where it failed. */
export interface PhaseKind {
  layer: Layer;
  /** A headline. */
  couldNot: string;
}

/** Of all phases but those that come once for each of something. A test holds them to the graph. */
const kinds: Record<string, PhaseKind> = {
  kind: {layer: 'runner', couldNot: 'kind could not be provided'},
  kubectl: {layer: 'runner', couldNot: 'kubectl could not be provided'},
  helm: {layer: 'runner', couldNot: 'Helm could not be provided'},
  chart: {layer: 'runner', couldNot: 'The chart of the Sail Operator could not be provided'},
  'sample files': {layer: 'runner', couldNot: 'The sample manifests could not be provided'},
  survey: {layer: 'node', couldNot: 'The cluster could not be looked at'},
  name: {layer: 'runner', couldNot: 'Cluster could not be made'},
  cluster: {layer: 'node', couldNot: 'Cluster could not be made'},
  containerd: {layer: 'node', couldNot: 'Cluster did not come up'},
  api: {layer: 'node', couldNot: 'Cluster did not come up'},
  logins: {layer: 'node', couldNot: 'The nodes could not be given the logins of Docker'},
  pulls: {layer: 'node', couldNot: 'Images could not be pulled'},
  unpack: {layer: 'node', couldNot: 'Images of the node could not be unpacked'},
  'pod network': {layer: 'node', couldNot: 'Cluster did not come up'},
  'kube-proxy': {layer: 'node', couldNot: 'Cluster did not come up'},
  cordon: {layer: 'node', couldNot: 'Cluster did not come up'},
  uncordon: {layer: 'node', couldNot: 'Cluster did not come up'},
  namespaces: {layer: 'node', couldNot: 'Namespaces could not be made'},
  crds: {layer: 'operator', couldNot: 'CRDs of the Sail Operator could not be made'},
  operator: {layer: 'operator', couldNot: 'Sail Operator could not be installed'},
  istio: {layer: 'control-plane', couldNot: 'Istio could not be installed'},
  istiod: {layer: 'control-plane', couldNot: 'Istio could not be installed'},
  mesh: {layer: 'control-plane', couldNot: 'Istio did not become healthy'},
  'revision tag': {layer: 'control-plane', couldNot: 'Istio could not be installed'},
  ambient: {layer: 'ambient', couldNot: 'IstioCNI and ZTunnel did not become healthy'},
  strict: {layer: 'control-plane', couldNot: 'STRICT mutual TLS could not be asked for'},
  'strict off': {layer: 'control-plane', couldNot: 'STRICT mutual TLS could not be taken back'},
  'gateway api': {
    layer: 'runner',
    couldNot: 'The CRDs of the Gateway API could not be provided'
  },
  'gateway crds': {
    layer: 'node',
    couldNot: 'The CRDs of the Gateway API could not be made'
  },
  resources: {
    layer: 'control-plane',
    couldNot: 'Istio resources of the samples could not be applied'
  },
  services: {layer: 'node', couldNot: 'Samples could not be deployed'},
  samples: {layer: 'workload', couldNot: 'Samples could not be deployed'},
  'plain samples': {layer: 'workload', couldNot: 'Samples could not be deployed'},
  'more samples': {layer: 'workload', couldNot: 'Samples could not be deployed'},
  look: {layer: 'node', couldNot: 'Cluster could not be read'},
  'look again': {layer: 'node', couldNot: 'Cluster could not be read'},
  upgrade: {layer: 'control-plane', couldNot: 'Istio could not be upgraded'},
  restart: {layer: 'workload', couldNot: 'Workloads could not be restarted after the upgrade'},
  'restart of the rest': {
    layer: 'workload',
    couldNot: 'Workloads could not be restarted after the upgrade'
  }
};

/** What is known of a phase by its name; null where that is nobody's. */
export function phaseKind(name: string): PhaseKind | null {
  const bare = name.replace(/ after the upgrade$/, '');
  if (/^(images|(save|images): .+)$/.test(bare))
    return {layer: 'node', couldNot: 'Images could not be transferred'};
  const layer = layers.find(one => bare === `check ${one}`);
  if (layer !== undefined) return {layer, couldNot: 'Checks could not be made'};
  return Object.hasOwn(kinds, bare) ? (kinds[bare] ?? null) : null;
}

/** The names of the table, for the test that holds them to the graph. */
export const phaseKinds: readonly string[] = Object.keys(kinds);

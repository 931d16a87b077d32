/** The layer and the failure headline of each phase. */
import {type Layer, layers} from './results.ts';

/** The layer of a phase, for a timeout during it, and the headline of its failure. */
export interface PhaseKind {
  layer: Layer;
  failureHeadline: string;
}

/** All phases with a constant name. A test compares the names with the graph. */
const kindsByPhase: Record<string, PhaseKind> = {
  kind: {layer: 'runner', failureHeadline: 'kind is not available'},
  kubectl: {layer: 'runner', failureHeadline: 'kubectl is not available'},
  helm: {layer: 'runner', failureHeadline: 'Helm is not available'},
  chart: {layer: 'runner', failureHeadline: 'The chart of the Sail Operator is not available'},
  'sample files': {layer: 'runner', failureHeadline: 'The sample manifests are not available'},
  survey: {layer: 'node', failureHeadline: 'Cluster could not be read'},
  name: {layer: 'runner', failureHeadline: 'Cluster could not be created'},
  cluster: {layer: 'node', failureHeadline: 'Cluster could not be created'},
  containerd: {layer: 'node', failureHeadline: 'Cluster did not become ready'},
  api: {layer: 'node', failureHeadline: 'Cluster did not become ready'},
  logins: {layer: 'node', failureHeadline: 'Registry logins could not be copied to the nodes'},
  pulls: {layer: 'node', failureHeadline: 'Images could not be pulled'},
  unpack: {layer: 'node', failureHeadline: 'Images could not be unpacked on the nodes'},
  'pod network': {layer: 'node', failureHeadline: 'Cluster did not become ready'},
  'kube-proxy': {layer: 'node', failureHeadline: 'Cluster did not become ready'},
  cordon: {layer: 'node', failureHeadline: 'Cluster did not become ready'},
  uncordon: {layer: 'node', failureHeadline: 'Cluster did not become ready'},
  namespaces: {layer: 'node', failureHeadline: 'Namespaces could not be created'},
  crds: {layer: 'operator', failureHeadline: 'CRDs of the Sail Operator could not be created'},
  operator: {layer: 'operator', failureHeadline: 'Sail Operator could not be installed'},
  istio: {layer: 'control-plane', failureHeadline: 'Istio could not be installed'},
  istiod: {layer: 'control-plane', failureHeadline: 'Istio could not be installed'},
  mesh: {layer: 'control-plane', failureHeadline: 'Istio did not become healthy'},
  'revision tag': {layer: 'control-plane', failureHeadline: 'Istio could not be installed'},
  ambient: {layer: 'ambient', failureHeadline: 'IstioCNI and ZTunnel did not become healthy'},
  strict: {layer: 'control-plane', failureHeadline: 'STRICT mutual TLS could not be enabled'},
  'strict off': {
    layer: 'control-plane',
    failureHeadline: 'STRICT mutual TLS could not be disabled'
  },
  'gateway api': {
    layer: 'runner',
    failureHeadline: 'The CRDs of the Gateway API are not available'
  },
  'gateway crds': {
    layer: 'node',
    failureHeadline: 'The CRDs of the Gateway API could not be created'
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

/** Returns the layer and headline of a phase; null for an unknown name. */
export function getPhaseKind(name: string): PhaseKind | null {
  const bare = name.replace(/ after the upgrade$/, '');
  if (/^(images|(save|images): .+)$/.test(bare))
    return {layer: 'node', failureHeadline: 'Images could not be copied to the nodes'};
  const layer = layers.find(one => bare === `check ${one}`);
  if (layer !== undefined) return {layer, failureHeadline: 'Checks could not run'};
  return Object.hasOwn(kindsByPhase, bare) ? (kindsByPhase[bare] ?? null) : null;
}

/** The names in the table, for the test that compares them with the graph. */
export const phaseKindNames: readonly string[] = Object.keys(kindsByPhase);

import {stringify} from 'yaml';
import type {Values} from '../inputs/readers.ts';
import type {Strategy} from '../versions/upgrade.ts';
import {labelsOf, onlyOurs} from './existing.ts';
import {merge} from './kind.ts';

export const operatorNamespace = 'sail-operator';
export const istioNamespace = 'istio-system';
export const cniNamespace = 'istio-cni';
export const ztunnelNamespace = 'ztunnel';

/** The label by which a namespace's pods are in ambient. */
export const ambientLabel = 'istio.io/dataplane-mode=ambient';

/** The dual-stack values of the documentation. */
const dualStack: Values = {
  meshConfig: {defaultConfig: {proxyMetadata: {ISTIO_DUAL_STACK: 'true'}}},
  pilot: {ipFamilyPolicy: 'RequireDualStack', env: {ISTIO_DUAL_STACK: 'true'}}
};

/** Two istiods at once, and twice the sidecars while they are restarted, are to fit on a node of two processors. */
const small: Values = {
  pilot: {resources: {requests: {cpu: '100m', memory: '256Mi'}}},
  global: {proxy: {resources: {requests: {cpu: '10m', memory: '64Mi'}}}}
};

const apiVersion = 'sailoperator.io/v1';

interface Mesh {
  /** `v1.30.3`; null: the operator's default. */
  version: string | null;
  values: Values | null;
  cni: boolean;
  ambient: boolean;
  /** In a cluster that is not ours: the label of all that this run makes. */
  run?: string | undefined;
  /** How it is upgraded, where it is. */
  strategy?: Strategy | undefined;
}

/** The Istio resource as documented, with a version and more values merged in. */
export function istioYaml({version, values, cni, ambient, run, strategy}: Mesh): string {
  const more: Values = ambient
    ? {pilot: {trustedZtunnelNamespace: ztunnelNamespace}}
    : cni
      ? {pilot: {cni: {enabled: true}}} // off OpenShift pilot does not ask for it
      : {};
  return stringify({
    apiVersion,
    kind: 'Istio',
    metadata: metadataOf(run),
    spec: {
      ...(version === null ? {} : {version}),
      ...profileOf(ambient),
      ...(strategy === undefined ? {} : {updateStrategy: {type: strategy}}),
      values: merge(
        dualStack,
        more,
        run === undefined ? {} : onlyOurs(run),
        strategy === undefined ? {} : small,
        values ?? {}
      ),
      namespace: istioNamespace
    }
  });
}

/** What namespaces name instead of a revision, as documented: it follows the Istio resource from one to the next. */
export const revisionTagYaml = (name: string): string =>
  stringify({
    apiVersion,
    kind: 'IstioRevisionTag',
    metadata: {name},
    spec: {targetRef: {kind: 'Istio', name: 'default'}}
  });

/** The name of the revision that the operator makes of the Istio resource. */
export const revisionOf = (version: string, strategy: Strategy): string =>
  strategy === 'InPlace' ? 'default' : `default-${version.replaceAll('.', '-')}`;

/** The name of istiod's Deployment and Service in a revision. */
export const istiodOf = (revision: string): string =>
  revision === 'default' ? 'istiod' : `istiod-${revision}`;

/** The IstioCNI resource as documented. */
export function istioCniYaml({version, ambient, run}: Mesh): string {
  return stringify({
    apiVersion,
    kind: 'IstioCNI',
    metadata: metadataOf(run),
    spec: {
      ...(version === null ? {} : {version}),
      ...profileOf(ambient),
      namespace: cniNamespace
    }
  });
}

/** The ZTunnel resource as documented; it takes what concerns it from the Istio resource. */
export function ztunnelYaml({version}: Pick<Mesh, 'version'>): string {
  return stringify({
    apiVersion,
    kind: 'ZTunnel',
    metadata: metadataOf(),
    spec: {
      ...(version === null ? {} : {version}),
      namespace: ztunnelNamespace,
      targetRef: {kind: 'Istio', name: 'default'}
    }
  });
}

const profileOf = (ambient: boolean) => (ambient ? {profile: 'ambient'} : {});

const metadataOf = (run?: string) => ({
  name: 'default',
  ...(run !== undefined && {labels: labelsOf(run)})
});

import {stringify} from 'yaml';
import type {Values} from '../inputs/readers.ts';
import {labelsOf, onlyOurs} from './existing.ts';
import {merge} from './kind.ts';

export const operatorNamespace = 'sail-operator';
export const istioNamespace = 'istio-system';
export const cniNamespace = 'istio-cni';

/** The dual-stack values of the documentation. */
const dualStack: Values = {
  meshConfig: {defaultConfig: {proxyMetadata: {ISTIO_DUAL_STACK: 'true'}}},
  pilot: {ipFamilyPolicy: 'RequireDualStack', env: {ISTIO_DUAL_STACK: 'true'}}
};

const apiVersion = 'sailoperator.io/v1';

interface Mesh {
  /** `v1.30.3`; null: the operator's default. */
  version: string | null;
  values: Values | null;
  cni: boolean;
  /** In a cluster that is not ours: the label of all that this run makes. */
  run?: string | undefined;
}

/** The Istio resource as documented, with a version and more values merged in. */
export function istioYaml({version, values, cni, run}: Mesh): string {
  const withCni = cni ? {pilot: {cni: {enabled: true}}} : {}; // off OpenShift pilot does not ask for it
  return stringify({
    apiVersion,
    kind: 'Istio',
    metadata: metadataOf(run),
    spec: {
      ...(version === null ? {} : {version}),
      values: merge(dualStack, withCni, run === undefined ? {} : onlyOurs(run), values ?? {}),
      namespace: istioNamespace
    }
  });
}

/** The IstioCNI resource as documented. */
export function istioCniYaml({version, run}: Mesh): string {
  return stringify({
    apiVersion,
    kind: 'IstioCNI',
    metadata: metadataOf(run),
    spec: {...(version === null ? {} : {version}), namespace: cniNamespace}
  });
}

const metadataOf = (run?: string) => ({
  name: 'default',
  ...(run !== undefined && {labels: labelsOf(run)})
});

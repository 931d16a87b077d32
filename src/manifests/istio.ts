import {lt} from 'semver';
import {stringify} from 'yaml';
import type {Values} from '../inputs/readers.ts';
import {merge} from './kind.ts';

export const operatorNamespace = 'sail-operator';
export const istioNamespace = 'istio-system';
export const cniNamespace = 'istio-cni';

/** The dual-stack values of the documentation. */
const dualStack: Values = {
  meshConfig: {defaultConfig: {proxyMetadata: {ISTIO_DUAL_STACK: 'true'}}},
  pilot: {ipFamilyPolicy: 'RequireDualStack', env: {ISTIO_DUAL_STACK: 'true'}}
};

// v1 came with operator 1.0.0, and v1alpha1 went
const apiVersion = (operator: string): string =>
  `sailoperator.io/${lt(operator, '1.0.0') ? 'v1alpha1' : 'v1'}`;

interface Mesh {
  operator: string;
  /** `v1.30.3`; null: the operator's default. */
  version: string | null;
  values: Values | null;
  cni: boolean;
}

/** The Istio resource as documented, with a version and more values merged in. */
export function istioYaml({operator, version, values, cni}: Mesh): string {
  const withCni = cni ? {pilot: {cni: {enabled: true}}} : {}; // off OpenShift pilot does not ask for it
  return stringify({
    apiVersion: apiVersion(operator),
    kind: 'Istio',
    metadata: {name: 'default'},
    spec: {
      ...(version === null ? {} : {version}),
      values: merge(dualStack, withCni, values ?? {}),
      namespace: istioNamespace
    }
  });
}

/** The IstioCNI resource as documented. */
export function istioCniYaml({operator, version}: Mesh): string {
  return stringify({
    apiVersion: apiVersion(operator),
    kind: 'IstioCNI',
    metadata: {name: 'default'},
    spec: {...(version === null ? {} : {version}), namespace: cniNamespace}
  });
}

import {stringify} from 'yaml';
import {fields} from '../base/yaml.ts';
import type {Values} from '../inputs/readers.ts';
import type {Strategy} from '../versions/upgrade-path.ts';
import {labelsOf, onlyOurs} from './existing-cluster-manifests.ts';
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

/** The images that the resources name, instead of those that the operator would take; empty: left to the operator. */
export interface IstioImages {
  istiod: string;
  proxy: string;
  cni: string;
  ztunnel: string;
}

interface Mesh {
  /** `v1.30.3`; null: the operator's default. */
  version: string | null;
  values: Values | null;
  /** What the resources name; absent: the operator's own. */
  images?: IstioImages;
  /** Registry prefix of Istio's images; absent or null: as the operator's chart names them. */
  hub?: string | null;
  cni: boolean;
  ambient: boolean;
  /** In a cluster that is not ours: the label of all that this run makes. */
  run?: string | undefined;
  /** How it is upgraded, where it is. */
  strategy?: Strategy | undefined;
}

/** The Istio resource as documented, with a version and more values merged in. */
export function istioYaml(mesh: Mesh): string {
  const {version, values, cni, ambient, run, strategy} = mesh;
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
        imageValues(mesh),
        values ?? {}
      ),
      namespace: istioNamespace
    }
  });
}

/**
 * The images of istiod and the proxies, set where the operator would set those of its chart. By `global.hub` alone,
 * operators before 1.27 would not find them (pkg/istiovalues/digests.go). A hub or a tag in `values` takes precedence.
 */
function imageValues({images, hub = null, values}: Mesh): Values {
  const [global, pilot] = [fields(values?.global), fields(values?.pilot)];
  if (hub === null || isNamed(global.hub)) return {};
  if (isNamed(global.tag)) return {global: {hub}}; // the operator leaves all images to hub and tag then
  const {istiod = '', proxy = ''} = images ?? {};
  const forPilot = isNamed(pilot.tag) ? {hub} : {image: istiod};
  return {
    ...(istiod !== '' && !isNamed(pilot.hub) && {pilot: forPilot}),
    ...(proxy !== '' && {global: {proxy: {image: proxy}, proxy_init: {image: proxy}}})
  };
}

const isNamed = (value: unknown): boolean => value !== undefined && value !== null;

/** Whether these values say which images istiod or the proxies run. */
export function namesImages(values: Values | null): boolean {
  const global = fields(values?.global);
  return [global, fields(values?.pilot), fields(global.proxy), fields(global.proxy_init)].some(
    one => ['hub', 'tag', 'image', 'variant'].some(key => isNamed(one[key]))
  );
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
export function istioCniYaml({version, images, ambient, run}: Mesh): string {
  return stringify({
    apiVersion,
    kind: 'IstioCNI',
    metadata: metadataOf(run),
    spec: {
      ...(version === null ? {} : {version}),
      ...profileOf(ambient),
      ...(images?.cni && {values: {cni: {image: images.cni}}}),
      namespace: cniNamespace
    }
  });
}

/** The ZTunnel resource as documented; it takes what concerns it from the Istio resource. */
export function ztunnelYaml({version, images}: Pick<Mesh, 'version' | 'images'>): string {
  return stringify({
    apiVersion,
    kind: 'ZTunnel',
    metadata: metadataOf(),
    spec: {
      ...(version === null ? {} : {version}),
      ...(images?.ztunnel && {values: {ztunnel: {image: images.ztunnel}}}),
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

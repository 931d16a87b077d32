import {stringify} from 'yaml';
import {asMapping} from '../base/yaml.ts';
import type {Values} from '../inputs/readers.ts';
import type {UpdateStrategy} from '../versions/upgrade-path.ts';
import {buildDiscoveryValues, getRunLabels} from './existing-cluster-manifests.ts';
import {mergeValues} from './kind.ts';

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
const smallRequests: Values = {
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
  strategy?: UpdateStrategy | undefined;
}

/** The Istio resource as documented, with a version and more values merged in. */
export function renderIstioYaml(mesh: Mesh): string {
  const {version, values, cni, ambient, run, strategy} = mesh;
  const more: Values = ambient
    ? {pilot: {trustedZtunnelNamespace: ztunnelNamespace}}
    : cni
      ? {pilot: {cni: {enabled: true}}} // off OpenShift pilot does not ask for it
      : {};
  return stringify({
    apiVersion,
    kind: 'Istio',
    metadata: buildMetadata(run),
    spec: {
      ...(version === null ? {} : {version}),
      ...buildProfile(ambient),
      ...(strategy === undefined ? {} : {updateStrategy: {type: strategy}}),
      values: mergeValues(
        dualStack,
        more,
        run === undefined ? {} : buildDiscoveryValues(run),
        strategy === undefined ? {} : smallRequests,
        buildImageValues(mesh),
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
function buildImageValues({images, hub = null, values}: Mesh): Values {
  const [global, pilot] = [asMapping(values?.global), asMapping(values?.pilot)];
  if (hub === null || isSet(global.hub)) return {};
  if (isSet(global.tag)) return {global: {hub}}; // the operator leaves all images to hub and tag then
  const {istiod = '', proxy = ''} = images ?? {};
  const forPilot = isSet(pilot.tag) ? {hub} : {image: istiod};
  return {
    ...(istiod !== '' && !isSet(pilot.hub) && {pilot: forPilot}),
    ...(proxy !== '' && {global: {proxy: {image: proxy}, proxy_init: {image: proxy}}})
  };
}

const isSet = (value: unknown): boolean => value !== undefined && value !== null;

/** Whether these values say which images istiod or the proxies run. */
export function hasImageValues(values: Values | null): boolean {
  const global = asMapping(values?.global);
  return [
    global,
    asMapping(values?.pilot),
    asMapping(global.proxy),
    asMapping(global.proxy_init)
  ].some(one => ['hub', 'tag', 'image', 'variant'].some(key => isSet(one[key])));
}

/** What namespaces name instead of a revision, as documented: it follows the Istio resource from one to the next. */
export const renderRevisionTagYaml = (name: string): string =>
  stringify({
    apiVersion,
    kind: 'IstioRevisionTag',
    metadata: {name},
    spec: {targetRef: {kind: 'Istio', name: 'default'}}
  });

/** The name of the revision that the operator makes of the Istio resource. */
export const getRevisionName = (version: string, strategy: UpdateStrategy): string =>
  strategy === 'InPlace' ? 'default' : `default-${version.replaceAll('.', '-')}`;

/** The name of istiod's Deployment and Service in a revision. */
export const getIstiodName = (revision: string): string =>
  revision === 'default' ? 'istiod' : `istiod-${revision}`;

/** The IstioCNI resource as documented. */
export function renderIstioCniYaml({version, images, ambient, run}: Mesh): string {
  return stringify({
    apiVersion,
    kind: 'IstioCNI',
    metadata: buildMetadata(run),
    spec: {
      ...(version === null ? {} : {version}),
      ...buildProfile(ambient),
      ...(images?.cni && {values: {cni: {image: images.cni}}}),
      namespace: cniNamespace
    }
  });
}

/** The ZTunnel resource as documented; it takes what concerns it from the Istio resource. */
export function renderZtunnelYaml({version, images}: Pick<Mesh, 'version' | 'images'>): string {
  return stringify({
    apiVersion,
    kind: 'ZTunnel',
    metadata: buildMetadata(),
    spec: {
      ...(version === null ? {} : {version}),
      ...(images?.ztunnel && {values: {ztunnel: {image: images.ztunnel}}}),
      namespace: ztunnelNamespace,
      targetRef: {kind: 'Istio', name: 'default'}
    }
  });
}

const buildProfile = (ambient: boolean) => (ambient ? {profile: 'ambient'} : {});

const buildMetadata = (run?: string) => ({
  name: 'default',
  ...(run !== undefined && {labels: getRunLabels(run)})
});

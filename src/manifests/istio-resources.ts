/** Renders the resources of the Sail Operator: Istio, IstioCNI, ZTunnel and the revision tag. */
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

/** The namespace label that adds its pods to ambient. */
export const ambientLabel = 'istio.io/dataplane-mode=ambient';

/** The documented dual-stack values. */
const dualStack: Values = {
  meshConfig: {defaultConfig: {proxyMetadata: {ISTIO_DUAL_STACK: 'true'}}},
  pilot: {ipFamilyPolicy: 'RequireDualStack', env: {ISTIO_DUAL_STACK: 'true'}}
};

/** Requests for an upgrade: two istiods and twice the sidecars must fit on a node with two processors. */
const smallRequests: Values = {
  pilot: {resources: {requests: {cpu: '100m', memory: '256Mi'}}},
  global: {proxy: {resources: {requests: {cpu: '10m', memory: '64Mi'}}}}
};

const apiVersion = 'sailoperator.io/v1';

/** The images that the resources set; an empty text leaves the choice to the operator. */
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
  /** The images that the resources set; absent: the operator chooses. */
  images?: IstioImages;
  /** Registry prefix of Istio's images; absent or null: the names in the operator's chart. */
  hub?: string | null;
  cni: boolean;
  ambient: boolean;
  /** In an existing cluster: the label value of the objects of this run. */
  run?: string | undefined;
  /** The upgrade strategy; absent: no upgrade. */
  strategy?: UpdateStrategy | undefined;
}

/** The documented Istio resource, with a version and more values merged in. */
export function renderIstioYaml(mesh: Mesh): string {
  const {version, values, cni, ambient, run, strategy} = mesh;
  const more: Values = ambient
    ? {pilot: {trustedZtunnelNamespace: ztunnelNamespace}}
    : cni
      ? {pilot: {cni: {enabled: true}}} // only the OpenShift profile sets it by default
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
 * The values for the images of istiod and the proxies, in the fields that the operator sets from its chart.
 * Operators before 1.27 ignore `global.hub` alone (pkg/istiovalues/digests.go). A hub or a tag in `values` takes precedence.
 */
function buildImageValues({images, hub = null, values}: Mesh): Values {
  const [global, pilot] = [asMapping(values?.global), asMapping(values?.pilot)];
  if (hub === null || isSet(global.hub)) return {};
  if (isSet(global.tag)) return {global: {hub}}; // then the operator uses hub and tag for all images
  const {istiod = '', proxy = ''} = images ?? {};
  const forPilot = isSet(pilot.tag) ? {hub} : {image: istiod};
  return {
    ...(istiod !== '' && !isSet(pilot.hub) && {pilot: forPilot}),
    ...(proxy !== '' && {global: {proxy: {image: proxy}, proxy_init: {image: proxy}}})
  };
}

const isSet = (value: unknown): boolean => value !== undefined && value !== null;

/** Whether these values set the images of istiod or the proxies. */
export function hasImageValues(values: Values | null): boolean {
  const global = asMapping(values?.global);
  return [
    global,
    asMapping(values?.pilot),
    asMapping(global.proxy),
    asMapping(global.proxy_init)
  ].some(one => ['hub', 'tag', 'image', 'variant'].some(key => isSet(one[key])));
}

/** The documented IstioRevisionTag: namespaces use it instead of a revision, and it follows the Istio resource. */
export const renderRevisionTagYaml = (name: string): string =>
  stringify({
    apiVersion,
    kind: 'IstioRevisionTag',
    metadata: {name},
    spec: {targetRef: {kind: 'Istio', name: 'default'}}
  });

/** The name of the revision that the operator creates from the Istio resource. */
export const getRevisionName = (version: string, strategy: UpdateStrategy): string =>
  strategy === 'InPlace' ? 'default' : `default-${version.replaceAll('.', '-')}`;

/** The name of istiod's Deployment and Service in a revision. */
export const getIstiodName = (revision: string): string =>
  revision === 'default' ? 'istiod' : `istiod-${revision}`;

/** The documented IstioCNI resource. */
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

/** The documented ZTunnel resource, which inherits values from the Istio resource. */
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

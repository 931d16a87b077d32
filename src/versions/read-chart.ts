import {lt, valid} from 'semver';
import {createInputFault} from '../base/fault.ts';
import {asMapping, readYaml} from '../base/yaml.ts';
import {isVersionName, readCheckout, readCrd, type VersionEntry} from './lists.ts';

/** An Istio version that the operator can install, and its images; empty where the chart does not name them. */
export interface IstioRelease {
  /** As the Istio resource names it, `v1.30.3`. */
  version: string;
  istiod: string;
  proxy: string;
  cni: string;
  ztunnel: string;
}

/** What we need to know of an operator's chart. */
export interface Chart {
  /** A directory or an archive on this machine. */
  path: string;
  /** The directory with its CRDs. */
  crds: string;
  /** Where it was fetched from; null when it was here already. */
  url: string | null;
  name: string;
  version: string;
  /** The operator's image; null where the chart does not say. */
  image: string | null;
  /** When its image is pulled; null: as Kubernetes does it by the tag. */
  pullPolicy: string | null;
  /** What the operator can install, its default first. Empty where nothing tells. */
  istioReleases: IstioRelease[];
  /** Other names that the Istio resource has for a version: `v1.30-latest` → `v1.30.3`. */
  aliases: Record<string, string>;
  /** Versions and aliases that the API server still takes, and the operator refuses to install. */
  endOfLife: string[];
}

/**
 * Reads Chart.yaml and values.yaml; the text of its CRDs, where there is any; and `versions.yaml` of the
 * checkout that it lies in, which is what an operator built there goes by. Throws a Fault of class `input`.
 */
export function readChart(
  about: string,
  values: string,
  crds = '',
  checkout = ''
): Omit<Chart, 'path' | 'url' | 'crds'> {
  const {name, version} = asMapping(readYaml(about));
  if (!isText(name) || !isText(version) || valid(version) === null)
    throw new ChartError('a name and a semantic version');
  const {image, imagePullPolicy, deployment} = asMapping(readYaml(values));
  if (!(image === undefined || image === null || isText(image)))
    throw new ChartError('an image that is text');
  const annotated = readIstioReleases(deployment);
  const api = readCrd(crds, annotated.size > 0 ? [...annotated.keys()] : null);
  if (api.served.length > 0 ? !api.served.includes('v1') : lt(version, '1.0.0'))
    throw createOldOperatorFault(version);
  const entries =
    readCheckout(checkout) ?? api.entries ?? [...annotated.keys()].map(createVersionEntry);
  const offers = entries
    .filter(({ref, eol}) => ref === null && !eol)
    .map(({name}) => annotated.get(name) ?? createReleaseWithoutImages(name));
  return {
    name,
    version,
    image: image ?? null,
    pullPolicy: isText(imagePullPolicy) && imagePullPolicy !== '' ? imagePullPolicy : null,
    istioReleases: moveDefaultFirst(offers, api.default),
    aliases: Object.fromEntries(
      entries.flatMap(({name, ref, eol}) => (ref === null || eol ? [] : [[name, ref]]))
    ),
    endOfLife: entries.filter(({eol}) => eol).map(({name}) => name)
  };
}

/** A chart that Helm reads, and that lacks what a chart of the Sail Operator has. */
export class ChartError extends Error {
  constructor(lacks: string) {
    super(`it lacks ${lacks}`);
    this.name = 'OddChart';
  }
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.length < 500;

const createVersionEntry = (name: string): VersionEntry => ({name, ref: null, eol: false});

/** An offer without the names of its images. */
export const createReleaseWithoutImages = (version: string): IstioRelease => ({
  version,
  istiod: '',
  proxy: '',
  cni: '',
  ztunnel: ''
});

/** The CRD's default comes first; where it has none that can be installed, what is listed first does. */
function moveDefaultFirst(offers: IstioRelease[], name: string | null): IstioRelease[] {
  const first = offers.filter(({version}) => version === name);
  return [...first, ...offers.filter(({version}) => version !== name)];
}

/** Version → images, by the annotations `images.v1_30_3.istiod: …` of the chart's value `deployment`, in their order. */
export function readIstioReleases(deployment: unknown): Map<string, IstioRelease> {
  const offers = new Map<string, IstioRelease>();
  for (const [key, image] of Object.entries(asMapping(asMapping(deployment).annotations))) {
    const [, tag, part] = /^images\.(v.+)\.(istiod|proxy|cni|ztunnel)$/.exec(key) ?? [];
    if (tag === undefined || !isVersionName(tag) || !isText(image)) continue;
    const version = tag.replaceAll('_', '.');
    offers.set(version, {
      ...(offers.get(version) ?? createReleaseWithoutImages(version)),
      [part ?? '']: image
    });
  }
  return offers;
}

// what 0.x needs besides is published no more: github.com/kubernetes-sigs/kubebuilder/discussions/3907
const createOldOperatorFault = (version: string) =>
  createInputFault(
    `operator-version: found the Sail Operator ${version}, whose Istio resource is v1alpha1 and whose pod needs gcr.io/kubebuilder/kube-rbac-proxy, which is published no more; accepted is 1.0.0 or newer`
  );

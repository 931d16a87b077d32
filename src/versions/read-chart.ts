/** Reads the versions and images from an operator chart. */
import {lt, valid} from 'semver';
import {createInputFault} from '../base/fault.ts';
import {asMapping, readYaml} from '../base/yaml.ts';
import {isVersionName, readCheckout, readCrd, type VersionEntry} from './lists.ts';

/** An Istio version that the operator can install, with its images; empty texts if the chart does not name them. */
export interface IstioRelease {
  /** The version in the Istio resource, `v1.30.3`. */
  version: string;
  istiod: string;
  proxy: string;
  cni: string;
  ztunnel: string;
}

/** The facts that a run uses from an operator's chart. */
export interface Chart {
  /** A directory or an archive on this machine. */
  path: string;
  /** The directory with its CRDs. */
  crds: string;
  /** The URL of a downloaded chart; null for a local chart. */
  url: string | null;
  name: string;
  version: string;
  /** The operator's image; null if the chart does not name it. */
  image: string | null;
  /** The pull policy of the operator's image; null: Kubernetes chooses by the tag. */
  pullPolicy: string | null;
  /** What the operator can install, default first. Empty if the chart lists no versions. */
  istioReleases: IstioRelease[];
  /** Alias → version in the Istio resource: `v1.30-latest` → `v1.30.3`. */
  aliases: Record<string, string>;
  /** Versions and aliases that the API server accepts but the operator refuses to install. */
  endOfLife: string[];
}

/**
 * Returns a chart from its Chart.yaml, its values.yaml, the text of its CRDs, and the checkout's `versions.yaml`.
 * The latter takes precedence, because an operator built from the checkout uses it. Throws a Fault or a ChartError.
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

/** A valid Helm chart that lacks a field of the Sail Operator chart. */
export class ChartError extends Error {
  constructor(lacks: string) {
    super(`it lacks ${lacks}`);
    this.name = 'OddChart';
  }
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.length < 500;

const createVersionEntry = (name: string): VersionEntry => ({name, ref: null, eol: false});

/** A release without image names. */
export const createReleaseWithoutImages = (version: string): IstioRelease => ({
  version,
  istiod: '',
  proxy: '',
  cni: '',
  ztunnel: ''
});

/** The releases with the CRD's default first; unchanged if it is not installable. */
function moveDefaultFirst(offers: IstioRelease[], name: string | null): IstioRelease[] {
  const first = offers.filter(({version}) => version === name);
  return [...first, ...offers.filter(({version}) => version !== name)];
}

/** Version → images, from the annotations `images.v1_30_3.istiod: …` in the chart's value `deployment`, in their order. */
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

// 0.x also needs an image that is no longer published: github.com/kubernetes-sigs/kubebuilder/discussions/3907
const createOldOperatorFault = (version: string) =>
  createInputFault(
    `Invalid \`operator-version\` "${version}": expected 1.0.0 or newer. Older operators serve only v1alpha1 of the Istio resource, and need the image gcr.io/kubebuilder/kube-rbac-proxy, which is no longer published`
  );

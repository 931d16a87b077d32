import {lt, valid} from 'semver';
import {badInput} from '../base/fault.ts';
import {fields, readYaml} from '../base/yaml.ts';
import {type Entry, isName, readCheckout, readCrd} from './lists.ts';

/** An Istio version that the operator can install, and its images; empty where the chart does not name them. */
export interface Offer {
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
  offers: Offer[];
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
  const {name, version} = fields(readYaml(about));
  if (!isText(name) || !isText(version) || valid(version) === null)
    throw new OddChart('a name and a semantic version');
  const {image, imagePullPolicy, deployment} = fields(readYaml(values));
  if (!(image === undefined || image === null || isText(image)))
    throw new OddChart('an image that is text');
  const annotated = readOffers(deployment);
  const api = readCrd(crds, annotated.size > 0 ? [...annotated.keys()] : null);
  if (api.served.length > 0 ? !api.served.includes('v1') : lt(version, '1.0.0')) throw old(version);
  const entries = readCheckout(checkout) ?? api.entries ?? [...annotated.keys()].map(plain);
  const offers = entries
    .filter(({ref, eol}) => ref === null && !eol)
    .map(({name}) => annotated.get(name) ?? unnamed(name));
  return {
    name,
    version,
    image: image ?? null,
    pullPolicy: isText(imagePullPolicy) && imagePullPolicy !== '' ? imagePullPolicy : null,
    offers: defaultFirst(offers, api.default),
    aliases: Object.fromEntries(
      entries.flatMap(({name, ref, eol}) => (ref === null || eol ? [] : [[name, ref]]))
    ),
    endOfLife: entries.filter(({eol}) => eol).map(({name}) => name)
  };
}

/** A chart that Helm reads, and that lacks what a chart of the Sail Operator has. */
export class OddChart extends Error {
  constructor(lacks: string) {
    super(`it lacks ${lacks}`);
    this.name = 'OddChart';
  }
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.length < 500;

const plain = (name: string): Entry => ({name, ref: null, eol: false});

/** An offer without the names of its images. */
export const unnamed = (version: string): Offer => ({
  version,
  istiod: '',
  proxy: '',
  cni: '',
  ztunnel: ''
});

/** The CRD's default comes first; where it has none that can be installed, what is listed first does. */
function defaultFirst(offers: Offer[], name: string | null): Offer[] {
  const first = offers.filter(({version}) => version === name);
  return [...first, ...offers.filter(({version}) => version !== name)];
}

/** Version → images, by the annotations `images.v1_30_3.istiod: …` of the chart's value `deployment`, in their order. */
export function readOffers(deployment: unknown): Map<string, Offer> {
  const offers = new Map<string, Offer>();
  for (const [key, image] of Object.entries(fields(fields(deployment).annotations))) {
    const [, tag, part] = /^images\.(v.+)\.(istiod|proxy|cni|ztunnel)$/.exec(key) ?? [];
    if (tag === undefined || !isName(tag) || !isText(image)) continue;
    const version = tag.replaceAll('_', '.');
    offers.set(version, {...(offers.get(version) ?? unnamed(version)), [part ?? '']: image});
  }
  return offers;
}

// what 0.x needs besides is published no more: github.com/kubernetes-sigs/kubebuilder/discussions/3907
const old = (version: string) =>
  badInput(
    `operator-version: found the Sail Operator ${version}, whose Istio resource is v1alpha1 and whose pod needs gcr.io/kubebuilder/kube-rbac-proxy, which is published no more; accepted is 1.0.0 or newer`
  );

import {maxSatisfying, valid} from 'semver';
import {parse} from 'yaml';
import {badInput} from '../base/fault.ts';

/** An Istio version that the operator can install, and its images. */
export interface Offer {
  /** As the Istio resource names it, `v1.30.3`. */
  version: string;
  istiod: string;
  proxy: string;
  cni: string;
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
  /** The operator's default first; empty for charts before 1.26, which do not list them. */
  offers: Offer[];
}

/** Reads Chart.yaml and values.yaml. */
export function readChart(about: string, values: string): Omit<Chart, 'path' | 'url' | 'crds'> {
  const {name, version} = parse(about) as {name: string; version: string};
  const {image, deployment} = (parse(values) ?? {}) as {
    image?: string;
    deployment?: {annotations?: Record<string, string>};
  };
  return {name, version, image: image ?? null, offers: readOffers(deployment?.annotations ?? {})};
}

/** The annotations `images.v1_30_3.istiod: …`, in their order. */
function readOffers(annotations: Record<string, string>): Offer[] {
  const offers = new Map<string, Offer>();
  for (const [key, image] of Object.entries(annotations)) {
    const [, tag, part] = /^images\.(v.+)\.(istiod|proxy|cni)$/.exec(key) ?? [];
    if (tag === undefined) continue;
    const version = tag.replaceAll('_', '.');
    const offer = offers.get(version) ?? {version, istiod: '', proxy: '', cni: ''};
    offers.set(version, {...offer, [part as 'istiod' | 'proxy' | 'cni']: image});
  }
  return [...offers.values()];
}

/** The version to install, as the Istio resource names it. Throws a Fault that lists what there is. */
export function chooseIstio(asked: string | null, {version, offers}: Chart): Offer | null {
  if (asked === null) return offers[0] ?? null;
  const names = offers.map(offer => offer.version);
  const exact = valid(asked) !== null;
  if (offers.length === 0 && exact) return {version: `v${asked}`, istiod: '', proxy: '', cni: ''};
  const chosen = exact ? `v${asked}` : maxSatisfying(names, `~${asked}.0`);
  const offer = offers.find(offer => offer.version === chosen);
  if (offer) return offer;
  throw badInput(
    offers.length === 0
      ? `istio-version: found "${asked}"; this chart does not list its versions, so accepted is a whole version such as \`1.24.6\``
      : `istio-version: found "${asked}"; accepted is what the Sail Operator ${version} can install: ${names.join(', ')}`
  );
}

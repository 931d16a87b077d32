/** Where Istio's images come from: the hub, which is Istio's own word for a registry prefix. */
import {normalizeImageName} from '../base/image.ts';
import {getIstioRelease} from './pins.ts';
import type {IstioRelease} from './read-chart.ts';

/** Has the images of every release; from Istio 1.31 on, it alone has them. */
export const defaultHub = 'docker.io/istio';

/** Retired in December 2026 (istio/istio#61467); charts of the operator still name them. */
export const retiredHubs = ['gcr.io/istio-release', 'registry.istio.io/release'];

/** One sentence on an image at a retired hub: what happened, and what to do; null: it is at none. */
export function describeRetired(image: string): string | null {
  const hub = retiredHubs.find(hub => normalizeImageName(image).startsWith(`${hub}/`));
  if (hub === undefined) return null;
  return `Istio retired ${hub} in December 2026: leave \`istio-hub\` at ${defaultHub}, set it to a mirror, or change the input that names this image.`;
}

const publishedHubs = [defaultHub, ...retiredHubs];

/** The image's name without the hub at which Istio published it; null: it is not one of Istio's. */
function removeHub(image: string): string | null {
  const whole = normalizeImageName(image);
  const hub = publishedHubs.find(hub => whole.startsWith(`${hub}/`));
  return hub === undefined ? null : whole.slice(hub.length + 1);
}

/** The same image at `hub`; as it is where Istio did not publish it, or `hub` is null. */
export function moveToHub(image: string, hub: string | null): string {
  const name = hub === null ? null : removeHub(image);
  return name === null ? image : `${hub}/${name}`;
}

const parts = {istiod: 'pilot', proxy: 'proxyv2', cni: 'install-cni', ztunnel: 'ztunnel'} as const;

/**
 * The offer with its images at `hub`. A chart before 1.26.3 names none, and its operator would take those of a retired
 * hub: there they are named as Istio names them for a release.
 */
export function moveReleaseToHub(offer: IstioRelease, hub: string | null): IstioRelease {
  const release = getIstioRelease(offer.version);
  const move = (image: string, part: string): string => {
    if (image !== '' || hub === null || release === null) return moveToHub(image, hub);
    return `${hub}/${part}:${release}`;
  };
  return {
    version: offer.version,
    istiod: move(offer.istiod, parts.istiod),
    proxy: move(offer.proxy, parts.proxy),
    cni: move(offer.cni, parts.cni),
    ztunnel: move(offer.ztunnel, parts.ztunnel)
  };
}

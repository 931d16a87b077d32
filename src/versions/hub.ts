/** Moves Istio's images to a hub, which is Istio's word for a registry prefix. */
import {normalizeImageName} from '../base/image.ts';
import {getIstioRelease} from './pins.ts';
import type {IstioRelease} from './read-chart.ts';

/** The hub with the images of every release. From Istio 1.31 on, it is the only one. */
export const defaultHub = 'docker.io/istio';

/** The hubs that Istio retired in December 2026 (istio/istio#61467). Operator charts still name them. */
const retiredHubs = ['gcr.io/istio-release', 'registry.istio.io/release'];

/** The cause and the remedy for an image at a retired hub, in one sentence; null for other images. */
export function describeRetired(image: string): string | null {
  const hub = retiredHubs.find(hub => normalizeImageName(image).startsWith(`${hub}/`));
  if (hub === undefined) return null;
  return `Istio retired ${hub} in December 2026: leave \`istio-hub\` at ${defaultHub}, set it to a mirror, or change the input that names this image.`;
}

const publishedHubs = [defaultHub, ...retiredHubs];

/** The image name without Istio's hub; null when Istio did not publish the image. */
function removeHub(image: string): string | null {
  const whole = normalizeImageName(image);
  const hub = publishedHubs.find(hub => whole.startsWith(`${hub}/`));
  return hub === undefined ? null : whole.slice(hub.length + 1);
}

/** The image at `hub`. It is unchanged when Istio did not publish it or `hub` is null. */
export function moveToHub(image: string, hub: string | null): string {
  const name = hub === null ? null : removeHub(image);
  return name === null ? image : `${hub}/${name}`;
}

const parts = {istiod: 'pilot', proxy: 'proxyv2', cni: 'install-cni', ztunnel: 'ztunnel'} as const;

/**
 * The release with its images at `hub`. A chart before 1.26.3 names no images, and its operator uses a retired hub.
 * For such a chart the image names follow Istio's naming of releases.
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

/** Chooses the Istio images of a run, and those that its resources must name. */
import type {Values} from '../inputs/readers.ts';
import type {IstioImages} from '../manifests/istio-resources.ts';
import {moveReleaseToHub} from '../versions/hub.ts';
import {type IstioRelease, readIstioReleases} from '../versions/read-chart.ts';

export const noImages: IstioImages = {istiod: '', proxy: '', cni: '', ztunnel: ''};

export interface ChosenImages {
  /** The images of the pods; empty texts where they are unknown. */
  all: IstioImages;
  /** The images that differ from the operator's choice; the others are empty. */
  changed: IstioImages;
  /** Image → its different name in the chart. */
  chartNames: Record<string, string>;
}

const components = Object.keys(noImages) as (keyof IstioImages)[];

/** The images of a version, from `operator-values` or else from the chart, moved to `hub` unless it is null. */
export function chooseImages(
  offer: IstioRelease | null,
  hub: string | null,
  operatorValues: Values | null
): ChosenImages {
  if (offer === null) return {all: noImages, changed: noImages, chartNames: {}};
  const given = readIstioReleases(operatorValues?.deployment).get(offer.version);
  const moved = moveReleaseToHub(offer, hub);
  const isMoved = (one: keyof IstioImages) => !given?.[one] && moved[one] !== offer[one];
  const choose = (pick: (component: keyof IstioImages) => string) =>
    Object.fromEntries(components.map(one => [one, pick(one)])) as unknown as IstioImages;
  return {
    all: choose(one => given?.[one] || moved[one]),
    changed: choose(one => (isMoved(one) ? moved[one] : '')),
    chartNames: Object.fromEntries(
      components
        .filter(one => isMoved(one) && offer[one] !== '')
        .map(one => [moved[one], offer[one]])
    )
  };
}

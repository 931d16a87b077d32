/** Which images of Istio a run uses, and which of them its resources must name. */
import type {Values} from '../inputs/readers.ts';
import type {IstioImages} from '../manifests/istio-resources.ts';
import {moveReleaseToHub} from '../versions/hub.ts';
import {type IstioRelease, readIstioReleases} from '../versions/read-chart.ts';

export const noImages: IstioImages = {istiod: '', proxy: '', cni: '', ztunnel: ''};

export interface ChosenImages {
  /** What the pods will run; empty where nothing tells. */
  all: IstioImages;
  /** Those of them that the operator would not take by itself; the others are empty. */
  changed: IstioImages;
  /** Image → its name in the chart, where that is another one. */
  chartNames: Record<string, string>;
}

const components = Object.keys(noImages) as (keyof IstioImages)[];

/** The images of a version: those of `operator-values`, or else the chart's, at `hub`; as they are where that is null. */
export function chooseImages(
  offer: IstioRelease | null,
  hub: string | null,
  operatorValues: Values | null
): ChosenImages {
  if (offer === null) return {all: noImages, changed: noImages, chartNames: {}};
  const given = readIstioReleases(operatorValues?.deployment).get(offer.version);
  const moved = moveReleaseToHub(offer, hub);
  const choose = (pick: (component: keyof IstioImages) => string) =>
    Object.fromEntries(components.map(one => [one, pick(one)])) as unknown as IstioImages;
  return {
    all: choose(one => given?.[one] || moved[one]),
    changed: choose(one => (given?.[one] || moved[one] === offer[one] ? '' : moved[one])),
    chartNames: Object.fromEntries(
      components.flatMap(one =>
        offer[one] === '' || given?.[one] || moved[one] === offer[one]
          ? []
          : [[moved[one], offer[one]]]
      )
    )
  };
}

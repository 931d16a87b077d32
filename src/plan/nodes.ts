import {createInputFault} from '../base/fault.ts';
import type {Inputs} from '../inputs/inputs.ts';
import type {Values} from '../inputs/readers.ts';
import {
  buildKindConfig,
  getControlPlaneImage,
  hasNodeImages,
  setNodeImages
} from '../manifests/kind.ts';
import {
  getImageKubernetesVersion,
  getNodeImage,
  getSupportedVersions,
  needsCgroup2,
  refuseOldKind,
  resolveKubernetesVersion
} from '../versions/kubernetes.ts';
import {tools} from '../versions/pins.ts';

export interface NodePlan {
  /** The node image that kind is asked for; null: its own default, or the images that `kind-config` has. */
  image: string | null;
  /** The input that names an image; null: the images are the ones that kind's release published. */
  imageInput: 'node-image' | 'kind-config' | null;
  /** The Kubernetes version that comes of it, such as `1.36.4`; null where no tag tells it. */
  kubernetes: string | null;
  /** We chose a published image that does not start on cgroup v1. */
  needsCgroup2: boolean;
  /** kind's configuration. */
  config: Values;
}

/** Of a cluster that is there already, which is not made by kind for us. */
export const describeExistingNodes = (kubernetes: string): NodePlan => ({
  image: null,
  imageInput: null,
  kubernetes: kubernetes.replace(/^v/, ''),
  needsCgroup2: false,
  config: {}
});

/** What the nodes run, and kind's configuration for it. Throws a Fault where that cannot work. */
export function chooseNodes(inputs: Inputs, kind: string, istio: string | null): NodePlan {
  const more = inputs['kind-config'] ?? {};
  const image = chooseNodeImage(inputs, kind, istio);
  const runs = getControlPlaneImage(more, image);
  const kubernetes = getImageKubernetesVersion(runs);
  refuseOldKind(kind, kubernetes);
  const config = buildKindConfig(inputs['ip-families'], inputs['kind-config'], image, inputs.tuned);
  const ours = runs === image && inputs['node-image'] === null;
  return {
    image: hasNodeImages(more) ? null : image,
    imageInput: hasNodeImages(more)
      ? 'kind-config'
      : inputs['node-image'] === null
        ? null
        : 'node-image',
    kubernetes,
    needsCgroup2:
      ours && needsCgroup2(kubernetes) && !/"?failCgroupV1"?: ?false/.test(JSON.stringify(more)),
    config: hasNodeImages(more) && image !== null ? setNodeImages(config, image) : config
  };
}

/** The node image to ask kind for; null: what this kind has by default. */
function chooseNodeImage(inputs: Inputs, kind: string, istio: string | null): string | null {
  const requested = inputs['kubernetes-version'];
  refuseUnusedNodeImage(inputs);
  if (inputs['node-image'] !== null) return inputs['node-image'];
  if (requested !== null) return getNodeImage(resolveKubernetesVersion(requested));
  if (kind !== tools.kind.version) return null; // it knows best what it can start
  const [newest] = getSupportedVersions(istio);
  return newest === undefined ? null : getNodeImage(newest);
}

/** `--image` would replace the images of `kind-config`, and without it ours would not count. */
function refuseUnusedNodeImage(inputs: Inputs): void {
  const name = (['node-image', 'kubernetes-version'] as const).find(name => inputs[name] !== null);
  const nodes = inputs['kind-config']?.nodes;
  if (name === undefined || !Array.isArray(nodes)) return;
  if (!nodes.every(node => node?.image !== undefined)) return;
  throw createInputFault(
    `${name}: found "${inputs[name]}", while every node in \`kind-config\` has an image of its own; accepted is one of the two`
  );
}

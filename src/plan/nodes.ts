/** Chooses the node image and the configuration of kind. */
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
  /** The node image for kind; null: kind's default, or the images in `kind-config`. */
  image: string | null;
  /** The input that names an image; null: the images are from kind's release. */
  imageInput: 'node-image' | 'kind-config' | null;
  /** The resulting Kubernetes version, such as `1.36.4`; null if no tag names it. */
  kubernetes: string | null;
  /** Whether the run chose a published image that does not start on cgroup v1. */
  needsCgroup2: boolean;
  /** kind's configuration. */
  config: Values;
}

/** The node plan of an existing cluster, for which the run does not use kind. */
export const describeExistingNodes = (kubernetes: string): NodePlan => ({
  image: null,
  imageInput: null,
  kubernetes: kubernetes.replace(/^v/, ''),
  needsCgroup2: false,
  config: {}
});

/** The node image and kind's configuration. Throws a Fault if they cannot work together. */
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

/** The node image for kind; null: the default of this kind. */
function chooseNodeImage(inputs: Inputs, kind: string, istio: string | null): string | null {
  const requested = inputs['kubernetes-version'];
  refuseUnusedNodeImage(inputs);
  if (inputs['node-image'] !== null) return inputs['node-image'];
  if (requested !== null) return getNodeImage(resolveKubernetesVersion(requested));
  if (kind !== tools.kind.version) return null; // another kind may not start our images
  const [newest] = getSupportedVersions(istio);
  return newest === undefined ? null : getNodeImage(newest);
}

/** Throws a Fault if every node in `kind-config` has an image: the input would have no effect. */
function refuseUnusedNodeImage(inputs: Inputs): void {
  const name = (['node-image', 'kubernetes-version'] as const).find(name => inputs[name] !== null);
  const nodes = inputs['kind-config']?.nodes;
  if (name === undefined || !Array.isArray(nodes)) return;
  if (!nodes.every(node => node?.image !== undefined)) return;
  throw createInputFault(
    `Invalid \`${name}\` "${inputs[name]}": expected no value, because every node in \`kind-config\` has its own image`
  );
}

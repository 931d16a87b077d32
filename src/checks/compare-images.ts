/** Compares the images that run in pods with the expected ones. */
import {normalizeImageName} from '../base/image.ts';
import type {Pod} from '../base/kube.ts';
import type {Sh} from '../base/sh.ts';
import {type Outcome, skip} from './definition.ts';

/** The image that a container runs, and the name in its spec. */
interface Running {
  image: string;
  /** From the container status; empty while there is none. */
  id: string;
  pod: string;
  node: string;
}

const listContainers = ({metadata, spec, status}: Pod): Running[] => {
  const statuses = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  return [...(spec.initContainers ?? []), ...spec.containers].map(({name, image}) => ({
    image,
    id: statuses.find(status => status.name === name)?.imageID ?? '',
    pod: `${metadata.namespace}/${metadata.name}`,
    node: spec.nodeName ?? ''
  }));
};

/** Prints all ids of an image in a node: the id of its configuration, and its repo digests. */
const inspectCommand = (node: string, id: string): string[] => [
  ...['docker', 'exec', node, 'crictl', 'inspecti', '--output', 'go-template'],
  ...['--template', '{{.status.id}} {{.status.repoDigests}}', id]
];

/** Whether a container runs the image of that id. For a pulled image, the kubelet reports the repo digest instead. */
async function isSame({id, node}: Running, wanted: string, sh: Sh): Promise<boolean> {
  if (id === wanted || id.endsWith(`@${wanted}`)) return true;
  if (!id.includes('@')) return false;
  const {stdout} = await sh(inspectCommand(node, id), {seconds: 20});
  return stdout.includes(wanted);
}

const getDigest = (image: string): string | undefined => image.split('@')[1];

/**
 * Compares the images of these pods with the expected ones, by id, because a tag may move in a registry or in a node.
 * The id comes from `preloaded`, or from the digest in the image's name. Otherwise no id is known, and the check is skipped.
 */
export async function compareImageIds(
  pods: Pod[],
  preloaded: ReadonlyMap<string, string>,
  sh: Sh,
  wanted: (pod: Pod, container: string) => string = () => ''
): Promise<Outcome> {
  const other = pods.map(pod => otherName(pod, wanted)).find(found => found !== null);
  if (other) return other;
  const named = pods.flatMap(pod => listExpectedNames(pod, wanted));
  const ids = new Map([...preloaded].map(([image, id]) => [normalizeImageName(image), id]));
  const running = pods.filter(({metadata}) => !metadata.deletionTimestamp).flatMap(listContainers);
  const known = running.flatMap(one => {
    const wanted = ids.get(normalizeImageName(one.image)) ?? getDigest(one.image);
    return wanted === undefined ? [] : [{...one, wanted}];
  });
  const pulled = [...new Set(running.map(({id}) => id).filter(Boolean))].join(', ');
  if (known.length === 0 && named.length > 0)
    return {observed: [...new Set(named)].sort().join(', '), verdict: 'passed'};
  if (known.length === 0)
    return {
      ...skip('the nodes pulled this image by its tag, so the expected id is unknown'),
      observed: pulled
    };
  for (const one of known)
    if (!(await isSame(one, one.wanted, sh))) return otherImage(one, one.wanted);
  return {
    observed: [...new Set(known.map(({wanted}) => wanted))].join(', '),
    verdict: 'passed'
  };
}

const isCounted = ({metadata}: Pod): boolean => !metadata.deletionTimestamp;

/** The images of a pod's containers that have an expected name. */
const listExpectedNames = (pod: Pod, wanted: (pod: Pod, container: string) => string): string[] =>
  isCounted(pod)
    ? [...(pod.spec.initContainers ?? []), ...pod.spec.containers]
        .filter(({name}) => wanted(pod, name) !== '')
        .map(({image}) => image)
    : [];

/** The failure for the first container whose image has an unexpected name; null if there is none. */
function otherName(pod: Pod, wanted: (pod: Pod, container: string) => string): Outcome | null {
  if (!isCounted(pod)) return null;
  const {namespace, name: podName} = pod.metadata;
  for (const {name, image} of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
    const expected = wanted(pod, name);
    if (expected === '' || normalizeImageName(expected) === normalizeImageName(image)) continue;
    return {
      observed: image,
      verdict: 'failed',
      reason: `Container ${name} of pod ${namespace}/${podName} runs ${image}, expected ${expected}`,
      reproduce: `kubectl get pod ${podName} -n ${namespace} -o jsonpath='{.spec.initContainers[*].image} {.spec.containers[*].image}'`,
      attribution: {
        headline: `A container runs ${image} instead of ${expected}`,
        hint: 'Find the setting that chose this image: the values of the Istio, IstioCNI and ZTunnel resources, `istio-hub`, `istio-values`, or a webhook that rewrites images.'
      }
    };
  }
  return null;
}

/** The failure for a container that runs another image under the same name. */
function otherImage({image, id, pod}: Running, wanted: string): Outcome {
  const pulled = id.includes('@');
  const [namespace = ''] = pod.split('/');
  return {
    observed: id || 'none',
    verdict: 'failed',
    reason: `${pod} runs ${id || 'an image with an unknown id'} instead of ${wanted}, which this run preloaded as ${image}`,
    reproduce: `kubectl get pods -n ${namespace} -o jsonpath='{.items[*].status.containerStatuses[*].imageID}'`,
    attribution: {
      headline: `A container runs another image under the name ${image}`,
      hint: pulled
        ? 'The node pulled another image with this tag from a registry, over the preloaded one. Check `imagePullPolicy` in the chart, `operator-values` or `istio-values`. Or use a tag that the registry does not have.'
        : 'Another image in the node took this tag after the preload. See `crictl images --digests` in the node, and find what else loads images into this cluster.'
    }
  };
}

/** Compares the images that run in pods with the expected ones. */
import {normalizeImageName} from '../base/image.ts';
import type {Pod} from '../base/kube.ts';
import type {Sh} from '../base/sh.ts';
import {type Outcome, skip} from './definition.ts';

/** A container, with the image in its spec and the one that it runs. */
interface Running {
  container: string;
  image: string;
  /** From the container status; empty while there is none. */
  id: string;
  pod: Pod;
}

/** The image that a container is expected to have in its spec; empty where it is unknown. */
export type ExpectImage = (pod: Pod, container: string) => string;

const listContainers = (pod: Pod): Running[] => {
  const {initContainerStatuses = [], containerStatuses = []} = pod.status;
  const statuses = [...initContainerStatuses, ...containerStatuses];
  return [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map(({name, image}) => ({
    container: name,
    image,
    id: statuses.find(status => status.name === name)?.imageID ?? '',
    pod
  }));
};

const formatPodName = ({metadata}: Pod): string => `${metadata.namespace}/${metadata.name}`;

/** Prints all ids of an image in a node: the id of its configuration, and its repo digests. */
const inspectCommand = (node: string, id: string): string[] => [
  ...['docker', 'exec', node, 'crictl', 'inspecti', '--output', 'go-template'],
  ...['--template', '{{.status.id}} {{.status.repoDigests}}', id]
];

/** Whether a container runs the image of that id. For a pulled image, the kubelet reports the repo digest instead. */
async function isSame({id, pod}: Running, wanted: string, sh: Sh): Promise<boolean> {
  if (id === wanted || id.endsWith(`@${wanted}`)) return true;
  if (!id.includes('@')) return false;
  const {stdout} = await sh(inspectCommand(pod.spec.nodeName ?? '', id), {seconds: 20});
  return stdout.includes(wanted);
}

const getDigest = (image: string): string | undefined => image.split('@')[1];

/**
 * Compares the images of these pods with the expected ones: by name, and by id, because a tag may move in a registry or
 * in a node. The id comes from `preloaded`, or from the digest in the image's name. Skipped if neither is known.
 */
export async function compareImages(
  pods: Pod[],
  preloaded: ReadonlyMap<string, string>,
  sh: Sh,
  expectImage: ExpectImage = () => ''
): Promise<Outcome> {
  const running = pods.filter(({metadata}) => !metadata.deletionTimestamp).flatMap(listContainers);
  const named = running
    .map(one => ({...one, expected: expectImage(one.pod, one.container)}))
    .filter(({expected}) => expected !== '');
  const other = named.find(
    ({image, expected}) => normalizeImageName(image) !== normalizeImageName(expected)
  );
  if (other) return describeOtherName(other, other.expected);
  const ids = new Map([...preloaded].map(([image, id]) => [normalizeImageName(image), id]));
  const known = running.flatMap(one => {
    const wanted = ids.get(normalizeImageName(one.image)) ?? getDigest(one.image);
    return wanted === undefined ? [] : [{...one, wanted}];
  });
  for (const one of known)
    if (!(await isSame(one, one.wanted, sh))) return describeOtherId(one, one.wanted);
  if (known.length > 0) return pass(known.map(({wanted}) => wanted));
  if (named.length > 0) return pass(named.map(({image}) => image).sort());
  return {
    ...skip('the nodes pulled this image by its tag, so the expected id is unknown'),
    observed: [...new Set(running.map(({id}) => id).filter(Boolean))].join(', ')
  };
}

const pass = (found: string[]): Outcome => ({
  observed: [...new Set(found)].join(', '),
  verdict: 'passed'
});

/** The failure for a container whose image has another name. */
function describeOtherName({container, image, pod}: Running, expected: string): Outcome {
  const {namespace, name} = pod.metadata;
  return {
    observed: image,
    verdict: 'failed',
    reason: `Container ${container} of pod ${formatPodName(pod)} runs ${image}, expected ${expected}`,
    reproduce: `kubectl get pod ${name} -n ${namespace} -o jsonpath='{.spec.initContainers[*].image} {.spec.containers[*].image}'`,
    attribution: {
      headline: `A container runs ${image} instead of ${expected}`,
      hint: 'Find the setting that chose this image: the values of the Istio, IstioCNI and ZTunnel resources, `istio-hub`, `istio-values`, or a webhook that rewrites images.'
    }
  };
}

/** The failure for a container that runs another image under the same name. */
function describeOtherId({image, id, pod}: Running, wanted: string): Outcome {
  const pulled = id.includes('@');
  return {
    observed: id || 'none',
    verdict: 'failed',
    reason: `${formatPodName(pod)} runs ${id || 'an image with an unknown id'} instead of ${wanted}, which this run preloaded as ${image}`,
    reproduce: `kubectl get pods -n ${pod.metadata.namespace} -o jsonpath='{.items[*].status.containerStatuses[*].imageID}'`,
    attribution: {
      headline: `A container runs another image under the name ${image}`,
      hint: pulled
        ? 'The node pulled another image with this tag from a registry, over the preloaded one. Check `imagePullPolicy` in the chart, `operator-values` or `istio-values`. Or use a tag that the registry does not have.'
        : 'Another image in the node took this tag after the preload. See `crictl images --digests` in the node, and find what else loads images into this cluster.'
    }
  };
}

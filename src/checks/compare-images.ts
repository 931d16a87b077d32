import {normalizeImageName} from '../base/image.ts';
import type {Pod} from '../base/kube.ts';
import type {Sh} from '../base/sh.ts';
import {type Outcome, skip} from './definition.ts';

/** Which image a container runs, beside the one that it was asked to run. */
interface Running {
  image: string;
  /** As the kubelet tells it; empty while it has none. */
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

/** Ids of an image in a node, by whatever it is asked for: that of its configuration, and the digests it was pulled by. */
const inspectCommand = (node: string, id: string): string[] => [
  ...['docker', 'exec', node, 'crictl', 'inspecti', '--output', 'go-template'],
  ...['--template', '{{.status.id}} {{.status.repoDigests}}', id]
];

/** Whether a container runs the image of that id: where it was pulled too, the kubelet tells the digest of the pull instead. */
async function isSame({id, node}: Running, wanted: string, sh: Sh): Promise<boolean> {
  if (id === wanted || id.endsWith(`@${wanted}`)) return true;
  if (!id.includes('@')) return false;
  const {stdout} = await sh(inspectCommand(node, id), {seconds: 20});
  return stdout.includes(wanted);
}

const getDigest = (image: string): string | undefined => image.split('@')[1];

/**
 * Compares what runs in these pods with what was asked for, by id: a tag may have been moved meanwhile, in a registry or in
 * a node. `brought` is what this run put into the nodes; an image asked for by its digest has its id in its name. What is
 * neither the nodes pulled, and nothing tells which image was meant.
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
      ...skip('the nodes pulled it by its tag, so that nothing here tells which image was meant'),
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

/** The images of a pod's containers that are expected by name, and are there. */
const listExpectedNames = (pod: Pod, wanted: (pod: Pod, container: string) => string): string[] =>
  isCounted(pod)
    ? [...(pod.spec.initContainers ?? []), ...pod.spec.containers]
        .filter(({name}) => wanted(pod, name) !== '')
        .map(({image}) => image)
    : [];

/** A container that runs an image of another name than is expected. */
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
        hint: 'Something else chose this image: see the values of the Istio, IstioCNI and ZTunnel resources, the inputs `istio-hub` and `istio-values`, and webhooks that rewrite images.'
      }
    };
  }
  return null;
}

/** What is told of another image under the same name. */
function otherImage({image, id, pod}: Running, wanted: string): Outcome {
  const pulled = id.includes('@');
  const [namespace = ''] = pod.split('/');
  return {
    observed: id || 'none',
    verdict: 'failed',
    reason: `${pod} runs ${id || 'no image that the kubelet tells of'} instead of ${wanted}, which this run brought as ${image}`,
    reproduce: `kubectl get pods -n ${namespace} -o jsonpath='{.items[*].status.containerStatuses[*].imageID}'`,
    attribution: {
      headline: `Another image runs as ${image} than was asked for`,
      hint: pulled
        ? 'The node pulled another image of that tag from a registry, over the one that this run had imported: see `imagePullPolicy` in the chart, `operator-values` or `istio-values`, or use a tag that the registry does not have.'
        : 'Somebody gave that tag to another image in the node after this run had imported it: see `crictl images --digests` in the node, and what else loads images into this cluster.'
    }
  };
}

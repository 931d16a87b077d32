/** Reads Kubernetes objects with kubectl, and turns pod problems into faults. */
import {isIP} from 'node:net';
import type {FailureClass, Layer} from '../results/results.ts';
import {Fault, type FaultAttribution} from './fault.ts';
import {
  classifyPullFailure,
  describePullFailure,
  isPermanentPullFailure,
  suggestPullFix
} from './image-pull.ts';
import {runJson, type Sh} from './sh.ts';
import type {PollResult} from './wait.ts';

/** The fields of Kubernetes objects that this Action reads. */
export interface ObjectMeta {
  name: string;
  namespace: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  generation?: number;
  deletionTimestamp?: string;
}
export interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
}
export interface ContainerStatus {
  name: string;
  /** Id of the running image: `sha256:…`, or the digest that it was pulled by, `quay.io/…@sha256:…`. */
  imageID?: string;
  ready: boolean;
  restartCount: number;
  state?: {
    waiting?: {reason?: string; message?: string};
    terminated?: {reason?: string; message?: string; exitCode: number};
  };
}
export interface Container {
  name: string;
  image: string;
  restartPolicy?: string;
  env?: {name: string; value?: string}[];
  ports?: {containerPort: number}[];
  readinessProbe?: {httpGet?: {path?: string}};
  livenessProbe?: {httpGet?: {path?: string}};
  startupProbe?: {httpGet?: {path?: string}};
}
export interface Pod {
  kind: 'Pod';
  metadata: ObjectMeta;
  spec: {nodeName?: string; containers: Container[]; initContainers?: Container[]};
  status: {
    phase: string;
    podIPs?: {ip: string}[];
    conditions?: Condition[];
    containerStatuses?: ContainerStatus[];
    initContainerStatuses?: ContainerStatus[];
  };
}
export interface Deployment {
  kind: 'Deployment';
  metadata: ObjectMeta;
  spec: {replicas: number; template: {spec: {containers: Container[]}}};
  status: {
    observedGeneration?: number;
    replicas?: number;
    availableReplicas?: number;
    updatedReplicas?: number;
    conditions?: Condition[];
  };
}
export interface Service {
  kind: 'Service';
  metadata: ObjectMeta;
  spec: {
    type?: string;
    ipFamilyPolicy?: string;
    ipFamilies?: string[];
    clusterIPs?: string[];
    selector?: Record<string, string>;
    ports?: {port: number; protocol?: string}[];
    publishNotReadyAddresses?: boolean;
  };
}
export interface EndpointSlice {
  kind: 'EndpointSlice';
  metadata: ObjectMeta;
  addressType: string;
  endpoints?: {addresses: string[]; conditions?: {ready?: boolean}; targetRef?: {name: string}}[];
}
export interface Node {
  kind: 'Node';
  metadata: ObjectMeta;
  spec: {podCIDRs?: string[]};
  status: {
    conditions?: Condition[];
    addresses?: {type: string; address: string}[];
    nodeInfo: {kubeletVersion: string};
  };
}
/** The Istio resource. IstioCNI and ZTunnel have a status of the same form. */
export interface Istio {
  kind: 'Istio';
  metadata: {name: string; generation: number};
  spec: {version?: string};
  status?: {
    observedGeneration?: number;
    state?: string;
    activeRevisionName?: string;
    conditions?: Condition[];
  };
}
export type KubeObject = Pod | Deployment | Service | EndpointSlice | Node;

/** Lists objects by one `kubectl get`; `scope` is the rest of its arguments. Throws CommandError. */
export async function listObjects<T>(sh: Sh, kinds: string, ...scope: string[]): Promise<T[]> {
  const command = ['kubectl', 'get', kinds, ...scope, '-o', 'json'];
  const found = (await runJson(sh, command, {seconds: 20})) as {items?: unknown} | null;
  const objects = Array.isArray(found?.items) ? found.items : [found];
  return objects.filter(object => typeof object?.metadata?.name === 'string');
}

/** Runs `kubectl wait` for up to 4 s. Resolves to whether the condition was met; false at once if no object matches. */
export const waitWithKubectl = async (sh: Sh, what: string[]): Promise<boolean> =>
  (await sh(['kubectl', 'wait', ...what, '--timeout=4s'], {seconds: 20})).code === 0;

// errors of an overloaded API server, which a retry may pass (kubernetes.io/docs/reference/using-api/api-concepts)
const overloaded =
  /etcdserver: |\((InternalError|ServiceUnavailable|TooManyRequests|Timeout|ServerTimeout)\)|context deadline exceeded|request timed out|i\/o timeout|TLS handshake timeout/;

/** Whether a command failed because the API server or the machine is overloaded, not because of its request. */
export const isOverload = ({
  late: timedOut,
  said: message
}: {
  late: boolean;
  said: string;
}): boolean => timedOut || overloaded.test(message);

/** The attribution of an overload. */
export const overloadAttribution: FaultAttribution = {
  class: 'infrastructure',
  layer: 'node',
  hint: 'A command got no response in time: the machine is overloaded, or the API server or the kubelet hangs. Check `uptime` and `kubectl get nodes`, then retry on a larger or less busy runner.',
  headline: 'The cluster responds too slowly',
  reproduce: 'uptime; kubectl get --raw /readyz'
};

/** The objects of one kind, in one namespace if it is given. */
export const filterByKind = <Kind extends KubeObject['kind']>(
  snapshot: KubeObject[],
  kind: Kind,
  namespace?: string
) =>
  snapshot.filter(
    object =>
      object.kind === kind && (namespace === undefined || object.metadata.namespace === namespace)
  ) as Extract<KubeObject, {kind: Kind}>[];

export const findCondition = (type: string, conditions: Condition[] = []): Condition | undefined =>
  conditions.find(condition => condition.type === type);

export const isReady = (pod: Pod): boolean =>
  findCondition('Ready', pod.status.conditions)?.status === 'True' &&
  !pod.metadata.deletionTimestamp;

export const getAddressFamily = (address: string) => (address.includes(':') ? 'ipv6' : 'ipv4');

/** The addresses of a pod, in its order. Invalid addresses are dropped here and below: the result goes into commands. */
export const getPodIps = (pod: Pod | undefined): string[] =>
  (pod?.status.podIPs ?? []).map(({ip}) => ip).filter(ip => isIP(`${ip}`) > 0);

/** The ClusterIPs of a Service, in its order. */
export const getClusterIps = (service: Service | undefined): string[] =>
  (service?.spec.clusterIPs ?? []).filter(ip => isIP(`${ip}`) > 0);

/** The first address or subnet of a family. */
export const findByFamily = (addresses: string[], wanted: 'ipv4' | 'ipv6'): string | undefined =>
  addresses.find(
    address => isIP(`${address}`.replace(/\/\d{1,3}$/, '')) === (wanted === 'ipv4' ? 4 : 6)
  );

/** Why a pod does not become ready, as the kubelet or the scheduler reports it. */
export interface PodProblem {
  pod: string;
  namespace: string;
  reason: string;
  message: string;
  /** The image of the failing container; null if no container is involved. */
  image: string | null;
  /** Waiting longer cannot help. */
  permanent: boolean;
}

const pullFailed = /^(ErrImagePull|ImagePullBackOff|ErrImageNeverPull|InvalidImageName)$/;
const bad =
  /^(Create(Pod)?(Container)?(Config)?Error|RunContainerError|CrashLoopBackOff|ErrImagePull|ImagePullBackOff|ErrImageNeverPull|InvalidImageName)$/;

/**
 * Why pods are not ready. Init containers come first: a sidecar's image appears there.
 * One crash is no problem: in healthy runs a program crashes once if it starts before its dependencies.
 */
export function findPodProblems(pods: Pod[]): PodProblem[] {
  return pods
    .filter(pod => !isReady(pod))
    .flatMap(pod => {
      const {name, namespace} = pod.metadata;
      const {containers, initContainers = []} = pod.spec;
      const {initContainerStatuses = [], containerStatuses = [], conditions} = pod.status;
      const waiting = [...initContainerStatuses, ...containerStatuses]
        .filter(
          ({restartCount, state}) =>
            restartCount > 1 || state?.waiting?.reason !== 'CrashLoopBackOff'
        )
        .find(({state}) => bad.test(state?.waiting?.reason ?? ''));
      const scheduled = findCondition('PodScheduled', conditions);
      const found =
        waiting?.state?.waiting ?? (scheduled?.reason === 'Unschedulable' ? scheduled : undefined);
      if (!found) return [];
      const {reason = '', message = ''} = found;
      return [
        {
          pod: name,
          namespace,
          reason,
          message,
          image:
            [...initContainers, ...containers].find(({name}) => name === waiting?.name)?.image ??
            null,
          permanent: pullFailed.test(reason) && isPermanentPullFailure(message)
        }
      ];
    });
}

/** Who chose an image, and has to act if no registry serves it. */
export interface ImageOwner {
  class: FailureClass;
  /** The input that names the image; null if none does. */
  input: string | null;
  /** The hint for an image at a retired registry. */
  retired?: string;
}

/** The default attribution of a pod problem. */
export interface PodAttribution {
  class: FailureClass;
  layer: Layer;
  /** Returns null for an image of unknown origin. */
  findOwner?: (image: string) => ImageOwner | null;
}

/** The Fault that reports a pod problem. */
export function createPodFault(problem: PodProblem, attribution: PodAttribution): Fault {
  const {pod, namespace, reason, message} = problem;
  return new Fault(`Pod ${namespace}/${pod}: ${reason}: ${message || 'no message'}`, {
    layer: attribution.layer,
    ...(pullFailed.test(reason)
      ? attributePullFailure(problem, attribution)
      : attributeStartFailure(problem, attribution)),
    reproduce: `kubectl describe pods -n ${namespace}`
  });
}

// an image that its registry lacks or denies is attributed to whoever chose it; a registry that does not respond, to infrastructure
function attributePullFailure(
  {namespace, pod, reason, image, permanent, message}: PodProblem,
  attribution: PodAttribution
): Omit<FaultAttribution, 'layer'> {
  const owner = image === null ? null : (attribution.findOwner?.(image) ?? null);
  const advice = owner?.retired ?? suggestPullFix(message, image ?? '');
  const what =
    image === null
      ? `An image of ${namespace}/${pod} cannot be pulled`
      : `The image ${image} cannot be pulled`;
  const headline = image === null ? what : `${what}: ${describePullFailure(message, image)}`;
  if (!permanent && reason !== 'ErrImageNeverPull')
    return {
      class: 'infrastructure',
      hint: advice,
      headline
    };
  const named = owner?.input ? [`The input \`${owner.input}\` names this image.`] : [];
  return {
    class: owner?.class ?? attribution.class,
    hint: [...named, advice].join(' '),
    headline
  };
}

function attributeStartFailure(
  {namespace, reason}: PodProblem,
  attribution: PodAttribution
): Omit<FaultAttribution, 'layer'> {
  return reason === 'Unschedulable'
    ? {
        class: 'infrastructure',
        hint: 'No node can take the pod. Use a larger runner, or set smaller requests in `istio-values`.',
        headline: `The pods of ${namespace} cannot be scheduled`
      }
    : {
        class: attribution.class,
        hint: 'Read the logs of that container in diagnostics/.',
        headline: `A pod of ${namespace} does not start: ${reason}`
      };
}

/** Seconds for which a registry may fail: long enough for the kubelet's fourth try, after 10, 20 and 40 s. */
const registryPatience = 90;

/** The same for a retired registry: one more try. */
const retiredPatience = 20;

/** The poll result for the worst pod problem; null if there is none. */
export function checkForPodProblems(
  pods: Pod[],
  attribution: PodAttribution
): PollResult<never> | null {
  const found = findPodProblems(pods);
  const worst = found.find(({permanent}) => permanent) ?? found[0];
  if (!worst) return null;
  const fault = createPodFault(worst, attribution);
  const {namespace, pod, reason, message, image} = worst;
  if (worst.permanent) return {is: 'lost', fault};
  // an unresolved name points to the runner's network, which a longer wait does not repair
  const again =
    /^(ErrImagePull|ImagePullBackOff)$/.test(reason) &&
    classifyPullFailure(message) !== 'name-not-resolved';
  const retired = image !== null && attribution.findOwner?.(image)?.retired !== undefined;
  return {
    is: 'bad',
    for: `${namespace}/${pod} to recover from ${reason}`,
    fault,
    ...(again && {patience: retired ? retiredPatience : registryPatience})
  };
}

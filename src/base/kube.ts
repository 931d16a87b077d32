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

/** The fields of Kubernetes' objects that we look at. */
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
  /** Of the image that runs: `sha256:…`, or by the digest with which it was pulled, `quay.io/…@sha256:…`. */
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
/** The Istio resource; IstioCNI and ZTunnel, which are asked for by their names, have a status like it. */
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

/** Lists objects by one `kubectl get`; `scope` is the rest of its arguments. */
export async function listObjects<T>(sh: Sh, kinds: string, ...scope: string[]): Promise<T[]> {
  const command = ['kubectl', 'get', kinds, ...scope, '-o', 'json'];
  const found = (await runJson(sh, command, {seconds: 20})) as {items?: unknown} | null;
  const objects = Array.isArray(found?.items) ? found.items : [found];
  return objects.filter(object => typeof object?.metadata?.name === 'string');
}

/** Does a `kubectl wait`, which ends as soon as it sees what it waits for, or that there is nothing to wait for. True: it saw it. */
export const waitWithKubectl = async (sh: Sh, what: string[]): Promise<boolean> =>
  (await sh(['kubectl', 'wait', ...what, '--timeout=4s'], {seconds: 20})).code === 0;

// what the API server says when it is too busy, and another try may do (kubernetes.io/docs/reference/using-api/api-concepts)
const overloaded =
  /etcdserver: |\((InternalError|ServiceUnavailable|TooManyRequests|Timeout|ServerTimeout)\)|context deadline exceeded|request timed out|i\/o timeout|TLS handshake timeout/;

/** Whether a command that failed has failed for the API server, or the machine, is too busy, and not for what it asked. */
export const isOverload = ({
  late: timedOut,
  said: message
}: {
  late: boolean;
  said: string;
}): boolean => timedOut || overloaded.test(message);

/** What is told of that. */
export const overloadAttribution: FaultAttribution = {
  class: 'infrastructure',
  layer: 'node',
  hint: 'A command got no answer in time: the machine is very busy, or the API server or the kubelet hangs. `uptime` and `kubectl get nodes` tell; try again on a runner that has more processors, or less to do.',
  headline: 'The cluster answers too late',
  reproduce: 'uptime; kubectl get --raw /readyz'
};

/** Those of one kind, and of one namespace where it is given. */
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

/** The addresses of a pod, in its order; what is none is left out, here and below: they go into commands. */
export const getPodIps = (pod: Pod | undefined): string[] =>
  (pod?.status.podIPs ?? []).map(({ip}) => ip).filter(ip => isIP(`${ip}`) > 0);

/** The ClusterIPs of a Service, in its order. */
export const getClusterIps = (service: Service | undefined): string[] =>
  (service?.spec.clusterIPs ?? []).filter(ip => isIP(`${ip}`) > 0);

/** The first address, or subnet, of a family. */
export const findByFamily = (addresses: string[], wanted: 'ipv4' | 'ipv6'): string | undefined =>
  addresses.find(
    address => isIP(`${address}`.replace(/\/\d{1,3}$/, '')) === (wanted === 'ipv4' ? 4 : 6)
  );

/** A pod that will not become ready by itself, as the kubelet or the scheduler tells it. */
export interface PodProblem {
  pod: string;
  namespace: string;
  reason: string;
  message: string;
  /** Of the container that it is about. */
  image: string | null;
  /** It cannot heal: waiting longer is in vain. */
  permanent: boolean;
}

const pullFailed = /^(ErrImagePull|ImagePullBackOff|ErrImageNeverPull|InvalidImageName)$/;
const bad =
  /^(Create(Pod)?(Container)?(Config)?Error|RunContainerError|CrashLoopBackOff|ErrImagePull|ImagePullBackOff|ErrImageNeverPull|InvalidImageName)$/;

/**
 * What keeps pods from being ready. Init containers first: a sidecar's image shows there.
 * One crash is none: on healthy runs a program that came before what it needs crashed once.
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

/** Who has named an image: whose fault it is when no registry has it, or gives it. */
export interface ImageOwner {
  class: FailureClass;
  /** The input that names it; null: none does. */
  input: string | null;
  /** Of an image at a registry that was retired: that it was, and what to do. */
  retired?: string;
}

/** Whose trouble it is: of a layer, unless the evidence says otherwise. */
export interface PodAttribution {
  class: FailureClass;
  layer: Layer;
  /** Null: nobody knows. */
  findOwner?: (image: string) => ImageOwner | null;
}

/** What is to be told of a pod in trouble. */
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

/** Who named an image is at fault where a registry does not have it, or denies it; where a registry does not answer, nobody in this run. */
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
        hint: 'The node has no room for the pod: a larger runner, or smaller requests by `istio-values`.',
        headline: `There is no room for the pods of ${namespace}`
      }
    : {
        class: attribution.class,
        hint: 'See the logs of that container in diagnostics/.',
        headline: `A pod of ${namespace} does not start: ${reason}`
      };
}

/** Seconds for which a registry may fail: in them the kubelet tries for the fourth time, after 10, 20 and 40 s. */
const registryPatience = 90;

/** The same of a registry that was retired: one more try. */
const retiredPatience = 20;

/** Turns trouble into what a wait does about it. */
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
  // a name that no DNS server knows is a runner that reaches nothing, and not a registry's bad moment
  const again =
    /^(ErrImagePull|ImagePullBackOff)$/.test(reason) &&
    classifyPullFailure(message) !== 'name-not-resolved';
  const retired = image !== null && attribution.findOwner?.(image)?.retired !== undefined;
  return {
    is: 'bad',
    for: `${namespace}/${pod}: ${reason}`,
    fault,
    ...(again && {patience: retired ? retiredPatience : registryPatience})
  };
}

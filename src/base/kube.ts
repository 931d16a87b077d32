import {isIP} from 'node:net';
import type {FailureClass, Layer} from '../results/results.ts';
import {Fault} from './fault.ts';
import {mustJson, type Sh} from './sh.ts';
import type {Look} from './wait.ts';

/** The fields of Kubernetes' objects that we look at. */
export interface Meta {
  name: string;
  namespace: string;
  labels?: Record<string, string>;
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
  ready: boolean;
  restartCount: number;
  state?: {
    waiting?: {reason?: string; message?: string};
    terminated?: {reason?: string; exitCode: number};
  };
}
export interface Container {
  name: string;
  image: string;
  restartPolicy?: string;
  env?: {name: string; value?: string}[];
  readinessProbe?: {httpGet?: {path?: string}};
  livenessProbe?: {httpGet?: {path?: string}};
}
export interface Pod {
  kind: 'Pod';
  metadata: Meta;
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
  metadata: Meta;
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
  metadata: Meta;
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
  metadata: Meta;
  addressType: string;
  endpoints?: {addresses: string[]; conditions?: {ready?: boolean}; targetRef?: {name: string}}[];
}
export interface Node {
  kind: 'Node';
  metadata: Meta;
  spec: {podCIDRs?: string[]};
  status: {conditions?: Condition[]; nodeInfo: {kubeletVersion: string}};
}
/** A resource of the Sail Operator: Istio, IstioCNI. */
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
export type Thing = Pod | Deployment | Service | EndpointSlice | Node;

/** Lists objects by one `kubectl get`; `scope` is the rest of its arguments. */
export async function get<T>(sh: Sh, kinds: string, ...scope: string[]): Promise<T[]> {
  const command = ['kubectl', 'get', kinds, ...scope, '-o', 'json'];
  const found = (await mustJson(sh, command, {seconds: 20})) as {items?: unknown} | null;
  const objects = Array.isArray(found?.items) ? found.items : [found];
  return objects.filter(object => typeof object?.metadata?.name === 'string');
}

/** Does a `kubectl wait`, which ends as soon as it sees what it waits for, or that there is nothing to wait for. True: it saw it. */
export const waited = async (sh: Sh, what: string[]): Promise<boolean> =>
  (await sh(['kubectl', 'wait', ...what, '--timeout=4s'], {seconds: 20})).code === 0;

/** Those of one kind, and of one namespace where it is given. */
export const ofKind = <Kind extends Thing['kind']>(
  things: Thing[],
  kind: Kind,
  namespace?: string
) =>
  things.filter(
    thing =>
      thing.kind === kind && (namespace === undefined || thing.metadata.namespace === namespace)
  ) as Extract<Thing, {kind: Kind}>[];

export const condition = (type: string, conditions: Condition[] = []): Condition | undefined =>
  conditions.find(condition => condition.type === type);

export const isReady = (pod: Pod): boolean =>
  condition('Ready', pod.status.conditions)?.status === 'True' && !pod.metadata.deletionTimestamp;

const family = (address: string) => (address.includes(':') ? 'ipv6' : 'ipv4');

/** The first address, or subnet, of a family; what is none is not taken: it goes into commands. */
export const ofFamily = (addresses: string[], wanted: 'ipv4' | 'ipv6'): string | undefined =>
  addresses.find(
    address => isIP(`${address}`.replace(/\/\d{1,3}$/, '')) === (wanted === 'ipv4' ? 4 : 6)
  );

export const addressFamily = family;

/** A pod that will not become ready by itself, as the kubelet or the scheduler tells it. */
export interface Trouble {
  pod: string;
  namespace: string;
  reason: string;
  message: string;
  /** Of the container that it is about. */
  image: string | null;
  /** It cannot heal: waiting longer is in vain. */
  final: boolean;
}

const pullFailed = /^(ErrImagePull|ImagePullBackOff|ErrImageNeverPull|InvalidImageName)$/;
const bad =
  /^(Create(Pod)?(Container)?(Config)?Error|RunContainerError|CrashLoopBackOff|ErrImagePull|ImagePullBackOff|ErrImageNeverPull|InvalidImageName)$/;
// what a registry, or the kubelet, says when another try will say the same
const finalMessage =
  /manifest unknown|manifest for .{0,500} not found|: not found|unauthorized|denied|InvalidImageName|couldn't parse image/i;

/**
 * What keeps pods from being ready. Init containers first: a sidecar's image shows there.
 * One crash is none: on healthy runs a program that came before what it needs crashed once.
 */
export function troubles(pods: Pod[]): Trouble[] {
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
      const scheduled = condition('PodScheduled', conditions);
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
          final: pullFailed.test(reason) && finalMessage.test(message)
        }
      ];
    });
}

// the registry did not answer, or would not: nobody's mistake in this run
const registryDown =
  /toomanyrequests|rate limit|no such host|connection refused|i\/o timeout|network is unreachable|TLS handshake|deadline exceeded|temporary failure|server misbehaving|\b50\d\b/i;

/** What is to be told of a pod in trouble; `who` is at fault unless the evidence says otherwise. */
export function troubleFault(
  {pod, namespace, reason, message, image, final}: Trouble,
  who: {class: FailureClass; layer: Layer}
): Fault {
  const pull = pullFailed.test(reason);
  const registry = pull && !final && registryDown.test(message);
  const unschedulable = reason === 'Unschedulable';
  return new Fault(`Pod ${namespace}/${pod}: ${reason}: ${message || 'no message'}`, {
    class: registry || unschedulable ? 'infrastructure' : who.class,
    layer: who.layer,
    hint: pull
      ? 'The image cannot be pulled, and the local Docker does not have it: see its name, the registry and its rate limit; an image in the local Docker is streamed into the cluster.'
      : unschedulable
        ? 'The node has no room for the pod: a larger runner, or smaller requests by `istio-values`.'
        : 'See the logs of that container in diagnostics/.',
    headline: pull
      ? `The image ${image ?? `of ${namespace}/${pod}`} cannot be pulled`
      : unschedulable
        ? `There is no room for the pods of ${namespace}`
        : `A pod of ${namespace} does not start: ${reason}`,
    reproduce: `kubectl describe pods -n ${namespace}`
  });
}

/** Turns trouble into what a wait does about it. */
export function lookAtTrouble(
  pods: Pod[],
  who: {class: FailureClass; layer: Layer}
): Look<never> | null {
  const found = troubles(pods);
  const worst = found.find(({final}) => final) ?? found[0];
  if (!worst) return null;
  const fault = troubleFault(worst, who);
  return worst.final
    ? {is: 'lost', fault}
    : {is: 'bad', for: `${worst.namespace}/${worst.pod}: ${worst.reason}`, fault};
}

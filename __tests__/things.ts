import {parseAllDocuments} from 'yaml';
import type {
  ContainerStatus,
  EndpointSlice,
  KubeObject,
  Node,
  Pod,
  Service
} from '../src/base/kube.ts';
import type {Sh} from '../src/base/sh.ts';
import type {
  CheckDefinition,
  LayerChecks,
  MeshCheckInput,
  Outcome,
  StandingCheckInput
} from '../src/checks/definition.ts';
import type {ExtraSample} from '../src/manifests/extra-sample.ts';
import {fakeSh, fakeWork} from './fake.ts';
import {planOf} from './planned.ts';

/** Kubernetes' objects, as far as we look at them. */

interface PodMore {
  name?: string;
  ips?: string[];
  ready?: boolean;
  phase?: string;
  /** Where istio-proxy is. */
  sidecar?: 'init' | 'container' | 'none';
  terminating?: boolean;
  unschedulable?: string;
  init?: ContainerStatus[];
  statuses?: ContainerStatus[];
}

export function pod(namespace: string, app: string, more: PodMore = {}): Pod {
  const {ready = true, sidecar = 'init', ips = [], init = [], statuses = []} = more;
  const proxy = {name: 'istio-proxy', image: 'registry.example/proxyv2:1.30.3'};
  return {
    kind: 'Pod',
    metadata: {
      name: more.name ?? `${app}-1`,
      namespace,
      labels: {app},
      ...(more.terminating ? {deletionTimestamp: '2026-11-23T00:00:00Z'} : {})
    },
    spec: {
      containers: [
        {name: app, image: `registry.example/${app}:1`},
        ...(sidecar === 'container' ? [proxy] : [])
      ],
      initContainers: [
        {name: 'istio-init', image: proxy.image},
        ...(sidecar === 'init' ? [{...proxy, restartPolicy: 'Always'}] : [])
      ]
    },
    status: {
      phase: more.phase ?? (ready ? 'Running' : 'Pending'),
      podIPs: ips.map(ip => ({ip})),
      conditions: [
        {type: 'Ready', status: ready ? 'True' : 'False'},
        more.unschedulable
          ? {
              type: 'PodScheduled',
              status: 'False',
              reason: 'Unschedulable',
              message: more.unschedulable
            }
          : {type: 'PodScheduled', status: 'True'}
      ],
      initContainerStatuses: init,
      containerStatuses: statuses
    }
  };
}

/** A container that waits for this reason. */
export const waiting = (
  name: string,
  reason: string,
  message?: string,
  restartCount = 0
): ContainerStatus => ({
  name,
  ready: false,
  restartCount,
  state: {waiting: {reason, ...(message === undefined ? {} : {message})}}
});

export const service = (
  namespace: string,
  clusterIPs: string[],
  ipFamilyPolicy = clusterIPs.length > 1 ? 'RequireDualStack' : 'SingleStack',
  name = 'tcp-echo'
): Service => ({
  kind: 'Service',
  metadata: {name, namespace},
  spec: {ipFamilyPolicy, clusterIPs}
});

export const slice = (
  namespace: string,
  addressType: 'IPv4' | 'IPv6',
  addresses: string[],
  ready = true,
  owner = 'tcp-echo'
): EndpointSlice => ({
  kind: 'EndpointSlice',
  metadata: {
    name: `${owner}-${addressType.toLowerCase()}`,
    namespace,
    labels: {'kubernetes.io/service-name': owner}
  },
  addressType,
  endpoints: addresses.map(address => ({addresses: [address], conditions: {ready}}))
});

export const node = (name: string, podCIDRs: string[], ready = true): Node => ({
  kind: 'Node',
  metadata: {name, namespace: ''},
  spec: {podCIDRs},
  status: {
    conditions: [{type: 'Ready', status: ready ? 'True' : 'False'}],
    nodeInfo: {kubeletVersion: 'v1.34.4'}
  }
});

export const both = (last: string): string[] => [`10.244.0.${last}`, `fd00:10:244::${last}`];

/** Everything as it is on a healthy cluster. */
export const healthy = (): KubeObject[] => [
  pod('dual-stack', 'tcp-echo', {ips: both('6')}),
  pod('ipv4', 'tcp-echo', {ips: both('7')}),
  pod('ipv6', 'tcp-echo', {ips: both('8')}),
  pod('sleep', 'sleep', {ips: both('9')}),
  pod('plain', 'tcp-echo', {ips: both('4'), sidecar: 'none'}),
  pod('plain', 'sleep', {ips: both('5'), sidecar: 'none'}),
  service('dual-stack', ['fd00:10:96::6', '10.96.0.6']),
  service('dual-stack', ['10.96.0.16'], 'SingleStack', 'tcp-echo-ipv4'),
  service('dual-stack', ['fd00:10:96::16'], 'SingleStack', 'tcp-echo-ipv6'),
  service('ipv4', ['10.96.0.7']),
  service('ipv6', ['fd00:10:96::8']),
  service('plain', ['10.96.0.4', 'fd00:10:96::4']),
  slice('dual-stack', 'IPv4', ['10.244.0.6']),
  slice('dual-stack', 'IPv6', ['fd00:10:244::6']),
  slice('ipv4', 'IPv4', ['10.244.0.7']),
  slice('ipv6', 'IPv6', ['fd00:10:244::8'])
];

/** The healthy things without some, and with others in their place. */
export const healthyBut = (
  without: (object: KubeObject) => boolean,
  ...instead: KubeObject[]
): KubeObject[] => [...healthy().filter(object => !without(object)), ...instead];

export const isOf =
  (kind: KubeObject['kind'], namespace: string, name?: string) =>
  (object: KubeObject): boolean =>
    object.kind === kind &&
    object.metadata.namespace === namespace &&
    (name === undefined || object.metadata.name === name);

interface Given extends Partial<Omit<MeshCheckInput, 'report'>> {
  asked?: CheckDefinition[];
}

/** What the API server has of a check's own samples, as their manifests say it; those of `healthy` are left to the test. */
function ownThings(samples: ExtraSample[] = []): KubeObject[] {
  const images = {echo: 'echo', client: 'client', proxy: 'proxy'};
  return samples
    .flatMap(({namespace, manifests}) =>
      parseAllDocuments(manifests(images)).map(document => {
        const {kind, metadata, ...rest} = document.toJS();
        return {kind, metadata: {...metadata, namespace}, ...rest} as KubeObject;
      })
    )
    .filter(({kind, metadata}) => !healthy().some(isOf(kind, metadata.namespace, metadata.name)));
}

/** Makes the checks of a layer; id → what was found. Each row asked for must be told, and no other. */
export async function look<
  Layer extends LayerChecks<MeshCheckInput> | LayerChecks<StandingCheckInput>
>(
  checks: Layer,
  {asked: selected = checks.definitions, sh = fakeSh({}) as Sh, ...given}: Given = {}
): Promise<Record<string, Outcome>> {
  const found: Record<string, Outcome> = {};
  await checks.run(
    {
      plan: given.plan ?? planOf(),
      preloaded: given.preloaded ?? new Map(),
      sh,
      work: given.work ?? fakeWork(),
      snapshot: [...(given.snapshot ?? healthy()), ...ownThings(checks.samples)],
      mirror: given.mirror ?? null,
      undo: given.undo ?? (() => {}),
      nodes: given.nodes ?? 1,
      report: (id, finding) => {
        found[id] = finding;
      }
    },
    selected
  );
  return found;
}

/** The ids that failed, with what was observed. */
export const failures = (found: Record<string, Outcome>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(found)
      .filter(([, {verdict}]) => verdict === 'failed')
      .map(([id, {observed}]) => [id, observed])
  );

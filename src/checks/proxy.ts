import {
  filterByKind,
  getAddressFamily,
  getClusterIps,
  getPodIps,
  isReady,
  type Pod
} from '../base/kube.ts';
import {runJson} from '../base/sh.ts';
import {clientSample, documentedSamples, serverSamples} from '../manifests/documented-samples.ts';
import type {Family} from '../results/results.ts';
import {
  compare,
  defineCheck,
  type LayerChecks,
  type MeshCheckInput,
  type Outcome
} from './definition.ts';
import {checkIptables, iptablesDefinitions} from './iptables.ts';

/** The parts of Envoy's `listeners?format=json` and of its endpoint dump that we look at. */
export interface SocketAddress {
  socket_address?: {address: string; port_value: number};
}
export interface EnvoyListeners {
  listener_statuses?: {
    name: string;
    local_address: SocketAddress;
    additional_local_addresses?: SocketAddress[];
  }[];
}
export interface EnvoyEndpoints {
  configs?: {
    endpoint_config?: {cluster_name: string; endpoints?: {lb_endpoints?: LbEndpoint[]}[]};
  }[];
}
interface LbEndpoint {
  endpoint: {address: SocketAddress; additional_addresses?: {address: SocketAddress}[]};
}

const wildcards = [15001, 15006, 15021, 15090].flatMap(port => [`0.0.0.0:${port}`, `[::]:${port}`]);
export const boundOnBothFamilies = 'inbound, outbound, health and metrics on 0.0.0.0 and ::';
/** Asks the proxy of `deployment/NAME`, or of `pod/NAME`. */
export const buildWorkloadEnvoyCommand = (
  namespace: string,
  workload: string,
  query: string
): string[] => [
  ...['kubectl', 'exec', '--namespace', namespace, workload, '--container', 'istio-proxy', '--'],
  ...['pilot-agent', 'request', 'GET', query]
];
export const buildEnvoyCommand = (namespace: string, app: string, query: string): string[] =>
  buildWorkloadEnvoyCommand(namespace, `deployment/${app}`, query);
export const listenerQuery = 'listeners?format=json';

/** The command that prints a proxy's listeners. */
export const buildListenersCommand = (namespace: string, app: string): string[] =>
  buildEnvoyCommand(namespace, app, listenerQuery);
export const endpointQuery = 'config_dump?include_eds&resource=dynamic_endpoint_configs';
const from = {kind: 'Deployment', namespace: clientSample.namespace, name: clientSample.app};

/** What istiod told the proxies. Plaintext passes a proxy that is not dual-stack, so echoes do not show it. */
export const proxy: LayerChecks<MeshCheckInput> = {
  layer: 'proxy',
  attribution: {
    class: 'istio',
    hint: 'See what istiod told that proxy (Envoy’s configuration in diagnostics/), and the log of istiod.',
    headline: family => `The proxies are not set up for ${family || 'both families'}`
  },
  definitions: [
    ...documentedSamples.map(({namespace, app}) =>
      defineCheck(
        'proxy',
        `proxy/${namespace}/listeners`,
        'The proxy listens on both families',
        boundOnBothFamilies,
        {
          to: {kind: 'Deployment', namespace, name: app},
          attribution: {
            hint: `See ISTIO_DUAL_STACK in that proxy (\`kubectl exec -n ${namespace} deploy/${app} -c istio-proxy -- env\`): it comes from \`meshConfig.defaultConfig.proxyMetadata\`, or from an annotation \`proxy.istio.io/config\` of the pod.`
          }
        }
      )
    ),
    ...serverSamples.map(({namespace}) =>
      defineCheck(
        'proxy',
        `proxy/${namespace}/cluster-ips`,
        'The client has a listener on exactly the ClusterIPs of the Service',
        'exactly its ClusterIPs',
        {from, to: {kind: 'Service', namespace, name: 'tcp-echo'}}
      )
    ),
    ...serverSamples.map(({namespace}) =>
      defineCheck(
        'proxy',
        `proxy/${namespace}/endpoints`,
        "The client's endpoints are exactly the ready pods, with the addresses of its families",
        'exactly the ready pods',
        {from, to: {kind: 'Service', namespace, name: 'tcp-echo'}}
      )
    ),
    ...iptablesDefinitions
  ],
  run: async (input, selected) => {
    const wanted = (aspect: string) => selected.filter(({id}) => id.endsWith(aspect));
    const ofClient = wanted('/cluster-ips').length + wanted('/endpoints').length > 0;
    const [listeners, endpoints] = await Promise.all([
      ofClient
        ? fetchEnvoyDump<EnvoyListeners>(
            input,
            clientSample.namespace,
            clientSample.app,
            listenerQuery
          )
        : {},
      ofClient
        ? fetchEnvoyDump<EnvoyEndpoints>(
            input,
            clientSample.namespace,
            clientSample.app,
            endpointQuery
          )
        : {}
    ]);
    for (const {id, target} of wanted('/cluster-ips'))
      input.report(id, clusterIps(input, target, listeners));
    for (const {id, target} of wanted('/endpoints'))
      input.report(id, readyPods(input, target, endpoints));
    await Promise.all([
      checkIptables(input, wanted('/iptables')),
      ...wanted('/listeners').map(async ({id, to}) => {
        const {namespace = '', name = ''} = to ?? {};
        input.report(
          id,
          checkWildcardListeners(
            await fetchEnvoyDump<EnvoyListeners>(input, namespace, name, listenerQuery),
            buildEnvoyCommand(namespace, name, listenerQuery)
          )
        );
      })
    ]);
  }
};

/** What a proxy says to a query of its admin interface. */
export async function fetchEnvoyDump<T>(
  {sh}: MeshCheckInput,
  namespace: string,
  app: string,
  query: string
): Promise<T> {
  return (await runJson(sh, buildEnvoyCommand(namespace, app, query), {seconds: 20})) as T;
}

export const formatSocketAddress = ({socket_address: socket}: SocketAddress): string =>
  socket === undefined
    ? ''
    : `${socket.address.includes(':') ? `[${socket.address}]` : socket.address}:${socket.port_value}`;

/** Every `address:port` that a proxy listens on, IPv6 in brackets. */
export const listListenerAddresses = ({listener_statuses = []}: EnvoyListeners): string[] =>
  listener_statuses
    .flatMap(({local_address, additional_local_addresses = []}) => [
      local_address,
      ...additional_local_addresses
    ])
    .map(formatSocketAddress);

export function checkWildcardListeners(listeners: EnvoyListeners, command: string[]): Outcome {
  const addresses = listListenerAddresses(listeners);
  const missing = wildcards.filter(wildcard => !addresses.includes(wildcard));
  return compare(
    boundOnBothFamilies,
    missing.length === 0 ? boundOnBothFamilies : `not on ${missing.join(', ')}`,
    {
      reproduce: command.join(' ')
    }
  );
}

function clusterIps(
  {snapshot, plan}: MeshCheckInput,
  target: string,
  listeners: EnvoyListeners
): Outcome {
  const service = filterByKind(snapshot, 'Service', target).find(
    ({metadata}) => metadata.name === 'tcp-echo'
  );
  const wanted = getClusterIps(service).map(ip =>
    formatSocketAddress({socket_address: {address: ip, port_value: 9000}})
  );
  const others = filterByKind(snapshot, 'Service')
    .filter(other => other !== service)
    .flatMap(getClusterIps)
    .map(ip => formatSocketAddress({socket_address: {address: ip, port_value: 9000}}));
  const found = listListenerAddresses(listeners).filter(address => address.endsWith(':9000'));
  const missing = wanted.filter(address => !found.includes(address));
  // in a mesh of others a Service for HTTP, or one without a ClusterIP, has its listeners there too
  const foreign = plan.existing?.mesh
    ? []
    : found.filter(address => !wanted.includes(address) && !others.includes(address));
  const said = [
    ...missing.map(address => `no listener on ${address}`),
    ...foreign.map(address => `a listener on ${address}, which is no ClusterIP`)
  ];
  return compare('exactly its ClusterIPs', said.join('; ') || 'exactly its ClusterIPs', {
    reproduce: buildEnvoyCommand(clientSample.namespace, clientSample.app, listenerQuery).join(' ')
  });
}

/** Each ready pod once, under its first address of the Service's families, the other one beside it. */
function readyPods({snapshot}: MeshCheckInput, target: string, dumped: EnvoyEndpoints): Outcome {
  const families = target === 'dual-stack' ? (['ipv4', 'ipv6'] as Family[]) : [target as Family];
  const wanted = filterByKind(snapshot, 'Pod', target)
    .filter(pod => pod.metadata.labels?.app === 'tcp-echo' && isReady(pod))
    .map(pod => formatEndpoint(pod, families));
  const found = findEndpoints(dumped, {namespace: target, name: 'tcp-echo'}, 9000) ?? [];
  const same = [...wanted].sort().join() === [...found].sort().join() && found.length > 0;
  const observed = found.join(', ') || 'none';
  return compare('exactly the ready pods', same ? 'exactly the ready pods' : observed, {
    reason: same ? null : `${observed} instead of ${wanted.join(', ')}`,
    reproduce: buildEnvoyCommand(
      clientSample.namespace,
      clientSample.app,
      `'${endpointQuery}'`
    ).join(' ')
  });
}

/** The endpoints that a proxy has of a port of a Service, each with all its addresses; null: it knows no such port. */
export function findEndpoints(
  {configs = []}: EnvoyEndpoints,
  {namespace, name}: {namespace: string; name: string},
  port: number
): string[] | null {
  const found = configs
    .map(config => config.endpoint_config)
    .filter(config =>
      config?.cluster_name.startsWith(`outbound|${port}||${name}.${namespace}.svc.`)
    );
  if (found.length === 0) return null;
  return found
    .flatMap(config => config?.endpoints ?? [])
    .flatMap(({lb_endpoints = []}) => lb_endpoints)
    .map(({endpoint}) =>
      [endpoint.address, ...(endpoint.additional_addresses ?? []).map(({address}) => address)]
        .map(({socket_address}) => socket_address?.address)
        .join('+')
    );
}

/** A pod as a proxy has it: its addresses of these families, in their order. */
export const formatEndpoint = (pod: Pod, families: Family[]): string =>
  getPodIps(pod)
    .filter(ip => families.includes(getAddressFamily(ip)))
    .join('+');

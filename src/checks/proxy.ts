/** Checks of the listeners, endpoints and iptables rules of the proxies; readers of Envoy's admin interface. */
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

/** The parts of Envoy's `listeners?format=json` and of its endpoint dump that the checks read. */
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

/** The command that queries the proxy of `deployment/NAME` or `pod/NAME`. */
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

/** The configuration that istiod sent to the proxies. Plaintext passes a proxy without dual-stack, so echoes do not detect it. */
export const proxy: LayerChecks<MeshCheckInput> = {
  layer: 'proxy',
  attribution: {
    class: 'istio',
    hint: 'Check the configuration that the proxy received from istiod (Envoy’s configuration in diagnostics/), and the log of istiod.',
    headline: family => `The proxies are not configured for ${family || 'both families'}`
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
            hint: `Check ISTIO_DUAL_STACK in that proxy (\`kubectl exec -n ${namespace} deploy/${app} -c istio-proxy -- env\`). Set it by \`meshConfig.defaultConfig.proxyMetadata\`, or by the pod's annotation \`proxy.istio.io/config\`.`
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

/** Queries the admin interface of a proxy, and returns its JSON. Throws CommandError. */
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

/** Returns every `address:port` that a proxy listens on, IPv6 in brackets. */
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
      reason: missing.length === 0 ? null : `the proxy does not listen on ${missing.join(', ')}`,
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
  // in an existing mesh, HTTP Services and headless Services can have listeners on this port
  const foreign = plan.existing?.mesh
    ? []
    : found.filter(address => !wanted.includes(address) && !others.includes(address));
  const said = [
    ...missing.map(address => `no listener on ${address}`),
    ...foreign.map(address => `an unexpected listener on ${address}, which is not a ClusterIP`)
  ];
  return compare('exactly its ClusterIPs', said.join('; ') || 'exactly its ClusterIPs', {
    reproduce: buildEnvoyCommand(clientSample.namespace, clientSample.app, listenerQuery).join(' ')
  });
}

/** Expects each ready pod once: its first address of the Service's families, with its other address in the same endpoint. */
function readyPods({snapshot}: MeshCheckInput, target: string, dumped: EnvoyEndpoints): Outcome {
  const families = target === 'dual-stack' ? (['ipv4', 'ipv6'] as Family[]) : [target as Family];
  const wanted = filterByKind(snapshot, 'Pod', target)
    .filter(pod => pod.metadata.labels?.app === 'tcp-echo' && isReady(pod))
    .map(pod => formatEndpoint(pod, families));
  const found = findEndpoints(dumped, {namespace: target, name: 'tcp-echo'}, 9000) ?? [];
  const same = [...wanted].sort().join() === [...found].sort().join() && found.length > 0;
  const observed = found.join(', ') || 'none';
  return compare('exactly the ready pods', same ? 'exactly the ready pods' : observed, {
    reason: same ? null : `endpoints: ${observed}; expected ${wanted.join(', ') || 'a ready pod'}`,
    reproduce: buildEnvoyCommand(
      clientSample.namespace,
      clientSample.app,
      `'${endpointQuery}'`
    ).join(' ')
  });
}

/** Returns a proxy's endpoints for a port of a Service, each as `address+address`; null: the proxy has no cluster for that port. */
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

/** Formats a pod as `findEndpoints` does: its addresses of these families, in their order. */
export const formatEndpoint = (pod: Pod, families: Family[]): string =>
  getPodIps(pod)
    .filter(ip => families.includes(getAddressFamily(ip)))
    .join('+');

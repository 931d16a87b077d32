/** Checks of an ambient waypoint: its configuration, and traffic through it over each family. */
import {
  filterByKind,
  findByFamily,
  getAddressFamily,
  getClusterIps,
  getPodIps
} from '../base/kube.ts';
import {clientSample} from '../manifests/documented-samples.ts';
import {ztunnelNamespace} from '../manifests/istio-resources.ts';
import {
  waypoint as gateway,
  waypointNamespace as namespace,
  waypointPorts as ports,
  waypointApp,
  waypointClient,
  waypointEntry,
  waypointServices
} from '../manifests/waypoint-sample.ts';
import {families, familyNames, type Place} from '../results/results.ts';
import {
  type CheckDefinition,
  compare,
  defineCheck,
  type MeshCheckInput,
  type Outcome
} from './definition.ts';
import {reproduceQuestion, resolveNames} from './dns.ts';
import {buildLookupCommand, describeMissingAddress, listPodIps} from './echo.ts';
import {
  bothFamilies,
  checkServiceFamilies,
  type GeneratedGateway,
  waitForGateway
} from './generated-gateway.ts';
import {type Client, meshClient, type Probe} from './probe.ts';
import {type Proof, prove} from './prove.ts';
import {
  buildEnvoyCommand,
  type EnvoyEndpoints,
  endpointQuery,
  fetchEnvoyDump,
  formatSocketAddress,
  type SocketAddress
} from './proxy.ts';
import {noAnswer, settleRefusals} from './refuse.ts';
import {settleSeconds} from './settle.ts';
import {formatHostPort} from './web.ts';
import {fetchZtunnelLog, type LoggedConnection, logCommand, settleByLog} from './ztunnel.ts';

const hbonePort = 15008;
const place = (kind: string, name: string): Place => ({kind, namespace, name});
const from = {kind: 'Deployment', namespace: clientSample.namespace, name: clientSample.app};

/** The destinations behind the waypoint, by check target. */
const targets: Record<string, Place> = {
  ...Object.fromEntries(
    Object.keys(waypointServices).map(name => [`waypoint-${name}`, place('Service', name)])
  ),
  'waypoint-entry': place('ServiceEntry', waypointEntry.name),
  'waypoint-pod': place('Pod', waypointApp)
};

const ids = {
  service: 'ambient/waypoint/service',
  listeners: 'ambient/waypoint/listeners',
  endpoints: 'ambient/waypoint/endpoints'
};

const expectations = {
  listeners: 'HBONE on 0.0.0.0 and ::',
  endpoints: 'only internal listeners',
  vips: 'exactly its addresses',
  carried: 'through the waypoint, dialed over that family'
};

const grid = {title: 'through a waypoint', named: true};
const generatedHint = `istiod creates this Service: check the Gateway's status (\`kubectl get gateway -n ${namespace} ${gateway} -o yaml\`), its \`ipFamilyPolicy\`, and the log of istiod.`;
const configHint = `To see the configuration of the waypoint: \`istioctl proxy-config all -n ${namespace} deploy/${gateway}\`.`;

/** Traffic goes through the waypoint to Services of both family orders, to a ServiceEntry with allocated addresses, and to a pod. */
export const waypointDefinitions: CheckDefinition[] = [
  defineCheck(
    'ambient',
    ids.service,
    'The generated Service of a waypoint has both families',
    bothFamilies,
    {
      to: place('Service', gateway),
      attribution: {hint: generatedHint, headline: 'The Service of a waypoint lacks a family'}
    }
  ),
  defineCheck(
    'ambient',
    ids.listeners,
    'A waypoint listens for HBONE on both families',
    expectations.listeners,
    {
      to: place('Deployment', gateway),
      attribution: {
        hint: `Check the listener \`connect_terminate\` of the waypoint, and that its pod has an address of each family: ztunnel dials it over the requested family. ${configHint}`,
        headline: 'A waypoint does not listen on both families'
      }
    }
  ),
  defineCheck(
    'ambient',
    ids.endpoints,
    "A waypoint's endpoints in ambient are internal listeners, without additional addresses",
    expectations.endpoints,
    {
      to: place('Deployment', gateway),
      attribution: {
        hint: `istiod sent an address in addition to the internal listener. Envoy does not accept both, and the address bypasses HBONE. ${configHint}`,
        headline: 'A waypoint has endpoints other than internal listeners'
      }
    }
  ),
  ...Object.entries(targets)
    .filter(([, {kind}]) => kind !== 'Pod')
    .map(([target, to]) =>
      defineCheck(
        'ambient',
        `ambient/${target}/vips`,
        `The waypoint has exactly the addresses of the ${to.kind}`,
        expectations.vips,
        {
          to,
          attribution: {
            hint: `Check the listener \`main_internal\` of the waypoint, which resets connections to other addresses. If it has none of the ${to.kind}, check the label \`istio.io/use-waypoint\` of the ${to.kind} and of its namespace. ${configHint}`,
            headline: `A waypoint does not have exactly the addresses of a ${to.kind}`
          }
        }
      )
    ),
  ...Object.entries(targets).flatMap(([target, to]) =>
    families.flatMap(family => [
      defineCheck(
        'ambient',
        `ambient/${target}/${family}`,
        `The ${to.kind} answers through a waypoint on its ${family} ${to.kind === 'Service' ? 'ClusterIP' : 'address'}`,
        `hello ambient/${target}/${family}`,
        {
          family,
          from,
          to,
          grid,
          attribution: {
            class: 'connectivity',
            hint: `Check the logs of ztunnel (\`kubectl logs -n ${ztunnelNamespace} ds/ztunnel | grep ${namespace}\`) and of the waypoint (\`kubectl logs -n ${namespace} deploy/${gateway}\`). \`ambient/waypoint/*\` shows whether the waypoint listens${to.kind === 'Pod' ? '' : `, and \`ambient/${target}/vips\` whether it has the address`}.`
          }
        }
      ),
      defineCheck(
        'ambient',
        `ambient/${target}/${family}-carried`,
        `That connection went through the waypoint, which ztunnel dialed over ${family}`,
        expectations.carried,
        {
          family,
          from,
          to,
          attribution: {
            hint: `Check \`dst.addr\` in the log of ztunnel (\`kubectl logs -n ${ztunnelNamespace} ds/ztunnel | grep ${namespace}\`): expected is the waypoint's ${familyNames[family]} address. Check that \`istioctl ztunnel-config service\` and \`istioctl ztunnel-config workload\` list the waypoint.`
          }
        }
      ),
      defineCheck(
        'ambient',
        `ambient/${target}/${family}-denied`,
        `The waypoint's policy denies a connection over ${family}`,
        noAnswer,
        {
          family,
          from,
          to,
          attribution: {
            hint: `A denied connection got an answer. Check whether it bypassed the waypoint (\`ambient/${target}/${family}-carried\`), the label \`istio.io/use-waypoint\` in namespace ${namespace}, and the status of the waypoint and of the AuthorizationPolicy.`,
            headline: `The policy of a waypoint is not enforced over ${familyNames[family]}`
          }
        }
      )
    ])
  ),
  ...families.map(family =>
    defineCheck(
      'ambient',
      `ambient/waypoint-client/${family}`,
      `A Service with IPv6 first answers a client behind a waypoint on its ${family} ClusterIP`,
      `hello ambient/waypoint-client/${family}`,
      {
        family,
        from: place('Deployment', waypointClient),
        to: place('Service', 'echo-ipv6-first'),
        grid: {title: 'from behind a waypoint', named: true},
        attribution: {
          class: 'connectivity',
          hint: `Check the log of ztunnel (\`kubectl logs -n ${ztunnelNamespace} ds/ztunnel | grep ${namespace}\`). Compare with \`ambient/waypoint-echo-ipv6-first/${family}\`, which has a client without a waypoint.`
        }
      }
    )
  )
];

const behindClient: Client = {namespace, deployment: waypointClient, container: 'sleep'};
const getAspect = ({id}: CheckDefinition): string => id.split('/')[2] ?? '';

/** Returns the addresses of a destination. */
type Addresses = (to: Place | null) => string[];

/** Runs after istiod has created the waypoint, or after the time for it is over. */
export async function checkWaypoint(
  input: MeshCheckInput,
  selected: CheckDefinition[]
): Promise<void> {
  if (selected.length === 0) return;
  const [made, allocated] = await Promise.all([
    waitForGateway(input, namespace, gateway),
    resolveAllocatedAddresses(input, selected)
  ]);
  const addresses: Addresses = to => getAddresses(input, to, allocated);
  await traffic(input, selected, addresses, made);
  await checkConfig(input, selected, addresses, made); // by now it has received all configuration
}

const entryQuestions = [
  {type: 'a', name: `${waypointEntry.host}.`},
  {type: 'aaaa', name: `${waypointEntry.host}.`}
];

/** Resolves the addresses that istiod allocated. */
async function resolveAllocatedAddresses(
  input: MeshCheckInput,
  selected: CheckDefinition[]
): Promise<string[]> {
  if (!selected.some(({to}) => to?.kind === 'ServiceEntry')) return [];
  const answers = await resolveNames(input, meshClient, entryQuestions);
  return answers.flatMap(answer => (answer ?? '').split(' ')).filter(address => address !== '');
}

function getAddresses(input: MeshCheckInput, to: Place | null, allocated: string[]): string[] {
  if (to?.kind === 'ServiceEntry') return allocated;
  if (to?.kind === 'Pod') return listPodIps(input, namespace, to.name);
  const service = filterByKind(input.snapshot, 'Service', namespace).find(
    ({metadata}) => metadata.name === to?.name
  );
  return getClusterIps(service);
}

// ---- Connections ----

async function traffic(
  input: MeshCheckInput,
  selected: CheckDefinition[],
  addresses: Addresses,
  made: GeneratedGateway
): Promise<void> {
  const of = (pattern: RegExp) => selected.filter(check => pattern.test(getAspect(check)));
  const denied = createProofs(input, of(/-denied$/), addresses, ports.denied);
  await settleRefusals(denied, input, denial);
  const carried = of(/-carried$/);
  const past = carried.length === 0 ? [] : await fetchZtunnelLog(input);
  const proofs = createProofs(input, of(/^ipv[46]$/), addresses, ports.open);
  const behind = (check: CheckDefinition) => check.from?.namespace === namespace;
  const {retries} = input.plan.probes;
  await Promise.all([
    prove(
      meshClient,
      proofs.filter(({check}) => !behind(check)),
      input,
      retries
    ),
    prove(
      behindClient,
      proofs.filter(({check}) => behind(check)),
      input,
      retries
    )
  ]);
  await settleByLog(input, carried, past, (check, all) => {
    const address = findByFamily(addresses(check.to), check.family ?? 'ipv4');
    return address === undefined
      ? nowhere(check)
      : judgeLoggedPath(input, check, address, made, all);
  });
}

function createProofs(
  input: MeshCheckInput,
  definitions: CheckDefinition[],
  addresses: Addresses,
  port: number
): Proof[] {
  return definitions.flatMap(check => {
    const address = findByFamily(addresses(check.to), check.family ?? 'ipv4');
    if (address === undefined) {
      input.report(check.id, nowhere(check));
      return [];
    }
    const known =
      check.to?.kind === 'ServiceEntry'
        ? {}
        : {lookupCommand: buildLookupCommand(input, check.to, address)};
    return [
      {
        check,
        probe: {word: check.id, address, port, ...known},
        pods: listPodIps(input, namespace, waypointApp)
      }
    ];
  });
}

/** The outcome for a destination without an address. */
function nowhere(check: CheckDefinition): Outcome {
  if (check.to?.kind !== 'ServiceEntry') return describeMissingAddress(check);
  return {
    observed: 'no address',
    verdict: 'failed',
    reason: `ztunnel returned no ${check.family} address for ${waypointEntry.host}`,
    reproduce: reproduceQuestion(
      meshClient,
      entryQuestions[families.indexOf(check.family ?? 'ipv4')] ?? {type: 'a', name: ''}
    )
  };
}

/** The texts for a connection that the waypoint's policy does not deny. */
const denial = {
  client: meshClient,
  observed: (text: string) => text,
  reason: ({address, port}: Probe, text: string) =>
    `${address} port ${port} answered "${text}", ${settleSeconds} s after the waypoint's policy was set to deny it`
};

/** istiod names the waypoint's service account after the Gateway. */
const isWaypoint = (identity = ''): boolean => identity.endsWith(`/ns/${namespace}/sa/${gateway}`);

/** Judges by both logs: the client's ztunnel has the destination, the server's ztunnel has the source. */
function judgeLoggedPath(
  input: MeshCheckInput,
  {expected, family, to}: CheckDefinition,
  address: string,
  {pod}: GeneratedGateway,
  all: LoggedConnection[]
): Outcome {
  const ips = listPodIps(input, namespace, waypointApp);
  const arrivals = ips
    .filter(ip => to?.kind !== 'Pod' || ip === address)
    .map(ip => formatHostPort(ip, ports.open));
  const here = getPodIps(pod).find(ip => getAddressFamily(ip) === family);
  const out = all.filter(
    one =>
      one.direction === 'outbound' &&
      one['src.namespace'] === clientSample.namespace &&
      isFor(one, to, arrivals)
  );
  const through = out.filter(one => isWaypoint(one['dst.identity']));
  const dialled = through.filter(one => one['dst.addr'] === formatHostPort(here ?? '', hbonePort));
  const arrived = all.filter(
    one =>
      one.direction === 'inbound' &&
      isWaypoint(one['src.identity']) &&
      arrivals.includes(one['dst.hbone_addr'] ?? '')
  );
  const observed =
    here === undefined
      ? 'no ready waypoint'
      : out.length === 0
        ? 'no log of the connection'
        : through.length === 0
          ? `bypassed the waypoint, to ${places(out)}`
          : dialled.length === 0
            ? `only to ${places(through)}`
            : dialled.every(({error}) => error !== undefined)
              ? (dialled[0]?.error ?? '')
              : dialled.every(one => one.bytes_recv === '0')
                ? 'the waypoint returned no data'
                : arrived.length === 0
                  ? 'no log of the arrival at the server'
                  : expected;
  return compare(expected, observed, {
    address,
    reproduce: `${logCommand.join(' ')} | grep ${namespace}`
  });
}

const places = (all: LoggedConnection[]): string =>
  [...new Set(all.map(one => one['dst.addr']))].join(', ');

/** Whether a connection is to this destination, and to the allowed port. */
function isFor(one: LoggedConnection, to: Place | null, arrivals: string[]): boolean {
  const hbone = one['dst.hbone_addr'] ?? '';
  const service = one['dst.service'];
  if (to?.kind === 'Pod') return service === undefined && arrivals.includes(hbone);
  const name = to?.kind === 'Service' ? `${to.name}.${namespace}.` : waypointEntry.host;
  return service?.startsWith(name) === true && hbone.endsWith(`:${ports.open}`);
}

// ---- The waypoint's configuration ----

const listenersQuery = 'config_dump?resource=dynamic_listeners';

/** The parts of Envoy's dump of active listeners that the checks read. */
interface Dumped {
  configs?: {
    name: string;
    active_state?: {
      listener?: {
        address?: SocketAddress;
        additional_addresses?: {address: SocketAddress}[];
        filter_chain_matcher?: unknown;
      };
    };
  }[];
}

async function checkConfig(
  input: MeshCheckInput,
  selected: CheckDefinition[],
  addresses: Addresses,
  made: GeneratedGateway
): Promise<void> {
  const of = (id: string) => selected.filter(check => check.id === id);
  const vips = selected.filter(check => getAspect(check) === 'vips');
  for (const {id} of of(ids.service))
    input.report(id, checkServiceFamilies(made, namespace, gateway));
  const read = async <T>(
    query: string,
    definitions: CheckDefinition[],
    judge: (check: CheckDefinition, said: T) => string
  ) => {
    if (definitions.length === 0) return;
    const reproduce = buildEnvoyCommand(namespace, gateway, query).join(' ');
    const said = made.pod && (await fetchEnvoyDump<T>(input, namespace, gateway, query));
    for (const check of definitions)
      input.report(
        check.id,
        compare(check.expected, said ? judge(check, said) : 'no ready pod', {reproduce})
      );
  };
  await Promise.all([
    read<Dumped>(listenersQuery, [...of(ids.listeners), ...vips], ({id, expected, to}, said) =>
      id === ids.listeners
        ? (describeUnbound(said) ?? expected)
        : describeKnownAddresses(said, to, addresses(to), expected)
    ),
    read<EnvoyEndpoints>(
      endpointQuery,
      of(ids.endpoints),
      ({expected}, said) => bare(said) ?? expected
    )
  ]);
}

/** Names the wildcards without an HBONE listener; undefined: none is missing. */
function describeUnbound({configs = []}: Dumped): string | undefined {
  const {address, additional_addresses: more = []} =
    configs.find(({name}) => name === 'connect_terminate')?.active_state?.listener ?? {};
  const found = [address ?? {}, ...more.map(one => one.address)].map(formatSocketAddress);
  const missing = ['0.0.0.0', '::']
    .map(wildcard => formatHostPort(wildcard, hbonePort))
    .filter(wildcard => !found.includes(wildcard));
  return missing.length === 0 ? undefined : `not on ${missing.join(', ')}`;
}

/** Returns `expected` if the waypoint has exactly the `right` addresses for a destination, else the addresses that it has. */
function describeKnownAddresses(
  said: Dumped,
  to: Place | null,
  right: string[],
  expected: string
): string {
  const known = listRanges(said, getHost(to));
  const same = [...known].sort().join() === [...right].sort().join();
  return right.length > 0 && same ? expected : known.join(', ') || 'no address';
}

/** The host in istiod's names of clusters and filter chains. */
const getHost = (to: Place | null): string =>
  to?.kind === 'Service' ? `${to.name}.${namespace}.svc.` : waypointEntry.host;

/** Names endpoints of inbound clusters that are not internal listeners; undefined: all are. */
function bare({configs = []}: EnvoyEndpoints): string | undefined {
  const endpoints = configs
    .flatMap(({endpoint_config: one}) =>
      one?.cluster_name.startsWith('inbound-vip|') ? [one] : []
    )
    .flatMap(({endpoints = []}) => endpoints.flatMap(({lb_endpoints = []}) => lb_endpoints));
  const wrong = endpoints
    .flatMap(({endpoint: {address, additional_addresses: more = []}}) => [
      address,
      ...more.map(one => one.address)
    ])
    .map(formatSocketAddress)
    .filter(address => address !== '');
  if (wrong.length > 0) return [...new Set(wrong)].join(', ');
  return endpoints.length === 0 ? 'no endpoint' : undefined;
}

interface Range {
  address_prefix: string;
}

/** Lists the address ranges of a host at any depth of a listener's matcher. */
export function listRanges(node: unknown, name: string): string[] {
  if (typeof node !== 'object' || node === null) return [];
  const {ranges, on_match: match} = node as {ranges?: Range[]; on_match?: unknown};
  if (ranges !== undefined)
    return JSON.stringify(match ?? null).includes(`|${name}`)
      ? ranges.map(({address_prefix}) => address_prefix)
      : [];
  return Object.values(node).flatMap(below => listRanges(below, name));
}

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

/** What is addressed through the waypoint, by the checks' targets. */
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
  endpoints: 'internal listeners alone',
  vips: 'exactly its addresses',
  carried: 'by the waypoint, dialled over that family'
};

const grid = {title: 'through a waypoint', named: true};
const generatedHint = `istiod makes Deployment and Service of the waypoint: see its status (\`kubectl get gateway -n ${namespace} ${gateway} -o yaml\`), its log (\`kubectl logs -n ${namespace} deploy/${gateway}\`), and the log of istiod.`;
const configHint = `See what istiod told the waypoint: \`istioctl proxy-config all -n ${namespace} deploy/${gateway}\`.`;

/** A waypoint, which is addressed by Services of both orders, by a host of istiod's addresses, and by a pod's own. */
export const waypointDefinitions: CheckDefinition[] = [
  defineCheck(
    'ambient',
    ids.service,
    'The Service that istiod makes for a waypoint has both families',
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
        hint: `ztunnel dials it over the family that was asked for: see \`connect_terminate\` among its listeners, and whether its pod has an address of each family. ${configHint}`,
        headline: 'A waypoint does not listen on both families'
      }
    }
  ),
  defineCheck(
    'ambient',
    ids.endpoints,
    "A waypoint's endpoints in ambient are internal listeners, without an address beside them",
    expectations.endpoints,
    {
      to: place('Deployment', gateway),
      attribution: {
        hint: `An address beside the internal listener goes round HBONE, and Envoy cannot have both. ${configHint}`,
        headline: 'A waypoint is told an address beside its internal listener'
      }
    }
  ),
  ...Object.entries(targets)
    .filter(([, {kind}]) => kind !== 'Pod')
    .map(([target, to]) =>
      defineCheck(
        'ambient',
        `ambient/${target}/vips`,
        `The waypoint knows the ${to.kind} by exactly its addresses`,
        expectations.vips,
        {
          to,
          attribution: {
            hint: `What comes for another address, it resets: see \`main_internal\` among its listeners. Where it knows none, the ${to.kind} is not bound to it: see the label \`istio.io/use-waypoint\` of the ${to.kind} and of its namespace. ${configHint}`,
            headline: 'A waypoint does not know both addresses of what is addressed through it'
          }
        }
      )
    ),
  ...Object.entries(targets).flatMap(([target, to]) =>
    families.flatMap(family => [
      defineCheck(
        'ambient',
        `ambient/${target}/${family}`,
        `Through a waypoint, the ${to.kind} answers on its ${family} ${to.kind === 'Service' ? 'ClusterIP' : 'address'}`,
        `hello ambient/${target}/${family}`,
        {
          family,
          from,
          to,
          grid,
          attribution: {
            class: 'connectivity',
            hint: `See what ztunnel logs of that connection (\`kubectl logs -n ${ztunnelNamespace} ds/ztunnel | grep ${namespace}\`), and the waypoint (\`kubectl logs -n ${namespace} deploy/${gateway}\`); \`ambient/waypoint/*\` tells whether it listens, and \`ambient/${target}/vips\` whether it knows the address.`
          }
        }
      ),
      defineCheck(
        'ambient',
        `ambient/${target}/${family}-carried`,
        `The waypoint has carried that, and ztunnel has dialled it over ${family}`,
        expectations.carried,
        {
          family,
          from,
          to,
          attribution: {
            hint: `See what ztunnel logged of it: \`kubectl logs -n ${ztunnelNamespace} ds/ztunnel | grep ${namespace}\`. Its \`dst.addr\` is to be the waypoint's address of that family; whether it knows of the waypoint, \`istioctl ztunnel-config service\` and \`istioctl ztunnel-config workload\` say.`
          }
        }
      ),
      defineCheck(
        'ambient',
        `ambient/${target}/${family}-denied`,
        `What only the waypoint's policy denies is not answered over ${family}`,
        noAnswer,
        {
          family,
          from,
          to,
          attribution: {
            hint: `It went past the waypoint: see the label \`istio.io/use-waypoint\` of the namespace ${namespace} and of what is in it, the status of the waypoint and of the AuthorizationPolicy, and \`ambient/${target}/${family}-carried\`.`,
            headline: `What is for a waypoint goes past it over ${familyNames[family]}`
          }
        }
      )
    ])
  ),
  ...families.map(family =>
    defineCheck(
      'ambient',
      `ambient/waypoint-client/${family}`,
      `From a pod that has a waypoint itself, a Service with IPv6 first answers on its ${family} ClusterIP`,
      `hello ambient/waypoint-client/${family}`,
      {
        family,
        from: place('Deployment', waypointClient),
        to: place('Service', 'echo-ipv6-first'),
        grid: {title: 'from behind a waypoint', named: true},
        attribution: {
          class: 'connectivity',
          hint: `See what ztunnel logs of that connection (\`kubectl logs -n ${ztunnelNamespace} ds/ztunnel | grep ${namespace}\`), and \`ambient/waypoint-echo-ipv6-first/${family}\`, which asks the same from a pod without a waypoint.`
        }
      }
    )
  )
];

const behindClient: Client = {namespace, deployment: waypointClient, container: 'sleep'};
const getAspect = ({id}: CheckDefinition): string => id.split('/')[2] ?? '';

/** The addresses by which a place is asked for. */
type Addresses = (to: Place | null) => string[];

/** Looks once istiod has made the waypoint, or has had the time for it. */
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
  await checkConfig(input, selected, addresses, made); // by now it was told of everything
}

const entryQuestions = [
  {type: 'a', name: `${waypointEntry.host}.`},
  {type: 'aaaa', name: `${waypointEntry.host}.`}
];

/** As DNS has them: istiod allocates them. */
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
        : {lookUp: buildLookupCommand(input, check.to, address)};
    return [
      {
        check,
        probe: {word: check.id, address, port, ...known},
        pods: listPodIps(input, namespace, waypointApp)
      }
    ];
  });
}

/** No address to ask. */
function nowhere(check: CheckDefinition): Outcome {
  if (check.to?.kind !== 'ServiceEntry') return describeMissingAddress(check);
  return {
    observed: 'no address',
    verdict: 'failed',
    reason: `ztunnel answers no ${check.family} address for ${waypointEntry.host}`,
    reproduce: reproduceQuestion(
      meshClient,
      entryQuestions[families.indexOf(check.family ?? 'ipv4')] ?? {type: 'a', name: ''}
    )
  };
}

/** What is told where the waypoint's policy is not in force. */
const denial = {
  client: meshClient,
  observed: (text: string) => text,
  reason: ({address, port}: Probe, text: string) =>
    `${address} port ${port} answered "${text}", which the waypoint's policy has denied for ${settleSeconds} s`
};

/** As istiod makes it: named as the Gateway is. */
const isWaypoint = (identity = ''): boolean => identity.endsWith(`/ns/${namespace}/sa/${gateway}`);

/** The client's ztunnel tells where it went, and the server's from whom it came. */
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
      ? 'no waypoint that is ready'
      : out.length === 0
        ? 'nothing logged of it'
        : through.length === 0
          ? `past the waypoint, to ${places(out)}`
          : dialled.length === 0
            ? `only to ${places(through)}`
            : dialled.every(({error}) => error !== undefined)
              ? (dialled[0]?.error ?? '')
              : dialled.every(one => one.bytes_recv === '0')
                ? 'the waypoint gave nothing back'
                : arrived.length === 0
                  ? 'nothing logged where it arrived'
                  : expected;
  return compare(expected, observed, {
    address,
    reproduce: `${logCommand.join(' ')} | grep ${namespace}`
  });
}

const places = (all: LoggedConnection[]): string =>
  [...new Set(all.map(one => one['dst.addr']))].join(', ');

/** Whether a connection was for a target, and for the port that is not denied. */
function isFor(one: LoggedConnection, to: Place | null, arrivals: string[]): boolean {
  const hbone = one['dst.hbone_addr'] ?? '';
  const service = one['dst.service'];
  if (to?.kind === 'Pod') return service === undefined && arrivals.includes(hbone);
  const name = to?.kind === 'Service' ? `${to.name}.${namespace}.` : waypointEntry.host;
  return service?.startsWith(name) === true && hbone.endsWith(`:${ports.open}`);
}

// ---- What istiod told the waypoint ----

const listenersQuery = 'config_dump?resource=dynamic_listeners';

/** Listeners as Envoy has taken them. */
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
        compare(check.expected, said ? judge(check, said) : 'no pod that is ready', {reproduce})
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

/** Where the waypoint does not listen for HBONE; undefined: nowhere that it should. */
function describeUnbound({configs = []}: Dumped): string | undefined {
  const {address, additional_addresses: more = []} =
    configs.find(({name}) => name === 'connect_terminate')?.active_state?.listener ?? {};
  const found = [address ?? {}, ...more.map(one => one.address)].map(formatSocketAddress);
  const missing = ['0.0.0.0', '::']
    .map(wildcard => formatHostPort(wildcard, hbonePort))
    .filter(wildcard => !found.includes(wildcard));
  return missing.length === 0 ? undefined : `not on ${missing.join(', ')}`;
}

/** The addresses by which it knows a place, where they are others than those `right` ones. */
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

/** As istiod names its clusters and its filter chains. */
const getHost = (to: Place | null): string =>
  to?.kind === 'Service' ? `${to.name}.${namespace}.svc.` : waypointEntry.host;

/** What is wrong with the endpoints of what is addressed through the waypoint; undefined: nothing. */
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

/** The ranges by which a listener's matcher knows a host, wherever it has them. */
export function listRanges(node: unknown, name: string): string[] {
  if (typeof node !== 'object' || node === null) return [];
  const {ranges, on_match: match} = node as {ranges?: Range[]; on_match?: unknown};
  if (ranges !== undefined)
    return JSON.stringify(match ?? null).includes(`|${name}`)
      ? ranges.map(({address_prefix}) => address_prefix)
      : [];
  return Object.values(node).flatMap(below => listRanges(below, name));
}

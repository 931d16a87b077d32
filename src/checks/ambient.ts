/** Checks of ambient mode: ztunnel, redirection, HBONE and DNS over both families. */
import {parseJsonObject} from '../base/json.ts';
import {
  filterByKind,
  findByFamily,
  getAddressFamily,
  getClusterIps,
  getPodIps,
  isReady,
  type Pod
} from '../base/kube.ts';
import {runOrThrow, runUntilComplete, type Sh} from '../base/sh.ts';
import {
  ambientApp,
  ambientNamespace,
  ambientPorts,
  ambientSample,
  ambientServices,
  crossFamilyHosts,
  headlessServices
} from '../manifests/ambient-sample.ts';
import {
  clientSample,
  documentedSamples,
  plainNamespace,
  serverSamples
} from '../manifests/documented-samples.ts';
import {ztunnelNamespace} from '../manifests/istio-resources.ts';
import {waypointSample} from '../manifests/waypoint-sample.ts';
import {type Family, families, familyNames, type Place} from '../results/results.ts';
import {
  type Attribution,
  type CheckDefinition,
  compare,
  defineCheck,
  type LayerChecks,
  type MeshCheckInput,
  type Outcome
} from './definition.ts';
import {getDnsName, hasFamily, recordTypes, reproduceQuestion, resolveNames} from './dns.ts';
import {createProofsAt, describeMissingAddress, findClusterIp, listPodIps} from './echo.ts';
import {checkIptables} from './iptables.ts';
import {proveRefusedByPod} from './mtls.ts';
import {buildClientCommand, meshClient, plainClient} from './probe.ts';
import {type Proof, prove} from './prove.ts';
import {checkWaypoint, waypointDefinitions} from './waypoint.ts';
import {fetchZtunnelLog, type LoggedConnection, logCommand, settleByLog} from './ztunnel.ts';

const other = {ipv4: 'ipv6', ipv6: 'ipv4'} as const;

const from = {kind: 'Deployment', namespace: clientSample.namespace, name: clientSample.app};
const plain = {kind: 'Deployment', namespace: plainClient.namespace, name: plainClient.deployment};
const pod = {kind: 'Pod', namespace: ambientNamespace, name: ambientApp};
const service = (name: string, namespace = ambientNamespace): Place => ({
  kind: 'Service',
  namespace,
  name
});
const ztunnel = {kind: 'DaemonSet', namespace: ztunnelNamespace, name: 'ztunnel'};

/** The pods that the checks expect in ambient. */
const enrolled = [...documentedSamples, {namespace: ambientNamespace, app: ambientApp}];

/** The Services of which ztunnel must list both ClusterIPs. */
const dualStack = [
  service('tcp-echo', 'dual-stack'),
  ...Object.keys(ambientServices).map(name => service(name))
];

const expectations = {
  ready: 'Ready on every node',
  enrolled: 'enabled',
  listeners: 'on ::, for both families',
  redirection: 'the same rules for IPv4 and IPv6',
  workload: 'HBONE to each of its addresses',
  vips: 'exactly its ClusterIPs',
  hbone: 'HBONE from the client to the server over that family',
  address: 'one address'
};

const grid = {title: 'over HBONE', named: true};
const connectivity = {class: 'connectivity'} as const;
const dead = (family: Family): Partial<Attribution> => ({
  ...connectivity,
  hint: `Read ztunnel's log of the connection (\`kubectl logs -n ${ztunnelNamespace} ds/ztunnel\`). Check that nothing between the pods drops port 15008 over ${familyNames[family]}. \`ambient/*/workload\` shows whether ztunnel knows the address.`
});
const dnsHint =
  "Check `ambient.dnsCapture` of IstioCNI, and the redirection of port 53 in the pod. Read the DNS lines of ztunnel's log (`dns` at level debug).";

const dnsHeadline = 'ztunnel does not resolve names correctly';

/** Checks of pods in ambient mode, which connect through the node's ztunnel instead of sidecars. */
export const ambient: LayerChecks<MeshCheckInput> = {
  layer: 'ambient',
  attribution: {
    class: 'istio',
    hint: `Read the logs of ztunnel and istio-cni-node in diagnostics/, and \`kubectl get ztunnel,istiocni -o yaml\`.`,
    headline: family => `Ambient does not carry ${family || 'both families'}`
  },
  samples: [ambientSample, waypointSample],
  definitions: [
    defineCheck(
      'ambient',
      'ambient/ztunnel/ready',
      'ztunnel runs on every node',
      expectations.ready,
      {
        to: ztunnel,
        attribution: {headline: 'ztunnel is not ready'}
      }
    ),
    defineCheck(
      'ambient',
      'ambient/ztunnel/listeners',
      'ztunnel listens on both families in each pod',
      expectations.listeners,
      {
        to: ztunnel,
        family: 'ipv6',
        attribution: {
          hint: `Check whether ztunnel has IPV6_ENABLED=false (\`kubectl get ds ztunnel -n ${ztunnelNamespace} -o yaml\`). Set it in \`env\` in the values of the ZTunnel resource.`,
          headline: 'ztunnel does not listen on IPv6'
        }
      }
    ),
    ...enrolled.flatMap(({namespace, app}) => {
      const to = {to: {kind: 'Deployment', namespace, name: app}};
      return [
        defineCheck(
          'ambient',
          `ambient/${namespace}/enrolled`,
          'IstioCNI has enrolled the pod in ambient',
          expectations.enrolled,
          {
            ...to,
            attribution: {
              hint: 'The pod lacks the annotation `ambient.istio.io/redirection: enabled`. Check the label of its namespace, and the log of istio-cni-node.',
              headline: 'Pods are not enrolled in ambient'
            }
          }
        ),
        defineCheck(
          'ambient',
          `ambient/${namespace}/redirection`,
          'The pod redirects IPv4 and IPv6 into ztunnel by the same rules',
          expectations.redirection,
          {
            ...to,
            attribution: {
              hint: 'The rules in the pod differ by family. Check `ambient.ipv6` in the values of IstioCNI (on by default), AMBIENT_IPV6 in the ConfigMap `istio-cni-config`, and the log of istio-cni-node.',
              headline: 'Pods redirect IPv4 and IPv6 into ztunnel by different rules'
            }
          }
        ),
        defineCheck(
          'ambient',
          `ambient/${namespace}/workload`,
          'ztunnel lists all addresses of the pod, with the protocol HBONE',
          expectations.workload,
          {
            ...to,
            attribution: {
              hint: 'The workload entry that ztunnel received from istiod is incomplete. See `istioctl ztunnel-config workload`, and the log of istiod.',
              headline: 'ztunnel has incomplete entries for the pods'
            }
          }
        )
      ];
    }),
    ...dualStack.map(to =>
      defineCheck(
        'ambient',
        `ambient/${vipTarget(to)}/vips`,
        'ztunnel lists exactly the ClusterIPs of the Service',
        expectations.vips,
        {
          to,
          attribution: {
            hint: 'The addresses that ztunnel received from istiod differ from the ClusterIPs. See `istioctl ztunnel-config service`, and the log of istiod.',
            headline: 'ztunnel has wrong addresses for the Services'
          }
        }
      )
    ),
    ...families.flatMap(family => [
      defineCheck(
        'ambient',
        `ambient/${ambientApp}/${family}-refused`,
        `From outside the mesh, a STRICT port refuses connections over ${family}`,
        'no answer',
        {
          family,
          from: plain,
          to: pod,
          attribution: {
            hint: `The pod's ${familyNames[family]} traffic bypasses ztunnel. See \`ambient/${ambientNamespace}/redirection\`.`,
            headline: `A STRICT port accepts plaintext over ${familyNames[family]}`
          }
        }
      ),
      defineCheck(
        'ambient',
        `ambient/${ambientApp}/${family}-control`,
        `From outside the mesh, a port that is not STRICT answers over ${family}`,
        `hello ambient/${ambientApp}/${family}-control`,
        {family, from: plain, to: pod, attribution: dead(family)}
      ),
      defineCheck(
        'ambient',
        `ambient/${ambientApp}/${family}-probe`,
        `Connections from the node itself, such as the kubelet's probes, reach a STRICT port over ${family}`,
        `hello ambient/${ambientApp}/${family}-probe`,
        {
          family,
          from: {kind: 'Node', namespace: '', name: ''},
          to: pod,
          attribution: {
            hint: `IstioCNI rewrites the source of the node's connections to ${family === 'ipv4' ? '169.254.7.127' : 'fd16:9254:7127:1337:ffff:ffff:ffff:ffff'}, which bypasses ztunnel. Check the chain ISTIO_POSTRT of the node (\`${family === 'ipv4' ? 'iptables' : 'ip6tables'}-save -t nat\`) and the rules in the pod. The IP set \`istio-inpod-probes-${family === 'ipv4' ? 'v4' : 'v6'}\` must contain the pod.`,
            headline: `Connections from the node fail over ${familyNames[family]} in ambient`
          }
        }
      )
    ]),
    defineCheck(
      'ambient',
      `ambient/${ambientApp}/probed`,
      "The kubelet's probes of a STRICT port succeed",
      'Ready, never restarted',
      {
        to: {...pod, kind: 'Deployment'},
        attribution: {
          hint: 'Read the events of the pod. `ambient/echo/*-probe` shows whether connections from the node reach it.',
          headline: "The kubelet's probes fail in ambient"
        }
      }
    ),
    ...[...Object.keys(ambientServices), `${ambientApp}-pod`].flatMap(target =>
      families.flatMap(family => [
        defineCheck(
          'ambient',
          `ambient/${target}/${family}`,
          `In ambient, a STRICT port answers on the ${family} ${isPod(target) ? 'address of the pod' : 'ClusterIP'}`,
          `hello ambient/${target}/${family}`,
          {
            family,
            from,
            to: isPod(target) ? pod : service(target),
            grid,
            attribution: dead(family)
          }
        ),
        defineCheck(
          'ambient',
          `ambient/${target}/${family}-hbone`,
          `ztunnel carries this connection over HBONE and ${family}, with the identities of both ends`,
          expectations.hbone,
          {
            family,
            from,
            to: isPod(target) ? pod : service(target),
            attribution: {
              hint: `Read ztunnel's log of the connection: \`kubectl logs -n ${ztunnelNamespace} ds/ztunnel | grep ${ambientNamespace}\`. A line without \`dst.hbone_addr\` is plaintext. \`dst.addr\` shows the family.`
            }
          }
        )
      ])
    ),
    ...families.map(family =>
      defineCheck(
        'ambient',
        `ambient/${crossFamilyHosts[family].name}/${other[family]}`,
        `A host that has only ${family} answers on the ${other[family]} address that istiod allocated`,
        `hello ambient/${crossFamilyHosts[family].name}/${other[family]}`,
        {
          family: other[family],
          from,
          to: {
            kind: 'ServiceEntry',
            namespace: ambientNamespace,
            name: crossFamilyHosts[family].name
          },
          grid: {title: 'through ztunnel', named: true},
          attribution: {
            ...connectivity,
            hint: `Read ztunnel's log of the connection. ztunnel accepts it over ${familyNames[other[family]]} and connects to the host over ${familyNames[family]}, from an address of that family.`
          }
        }
      )
    ),
    ...serverSamples.flatMap(({namespace: target}) =>
      recordTypes.map(({type, family}) =>
        defineCheck(
          'ambient',
          `ambient/${target}/${type}`,
          `ztunnel returns ${hasFamily(target, family) ? 'the' : 'no'} ${type.toUpperCase()} record of ${getDnsName(target)}`,
          hasFamily(target, family) ? 'its ClusterIP' : 'none',
          {
            family,
            from,
            to: service('tcp-echo', target),
            attribution: {hint: dnsHint, headline: dnsHeadline}
          }
        )
      )
    ),
    ...Object.keys(headlessServices).flatMap(target =>
      recordTypes.map(({type, family}) =>
        defineCheck(
          'ambient',
          `ambient/${target}/${type}`,
          `ztunnel returns ${target.endsWith(family) ? 'the' : 'no'} ${type.toUpperCase()} record of a headless Service with only ${target.slice(-4)}`,
          target.endsWith(family) ? 'its pod' : 'none',
          {family, from, to: service(target), attribution: {hint: dnsHint, headline: dnsHeadline}}
        )
      )
    ),
    ...families.map(family =>
      defineCheck(
        'ambient',
        `ambient/dns/${family}`,
        `ztunnel answers DNS queries over ${family}, for a host that only ztunnel knows`,
        expectations.address,
        {
          family,
          from,
          to: ztunnel,
          attribution: {
            hint: dnsHint,
            headline: `ztunnel does not answer DNS over ${familyNames[family]}`
          }
        }
      )
    ),
    ...waypointDefinitions
  ],
  run: async (input, all) => {
    const ofWaypoint = all.filter(check => waypointDefinitions.some(({id}) => id === check.id));
    const selected = all.filter(check => !ofWaypoint.includes(check));
    standing(input, selected);
    await Promise.all([
      checkWaypoint(input, ofWaypoint),
      checkIptables(
        input,
        selected.filter(({id}) => id.endsWith('/redirection'))
      ),
      checkKnownAddresses(input, selected),
      answered(input, selected),
      probed(input, selected),
      named(input, selected),
      listeners(input, selected),
      crossing(input, selected)
    ]);
  }
};

/** Whether a target is a pod's own address, as `echo-pod` is. */
function isPod(target: string): boolean {
  return target.endsWith('-pod');
}

function vipTarget({namespace, name}: Place): string {
  return namespace === ambientNamespace ? name : namespace;
}

const getAspect = ({id}: CheckDefinition): string => id.split('/')[2] ?? '';

/** Reports the checks that need only the snapshot. */
function standing({snapshot, report}: MeshCheckInput, selected: CheckDefinition[]): void {
  for (const check of selected) {
    const {id, expected, to} = check;
    const pods = filterByKind(snapshot, 'Pod', to?.namespace).filter(
      ({metadata}) => metadata.labels?.app === to?.name && !metadata.deletionTimestamp
    );
    const reproduce = `kubectl get pods -n ${to?.namespace} -l app=${to?.name} -o yaml`;
    const observe = (said: (pod: Pod) => string) =>
      report(
        id,
        compare(expected, [...new Set(pods.map(said))].join('; ') || 'no pod', {reproduce})
      );
    if (id === 'ambient/ztunnel/ready') {
      const ready = pods.filter(isReady).map(({spec}) => spec.nodeName);
      const missing = filterByKind(snapshot, 'Node')
        .map(({metadata}) => metadata.name)
        .filter(name => !ready.includes(name));
      const observed = missing.length === 0 ? expected : `not Ready on ${missing.join(', ')}`;
      report(id, compare(expected, observed, {reproduce}));
    } else if (getAspect(check) === 'enrolled')
      observe(
        ({metadata}) => metadata.annotations?.['ambient.istio.io/redirection'] ?? 'no annotation'
      );
    else if (getAspect(check) === 'probed')
      observe(pod =>
        !isReady(pod)
          ? 'not Ready'
          : restarts(pod) > 0
            ? `Ready, restarted ${restarts(pod)} times`
            : expected
      );
  }
}

const restarts = ({status}: Pod): number =>
  (status.containerStatuses ?? []).reduce((sum, {restartCount}) => sum + restartCount, 0);

// ---- The configuration that ztunnel received from istiod ----

/** The parts of ztunnel's `config_dump` that the checks read. */
interface Dump {
  /** Its listeners in each pod: for HBONE, for plaintext, and for outgoing connections. */
  config?: {inboundAddr?: string; inboundPlaintextAddr?: string; outboundAddr?: string};
  workloads?: {name: string; namespace: string; workloadIps?: string[]; protocol?: string}[];
  /** Addresses as `NETWORK/ADDRESS`; without a network name, `/10.96.0.10`. */
  services?: {name: string; namespace: string; vips?: string[]}[];
}

// the admin interface listens on localhost only, and ztunnel's image has no HTTP client
const dumpScript = `
for sandbox in $(crictl pods --quiet --state ready --namespace "^$1$" --label app=ztunnel); do
  path=$(crictl inspectp --output go-template --template '{{range .info.runtimeSpec.linux.namespaces}}{{if eq .type "network"}}{{.path}}{{end}}{{end}}' $sandbox)
  nsenter --net=$path curl --silent --max-time 10 http://localhost:15000/config_dump
  exit
done`;

async function checkKnownAddresses(
  input: MeshCheckInput,
  selected: CheckDefinition[]
): Promise<void> {
  const definitions = selected.filter(check =>
    ['workload', 'vips', 'listeners'].includes(getAspect(check))
  );
  const [node] = input.plan.cluster.nodes;
  if (definitions.length === 0 || node === undefined) return;
  const dump = await fetchZtunnelDump(node, input.sh);
  for (const check of definitions) {
    const told = {workload: judgeWorkload, vips: judgeVips, listeners: judgeListeners}[
      getAspect(check)
    ];
    if (told) input.report(check.id, told(input, check, dump));
  }
}

async function fetchZtunnelDump(node: string, sh: Sh): Promise<Dump> {
  const text = await runOrThrow(
    sh,
    ['docker', 'exec', node, 'sh', '-c', dumpScript, 'ztunnel', ztunnelNamespace],
    {seconds: 30}
  );
  return parseJsonObject<Dump>(text); // without an answer, each check reports what is missing
}

const reproduceDump = 'istioctl ztunnel-config all -o yaml';

function judgeWorkload(
  {snapshot}: MeshCheckInput,
  {expected, to}: CheckDefinition,
  {workloads = []}: Dump
): Outcome {
  const pods = filterByKind(snapshot, 'Pod', to?.namespace).filter(
    ({metadata}) => metadata.labels?.app === to?.name && !metadata.deletionTimestamp
  );
  const wrong = pods.flatMap(pod => {
    const {metadata} = pod;
    const told = workloads.find(
      ({name, namespace}) => name === metadata.name && namespace === metadata.namespace
    );
    const ips = getPodIps(pod);
    if (!told) return [`no entry for ${metadata.name}`];
    const {workloadIps = [], protocol = 'none'} = told;
    return [
      ...(protocol === 'HBONE' ? [] : [`protocol ${protocol}`]),
      ...(same(ips, workloadIps) ? [] : [`only ${workloadIps.join(', ') || 'no address'}`])
    ];
  });
  const observed = pods.length === 0 ? 'no pod' : (wrong[0] ?? expected);
  return compare(expected, observed, {reproduce: reproduceDump});
}

function judgeListeners(
  _: MeshCheckInput,
  {expected}: CheckDefinition,
  {config = {}}: Dump
): Outcome {
  const addresses = [config.inboundAddr, config.inboundPlaintextAddr, config.outboundAddr];
  const other = addresses.filter(address => !address?.startsWith('[::]:'));
  return compare(
    expected,
    other.length === 0 ? expected : `on ${other.map(address => address ?? 'nothing').join(', ')}`,
    {reproduce: reproduceDump}
  );
}

function judgeVips(
  {snapshot}: MeshCheckInput,
  {expected, to}: CheckDefinition,
  {services = []}: Dump
): Outcome {
  const service = filterByKind(snapshot, 'Service', to?.namespace).find(
    ({metadata}) => metadata.name === to?.name
  );
  const told = services.find(
    ({name, namespace}) => name === to?.name && namespace === to?.namespace
  );
  const vips = (told?.vips ?? []).map(vip => vip.slice(vip.indexOf('/') + 1));
  const observed = same(getClusterIps(service), vips) ? expected : `${vips.join(', ') || 'none'}`;
  return compare(expected, observed, {reproduce: reproduceDump});
}

const same = (some: string[], others: string[]): boolean =>
  [...some].sort().join() === [...others].sort().join();

// ---- Connections ----

/** Probes the STRICT port from outside, then from inside the mesh, and reads ztunnel's log of the second. */
async function answered(input: MeshCheckInput, selected: CheckDefinition[]): Promise<void> {
  const of = (pattern: RegExp) => selected.filter(check => pattern.test(getAspect(check)));
  const own = selected.filter(({to}) => to?.namespace === ambientNamespace);
  const within = (pattern: RegExp) => of(pattern).filter(check => own.includes(check));
  await Promise.all(within(/^ipv[46]-refused$/).map(check => proveRefusedByPod(input, check)));
  const hbone = within(/^ipv[46]-hbone$/);
  const past = hbone.length === 0 ? [] : await fetchZtunnelLog(input);
  const direct = within(/^ipv[46]$/).filter(({to}) => to?.kind !== 'ServiceEntry');
  await Promise.all([
    prove(
      meshClient,
      direct.flatMap(check => createProofs(input, check, ambientPorts.strict)),
      input,
      input.plan.probes.retries
    ),
    prove(
      plainClient,
      within(/^ipv[46]-control$/).flatMap(check => createProofs(input, check, ambientPorts.open)),
      input
    )
  ]);
  await settleByLog(input, hbone, past, (check, logged) => judgeLoggedPath(input, check, logged));
}

const findAddress = (
  input: MeshCheckInput,
  {target, family, to}: CheckDefinition
): string | undefined =>
  to?.kind === 'Pod' || isPod(target)
    ? listPodIps(input, ambientNamespace, ambientApp).find(ip => getAddressFamily(ip) === family)
    : findClusterIp(input, ambientNamespace, target, family ?? 'ipv4');

const createProofs = (input: MeshCheckInput, check: CheckDefinition, port: number): Proof[] => {
  const pods = listPodIps(input, ambientNamespace, ambientApp);
  return createProofsAt(input, check, findAddress(input, check), port, pods);
};

/** Judges the log of both ends: the client's line names the Service, and each line names the other end. */
function judgeLoggedPath(
  input: MeshCheckInput,
  check: CheckDefinition,
  logged: LoggedConnection[]
): Outcome {
  const {target, expected} = check;
  const ip = listPodIps(input, ambientNamespace, ambientApp).find(
    one => getAddressFamily(one) === check.family
  );
  const at = (port: number) => (ip?.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`);
  const of = (direction: string) =>
    logged.filter(
      one =>
        one.direction === direction &&
        one['src.namespace'] === clientSample.namespace &&
        one['dst.namespace'] === ambientNamespace
    );
  const out = of('outbound').filter(one =>
    isPod(target)
      ? one['dst.service'] === undefined
      : one['dst.service']?.startsWith(`${target}.${ambientNamespace}.`)
  );
  const over = out.filter(one => one['dst.addr'] === at(15008));
  const seen = over.filter(
    one =>
      one.error === undefined &&
      one['dst.hbone_addr'] === at(ambientPorts.strict) &&
      identified(one)
  );
  const received = of('inbound').filter(
    one => one['dst.hbone_addr'] === at(ambientPorts.strict) && identified(one)
  );
  const observed =
    seen.length > 0 && received.length > 0
      ? expected
      : out.length === 0
        ? 'no line in the log'
        : over.length === 0
          ? `only to ${[...new Set(out.map(one => one['dst.addr']))].join(', ')}`
          : seen.length === 0
            ? (over.find(one => one.error !== undefined)?.error ??
              'not the identities of both ends')
            : 'no line in the log of the receiving ztunnel';
  return compare(expected, observed, {
    address: findAddress(input, check) ?? null,
    reproduce: `${logCommand.join(' ')} | grep ${ambientNamespace}`
  });
}

/** Whether both ends have certificates of their namespaces. */
const identified = (one: LoggedConnection): boolean =>
  (one['src.identity'] ?? '').includes(`/ns/${clientSample.namespace}/`) &&
  (one['dst.identity'] ?? '').includes(`/ns/${ambientNamespace}/`);

// ---- Connections from the node, as the kubelet's probes ----

// like the kubelet: a socket in the node's network, with retries after a timeout
const probeScript = `
limit=$1; shift
while [ $# -gt 0 ]; do
  for try in 1 2 3; do
    answer=$(timeout $limit bash -c 'exec 3<>"/dev/tcp/$0/$1" && echo "$2" >&3 && head -n 1 <&3' "$1" "$2" "$3" 2>/dev/null)
    [ -z "$answer" ] || break
  done
  echo "$3 $answer"
  shift 3
done`;

async function probed(input: MeshCheckInput, selected: CheckDefinition[]): Promise<void> {
  const definitions = selected.filter(check => getAspect(check).endsWith('-probe'));
  const [own] = filterByKind(input.snapshot, 'Pod', ambientNamespace);
  if (definitions.length === 0) return;
  const reached = definitions.flatMap(check => {
    const address = findAddress(input, check);
    if (address !== undefined) return [{check, address}];
    input.report(check.id, describeMissingAddress(check));
    return [];
  });
  const limit = Math.max(1, Math.ceil(input.plan.probes.seconds));
  const command = [
    ...['docker', 'exec', own?.spec.nodeName ?? '', 'bash', '-c', probeScript, 'probe', `${limit}`],
    ...reached.flatMap(({check, address}) => [address, `${ambientPorts.strict}`, check.id])
  ];
  const output = await runOrThrow(input.sh, command, {seconds: 3 * limit * reached.length + 20});
  const answers = output.split('\n');
  for (const {check, address} of reached) {
    const said = answers.find(line => line.startsWith(`${check.id} `))?.slice(check.id.length + 1);
    input.report(check.id, compare(check.expected, said || 'no answer', {address}));
  }
}

// ---- DNS ----

const headlessName = (target: string): string => `${target}.${ambientNamespace}.svc.cluster.local.`;

/** Resolves names through the client's own resolver. */
async function named(input: MeshCheckInput, selected: CheckDefinition[]): Promise<void> {
  const definitions = selected.filter(check => ['a', 'aaaa'].includes(getAspect(check)));
  if (definitions.length === 0) return;
  const questions = definitions.map(check => ({
    type: getAspect(check),
    name: check.target in headlessServices ? headlessName(check.target) : getDnsName(check.target)
  }));
  const answers = await resolveNames(input, meshClient, questions);
  for (const [at, check] of definitions.entries()) {
    const answer = answers[at];
    const [right, said] =
      check.target in headlessServices
        ? [
            findByFamily(listPodIps(input, ambientNamespace, ambientApp), check.family ?? 'ipv4'),
            'its pod'
          ]
        : [findClusterIp(input, check.target, 'tcp-echo', check.family ?? 'ipv4'), 'its ClusterIP'];
    const observed =
      answer === undefined
        ? 'no answer'
        : answer === ''
          ? 'none'
          : answer === right
            ? said
            : answer;
    input.report(
      check.id,
      compare(check.expected, observed, {
        reproduce: reproduceQuestion(meshClient, questions[at] ?? {type: '', name: ''})
      })
    );
  }
}

// the server address has no DNS server, so only a redirection on the way can answer
const listenerScript = `
while [ $# -gt 0 ]; do
  { address=$(busybox nslookup -type=a "$2" "$3" 2>&1 | sed -n '/^Name/,$ s/^Address[^:]*: *//p' | tr '\\n' ' ')
    echo "$1 $address"; } &
  shift 3
done
wait`;

async function listeners(input: MeshCheckInput, selected: CheckDefinition[]): Promise<void> {
  const definitions = selected.filter(({target}) => target === 'dns');
  if (definitions.length === 0) return;
  const pods = listPodIps(input, plainNamespace);
  const questions = definitions.map(check => ({
    check,
    server: findByFamily(pods, check.family ?? 'ipv4') ?? ''
  }));
  const command = [
    ...[...buildClientCommand(meshClient), listenerScript, 'listeners'],
    ...questions.flatMap(({check, server}) => [check.id, `${crossFamilyHosts.ipv4.host}.`, server])
  ];
  const answers = await runUntilComplete(
    input.sh,
    command,
    ({code, stdout}) => {
      const lines = stdout.split('\n');
      const isWhole = definitions.every(({id}) => lines.some(line => line.startsWith(`${id} `)));
      return code === 0 && isWhole ? lines : null;
    },
    {seconds: 30}
  );
  for (const {check, server} of questions) {
    const said = answers
      .find(line => line.startsWith(`${check.id} `))
      ?.slice(check.id.length + 1)
      .trim();
    const observed = !said ? 'no answer' : said.includes(' ') ? said : check.expected;
    input.report(
      check.id,
      compare(check.expected, observed, {
        address: server,
        reproduce: `${reproduceQuestion(meshClient, {type: 'a', name: `${crossFamilyHosts.ipv4.host}.`})} ${server}`
      })
    );
  }
}

/** Probes the address of one family that istiod allocated for a host with only the other. */
async function crossing(input: MeshCheckInput, selected: CheckDefinition[]): Promise<void> {
  const definitions = selected.filter(({to}) => to?.kind === 'ServiceEntry');
  if (definitions.length === 0) return;
  const questions = definitions.map(({target, family}) => ({
    type: family === 'ipv6' ? 'aaaa' : 'a',
    name: `${target === crossFamilyHosts.ipv4.name ? crossFamilyHosts.ipv4.host : crossFamilyHosts.ipv6.host}.`
  }));
  const answers = await resolveNames(input, meshClient, questions);
  const proofs = definitions.flatMap((check, at) => {
    const address = findByFamily((answers[at] ?? '').split(' '), check.family ?? 'ipv4');
    if (address !== undefined)
      return [{check, probe: {word: check.id, address, port: ambientPorts.open}, pods: []}];
    input.report(check.id, {
      observed: 'no address',
      verdict: 'failed',
      reason: `ztunnel returned no ${check.family} address for ${questions[at]?.name}`,
      reproduce: reproduceQuestion(meshClient, questions[at] ?? {type: '', name: ''})
    });
    return [];
  });
  await prove(meshClient, proofs, input);
}

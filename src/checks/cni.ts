import {parseJsonObject} from '../base/json.ts';
import {
  filterByKind,
  getAddressFamily,
  isReady,
  listObjects,
  type Pod,
  waitWithKubectl
} from '../base/kube.ts';
import {CommandError, runOrThrow} from '../base/sh.ts';
import {pollForAtMost, pollUntil} from '../base/wait.ts';
import {
  repairedApp,
  repairedPorts,
  repairedService,
  repairNamespace,
  repairSample,
  unscheduledApp,
  validation
} from '../manifests/cni-sample.ts';
import {clientSample} from '../manifests/documented-samples.ts';
import {cniNamespace} from '../manifests/istio-resources.ts';
import {families, familyNames} from '../results/results.ts';
import {
  type CheckDefinition,
  compare,
  defineCheck,
  type LayerChecks,
  type MeshCheckInput,
  type Outcome,
  skip
} from './definition.ts';
import {createProofsAt, findClusterIp, listPodIps} from './echo.ts';
import {checkIptables, sameRules} from './iptables.ts';
import {meshClient, plainClient} from './probe.ts';
import {type Proof, prove} from './prove.ts';
import {noAnswer, settleRefusals} from './refuse.ts';

const mesh = {kind: 'Deployment', namespace: clientSample.namespace, name: clientSample.app};
const plain = {kind: 'Deployment', namespace: plainClient.namespace, name: plainClient.deployment};
const pod = {kind: 'Pod', namespace: repairNamespace, name: repairedApp};
const deployment = {...pod, kind: 'Deployment'};
const agent = {kind: 'DaemonSet', namespace: cniNamespace, name: 'istio-cni-node'};
const place = ['--namespace', repairNamespace];

/** How long a repair may take, in seconds from when the pod is asked for; it took 3, and 30 on a machine with a load of 35. */
const repairing = 90;
/** How long IstioCNI may be out of a node's CNI configuration, in seconds. */
const returning = 30;

const ids = {ready: `cni/${repairedApp}/ready`, iptables: `cni/${repairedApp}/iptables`};
const repairedWords = 'Ready after a repair';
const seeRepair = `kubectl logs -n ${cniNamespace} ds/istio-cni-node | grep -i -A 5 repair`;
const repairHint = `IstioCNI's repair must set the rules of IPv4 again although those of IPv6 are there: Istio before 1.25.5, 1.26.4 and 1.27.1 did not (istio/istio#56587). See its log: \`${seeRepair}\`.`;

/** Networks with one family alone, in a node that has both; and the pod for which IstioCNI is asked there. */
const networks = {
  'ipv4-only': {
    family: 'ipv4',
    address: '192.0.2.1/32',
    of: {namespace: 'dual-stack', app: 'tcp-echo'}
  },
  // of a sidecar that is not dual-stack: else IPv6 is looked for in any network that has it
  'ipv6-only': {
    family: 'ipv6',
    address: '2001:db8::1/128',
    of: {namespace: repairNamespace, app: unscheduledApp}
  }
} as const;
type Network = keyof typeof networks;

const expectations: Record<Network, string> = {
  'ipv4-only': 'rules for IPv4 alone',
  'ipv6-only': 'rules for IPv6' // and some for IPv4, which harm nobody
};

/** IstioCNI in place of istio-init: that it repairs a pod, and goes by the pod's own network. */
export const cni: LayerChecks<MeshCheckInput> = {
  layer: 'cni',
  attribution: {
    class: 'istio',
    hint: `See the log of istio-cni-node (\`kubectl logs -n ${cniNamespace} ds/istio-cni-node\`).`,
    headline: family => `IstioCNI does not redirect ${family || 'both families'} as it should`
  },
  grid: {title: 'repaired by IstioCNI', named: false},
  samples: [repairSample],
  definitions: [
    defineCheck('cni', ids.ready, 'A pod that has lost its IPv4 rules is repaired', repairedWords, {
      to: deployment,
      attribution: {hint: repairHint, headline: 'IstioCNI does not repair a pod without IPv4 rules'}
    }),
    defineCheck(
      'cni',
      ids.iptables,
      'The pod that was repaired redirects both families into its sidecar alike',
      sameRules,
      {
        to: deployment,
        attribution: {
          hint: repairHint,
          headline: 'IstioCNI’s repair leaves the rules of a family out'
        }
      }
    ),
    ...families.flatMap(family => [
      defineCheck(
        'cni',
        `cni/${repairedApp}/${family}`,
        `The pod that was repaired answers over ${family} under STRICT mutual TLS`,
        `hello cni/${repairedApp}/${family}`,
        {family, from: mesh, to: {...pod, kind: 'Service', name: repairedService(family)}}
      ),
      defineCheck(
        'cni',
        `cni/${repairedApp}/${family}-refused`,
        `Without a sidecar, the STRICT port of the pod that was repaired is refused over ${family}`,
        noAnswer,
        {
          family,
          from: plain,
          to: pod,
          attribution: {
            hint: `The ${familyNames[family]} traffic of the repaired pod does not go through its sidecar. ${repairHint}`,
            headline: `Plaintext passes over ${familyNames[family]} into a pod that IstioCNI has repaired`
          }
        }
      ),
      defineCheck(
        'cni',
        `cni/${repairedApp}/${family}-control`,
        `Without a sidecar, a port that is not STRICT answers over ${family}`,
        `hello cni/${repairedApp}/${family}-control`,
        {family, from: plain, to: pod}
      )
    ]),
    ...(Object.keys(networks) as Network[]).map(network =>
      defineCheck(
        'cni',
        `cni/${network}/rules`,
        `In a network of ${networks[network].family} alone, IstioCNI sets ${expectations[network]}, whatever the node has`,
        expectations[network],
        {
          family: networks[network].family,
          to: agent,
          attribution: {
            hint: 'IstioCNI takes the families of another network than that of the pod, mostly the node’s (istio/istio#50531, #36871).',
            headline: 'IstioCNI does not go by the families of the pod’s own network'
          }
        }
      )
    )
  ],
  run: async (input, selected) => {
    const [node = ''] = input.plan.cluster.nodes;
    const [plugin, off] = await Promise.all([waitForPlugin(input, node), repairIsOff(input)]);
    if (plugin?.native_nftables === true) {
      for (const {id} of selected) input.report(id, skip(nftables));
      return;
    }
    const ofRepair = selected.filter(({target}) => target === repairedApp);
    const ofNetworks = selected.filter(check => !ofRepair.includes(check));
    if (off) for (const {id} of ofRepair) input.report(id, skip(turnedOff));
    await runOrThrow(input.sh, scaleCommand(1), {seconds: 60});
    try {
      await Promise.all([
        off ? undefined : repair(input, ofRepair),
        checkNetworks(input, ofNetworks, node, plugin)
      ]);
    } finally {
      await input.sh(scaleCommand(0), {seconds: 30}); // room for others; and the next time it is a new pod
    }
  }
};

const nftables =
  'IstioCNI sets native rules of nftables (`nativeNftables`), and the checks read those of iptables';
const turnedOff = "IstioCNI's repair of pods is turned off (`cni.repair.repairPods`)";

const scaleCommand = (replicas: number): string[] => [
  ...['kubectl', 'scale', ...place, `deployment/${repairedApp}`, `deployment/${unscheduledApp}`],
  ...['--replicas', `${replicas}`]
];

// ---- The repair ----

/** What IstioCNI goes by, where it says so. */
async function repairIsOff({sh}: MeshCheckInput): Promise<boolean> {
  const command = ['kubectl', 'get', 'configmap', 'istio-cni-config', '--namespace', cniNamespace];
  const {data} = parseJsonObject<{data?: Record<string, string>}>(
    (await sh([...command, '--output', 'json'], {seconds: 20})).stdout
  );
  return data?.REPAIR_ENABLED === 'false' || data?.REPAIR_REPAIR_PODS === 'false';
}

async function repair(input: MeshCheckInput, selected: CheckDefinition[]): Promise<void> {
  if (selected.length === 0) return;
  const pods = await waitForRepair(input);
  const [own] = pods;
  if (own && hasValidationMessage(own, /executable file not found|no such file or directory/i)) {
    for (const {id} of selected) input.report(id, skip(shellless));
    return;
  }
  const now = {...input, snapshot: [...input.snapshot, ...pods]};
  const of = (pattern: RegExp) => selected.filter(({id}) => pattern.test(id));
  for (const {id} of of(/\/ready$/)) input.report(id, readiness(own));
  await Promise.all([
    checkIptables(now, of(/\/iptables$/)),
    prove(
      meshClient,
      of(/\/ipv[46]$/).flatMap(check => createProofs(now, check, repairedPorts.strict)),
      now,
      input.plan.probes.retries // its endpoint came a moment ago
    ),
    prove(
      plainClient,
      of(/-control$/).flatMap(check => createProofs(now, check, repairedPorts.open)),
      now
    ),
    settleRefusals(
      of(/-refused$/).flatMap(check => createProofs(now, check, repairedPorts.strict)),
      now
    )
  ]);
}

const shellless = "the proxy's image has no shell, by which the pod would lose its rules";

/** The pod as soon as it is ready, or as it is when that takes too long. */
async function waitForRepair({sh, work}: MeshCheckInput): Promise<Pod[]> {
  return pollForAtMost(
    work,
    {seconds: repairing, for: () => `${repairNamespace}/${repairedApp} to be repaired`},
    async () => {
      await waitWithKubectl(sh, [
        'pods',
        ...place,
        '-l',
        `app=${repairedApp}`,
        '--for=condition=Ready'
      ]);
      return listPods(sh, repairedApp);
    },
    found => found.some(isReady)
  );
}

const listPods = async (sh: MeshCheckInput['sh'], app: string): Promise<Pod[]> =>
  (await listObjects<Pod>(sh, 'pods', ...place, '-l', `app=${app}`)).filter(
    ({metadata}) => metadata.deletionTimestamp === undefined
  );

const findValidationStatus = ({status}: Pod) =>
  status.initContainerStatuses?.find(({name}) => name === validation.name);

/** Whether what is told of the init container has such words. */
function hasValidationMessage(pod: Pod, words: RegExp): boolean {
  const {waiting, terminated} = findValidationStatus(pod)?.state ?? {};
  return words.test(`${waiting?.message} ${terminated?.message}`);
}

function readiness(pod: Pod | undefined): Outcome {
  const {restartCount = 0, ready = false} = (pod && findValidationStatus(pod)) ?? {};
  const observed = !pod
    ? 'no pod'
    : !ready && restartCount > 0
      ? `no IPv4 rules after ${repairing} s`
      : !isReady(pod)
        ? `not ready after ${repairing} s`
        : restartCount > 0
          ? repairedWords
          : 'Ready without a repair: it had no IPv4 rules to lose';
  return compare(repairedWords, observed, {reproduce: seeRepair});
}

function createProofs(input: MeshCheckInput, check: CheckDefinition, port: number): Proof[] {
  const pods = listPodIps(input, repairNamespace, repairedApp);
  const address =
    check.to?.kind === 'Pod'
      ? pods.find(ip => getAddressFamily(ip) === check.family)
      : findClusterIp(input, repairNamespace, check.to?.name ?? '', check.family ?? 'ipv4');
  return createProofsAt(input, check, address, port, pods);
}

// ---- The families of a network ----

/** A plugin's part of the node's CNI configuration. */
type Plugin = Record<string, unknown>;

// the file that the container runtime goes by is the first one; each becomes a line
const pluginScript = `
for file in /etc/cni/net.d/*.conflist; do tr -d '\\n' <"$file"; echo; done`;

/**
 * IstioCNI's configuration, as the container runtime would hand it over; null where it has none for a while. In 5 of 17
 * runs it was not in what was read first, and a few seconds later it was; the files had not changed where that was watched.
 */
function waitForPlugin({sh, work}: MeshCheckInput, node: string): Promise<Plugin | null> {
  const command = ['docker', 'exec', node, 'sh', '-c', pluginScript, 'plugins'];
  return pollForAtMost(
    work,
    {seconds: returning, for: () => `istio-cni to be in the CNI configuration of ${node}`},
    async () => parsePlugin(await runOrThrow(sh, command, {seconds: 60})),
    plugin => plugin !== null
  );
}

/** IstioCNI's of the first list of plugins, with the list's own name and version, as the CNI specification says. */
export function parsePlugin(text: string): Plugin | null {
  const [first = ''] = text.split('\n');
  const {name, cniVersion, plugins} = parseJsonObject<Plugin>(first);
  const own = Array.isArray(plugins) ? plugins.find(plugin => plugin?.type === 'istio-cni') : null;
  return own ? {...own, name, cniVersion} : null;
}

// as the container runtime adds a pod, from the node's own network; istio-cni has nothing to do when one is deleted
const networkScript = `
name=$1 address=$2 config=$3 namespace=$4 pod=$5 path=/var/run/netns/$1
ip netns delete $name 2>/dev/null
trap 'ip netns delete $name' EXIT
ip netns add $name && ip -n $name link set lo up && ip -n $name address add $address dev lo || exit
said=$(echo "$config" | CNI_COMMAND=ADD CNI_CONTAINERID=$name CNI_NETNS=$path CNI_IFNAME=eth0 CNI_PATH=/opt/cni/bin \\
  CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=$namespace;K8S_POD_NAME=$pod" /opt/cni/bin/istio-cni 2>/dev/null)
code=$?
[ $code = 0 ] || { echo $said >&2; exit $code; }
for tool in iptables ip6tables; do
  rules=$(nsenter --net=$path $tool-save; nsenter --net=$path $tool-legacy-save)
  echo "$tool $(echo "$rules" | grep -c '^-A.*ISTIO')"
done 2>/dev/null`;

async function checkNetworks(
  input: MeshCheckInput,
  selected: CheckDefinition[],
  node: string,
  plugin: Plugin | null
): Promise<void> {
  if (selected.length === 0) return;
  const snapshot = [...input.snapshot, ...(await waitForUnscheduledPod(input))];
  await Promise.all(
    selected.map(async ({id, target}) =>
      input.report(id, await checkNetwork({...input, snapshot}, target as Network, node, plugin))
    )
  );
}

/** The pod that never runs: it is enough that the API server has it. */
const waitForUnscheduledPod = ({sh, work}: MeshCheckInput): Promise<Pod[]> =>
  pollUntil(work, async () => {
    const found = await listPods(sh, unscheduledApp);
    return found.length > 0
      ? {is: 'done', value: found}
      : {is: 'waiting', for: `${repairNamespace}/${unscheduledApp} to be there`};
  });

async function checkNetwork(
  {sh, snapshot}: MeshCheckInput,
  network: Network,
  node: string,
  plugin: Plugin | null
): Promise<Outcome> {
  const expected = expectations[network];
  const {address, of} = networks[network];
  const found = filterByKind(snapshot, 'Pod', of.namespace).find(
    ({metadata}) => metadata.labels?.app === of.app
  );
  if (!plugin) return compare(expected, 'no istio-cni in the CNI configuration of the node');
  if (!found) return compare(expected, 'no pod');
  const command = [
    ...['docker', 'exec', node, 'bash', '-c', networkScript, 'network'],
    ...[`dual-stack-check-${network}`, address, JSON.stringify(plugin)],
    ...[found.metadata.namespace, found.metadata.name]
  ];
  const output = await sh(command, {seconds: 60});
  if (output.timedOut) throw new CommandError(command, output); // which says nothing of IstioCNI
  if (output.code !== 0)
    return compare(expected, 'istio-cni failed', {
      reason: `istio-cni failed in a network of its own: ${output.stderr.trim().slice(-500) || 'it said nothing'}`
    });
  return compare(expected, describeRules(output.stdout, network), {
    reproduce: `kubectl logs -n ${cniNamespace} ds/istio-cni-node | grep -A 40 'Start iptables configuration for ${of.app}'`
  });
}

/** Of which families there are rules, by lines such as `ip6tables 20`. */
function describeRules(text: string, network: Network): string {
  const has = (tool: string) => new RegExp(`^${tool} [1-9]`, 'm').test(text);
  const [ipv4, ipv6] = [has('iptables'), has('ip6tables')];
  if (network === 'ipv6-only' && ipv6) return expectations[network];
  return ipv4 && ipv6
    ? 'rules for IPv4 and IPv6'
    : ipv4
      ? 'rules for IPv4 alone'
      : ipv6
        ? 'rules for IPv6 alone'
        : 'no rules of Istio';
}

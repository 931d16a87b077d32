/** Checks of IstioCNI: the repair of pods, and rules by the families of the pod's network. */
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

/** Limit of a repair, in seconds from the creation of the pod. Measured: 3 s, and 30 s on a machine with a load of 35. */
const repairing = 90;
/** How long IstioCNI may be missing from a node's CNI configuration, in seconds. */
const returning = 30;

const ids = {ready: `cni/${repairedApp}/ready`, iptables: `cni/${repairedApp}/iptables`};
const repairedWords = 'Ready after a repair';
const seeRepair = `kubectl logs -n ${cniNamespace} ds/istio-cni-node | grep -i -A 5 repair`;
const repairHint = `Upgrade Istio to 1.25.5, 1.26.4, 1.27.1 or newer: the repair of older releases leaves a pod without IPv4 rules if IPv6 rules exist (istio/istio#56587). Otherwise read the log of the repair: \`${seeRepair}\`.`;

/** Networks with only one family, in a node that has both, and the pod that IstioCNI configures there. */
const networks = {
  'ipv4-only': {
    family: 'ipv4',
    address: '192.0.2.1/32',
    of: {namespace: 'dual-stack', app: 'tcp-echo'}
  },
  // a pod without a dual-stack sidecar: with one, IstioCNI sets IPv6 rules in any network that has IPv6
  'ipv6-only': {
    family: 'ipv6',
    address: '2001:db8::1/128',
    of: {namespace: repairNamespace, app: unscheduledApp}
  }
} as const;
type Network = keyof typeof networks;

const expectations: Record<Network, string> = {
  'ipv4-only': 'rules for IPv4 only',
  'ipv6-only': 'rules for IPv6' // IPv4 rules are allowed: they do no harm
};

/** Checks of IstioCNI in place of istio-init: it repairs pods, and uses the families of the pod's own network. */
export const cni: LayerChecks<MeshCheckInput> = {
  layer: 'cni',
  attribution: {
    class: 'istio',
    hint: `Read the log of istio-cni-node (\`kubectl logs -n ${cniNamespace} ds/istio-cni-node\`).`,
    headline: family => `IstioCNI does not redirect ${family || 'both families'} correctly`
  },
  grid: {title: 'repaired by IstioCNI', named: false},
  samples: [repairSample],
  definitions: [
    defineCheck(
      'cni',
      ids.ready,
      'IstioCNI repairs a pod that has lost its IPv4 rules',
      repairedWords,
      {
        to: deployment,
        attribution: {
          hint: repairHint,
          headline: 'IstioCNI does not repair a pod without IPv4 rules'
        }
      }
    ),
    defineCheck(
      'cni',
      ids.iptables,
      'The repaired pod redirects IPv4 and IPv6 into its sidecar by the same rules',
      sameRules,
      {
        to: deployment,
        attribution: {
          hint: repairHint,
          headline: 'IstioCNI’s repair omits the rules of one family'
        }
      }
    ),
    ...families.flatMap(family => [
      defineCheck(
        'cni',
        `cni/${repairedApp}/${family}`,
        `The repaired pod answers over ${family} under STRICT mutual TLS`,
        `hello cni/${repairedApp}/${family}`,
        {family, from: mesh, to: {...pod, kind: 'Service', name: repairedService(family)}}
      ),
      defineCheck(
        'cni',
        `cni/${repairedApp}/${family}-refused`,
        `Without a sidecar, the STRICT port of the repaired pod refuses connections over ${family}`,
        noAnswer,
        {
          family,
          from: plain,
          to: pod,
          attribution: {
            hint: `The ${familyNames[family]} traffic of the repaired pod bypasses its sidecar. ${repairHint}`,
            headline: `A repaired pod accepts plaintext over ${familyNames[family]} on a STRICT port`
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
        `In a network with only ${networks[network].family}, IstioCNI sets ${expectations[network]}, in a node with both families`,
        expectations[network],
        {
          family: networks[network].family,
          to: agent,
          attribution: {
            hint: 'IstioCNI uses the families of another network than the pod’s, usually the node’s (istio/istio#50531, istio/istio#36871). Read the log of istio-cni-node.',
            headline: 'IstioCNI ignores the families of the pod’s own network'
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
      await input.sh(scaleCommand(0), {seconds: 30}); // frees resources, and the next run gets a new pod
    }
  }
};

const nftables =
  'IstioCNI sets native nftables rules (`nativeNftables`), and the checks read iptables rules';
const turnedOff = "IstioCNI's repair of pods is off (`cni.repair.repairPods`)";

const scaleCommand = (replicas: number): string[] => [
  ...['kubectl', 'scale', ...place, `deployment/${repairedApp}`, `deployment/${unscheduledApp}`],
  ...['--replicas', `${replicas}`]
];

// ---- The repair ----

/** Whether the ConfigMap of IstioCNI turns the repair off. */
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
      input.plan.probes.retries // its endpoint is new
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

const shellless = "the proxy's image has no shell, and the pod needs one to delete its rules";

/** Returns the pod once it is ready, or its last state when the limit expires. */
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

/** Whether the status message of the init container matches. */
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
          : 'Ready without a repair: the pod had no IPv4 rules to lose';
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

// the container runtime uses the first file; each file becomes one line
const pluginScript = `
for file in /etc/cni/net.d/*.conflist; do tr -d '\\n' <"$file"; echo; done`;

/**
 * Returns IstioCNI's configuration as the container runtime passes it on, or null after the limit. In 5 of 17 runs the
 * first read lacked it, and a read some seconds later had it.
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

/** IstioCNI's entry in the first plugin list, with the list's name and version, as the CNI specification requires. */
export function parsePlugin(text: string): Plugin | null {
  const [first = ''] = text.split('\n');
  const {name, cniVersion, plugins} = parseJsonObject<Plugin>(first);
  const own = Array.isArray(plugins) ? plugins.find(plugin => plugin?.type === 'istio-cni') : null;
  return own ? {...own, name, cniVersion} : null;
}

// adds a pod as the container runtime does, from the node's network; istio-cni does nothing on deletion
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

/** Waits until the API server has the pod, which is never scheduled. */
const waitForUnscheduledPod = ({sh, work}: MeshCheckInput): Promise<Pod[]> =>
  pollUntil(work, async () => {
    const found = await listPods(sh, unscheduledApp);
    return found.length > 0
      ? {is: 'done', value: found}
      : {is: 'waiting', for: `pod ${repairNamespace}/${unscheduledApp} to exist`};
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
  if (output.timedOut) throw new CommandError(command, output); // proves nothing about IstioCNI
  if (output.code !== 0)
    return compare(expected, 'istio-cni failed', {
      reason: `istio-cni failed in a separate network: ${output.stderr.trim().slice(-500) || 'it printed no error'}`
    });
  return compare(expected, describeRules(output.stdout, network), {
    reproduce: `kubectl logs -n ${cniNamespace} ds/istio-cni-node | grep -A 40 'Start iptables configuration for ${of.app}'`
  });
}

/** Describes which families have rules, from lines such as `ip6tables 20`. */
function describeRules(text: string, network: Network): string {
  const has = (tool: string) => new RegExp(`^${tool} [1-9]`, 'm').test(text);
  const [ipv4, ipv6] = [has('iptables'), has('ip6tables')];
  if (network === 'ipv6-only' && ipv6) return expectations[network];
  return ipv4 && ipv6
    ? 'rules for IPv4 and IPv6'
    : ipv4
      ? 'rules for IPv4 only'
      : ipv6
        ? 'rules for IPv6 only'
        : 'no Istio rules';
}

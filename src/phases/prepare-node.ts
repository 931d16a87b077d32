/** Waits for the parts of a node, and speeds up their start. */
import {Fault} from '../base/fault.ts';
import {logLine, toSingleLine} from '../base/log.ts';
import {replaceFile} from '../base/safe-fs.ts';
import type {PhaseContext} from '../base/schedule.ts';
import type {CommandOutput, Sh} from '../base/sh.ts';
import {pollUntil} from '../base/wait.ts';
import type {Plan} from '../plan/plan.ts';

type Cluster = Plan['cluster'];

/** A bash loop that ends when the command succeeds. */
const buildWaitLoop = (command: string): string => `until ${command}; do sleep 0.2; done`;

const containerdScript = buildWaitLoop('[ -S /run/containerd/containerd.sock ]');
const kubeconfigScript = buildWaitLoop('[ -s /etc/kubernetes/scheduler.conf ]'); // the last file that kubeadm writes

// kubeadm binds our role once the API server is healthy; earlier requests would only delay that
const apiServerScript = [
  'cd /etc/kubernetes',
  buildWaitLoop('(: < /dev/tcp/localhost/6443)'),
  buildWaitLoop(
    'curl --silent --fail --max-time 5 --cacert pki/ca.crt https://localhost:6443/livez >&2'
  ),
  buildWaitLoop("kubectl --kubeconfig admin.conf auth can-i '*' '*' --all-namespaces --quiet"),
  'curl --silent --fail --max-time 20 --cacert pki/ca.crt https://localhost:6443/version'
].join('\n');

// before kube-proxy is ready, the address leads out of the cluster
const servicesScript = [
  'cd /etc/kubernetes',
  "address=$(kubectl --kubeconfig admin.conf get service kubernetes --output 'jsonpath={.spec.clusterIP}') || exit",
  'case $address in *:*) address="[$address]";; esac',
  buildWaitLoop('curl --silent --fail --max-time 1 --cacert pki/ca.crt "https://$address/livez"')
].join('\n');

// kind imports its node's images with --no-unpack; containerd unpacks an image when it is first mounted
const buildUnpackScript = (names: string[], snapshotter: string): string =>
  [
    'unpack() {',
    '  local at; at=$(mktemp --directory)',
    `  ctr --namespace=k8s.io images mount --snapshotter=${snapshotter} "$1" "$at" &&`,
    '  ctr --namespace=k8s.io images unmount --rm "$at"',
    '  local code=$?; rmdir "$at"; return $code',
    '}',
    'images=$(ctr --namespace=k8s.io images list --quiet) code=0',
    `for name in ${names.join(' ')}; do`,
    '  unpack "$(grep --max-count=1 "/$name[-:]" <<<"$images")" || code=$?',
    'done',
    'exit $code'
  ].join('\n');

// in the order of need
const controlPlaneImages = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'];

// kindnet's CNI plugin is ptp, which waits for IPv6's duplicate address detection (containernetworking/plugins,
// pkg/ipam, SettleAddresses). That takes 2 s for every pod, although host-local gives out unique addresses. This plugin
// runs before ptp and turns the detection off, as the plugin bridge does. kind's node image contains jq and nsenter.
// libcni writes a plugin's input without spaces.
const installPluginLines = [
  "cat >/opt/cni/bin/skip-dad <<'END'",
  '#!/bin/bash',
  "read -rd '' config",
  `version='"cniVersion":"[^"]+"'`,
  '[[ $config =~ $version ]]',
  'at=/proc/sys/net/ipv6/conf',
  '[ "$CNI_COMMAND" != ADD ] || nsenter --net="$CNI_NETNS" tee $at/{all,default}/accept_dad <<<0 >&2',
  'echo "{$BASH_REMATCH}"',
  'END',
  'chmod 755 /opt/cni/bin/skip-dad'
];

// kindnetd writes its configuration 10 s after it starts, and until then no pod has a network. The content is known once
// the node has its pod CIDRs. Its template is that of kind 0.20 to 0.33 (cni.go of kindnetd). containerd reads the
// first file of the directory, so kindnetd's own file changes nothing. With several nodes, kindnetd also creates the
// routes between them at that time, so there we wait for it.
const writeNetworkLines = [
  'at_once() {',
  '  local cidrs turn',
  '  for turn in {1..100}; do',
  '    cidrs=$(kubectl --kubeconfig /etc/kubernetes/admin.conf get node "$HOSTNAME" --output \'jsonpath={.spec.podCIDRs[*]}\') || true',
  '    [ -z "$cidrs" ] || break',
  '    sleep 0.2',
  '  done',
  '  [ -n "$cidrs" ] &&',
  '  jq --null-input --argjson mtu "$(cat /sys/class/net/eth0/mtu)" \'{',
  '    cniVersion: "0.3.1", name: "kindnet",',
  '    plugins: [',
  '      {type: "skip-dad"},',
  '      {type: "ptp", ipMasq: false, mtu: $mtu, ipam: {',
  '        type: "host-local", dataDir: "/run/cni-ipam-state",',
  '        routes: [{dst: "0.0.0.0/0"}, {dst: "::/0"}],',
  '        ranges: [$ARGS.positional[] | [{subnet: .}]]',
  '      }},',
  '      {type: "portmap", capabilities: {portMappings: true}}',
  "    ]}' --args $cidrs >00-dual-stack.new &&",
  '  mv 00-dual-stack.new 00-dual-stack.conflist',
  '}',
  'if at_once; then exit; fi',
  'rm -f 00-dual-stack.new'
];

const patchNetworkLines = [
  "for turn in {1..300}; do ! compgen -G '*.conflist' >/dev/null || break; sleep 0.2; done",
  'for file in *.conflist; do',
  '  jq \'.plugins |= [{type: "skip-dad"}] + .\' "$file" >"$file.new"',
  '  mv "$file.new" "$file"',
  'done'
];

const buildNetworkScript = (single: boolean): string =>
  [
    'set -e; shopt -s failglob; cd /etc/cni/net.d',
    ...installPluginLines,
    ...(single ? writeNetworkLines : []),
    ...patchNetworkLines
  ].join('\n');

const getControlPlaneNode = ({name}: Cluster): string => `${name}-control-plane`;

const isControlPlaneNode = (node: string): boolean => /-control-plane\d*$/.test(node);

/** The command that runs a script in a node. Recordings identify the script by its name, $0, even after it changes. */
const buildNodeCommand = (node: string, name: string, script: string): string[] => [
  ...['docker', 'exec', node, 'bash', '-c', script, name]
];

/** Runs a command until it succeeds. Resolves to its standard output. */
export const waitForCommand = (
  command: string[],
  what: string,
  work: PhaseContext,
  sh: Sh
): Promise<string> =>
  pollUntil(work, async () => {
    const {code, stdout} = await sh(command, {seconds: 20});
    return code === 0 ? {is: 'done', value: stdout} : {is: 'waiting', for: what};
  });

/** Runs a waiting script inside a node, which is cheaper than polling from outside. */
const waitInNode = (
  node: string,
  name: string,
  script: string,
  what: string,
  work: PhaseContext,
  sh: Sh
) => waitForCommand(buildNodeCommand(node, name, script), `${what} in ${node}`, work, sh); // fails at once until the container exists

/** Waits until every node's containerd responds, which is long before kubeadm is done. */
export async function waitForContainerd(
  {nodes}: Cluster,
  work: PhaseContext,
  sh: Sh
): Promise<void> {
  for (const node of nodes)
    await waitInNode(node, 'containerd', containerdScript, 'containerd', work, sh);
}

/** Waits until the API server accepts us as administrator, which is before kind is done. Resolves to its version, such as `v1.34.4`. */
export async function waitForApiServer(
  cluster: Cluster,
  work: PhaseContext,
  sh: Sh
): Promise<string> {
  const node = getControlPlaneNode(cluster);
  await waitInNode(node, 'kubeconfig', kubeconfigScript, 'the kubeconfig', work, sh);
  const command = ['kind', 'get', 'kubeconfig', '--name', cluster.name];
  const kubeconfig = await waitForCommand(command, 'the kubeconfig', work, sh);
  await replaceFile(cluster.kubeconfig, kubeconfig, 0o600);
  const version = await waitInNode(node, 'api', apiServerScript, 'the API server', work, sh);
  return parseServerVersion(version);
}

/** The version in the answer of an API server, checked because it goes into names, outputs and commands. Throws a Fault. */
function parseServerVersion(answer: string): string {
  const [, version] = /"gitVersion": ?"(v\d+\.\d+\.\d+[\w.+-]{0,100})"/.exec(answer) ?? [];
  if (version !== undefined) return version;
  throw new Fault(`the API server reports no version: ${answer.slice(0, 200)}`, {
    class: 'infrastructure',
    layer: 'node',
    hint: 'Check that `node-image` is a node image of kind.'
  });
}

/** Waits until Services work on the node: pods connect to the API server's Service first. */
export async function waitForServices(cluster: Cluster, work: PhaseContext, sh: Sh): Promise<void> {
  await waitInNode(
    getControlPlaneNode(cluster),
    'services',
    servicesScript,
    "the API server's Service",
    work,
    sh
  );
}

/** Unpacks Kubernetes' images before its pods start, because everything else depends on these pods. */
export const unpackImages = (
  cluster: Cluster,
  snapshotter: string,
  work: PhaseContext,
  sh: Sh
): Promise<void> =>
  optimizeNodes(
    cluster,
    'unpack',
    node =>
      buildUnpackScript(
        [...(isControlPlaneNode(node) ? controlPlaneImages : []), 'kube-proxy'],
        snapshotter
      ),
    "Kubernetes' images are unpacked later",
    work,
    sh
  );

/** Configures the pod network as soon as its CIDRs are known, without IPv6's duplicate address detection. */
export const optimizePodNetwork = (cluster: Cluster, work: PhaseContext, sh: Sh): Promise<void> =>
  optimizeNodes(
    cluster,
    'pod-network',
    () => buildNetworkScript(cluster.nodes.length === 1),
    "pods wait for kindnetd, and for IPv6's duplicate address detection",
    work,
    sh
  );

/** Runs an optimization in every node. A failure only logs its consequence, `otherwise`. */
async function optimizeNodes(
  {nodes}: Cluster,
  name: string,
  script: (node: string) => string,
  otherwise: string,
  work: PhaseContext,
  sh: Sh
): Promise<void> {
  const outputs = await Promise.all(
    nodes.map(node => sh(buildNodeCommand(node, name, script(node)), {seconds: 120}))
  );
  const failed: CommandOutput | undefined = outputs.find(({code}) => code !== 0);
  if (failed)
    logLine(
      work.clock(),
      'node',
      `${otherwise}: ${toSingleLine(failed.stderr.trim().slice(-200))}`
    );
}

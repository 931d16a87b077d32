import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import {Fault} from '../fault.ts';
import {badInput} from '../inputs.ts';
import type {Plan} from '../plan.ts';
import type {Work} from '../schedule.ts';
import {CommandError, must, type Sh} from '../sh.ts';
import {until} from '../wait.ts';

type Cluster = Plan['cluster'];

export const createCommand = ({cluster, directory}: Plan): string[] => [
  ...['kind', 'create', 'cluster', '--name', cluster.name, '--image', cluster.image],
  ...[
    '--config',
    path.join(directory, 'kind.yaml'),
    '--kubeconfig',
    `${cluster.kubeconfig}.kind`,
    '--wait',
    '0s'
  ]
];

export const deleteCommand = (name: string, kubeconfig: string): string[] => [
  'kind',
  'delete',
  'cluster',
  '--name',
  name,
  '--kubeconfig',
  kubeconfig
];

/** Throws a Fault when a cluster of that name exists: it is somebody else's. */
export async function refuseTaken(name: string, sh: Sh): Promise<void> {
  const clusters = (await must(sh, ['kind', 'get', 'clusters'], {seconds: 60})).split('\n');
  if (clusters.includes(name)) throw taken(name);
}

const taken = (name: string): Fault =>
  badInput(
    `cluster-name: found "${name}", a kind cluster that exists already and is not this run's; accepted is a name that is free (\`kind delete cluster --name ${name}\` frees this one)`
  );

/** Makes the cluster. `refused` is called when kind would not, because the name is taken. */
export async function createCluster(plan: Plan, sh: Sh, refused: () => void): Promise<void> {
  const output = await sh(createCommand(plan), {seconds: 900});
  if (output.code === 0) return;
  if (/already exist/.test(output.stderr)) {
    refused();
    throw taken(plan.cluster.name);
  }
  throw (
    createFault(output.stderr, plan.cluster.name) ?? new CommandError(createCommand(plan), output)
  );
}

function createFault(said: string, name: string): Fault | null {
  const message =
    said.split('\n').find(line => line.startsWith('ERROR')) ?? said.trim().slice(-500);
  const hint = /IPv6 address/.test(said)
    ? 'The `kind` network has no IPv6: remove it (`docker network rm kind`) or let Docker do IPv6.'
    : /pull|manifest|No such image/i.test(said)
      ? 'See `node-image`: it must be in the local Docker or in a registry that this runner reaches.'
      : 'See the rest of what kind said in the log; memory, disk and inotify limits are the usual causes.';
  return new Fault(`kind could not make the cluster ${name}: ${message}`, {
    class: 'infrastructure',
    layer: 'node',
    hint,
    reproduce: `kind create cluster --name ${name} --retain`
  });
}

/** A bash script that ends when a command has succeeded. */
const once = (command: string): string => `until ${command}; do sleep 0.1; done`;

const containerdUp = once('[ -S /run/containerd/containerd.sock ]');
const kubeconfigs = once('[ -s /etc/kubernetes/scheduler.conf ]'); // the last one that kubeadm writes

// kubeadm binds our role as soon as all is healthy; what we ask for earlier would only make that later
const letIn = [
  'cd /etc/kubernetes',
  once('curl --silent --fail --max-time 5 --cacert pki/ca.crt https://localhost:6443/livez'),
  once("kubectl --kubeconfig admin.conf auth can-i '*' '*' --all-namespaces --quiet")
].join('\n');

// without a proxy the address leads out of the cluster, where somebody may answer, or nobody
const serve = [
  'cd /etc/kubernetes',
  "address=$(kubectl --kubeconfig admin.conf get service kubernetes --output 'jsonpath={.spec.clusterIP}') || exit",
  'case $address in *:*) address="[$address]";; esac',
  once('curl --silent --fail --max-time 1 --cacert pki/ca.crt "https://$address/livez"')
].join('\n');

/** Waits until every node's containerd answers, which is long before kubeadm is done. */
export async function untilContainerd({nodes}: Cluster, work: Work, sh: Sh): Promise<void> {
  for (const node of nodes) await untilInNode(node, containerdUp, 'containerd', work, sh);
}

/** Runs a command until it succeeds. Its standard output. */
const untilSucceeds = (command: string[], what: string, work: Work, sh: Sh): Promise<string> =>
  until(work, async () => {
    const {code, stdout} = await sh(command, {seconds: 20});
    return code === 0 ? {is: 'done', value: stdout} : {is: 'waiting', for: what};
  });

/** Waits inside a node for what a script waits for: cheaper than to ask from outside again and again. */
const untilInNode = (node: string, script: string, what: string, work: Work, sh: Sh) =>
  untilSucceeds(['docker', 'exec', node, 'bash', '-c', script], `${what} in ${node}`, work, sh); // fails at once while there is no such container

const controlPlane = ({name}: Cluster): string => `${name}-control-plane`;

/** Waits until the API server answers us as an administrator, which is before kind is done. */
export async function untilApi(cluster: Cluster, work: Work, sh: Sh): Promise<void> {
  const node = controlPlane(cluster);
  await untilInNode(node, kubeconfigs, 'the kubeconfig', work, sh);
  const command = ['kind', 'get', 'kubeconfig', '--name', cluster.name];
  const kubeconfig = await untilSucceeds(command, 'the kubeconfig', work, sh);
  await fs.writeFile(cluster.kubeconfig, kubeconfig, {mode: 0o600});
  await untilInNode(node, letIn, 'the API server', work, sh);
}

export async function serverVersion(sh: Sh): Promise<string> {
  const version = JSON.parse(await must(sh, ['kubectl', 'get', '--raw', '/version'])) as {
    gitVersion: string;
  };
  return version.gitVersion;
}

/** Waits until Services work on the node: the first thing that a pod wants is the API server's. */
export async function untilServices(cluster: Cluster, work: Work, sh: Sh): Promise<void> {
  await untilInNode(controlPlane(cluster), serve, "the API server's Service", work, sh);
}

/** Keeps pods off the node, until `uncordon`; the node may have to be registered first. */
export async function cordon(cluster: Cluster, work: Work, sh: Sh): Promise<void> {
  const command = ['kubectl', 'cordon', controlPlane(cluster)];
  await untilSucceeds(command, 'the node to be registered', work, sh);
}

export async function uncordon(cluster: Cluster, sh: Sh): Promise<void> {
  await must(sh, ['kubectl', 'uncordon', controlPlane(cluster)], {seconds: 30});
}

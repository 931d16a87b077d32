/** Creates the kind cluster, and explains why kind or Docker could not. */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import {createInputFault, Fault, type FaultAttribution} from '../base/fault.ts';
import {isPermanentPullFailure} from '../base/image-pull.ts';
import {logLine} from '../base/log.ts';
import type {PhaseContext} from '../base/schedule.ts';
import {type CommandOutput, runJson, runOrThrow, type Sh} from '../base/sh.ts';
import {
  buildNetworkCommand,
  getNetworkName,
  ip6tablesModules,
  parseSubnets
} from '../manifests/kind.ts';
import type {Plan} from '../plan/plan.ts';
import type {PostState} from '../plan/state.ts';
import {waitForCommand} from './prepare-node.ts';

type Cluster = Plan['cluster'];

export const buildCreateClusterCommand = ({cluster, directory}: Plan): string[] => [
  ...['kind', 'create', 'cluster', '--name', cluster.name],
  ...(cluster.image === null ? [] : ['--image', cluster.image]),
  ...[
    '--config',
    path.join(directory, 'kind.yaml'),
    '--kubeconfig',
    `${cluster.kubeconfig}.kind`,
    '--wait',
    '0s'
  ]
];

export const buildDeleteClusterCommand = (name: string, kubeconfig: string): string[] => [
  'kind',
  'delete',
  'cluster',
  '--name',
  name,
  '--kubeconfig',
  kubeconfig
];

/** Ids of the containers of a cluster, by kind's label. Throws CommandError. */
export async function listContainers(name: string, sh: Sh): Promise<string[]> {
  const filter = `label=io.x-k8s.kind.cluster=${name}`;
  const command = ['docker', 'ps', '--all', '--no-trunc', '--quiet', '--filter', filter];
  return (await runOrThrow(sh, command, {seconds: 60})).split('\n').filter(Boolean);
}

/** Docker's error messages when it does not run. */
export const dockerUnavailablePattern = /Cannot connect to the Docker daemon|error during connect/i;

/** How a node ended since `since`, in milliseconds since 1970: a sentence; null if all have run since, or if that is unknown. */
export async function describeLostNode(
  nodes: string[],
  since: number,
  sh: Sh
): Promise<string | null> {
  const command = ['docker', 'inspect', '--format', '{{.State.Status}} {{.State.StartedAt}}'];
  const {code, stdout, stderr} = await sh([...command, ...nodes], {seconds: 20});
  if (dockerUnavailablePattern.test(stderr)) return 'Docker no longer responds';
  const [, gone] = /No such (?:object|container): (\S+)/i.exec(stderr) ?? [];
  if (gone !== undefined) return `The container of ${gone} was removed during the run`;
  if (code !== 0) return null;
  for (const [at, line] of stdout.trim().split('\n').entries()) {
    const [status = '', started = ''] = line.split(' ');
    if (status !== '' && status !== 'running')
      return `The container of ${nodes[at]} is ${status} instead of running`;
    if (Date.parse(started) > since)
      return `The container of ${nodes[at]} was restarted during the run`;
  }
  return null;
}

/**
 * Throws a Fault if a cluster of that name exists: this run did not create it. Resolves to the clusters with names that
 * this Action generates, which belong to an active run or to an interrupted one.
 */
export async function refuseTakenClusterName(name: string, sh: Sh): Promise<string[]> {
  const clusters = (await runOrThrow(sh, ['kind', 'get', 'clusters'], {seconds: 60})).split('\n');
  if (clusters.includes(name)) throw createNameTakenFault(name);
  return clusters.filter(other => /^istio-ds(-[0-9a-f]{8})?$/.test(other));
}

/** A log line about such clusters; null if there is none. */
export const describeLeftoverClusters = (names: string[]): string | null =>
  names.length === 0
    ? null
    : `existing clusters: ${names.join(', ')}. If no other run is active, an interrupted one left them: \`kind delete clusters ${names.join(' ')}\` frees their memory`;

const createNameTakenFault = (name: string): Fault =>
  createInputFault(
    `Invalid \`cluster-name\` "${name}": a kind cluster of that name exists, and this run did not create it. Set another name. If nobody needs the cluster, \`kind delete cluster --name ${name}\` frees the name`
  );

/** Throws a Fault if Docker uses cgroup v1 and the chosen Kubernetes cannot start there: kubeadm would wait 4 minutes for it. */
export async function refuseCgroup1({kubernetes, needsCgroup2}: Cluster, sh: Sh): Promise<void> {
  if (!needsCgroup2) return;
  const command = ['docker', 'info', '--format', '{{json .}}'];
  const info = (await runJson(sh, command, {seconds: 20})) as {CgroupVersion?: string} | null;
  if (info?.CgroupVersion !== '1') return;
  throw createInputFault(
    `Invalid \`kubernetes-version\` "${kubernetes}": it does not start on cgroup v1, which Docker uses here. Expected \`1.34\` or older, a \`kind-config\` whose kubelet has \`failCgroupV1: false\`, or a runner with cgroup v2`
  );
}

/** Creates the cluster. Saves for post whether the name was taken, or kind failed and creates no more containers. Throws a Fault. */
export async function createCluster(
  plan: Plan,
  work: PhaseContext,
  sh: Sh,
  save: (change: Partial<PostState>) => void
): Promise<void> {
  const {code, stderr} = await runKindCreate(plan, work, sh);
  if (code === 0) return;
  if (/already exist/.test(stderr)) {
    save({cluster: null});
    throw createNameTakenFault(plan.cluster.name);
  }
  if (code === kindFailureCode)
    save({made: true, containers: await listContainers(plan.cluster.name, sh).catch(() => null)});
  throw (await findNetworkFault(stderr, sh)) ?? createKindFault(stderr, plan.cluster);
}

/** kind's exit code for its own failures; a signal gives another. */
const kindFailureCode = 1;

// Docker Desktop shares only some directories; an engine in a snap, a virtual machine or a container sees other files
const mountRefusedPattern =
  /mounts denied|not shared from the host|directory sharing|error while creating mount source path|bind source path does not exist/i;

/** Runs kind; if Docker refuses our mount, an optimization, runs it again without. */
async function runKindCreate(plan: Plan, work: PhaseContext, sh: Sh): Promise<CommandOutput> {
  const output = await sh(buildCreateClusterCommand(plan), {seconds: 900});
  const unmounted = plan.files['kind.yaml'];
  if (output.code === 0 || !mountRefusedPattern.test(output.stderr) || unmounted === undefined)
    return output;
  logLine(
    work.clock(),
    'cluster',
    `Docker refuses to mount ${plan.directory}: the nodes get images through a pipe, which is slower`
  );
  await fs.writeFile(path.join(plan.directory, 'kind.yaml'), unmounted, {mode: 0o600});
  return sh(buildCreateClusterCommand(plan), {seconds: 900});
}

/** The Fault of kind's network; null if it is not the cause. Without IPv6 in Docker, kind silently creates an IPv4-only network. */
async function findNetworkFault(stderr: string, sh: Sh): Promise<Fault | null> {
  if (/ip6?tables/.test(stderr) && /network create|docker network/.test(stderr))
    return new Fault(
      `kind could not create its network ${getNetworkName()}: ${findErrorLine(stderr)} ${stderr.match(/^.*ip6?tables.*$/m)?.[0] ?? ''}`,
      {
        class: 'infrastructure',
        layer: 'network',
        hint: `Docker could not set up ip6tables. ${loadModulesHint}`,
        reproduce: 'ip6tables --table nat --list-rules'
      }
    );
  if (!/IPv6 address/.test(stderr)) return null;
  const {stdout} = await sh(buildNetworkCommand(), {seconds: 20});
  return new Fault(
    `kind created its network ${getNetworkName()} without IPv6: it has only ${describeSubnets(stdout)}`,
    {
      class: 'infrastructure',
      layer: 'network',
      hint: `Docker has no IPv6 here, so kind created a network without it. Check Docker's log, and whether its configuration turns \`ip6tables\` off. ${loadModulesHint} Then remove the network: \`docker network rm ${getNetworkName()}\`.`,
      reproduce: buildNetworkCommand().join(' ')
    }
  );
}

const loadModulesHint = `The kernel may lack modules: \`modprobe --all ${ip6tablesModules}\` loads them.`;

const describeSubnets = (output: string): string =>
  output.trim() === '' ? 'unknown subnets' : parseSubnets(output).join(', ') || 'no subnet';

const findErrorLine = (stderr: string): string =>
  stderr.split('\n').find(line => line.startsWith('ERROR')) ?? stderr.trim().slice(-500);

function createKindFault(stderr: string, {name, imageInput}: Cluster): Fault {
  return new Fault(`kind could not create the cluster ${name}: ${findErrorLine(stderr)}`, {
    ...attributeCreateFailure(stderr, imageInput),
    layer: 'node',
    reproduce: `kind create cluster --name ${name} --retain`
  });
}

function attributeCreateFailure(
  stderr: string,
  imageInput: Cluster['imageInput']
): Omit<FaultAttribution, 'layer'> {
  const infrastructure = {class: 'infrastructure'} as const;
  // docker exec reports these for a container that has ended
  if (/exit status 126|is not running|No such container/.test(stderr))
    return {
      ...infrastructure,
      hint: "The node's container ended while kind created the cluster. Check its `docker logs`, the memory and disk of this machine, and other jobs that remove containers.",
      headline: 'The node’s container ended while the cluster was created'
    };
  const [, image] = /failed to pull image "([^"]+)"/.exec(stderr) ?? [];
  if (image === undefined)
    return {
      ...infrastructure,
      hint: 'Read the output of kind in the log. Memory, disk and inotify limits are the usual causes.'
    };
  const headline = `The node image ${image} cannot be pulled`;
  return imageInput !== null && isPermanentPullFailure(stderr)
    ? {
        class: 'input',
        hint: `Docker does not have this image, and its registry does not serve it. Check \`${imageInput}\`, which names it. Build the image before this step, or run \`docker login\` if it needs one.`,
        headline
      }
    : {
        ...infrastructure,
        hint: 'Docker cannot pull the node image. Check that this runner reaches its registry, and the rate limit. `node-image` sets another image; Docker does not pull one that it has.',
        headline
      };
}

/** Keeps pods off every node until `uncordon`. Waits until the nodes are registered. */
export async function cordon({nodes}: Cluster, work: PhaseContext, sh: Sh): Promise<void> {
  const what = nodes.length === 1 ? 'the node to be registered' : 'the nodes to be registered';
  await waitForCommand(['kubectl', 'cordon', ...nodes], what, work, sh);
}

export async function uncordon({nodes}: Cluster, sh: Sh): Promise<void> {
  await runOrThrow(sh, ['kubectl', 'uncordon', ...nodes], {seconds: 30});
}

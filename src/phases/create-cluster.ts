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

/** Ids of the containers of a cluster, by kind's own label. Throws CommandError. */
export async function listContainers(name: string, sh: Sh): Promise<string[]> {
  const filter = `label=io.x-k8s.kind.cluster=${name}`;
  const command = ['docker', 'ps', '--all', '--no-trunc', '--quiet', '--filter', filter];
  return (await runOrThrow(sh, command, {seconds: 60})).split('\n').filter(Boolean);
}

/** Docker's own words when it does not run. */
export const dockerUnavailablePattern = /Cannot connect to the Docker daemon|error during connect/i;

/** What became of nodes that ran at a time, in milliseconds since 1970: a sentence; null where they have run ever since, or nobody can tell. */
export async function describeLostNode(
  nodes: string[],
  since: number,
  sh: Sh
): Promise<string | null> {
  const command = ['docker', 'inspect', '--format', '{{.State.Status}} {{.State.StartedAt}}'];
  const {code, stdout, stderr} = await sh([...command, ...nodes], {seconds: 20});
  if (dockerUnavailablePattern.test(stderr)) return 'Docker does not answer any more';
  const [, gone] = /No such (?:object|container): (\S+)/i.exec(stderr) ?? [];
  if (gone !== undefined) return `The container of ${gone} was removed in the middle of the run`;
  if (code !== 0) return null;
  for (const [at, line] of stdout.trim().split('\n').entries()) {
    const [status = '', started = ''] = line.split(' ');
    if (status !== '' && status !== 'running')
      return `The container of ${nodes[at]} is ${status} instead of running`;
    if (Date.parse(started) > since)
      return `The container of ${nodes[at]} ended, and was started anew, in the middle of the run`;
  }
  return null;
}

/**
 * Throws a Fault when a cluster of that name exists: it is somebody else's. Gives those that have names as this Action makes
 * them up: another run's that is under way, or was cut off without its post.
 */
export async function refuseTakenClusterName(name: string, sh: Sh): Promise<string[]> {
  const clusters = (await runOrThrow(sh, ['kind', 'get', 'clusters'], {seconds: 60})).split('\n');
  if (clusters.includes(name)) throw createNameTakenFault(name);
  return clusters.filter(other => /^istio-ds(-[0-9a-f]{8})?$/.test(other));
}

/** What is to be known of such clusters; null where there is none. */
export const describeLeftoverClusters = (names: string[]): string | null =>
  names.length === 0
    ? null
    : `here already: ${names.join(', ')}; where no other run is under way, one was cut off and left it: \`kind delete clusters ${names.join(' ')}\` frees its memory`;

const createNameTakenFault = (name: string): Fault =>
  createInputFault(
    `cluster-name: found "${name}", a kind cluster that exists already and is not this run's; accepted is a name that is free (\`kind delete cluster --name ${name}\` frees this one)`
  );

/** Throws a Fault where Docker has cgroup v1, and the Kubernetes that we chose does not start there: kubeadm would wait for it for 4 minutes. */
export async function refuseCgroup1({kubernetes, needsCgroup2}: Cluster, sh: Sh): Promise<void> {
  if (!needsCgroup2) return;
  const command = ['docker', 'info', '--format', '{{json .}}'];
  const info = (await runJson(sh, command, {seconds: 20})) as {CgroupVersion?: string} | null;
  if (info?.CgroupVersion !== '1') return;
  throw createInputFault(
    `kubernetes-version: found ${kubernetes}, which does not start on cgroup v1, and Docker has no other here; accepted is \`1.34\` or older, a \`kind-config\` whose kubelet has \`failCgroupV1: false\`, or a runner with cgroup v2`
  );
}

/** Makes the cluster. Post is told where kind would not, because the name is taken, and where it failed, after which it makes no more. */
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

/** kind's exit code where it has not been ended by somebody else. */
const kindFailureCode = 1;

// Docker Desktop shares some directories only; an engine in a snap, a virtual machine or a container of its own sees others
const mountRefusedPattern =
  /mounts denied|not shared from the host|directory sharing|error while creating mount source path|bind source path does not exist/i;

/** Has kind make it: without our mount, which only saves time, where Docker refuses that. */
async function runKindCreate(plan: Plan, work: PhaseContext, sh: Sh): Promise<CommandOutput> {
  const output = await sh(buildCreateClusterCommand(plan), {seconds: 900});
  const unmounted = plan.files['kind.yaml'];
  if (output.code === 0 || !mountRefusedPattern.test(output.stderr) || unmounted === undefined)
    return output;
  logLine(
    work.clock(),
    'cluster',
    `Docker does not mount ${plan.directory}: the nodes get images through a pipe, which takes longer`
  );
  await fs.writeFile(path.join(plan.directory, 'kind.yaml'), unmounted, {mode: 0o600});
  return sh(buildCreateClusterCommand(plan), {seconds: 900});
}

/** What kind found out of its network only when it had made it: where Docker cannot do IPv6, it makes one without, and says nothing. */
async function findNetworkFault(stderr: string, sh: Sh): Promise<Fault | null> {
  if (/ip6?tables/.test(stderr) && /network create|docker network/.test(stderr))
    return new Fault(
      `kind could not make its network ${getNetworkName()}: ${findErrorLine(stderr)} ${stderr.match(/^.*ip6?tables.*$/m)?.[0] ?? ''}`,
      {
        class: 'infrastructure',
        layer: 'network',
        hint: `Docker could not set up ip6tables: ${loadModulesHint}`,
        reproduce: 'ip6tables --table nat --list-rules'
      }
    );
  if (!/IPv6 address/.test(stderr)) return null;
  const {stdout} = await sh(buildNetworkCommand(), {seconds: 20});
  return new Fault(
    `kind made its network ${getNetworkName()} without IPv6: it has only ${describeSubnets(stdout)}`,
    {
      class: 'infrastructure',
      layer: 'network',
      hint: `Docker cannot do IPv6 here, and kind went on without: see Docker's log, and whether its configuration has \`ip6tables\` off; ${loadModulesHint} Then remove the network (\`docker network rm ${getNetworkName()}\`).`,
      reproduce: buildNetworkCommand().join(' ')
    }
  );
}

const loadModulesHint = `the kernel may lack modules, which \`modprobe --all ${ip6tablesModules}\` loads.`;

const describeSubnets = (output: string): string =>
  output.trim() === ''
    ? 'what Docker does not tell'
    : parseSubnets(output).join(', ') || 'no subnet';

const findErrorLine = (stderr: string): string =>
  stderr.split('\n').find(line => line.startsWith('ERROR')) ?? stderr.trim().slice(-500);

function createKindFault(stderr: string, {name, imageInput}: Cluster): Fault {
  return new Fault(`kind could not make the cluster ${name}: ${findErrorLine(stderr)}`, {
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
  // what docker exec says of a container that has ended
  if (/exit status 126|is not running|No such container/.test(stderr))
    return {
      ...infrastructure,
      hint: "The node's container ended while kind was at work: see `docker logs` of it, the memory and disk of this machine, and who else ends containers here.",
      headline: 'The node’s container ended while the cluster was made'
    };
  const [, image] = /failed to pull image "([^"]+)"/.exec(stderr) ?? [];
  if (image === undefined)
    return {
      ...infrastructure,
      hint: 'See the rest of what kind said in the log; memory, disk and inotify limits are the usual causes.'
    };
  const headline = `The node image ${image} cannot be pulled`;
  return imageInput !== null && isPermanentPullFailure(stderr)
    ? {
        class: 'input',
        hint: `No registry gives this image to Docker, and it is not there already: see \`${imageInput}\`, which names it; whether it is to be built before this step; and whether it needs a \`docker login\`.`,
        headline
      }
    : {
        ...infrastructure,
        hint: 'Docker cannot pull the node image: see whether this runner reaches its registry, and its rate limit. With `node-image` it is another one, and what the local Docker has is not pulled.',
        headline
      };
}

/** Keeps pods off every node, until `uncordon`; the nodes may have to be registered first. */
export async function cordon({nodes}: Cluster, work: PhaseContext, sh: Sh): Promise<void> {
  const what = nodes.length === 1 ? 'the node to be registered' : 'the nodes to be registered';
  await waitForCommand(['kubectl', 'cordon', ...nodes], what, work, sh);
}

export async function uncordon({nodes}: Cluster, sh: Sh): Promise<void> {
  await runOrThrow(sh, ['kubectl', 'uncordon', ...nodes], {seconds: 30});
}

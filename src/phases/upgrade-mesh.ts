/** Upgrades Istio by the operator, and restarts the workloads with a proxy. */
import {
  checkForPodProblems,
  type Deployment,
  type Istio,
  type KubeObject,
  listObjects,
  type Pod,
  waitWithKubectl
} from '../base/kube.ts';
import type {PhaseContext} from '../base/schedule.ts';
import {runOrThrow, type Sh} from '../base/sh.ts';
import {type PollResult, pollUntil} from '../base/wait.ts';
import type {Workload} from '../manifests/extra-sample.ts';
import {istioNamespace} from '../manifests/istio-resources.ts';
import {findImageOwner, type Plan, type Upgrade} from '../plan/plan.ts';
import {buildAppSelector} from './deploy-samples.ts';
import {applyOnceServed, checkForIstioProblems, waitUntilHealthy} from './mesh.ts';

/** A revision that the operator creates from the Istio resource: one for each version, or one for all. */
interface Revision {
  kind: 'IstioRevision';
  metadata: {name: string; generation: number};
  spec: {version?: string};
  status?: {observedGeneration?: number};
}

const kinds = 'istios.sailoperator.io,istiorevisions.sailoperator.io,deployments,pods';

/** Upgrades Istio, and waits until only the new istiod serves. Resolves to the version of the Istio resource. Throws a Fault. */
export async function upgradeMesh(
  plan: Plan,
  upgrade: Upgrade,
  work: PhaseContext,
  sh: Sh
): Promise<string> {
  await applyOnceServed(plan, 'upgrade.yaml', work, sh);
  await pollUntil(work, async () => pollUpgrade(plan, upgrade, sh));
  const version = await waitUntilHealthy(work, sh);
  await waitForRevisionTag(upgrade.strategy, upgrade.revisions[1], work, sh);
  return version;
}

/** Polls the revision and istiod too: the operator reports the Istio resource as Healthy when the upgrade has only begun. */
async function pollUpgrade(
  plan: Plan,
  {to, revisions, istio}: Upgrade,
  sh: Sh
): Promise<PollResult<undefined>> {
  const objects = await listObjects<Istio | Revision | Deployment | Pod>(
    sh,
    kinds,
    '-n',
    istioNamespace
  );
  const revision = objects
    .filter(object => object.kind === 'IstioRevision')
    .find(({metadata}) => metadata.name === revisions[1]);
  const istiod = objects
    .filter(object => object.kind === 'Deployment')
    .find(({metadata}) => metadata.name === istio.istiod);
  const isReconciled =
    revision?.spec.version === to &&
    revision.status?.observedGeneration === revision.metadata.generation;
  if (isReconciled && istiod && isRolledOut(istiod)) return {is: 'done', value: undefined};
  return (
    checkForIstioProblems(objects.find(object => object.kind === 'Istio')) ??
    checkForPodProblems(
      objects.filter(object => object.kind === 'Pod'),
      {class: 'istio', layer: 'control-plane', findOwner: image => findImageOwner(plan, image)}
    ) ?? {
      is: 'waiting',
      for: isReconciled
        ? `istiod ${to} to replace the old istiod`
        : `the operator to start the upgrade to ${to}`
    }
  );
}

/** Whether every pod has the newest template and is available, and no older pod is left. */
const isRolledOut = ({metadata, spec, status}: Deployment): boolean =>
  status.observedGeneration === metadata.generation &&
  [status.replicas, status.updatedReplicas, status.availableReplicas].every(
    count => count === spec.replicas
  );

/** Waits until the revision tag, which namespaces refer to, points to this revision. Does nothing for an in-place upgrade. */
export async function waitForRevisionTag(
  strategy: Upgrade['strategy'],
  revision: string,
  work: PhaseContext,
  sh: Sh
): Promise<void> {
  if (strategy === 'InPlace') return;
  const tagged = [
    'istiorevisiontags.sailoperator.io',
    '--all',
    `--for=jsonpath={.status.istioRevision}=${revision}`
  ];
  await pollUntil(work, async () =>
    (await waitWithKubectl(sh, tagged))
      ? {is: 'done', value: undefined}
      : {is: 'waiting', for: `the revision tag to point to ${revision}`}
  );
}

/** The workloads whose pods have a sidecar, which keeps its version until they restart. */
export const filterProxied = (workloads: Workload[], snapshot: KubeObject[]): Workload[] =>
  workloads.filter(({namespace, app}) =>
    snapshot.some(
      object =>
        object.kind === 'Pod' &&
        object.metadata.namespace === namespace &&
        object.metadata.labels?.app === app &&
        [...(object.spec.initContainers ?? []), ...object.spec.containers].some(
          ({name}) => name === 'istio-proxy'
        )
    )
  );

const buildRolloutCommand = (verb: string, {namespace, kind, name}: Workload): string[] => [
  ...['kubectl', 'rollout', verb, `${kind.toLowerCase()}/${name}`, '--namespace', namespace]
];

const buildRestartCommand = (workload: Workload): string[] =>
  buildRolloutCommand('restart', workload);

/** Restarts workloads in parallel, and waits until no old pod is left. Throws a Fault or CommandError. */
export async function restartWorkloads(
  workloads: Workload[],
  work: PhaseContext,
  sh: Sh
): Promise<void> {
  await Promise.all(workloads.map(one => runOrThrow(sh, buildRestartCommand(one), {seconds: 30})));
  for (const workload of workloads) await pollUntil(work, () => pollRollout(workload, sh));
  await pollUntil(work, async () => {
    const pods = await listObjects<Pod>(sh, 'pods', '-A', '-l', buildAppSelector(workloads));
    const terminatingPods = pods.filter(({metadata}) => metadata.deletionTimestamp !== undefined);
    return terminatingPods.length === 0
      ? {is: 'done', value: undefined}
      : {is: 'waiting', for: 'the old pods to end'};
  });
}

async function pollRollout(workload: Workload, sh: Sh): Promise<PollResult<undefined>> {
  const {namespace, name} = workload;
  const {code} = await sh([...buildRolloutCommand('status', workload), '--timeout=4s'], {
    seconds: 20
  });
  if (code === 0) return {is: 'done', value: undefined};
  const pods = await listObjects<Pod>(sh, 'pods', '-n', namespace);
  return (
    checkForPodProblems(pods, {class: 'istio', layer: 'workload'}) ?? {
      is: 'waiting',
      for: `${namespace}/${name} to restart`
    }
  );
}

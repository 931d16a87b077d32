import {
  checkForPodProblems,
  type Deployment,
  type Istio,
  type KubeObject,
  listObjects,
  type Pod,
  waitWithKubectl
} from '../base/kube.ts';
import type {Work} from '../base/schedule.ts';
import {runOrThrow, type Sh} from '../base/sh.ts';
import {type PollResult, pollUntil} from '../base/wait.ts';
import type {Workload} from '../manifests/extra-sample.ts';
import {istioNamespace} from '../manifests/istio-resources.ts';
import {findImageOwner, type Plan, type Upgrade} from '../plan/plan.ts';
import {selectorOf} from './deploy-samples.ts';
import {applyOnceServed, lookAtConditions, untilHealthy} from './mesh.ts';

/** What the operator makes of the Istio resource, for one version of it or for all. */
interface Revision {
  kind: 'IstioRevision';
  metadata: {name: string; generation: number};
  spec: {version?: string};
  status?: {observedGeneration?: number};
}

const kinds = 'istios.sailoperator.io,istiorevisions.sailoperator.io,deployments,pods';

/** Has the operator upgrade, and waits until the new istiod is all that serves. Resolves to the version that is asked for now. */
export async function upgradeMesh(
  plan: Plan,
  upgrade: Upgrade,
  work: Work,
  sh: Sh
): Promise<string> {
  await applyOnceServed(plan, 'upgrade.yaml', work, sh);
  await pollUntil(work, async () => lookAtUpgrade(plan, upgrade, sh));
  const version = await untilHealthy(work, sh);
  await untilTagged(upgrade.strategy, upgrade.revisions[1], work, sh);
  return version;
}

/** The Istio resource alone would not do: the operator calls it Healthy while it has only begun. */
async function lookAtUpgrade(
  plan: Plan,
  {to, revisions, istio}: Upgrade,
  sh: Sh
): Promise<PollResult<undefined>> {
  const things = await listObjects<Istio | Revision | Deployment | Pod>(
    sh,
    kinds,
    '-n',
    istioNamespace
  );
  const revision = things
    .filter(thing => thing.kind === 'IstioRevision')
    .find(({metadata}) => metadata.name === revisions[1]);
  const istiod = things
    .filter(thing => thing.kind === 'Deployment')
    .find(({metadata}) => metadata.name === istio.istiod);
  const told =
    revision?.spec.version === to &&
    revision.status?.observedGeneration === revision.metadata.generation;
  if (told && istiod && isRolledOut(istiod)) return {is: 'done', value: undefined};
  return (
    lookAtConditions(things.find(thing => thing.kind === 'Istio')) ??
    checkForPodProblems(
      things.filter(thing => thing.kind === 'Pod'),
      {class: 'istio', layer: 'control-plane', findOwner: image => findImageOwner(plan, image)}
    ) ?? {
      is: 'waiting',
      for: told ? `istiod ${to} to be all that serves` : `the operator to take ${to} up`
    }
  );
}

/** Every pod is of the newest template, available, and there is no other. */
const isRolledOut = ({metadata, spec, status}: Deployment): boolean =>
  status.observedGeneration === metadata.generation &&
  [status.replicas, status.updatedReplicas, status.availableReplicas].every(
    count => count === spec.replicas
  );

/** Where namespaces name a tag instead of a revision: waits until it stands for this one, and its webhook injects by it. */
export async function untilTagged(
  strategy: Upgrade['strategy'],
  revision: string,
  work: Work,
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
      : {is: 'waiting', for: `the revision tag to stand for ${revision}`}
  );
}

/** Those whose pods have a proxy, which stays as it is until they are restarted. */
export const proxied = (workloads: Workload[], snapshot: KubeObject[]): Workload[] =>
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

const rollout = (verb: string, {namespace, kind, name}: Workload): string[] => [
  ...['kubectl', 'rollout', verb, `${kind.toLowerCase()}/${name}`, '--namespace', namespace]
];

const restartCommand = (workload: Workload): string[] => rollout('restart', workload);

/** Restarts workloads, all at once, and waits until no pod from before is left. */
export async function restart(workloads: Workload[], work: Work, sh: Sh): Promise<void> {
  await Promise.all(workloads.map(one => runOrThrow(sh, restartCommand(one), {seconds: 30})));
  for (const workload of workloads) await pollUntil(work, () => lookAtRollout(workload, sh));
  await pollUntil(work, async () => {
    const pods = await listObjects<Pod>(sh, 'pods', '-A', '-l', selectorOf(workloads));
    const going = pods.filter(({metadata}) => metadata.deletionTimestamp !== undefined);
    return going.length === 0
      ? {is: 'done', value: undefined}
      : {is: 'waiting', for: 'the pods from before to end'};
  });
}

async function lookAtRollout(workload: Workload, sh: Sh): Promise<PollResult<undefined>> {
  const {namespace, name} = workload;
  const {code} = await sh([...rollout('status', workload), '--timeout=4s'], {seconds: 20});
  if (code === 0) return {is: 'done', value: undefined};
  const pods = await listObjects<Pod>(sh, 'pods', '-n', namespace);
  return (
    checkForPodProblems(pods, {class: 'istio', layer: 'workload'}) ?? {
      is: 'waiting',
      for: `${namespace}/${name} to be restarted`
    }
  );
}

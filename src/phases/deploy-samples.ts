import * as path from 'node:path';
import {downloadText, mirrored} from '../base/download.ts';
import {badInput, Fault, type FaultAttribution} from '../base/fault.ts';
import {
  checkForPodProblems,
  type Deployment,
  findCondition,
  isReady,
  listObjects,
  type Pod,
  waitWithKubectl
} from '../base/kube.ts';
import type {Work} from '../base/schedule.ts';
import {runOrThrow, type Sh} from '../base/sh.ts';
import {type PollResult, pollUntil} from '../base/wait.ts';
import type {Inputs} from '../inputs/inputs.ts';
import {readText} from '../inputs/readers.ts';
import {samples} from '../manifests/documented-samples.ts';
import type {Workload} from '../manifests/extra-sample.ts';
import {findImageOwner, type Plan, type SampleFiles} from '../plan/plan.ts';
import type {Layer} from '../results/results.ts';
import {applyCommand} from './mesh.ts';

/** The pods of all of them, by the label `app`. */
export const selectorOf = (workloads: Workload[]): string =>
  `app in (${[...new Set(workloads.map(({app}) => app))].join(',')})`;

const who = {class: 'istio', layer: 'workload'} as const;

/** The documentation's sample files from `samples`; null where those built in are used. */
export async function readSamples({samples: from, mirror}: Inputs): Promise<SampleFiles | null> {
  if (from === null) return null;
  const read = from.includes('://')
    ? (file: string) => downloadText(mirrored(`${from}/${file}`, mirror))
    : async (file: string) => readSample(path.join(from, file), from);
  return Object.fromEntries(
    await Promise.all(samples.map(async ({file}) => [file, await read(file)] as const))
  );
}

function readSample(file: string, directory: string): string {
  const names = samples.map(sample => sample.file).join(', ');
  try {
    return readText(file, `a directory with ${names}`);
  } catch (error) {
    throw badInput(
      `samples: found ${directory}, which lacks ${path.relative(directory, file)}; ${(error as Error).message}`
    );
  }
}

/** Applies the documentation's workloads, and waits until a pod of each is ready. */
export const deploySamples = (plan: Plan, work: Work, sh: Sh): Promise<void> =>
  deploy(plan, 'samples.yaml', plan.workloads, work, sh);

/** How long those that checks bring along are waited for in vain where a check has failed already, in seconds. */
const inVain = 60;

/** The same with those that checks bring along; where a layer is `broken` they may never be ready, as without DNS. */
export const deployMore = (
  plan: Plan,
  work: Work,
  sh: Sh,
  broken: () => Layer | null
): Promise<void> => deploy(plan, 'more-samples.yaml', plan.moreWorkloads, work, sh, broken);

async function deploy(
  plan: Plan,
  file: string,
  workloads: Workload[],
  work: Work,
  sh: Sh,
  broken: () => Layer | null = () => null
) {
  const selector = selectorOf(workloads);
  await runOrThrow(sh, applyCommand(plan, file), {seconds: 60});
  await pollUntil(work, async () => {
    // true too while some of them are not made
    await waitWithKubectl(sh, [
      'pods',
      '--all-namespaces',
      '--selector',
      selector,
      '--for=condition=Ready'
    ]);
    const found = await lookAtSamples(plan, workloads, selector, sh);
    const layer = broken();
    if (found.is !== 'waiting' || layer === null) return found;
    const fault = new Fault(`waited ${inVain} s in vain for ${found.for}`, {
      class: who.class,
      layer, // a check of it is the cause
      hint: 'A check had failed by then: see that first.'
    });
    return {...found, is: 'bad', fault, patience: inVain};
  });
}

async function lookAtSamples(
  plan: Plan,
  workloads: Workload[],
  selector: string,
  sh: Sh
): Promise<PollResult<undefined>> {
  const pods = await listObjects<Pod>(sh, 'pods', '-A', '-l', selector);
  const missing = workloads.filter(({namespace, app, pods: wanted}) => {
    const own = pods.filter(
      ({metadata}) => metadata.namespace === namespace && metadata.labels?.app === app
    );
    return own.length < wanted || !own.every(isReady);
  });
  if (missing.length === 0) return {is: 'done', value: undefined};
  const podless = missing.some(
    ({namespace}) => !pods.some(pod => pod.metadata.namespace === namespace)
  );
  const none = podless ? await lookAtDeployments(workloads, sh) : null;
  const names = missing.map(({namespace, app}) => `${namespace}/${app}`).join(', ');
  return (
    checkForPodProblems(pods, {...who, findOwner: image => findImageOwner(plan, image)}) ??
    none ?? {is: 'waiting', for: `${names} to be ready`}
  );
}

/** Who else refuses pods with a sidecar, whose init container changes the pod's network: a cluster's rules. */
function admission(message: string): Partial<FaultAttribution> {
  const [who] = /PodSecurity|Autopilot|GKE Warden|security context constraint/i.exec(message) ?? [];
  if (who === undefined) return {};
  return {
    class: 'infrastructure',
    headline: `The cluster does not admit the pods of the samples: ${who}`,
    hint: 'The rules of this cluster refuse what a sidecar needs (NET_ADMIN in an init container). With IstioCNI it needs none: `istio-cni: true`, or a mesh of the cluster that has it.'
  };
}

/** No pods: a ReplicaSet cannot make any, mostly because a webhook refuses. */
async function lookAtDeployments(workloads: Workload[], sh: Sh): Promise<PollResult<never> | null> {
  const deployments = await listObjects<Deployment>(sh, 'deployments', '-A');
  const ours = deployments.filter(({metadata}) =>
    workloads.some(({namespace}) => namespace === metadata.namespace)
  );
  const failure = ours
    .map(({metadata, status}) => ({
      metadata,
      failure: findCondition('ReplicaFailure', status.conditions)
    }))
    .find(({failure}) => failure?.status === 'True');
  if (!failure) return null;
  const {namespace, name} = failure.metadata;
  const message = failure.failure?.message ?? '';
  return {
    is: 'bad',
    for: `pods of ${namespace}/${name}: ${failure.failure?.reason}`,
    fault: new Fault(`Deployment ${namespace}/${name} makes no pods: ${message}`, {
      ...who,
      hint: 'Mostly the injection webhook refuses or does not answer: see istiod.',
      ...admission(message),
      reproduce: `kubectl describe replicaset -n ${namespace}`
    })
  };
}

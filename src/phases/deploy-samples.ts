/** Reads and applies the sample workloads, and waits until their pods are ready. */
import * as path from 'node:path';
import {downloadText, getMirroredUrl} from '../base/download.ts';
import {createInputFault, Fault, type FaultAttribution} from '../base/fault.ts';
import {
  checkForPodProblems,
  type Deployment,
  findCondition,
  isReady,
  listObjects,
  type Pod,
  waitWithKubectl
} from '../base/kube.ts';
import type {PhaseContext} from '../base/schedule.ts';
import {runOrThrow, type Sh} from '../base/sh.ts';
import {type PollResult, pollUntil} from '../base/wait.ts';
import type {Inputs} from '../inputs/inputs.ts';
import {readText} from '../inputs/readers.ts';
import {documentedSamples} from '../manifests/documented-samples.ts';
import type {Workload} from '../manifests/extra-sample.ts';
import {findImageOwner, type Plan, type SampleFiles} from '../plan/plan.ts';
import type {Layer} from '../results/results.ts';
import {buildApplyCommand} from './mesh.ts';

/** The selector of the workloads' pods, by the label `app`. */
export const buildAppSelector = (workloads: Workload[]): string =>
  `app in (${[...new Set(workloads.map(({app}) => app))].join(',')})`;

const defaultAttribution = {class: 'istio', layer: 'workload'} as const;

/** The documentation's sample files from the input `samples`; null if the built-in ones are used. Throws a Fault. */
export async function readSamples({samples: from, mirror}: Inputs): Promise<SampleFiles | null> {
  if (from === null) return null;
  const read = from.includes('://')
    ? (file: string) => downloadText(getMirroredUrl(`${from}/${file}`, mirror))
    : async (file: string) => readSample(path.join(from, file), from);
  return Object.fromEntries(
    await Promise.all(documentedSamples.map(async ({file}) => [file, await read(file)] as const))
  );
}

function readSample(file: string, directory: string): string {
  const names = documentedSamples.map(sample => sample.file).join(', ');
  try {
    return readText(file, `a directory with ${names}`);
  } catch (error) {
    throw createInputFault(
      `Invalid \`samples\` "${directory}": it lacks ${path.relative(directory, file)}; ${(error as Error).message}`
    );
  }
}

/** Applies the documentation's workloads, and waits until a pod of each is ready. */
export const deploySamples = (plan: Plan, work: PhaseContext, sh: Sh): Promise<void> =>
  deployWorkloads(plan, 'samples.yaml', plan.workloads, work, sh);

/** Seconds to wait for the workloads of checks when a check has already failed. */
const patienceAfterFailure = 60;

/** The same for the workloads that checks add. If a layer is broken, such as DNS, they may never be ready. */
export const deployMoreSamples = (
  plan: Plan,
  work: PhaseContext,
  sh: Sh,
  findBrokenLayer: () => Layer | null
): Promise<void> =>
  deployWorkloads(plan, 'more-samples.yaml', plan.extraWorkloads, work, sh, findBrokenLayer);

async function deployWorkloads(
  plan: Plan,
  file: string,
  workloads: Workload[],
  work: PhaseContext,
  sh: Sh,
  findBrokenLayer: () => Layer | null = () => null
) {
  const selector = buildAppSelector(workloads);
  await runOrThrow(sh, buildApplyCommand(plan, file), {seconds: 60});
  await pollUntil(work, async () => {
    // also true while some pods do not exist yet
    await waitWithKubectl(sh, [
      'pods',
      '--all-namespaces',
      '--selector',
      selector,
      '--for=condition=Ready'
    ]);
    const found = await pollSamples(plan, workloads, selector, sh);
    const layer = findBrokenLayer();
    if (found.is !== 'waiting' || layer === null) return found;
    const fault = new Fault(`waited ${patienceAfterFailure} s for ${found.for}, without success`, {
      class: defaultAttribution.class,
      layer, // the failed check is the cause
      hint: 'A check failed before that. Resolve it first.'
    });
    return {...found, is: 'bad', fault, patience: patienceAfterFailure};
  });
}

async function pollSamples(
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
  const isPodless = missing.some(
    ({namespace}) => !pods.some(pod => pod.metadata.namespace === namespace)
  );
  const none = isPodless ? await checkForDeploymentProblems(workloads, sh) : null;
  const names = missing.map(({namespace, app}) => `${namespace}/${app}`).join(', ');
  return (
    checkForPodProblems(pods, {
      ...defaultAttribution,
      findOwner: image => findImageOwner(plan, image)
    }) ??
    none ?? {is: 'waiting', for: `${names} to be ready`}
  );
}

/** The attribution if a security policy of the cluster refuses a sidecar's init container, which needs NET_ADMIN; else empty. */
function attributeAdmissionFailure(message: string): Partial<FaultAttribution> {
  const [policy] =
    /PodSecurity|Autopilot|GKE Warden|security context constraint/i.exec(message) ?? [];
  if (policy === undefined) return {};
  return {
    class: 'infrastructure',
    headline: `${policy} refuses the pods of the samples`,
    hint: 'The security policy of this cluster refuses NET_ADMIN in an init container, which a sidecar needs. IstioCNI removes that need: set `istio-cni: true`, or use a mesh of the cluster that has it.'
  };
}

/** The poll result for a ReplicaSet that cannot create pods, mostly because a webhook refuses; null if there is none. */
async function checkForDeploymentProblems(
  workloads: Workload[],
  sh: Sh
): Promise<PollResult<never> | null> {
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
    for: `${namespace}/${name} to recover from ${failure.failure?.reason}`,
    fault: new Fault(`Deployment ${namespace}/${name} creates no pods: ${message}`, {
      ...defaultAttribution,
      hint: 'The usual cause is an injection webhook that refuses or does not respond. Check the pods and the log of istiod.',
      ...attributeAdmissionFailure(message),
      reproduce: `kubectl describe replicaset -n ${namespace}`
    })
  };
}

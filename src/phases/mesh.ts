/** Applies Istio's resources, and waits until Istio is ready. */
import * as path from 'node:path';
import {Fault, type FaultAttribution} from '../base/fault.ts';
import {
  checkForPodProblems,
  type Deployment,
  findCondition,
  type Istio,
  isOverload,
  listObjects,
  type Pod,
  waitWithKubectl
} from '../base/kube.ts';
import type {PhaseContext} from '../base/schedule.ts';
import {CommandError, type Sh} from '../base/sh.ts';
import {type PollResult, pollUntil} from '../base/wait.ts';
import {cniNamespace, istioNamespace, ztunnelNamespace} from '../manifests/istio-resources.ts';
import {findImageOwner, type Plan} from '../plan/plan.ts';

export const buildApplyCommand = ({directory}: Plan, file: string): string[] => [
  'kubectl',
  'apply',
  '--server-side',
  '-f',
  path.join(directory, file)
];

export const buildDeleteCommand = ({directory}: Plan, file: string): string[] => [
  ...['kubectl', 'delete', '--ignore-not-found', '-f', path.join(directory, file)]
];

const istiodAvailableArguments = [
  ...['deployments', '--namespace', istioNamespace, '--selector', 'app=istiod'],
  '--for=condition=Available'
];
const istioHealthyArguments = [
  'istios.sailoperator.io/default',
  '--for=jsonpath={.status.state}=Healthy'
];

const defaultAttribution = {class: 'istio', layer: 'control-plane'} as const;
const showIstioCommand = 'kubectl get istio default -o yaml';

/** Waits until istiod is available, so that its webhook responds. Throws a Fault. */
export async function waitForIstiod(plan: Plan, work: PhaseContext, sh: Sh): Promise<void> {
  await pollUntil(work, async () =>
    (await waitWithKubectl(sh, istiodAvailableArguments))
      ? {is: 'done', value: undefined}
      : pollIstiod(plan, sh)
  );
}

/** Applies a custom resource, with retries until the API server serves its new CRD. Throws a Fault. */
export async function applyOnceServed(
  plan: Plan,
  file: string,
  work: PhaseContext,
  sh: Sh
): Promise<void> {
  await pollUntil(work, async () => {
    const output = await sh(buildApplyCommand(plan, file), {seconds: 60});
    const {code, stderr, timedOut} = output;
    if (code === 0) return {is: 'done', value: undefined};
    if (/no matches for kind|could not find the requested resource/.test(stderr))
      return {is: 'waiting', for: 'the CRD to be served'};
    // the webhook exists before its pod, and its Service may be marked ready a moment too early
    const isWebhook = /failed calling webhook/.test(stderr);
    if (!isWebhook && isOverload({late: timedOut, said: stderr}))
      throw new CommandError(buildApplyCommand(plan, file), output);
    const fault = new Fault(`the API server refused ${file}: ${stderr.trim().slice(-1500)}`, {
      ...defaultAttribution,
      class: /Unsupported value|unknown field|Invalid value/.test(stderr)
        ? 'input'
        : defaultAttribution.class,
      hint: isWebhook
        ? "Istio's validation webhook does not respond. Check the istiod pods, the Service that the message names, and `kubectl get validatingwebhookconfigurations -o yaml`."
        : 'Correct `istio-version` or `istio-values`: the message names the field and the supported values.',
      reproduce: showIstioCommand
    });
    return isWebhook
      ? {is: 'bad', for: "Istio's webhook to respond", fault, patience: 60}
      : {is: 'lost', fault};
  });
}

/** Waits until the Istio resource is Healthy; `revisions.ready` alone can be true earlier. Resolves to its version. Throws a Fault. */
export async function waitUntilHealthy(work: PhaseContext, sh: Sh): Promise<string> {
  return pollUntil(work, async () => {
    await waitWithKubectl(sh, istioHealthyArguments);
    const istio = (await listObjects<Istio>(sh, 'istios.sailoperator.io', 'default'))[0];
    const {state, observedGeneration, conditions} = istio?.status ?? {};
    const current = observedGeneration === istio?.metadata.generation;
    if (current && state === 'Healthy' && findCondition('Ready', conditions)?.status === 'True')
      return {is: 'done', value: `${istio?.spec.version ?? ''}`}; // a chart's CRD may allow a number here
    return (
      checkForIstioProblems(istio) ?? {
        is: 'waiting',
        for: `Istio to be Healthy (now ${state ?? 'without a state'})`
      }
    );
  });
}

const ambientNamespaces = {istiocnis: cniNamespace, ztunnels: ztunnelNamespace};

/** Waits until IstioCNI and ZTunnel are ready: an ambient pod cannot start before. Throws a Fault. */
export async function waitForAmbient(plan: Plan, work: PhaseContext, sh: Sh): Promise<void> {
  const names = Object.keys(ambientNamespaces).map(kind => `${kind}.sailoperator.io`);
  await pollUntil(work, async () => {
    await waitWithKubectl(sh, [...names.map(name => `${name}/default`), '--for=condition=Ready']);
    const found = await listObjects<Istio>(sh, names.join(), '-A');
    const missing = found.find(
      ({status}) => findCondition('Ready', status?.conditions)?.status !== 'True'
    );
    if (found.length === names.length && !missing) return {is: 'done', value: undefined};
    const pods = await listObjects<Pod>(sh, 'pods', '-A');
    const own = pods.filter(({metadata}) =>
      Object.values(ambientNamespaces).includes(metadata.namespace)
    );
    return (
      checkForPodProblems(own, {
        class: 'istio',
        layer: 'ambient',
        findOwner: image => findImageOwner(plan, image)
      }) ?? {
        is: 'waiting',
        for: `${missing?.kind ?? 'IstioCNI and ZTunnel'} to be ready`
      }
    );
  });
}

async function pollIstiod(plan: Plan, sh: Sh): Promise<PollResult<undefined>> {
  const objects = await listObjects<Istio | Deployment | Pod>(
    sh,
    'istios.sailoperator.io,deployments,pods',
    '-n',
    istioNamespace
  );
  const istiod = objects
    .filter(object => object.kind === 'Deployment')
    .find(({metadata}) => metadata.name.startsWith('istiod'));
  if ((istiod?.status.availableReplicas ?? 0) > 0) return {is: 'done', value: undefined};
  return (
    checkForIstioProblems(objects.find(object => object.kind === 'Istio')) ??
    checkForPodProblems(
      objects.filter(object => object.kind === 'Pod'),
      {...defaultAttribution, findOwner: image => findImageOwner(plan, image)}
    ) ?? {
      is: 'waiting',
      for: istiod ? 'istiod to be available' : 'the operator to create istiod'
    }
  );
}

// errors that the operator does not recover from, measured with 1.30.3
const permanentErrorPattern =
  /end-of-life|unsupported version|RequireDualStack|not configured for dual-stack/;

function attributeIstioError(message: string): FaultAttribution {
  if (/end-of-life|unsupported version/.test(message))
    return {
      class: 'input',
      layer: defaultAttribution.layer,
      hint: 'Set `istio-version` to a version that this operator can install.'
    };
  if (/dual-stack/.test(message))
    return {
      class: 'infrastructure',
      layer: 'node',
      hint: 'The cluster is not dual-stack: its pods and Services need a network of each family. For a kind cluster, check `kind-config` and the Docker network `kind`.'
    };
  return {...defaultAttribution, hint: "Read the operator's log in diagnostics/."};
}

/** The poll result for the operator's ReconcileError; null if there is none. A missing namespace is such an error too, and may recover. */
export function checkForIstioProblems(istio: Istio | undefined): PollResult<never> | null {
  const reconciled = findCondition('Reconciled', istio?.status?.conditions);
  if (reconciled?.status !== 'False') return null;
  const {reason = '', message = ''} = reconciled;
  const fault = new Fault(`the Istio resource: ${reason}: ${message}`, {
    ...attributeIstioError(message),
    reproduce: showIstioCommand
  });
  return permanentErrorPattern.test(message)
    ? {is: 'lost', fault}
    : {is: 'bad', for: `Istio to recover from ${reason}`, fault};
}

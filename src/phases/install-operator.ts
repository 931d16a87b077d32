/** Installs the Sail Operator: its CRDs and its chart. */
import * as path from 'node:path';
import {Fault} from '../base/fault.ts';
import {isOverload, overloadAttribution} from '../base/kube.ts';
import type {PhaseContext} from '../base/schedule.ts';
import type {CommandOutput, Sh} from '../base/sh.ts';
import {pollUntil} from '../base/wait.ts';
import {operatorNamespace} from '../manifests/istio-resources.ts';
import type {Plan} from '../plan/plan.ts';

export const buildInstallOperatorCommand = ({
  operator,
  requestedOperatorImage,
  directory
}: Plan): string[] => [
  ...['helm', 'install', 'sail-operator', operator.chart],
  ...['--namespace', operatorNamespace, '--create-namespace', '--skip-crds'],
  ...(operator.values ? ['--values', path.join(directory, 'operator-values.yaml')] : []),
  ...(requestedOperatorImage === null ? [] : ['--set-string', `image=${requestedOperatorImage}`]),
  ...(operator.pullPolicy === null
    ? []
    : ['--set-string', `imagePullPolicy=${operator.pullPolicy}`])
];

/** Creates the CRDs without Helm, which would wait for all of them: the Istio resource needs only its own. */
export const buildCreateCrdsCommand = ({operator}: Plan): string[] => [
  'kubectl',
  'create',
  '-f',
  operator.crds
];

/** Creates the CRDs. Throws a Fault. */
export async function createCrds(plan: Plan, sh: Sh): Promise<void> {
  const output = await sh(buildCreateCrdsCommand(plan), {seconds: 180});
  if (output.code !== 0) throw createInstallFault(output, buildCreateCrdsCommand(plan));
}

/** Installs the chart while its CRDs may still be created. Does not wait for the operator: nothing needs its readiness. */
export const installOperator = (plan: Plan, work: PhaseContext, sh: Sh): Promise<void> =>
  pollUntil(work, async () => {
    const output = await sh(buildInstallOperatorCommand(plan), {seconds: 180});
    if (output.code === 0) return {is: 'done', value: undefined};
    const fault = createInstallFault(output, buildInstallOperatorCommand(plan));
    return /no matches for kind/.test(output.stderr) // Helm has created nothing yet
      ? {is: 'bad', for: "the chart's CRDs", fault}
      : {is: 'lost', fault};
  });

const createInstallFault = ({stderr, timedOut}: CommandOutput, command: string[]): Fault =>
  new Fault(
    `the Sail Operator's chart could not be installed: ${stderr.trim().slice(-1500) || 'no response in time'}`,
    isOverload({late: timedOut, said: stderr})
      ? overloadAttribution // not retried: Helm may have created some of the objects
      : {
          class: 'operator',
          layer: 'operator',
          hint: 'Check the chart and `operator-values`. `helm template` shows the objects that they create.',
          reproduce: command.join(' ')
        }
  );

import * as path from 'node:path';
import {Fault} from '../fault.ts';
import type {Plan} from '../plan.ts';
import type {Sh} from '../sh.ts';

export const operatorNamespace = 'sail-operator';

export const installCommand = ({operator, operatorImageAsked, directory}: Plan): string[] => [
  ...['helm', 'install', 'sail-operator', operator.chart],
  ...['--namespace', operatorNamespace, '--create-namespace', '--skip-crds'],
  ...(operator.values ? ['--values', path.join(directory, 'operator-values.yaml')] : []),
  ...(operatorImageAsked === null ? [] : ['--set-string', `image=${operatorImageAsked}`])
];

/** The CRDs by themselves: the Istio resource needs no more, and Helm would wait for all of them. */
export const crdsCommand = ({operator}: Plan): string[] => [
  'kubectl',
  'create',
  '-f',
  operator.crds
];

export const createCrds = (plan: Plan, sh: Sh): Promise<void> => mustInstall(crdsCommand(plan), sh);

/** Installs the chart without its CRDs. Does not wait: nothing needs the operator's readiness. */
export const installOperator = (plan: Plan, sh: Sh): Promise<void> =>
  mustInstall(installCommand(plan), sh);

async function mustInstall(command: string[], sh: Sh): Promise<void> {
  const {code, stderr} = await sh(command, {seconds: 180});
  if (code === 0) return;
  throw new Fault(
    `the Sail Operator's chart could not be installed: ${stderr.trim().slice(-1500)}`,
    {
      class: 'operator',
      layer: 'operator',
      hint: 'See the chart and `operator-values`; `helm template` shows what they make.',
      reproduce: command.join(' ')
    }
  );
}

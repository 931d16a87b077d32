import * as path from 'node:path';
import {Fault} from '../fault.ts';
import type {Plan} from '../plan.ts';
import type {Sh} from '../sh.ts';

export const operatorNamespace = 'sail-operator';

export const installCommand = ({operator, operatorImageAsked, directory}: Plan): string[] => [
  ...['helm', 'install', 'sail-operator', operator.chart],
  ...['--namespace', operatorNamespace, '--create-namespace'],
  ...(operator.values ? ['--values', path.join(directory, 'operator-values.yaml')] : []),
  ...(operatorImageAsked === null ? [] : ['--set-string', `image=${operatorImageAsked}`])
];

/** Installs the chart. Does not wait: the Istio resource needs only the CRD, which Helm establishes. */
export async function installOperator(plan: Plan, sh: Sh): Promise<void> {
  const {code, stderr} = await sh(installCommand(plan), {seconds: 180});
  if (code === 0) return;
  throw new Fault(
    `the Sail Operator's chart could not be installed: ${stderr.trim().slice(-1500)}`,
    {
      class: 'operator',
      layer: 'operator',
      hint: 'See the chart and `operator-values`; `helm template` shows what they make.',
      reproduce: installCommand(plan).join(' ')
    }
  );
}

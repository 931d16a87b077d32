/** Creates namespaces and CRDs in an existing cluster, labelled with the run for their removal. */
import * as path from 'node:path';
import {createInputFault, Fault} from '../base/fault.ts';
import {CommandError, type Sh} from '../base/sh.ts';
import {runLabel} from '../manifests/existing-cluster-manifests.ts';
import type {Plan} from '../plan/plan.ts';
import {buildCreateCrdsCommand} from './install-operator.ts';

/** Creates the namespaces, labelled with this run. Throws a Fault if one has been created since the survey. */
export async function createNamespaces({directory}: Plan, sh: Sh): Promise<void> {
  const command = ['kubectl', 'create', '-f', path.join(directory, 'namespaces.yaml')];
  const output = await sh(command, {seconds: 60});
  if (output.code === 0) return;
  if (!/AlreadyExists/.test(output.stderr)) throw new CommandError(command, output);
  throw createInputFault(
    `Invalid \`cluster\`: namespaces exist that this run would create and remove: ${output.stderr.trim()}; expected a cluster without them`
  );
}

/** Creates the missing CRDs of the chart, labelled with this run. Leaves existing ones unchanged. */
export async function createMissingCrds(plan: Plan, run: string, sh: Sh): Promise<void> {
  const {crds} = plan.operator;
  const label = [
    ...['kubectl', 'label', '--local', '-f', crds, '-o', 'json'],
    `${runLabel}=${run}`
  ];
  const [program = '', verb = ''] = buildCreateCrdsCommand(plan);
  const {code, stderr} = await sh(label, {pipeTo: [program, verb, '-f', '-'], seconds: 180});
  const refused = stderr.split('\n').filter(line => line !== '' && !/AlreadyExists/.test(line));
  if (code === 0 || refused.length === 0) return;
  throw new Fault(
    `the Sail Operator's CRDs could not be created: ${refused.join(' ').slice(-1500)}`,
    {
      class: 'operator',
      layer: 'operator',
      hint: 'The API server refuses CRDs of the chart. The message names the reason.',
      reproduce: `kubectl create --dry-run=server -f ${crds}`
    }
  );
}

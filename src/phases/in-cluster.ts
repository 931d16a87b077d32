import * as path from 'node:path';
import {createInputFault, Fault} from '../base/fault.ts';
import {CommandError, type Sh} from '../base/sh.ts';
import {runLabel} from '../manifests/existing-cluster-manifests.ts';
import type {Plan} from '../plan/plan.ts';
import {buildCreateCrdsCommand} from './install-operator.ts';

/** Makes the namespaces, each with the label of this run. Throws a Fault where one has come up since the cluster was looked at. */
export async function createNamespaces({directory}: Plan, sh: Sh): Promise<void> {
  const command = ['kubectl', 'create', '-f', path.join(directory, 'namespaces.yaml')];
  const output = await sh(command, {seconds: 60});
  if (output.code === 0) return;
  if (!/AlreadyExists/.test(output.stderr)) throw new CommandError(command, output);
  throw createInputFault(
    `cluster: found namespaces that this run would make and remove: ${output.stderr.trim()}; accepted is a cluster without them`
  );
}

/** Makes those of the chart's CRDs that are not there yet, with the label of this run. Those that are there stay as they are. */
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
  throw new Fault(`the Sail Operator's CRDs could not be made: ${refused.join(' ').slice(-1500)}`, {
    class: 'operator',
    layer: 'operator',
    hint: 'See the message: the API server refuses what the chart brings.',
    reproduce: `kubectl create --dry-run=server -f ${crds}`
  });
}

import * as path from 'node:path';
import * as core from '@actions/core';
import {groupBy} from '../base/group.ts';
import {toSingleLine} from '../base/log.ts';
import type {Sh} from '../base/sh.ts';
import {
  configMapSelector,
  runLabel,
  samplesLabel
} from '../manifests/existing-cluster-manifests.ts';
import {operatorNamespace} from '../manifests/istio-resources.ts';
import type {InCluster} from '../plan/state.ts';

/** Of each step, in seconds: a pod's grace period, and an operator that has only just started. */
const stepTimeoutSeconds = 240;
const timeoutFlag = `--timeout=${stepTimeoutSeconds}s`;

const buildDeleteByLabelCommand = (
  kinds: string,
  selector: string,
  ...more: string[]
): string[] => [...['kubectl', 'delete', kinds, '--selector', selector, ...more, timeoutFlag]];

/**
 * What removes all that a run has made, in the order that finalizers need: who uses sidecars, then Istio and all that
 * the operator made of it, then the operator. What is not there is no error.
 */
export const buildRemovalCommands = ({run, operator}: InCluster): string[][] => [
  buildDeleteByLabelCommand('namespaces', `${runLabel}=${run},${samplesLabel}=true`),
  // in the foreground: the operator is needed until the revisions are gone too
  buildDeleteByLabelCommand('istios.sailoperator.io', `${runLabel}=${run}`, '--cascade=foreground'),
  buildDeleteByLabelCommand(
    'istiocnis.sailoperator.io',
    `${runLabel}=${run}`,
    '--cascade=foreground'
  ),
  ...(operator
    ? [['helm', 'uninstall', 'sail-operator', '--namespace', operatorNamespace, '--wait']]
    : []),
  buildDeleteByLabelCommand('namespaces', `${runLabel}=${run}`)
];

// nothing to remove: no CRD, no release
const nothingToRemovePattern = /the server doesn't have a resource type|release: not found/;

/** Removes all that a run has made in a cluster. Ends at the first step that fails, since what follows needs it. */
export async function removeFromCluster(created: InCluster, work: string, sh: Sh): Promise<void> {
  useCluster(created, work);
  for (const command of buildRemovalCommands(created)) {
    const {code, stderr} = await sh(command, {seconds: stepTimeoutSeconds + 60});
    if (code === 0 || nothingToRemovePattern.test(stderr)) continue;
    core.setFailed(
      `What the run ${created.run} made could not be removed: \`${command.join(' ')}\` said: ${toSingleLine(stderr)}. By hand: ${buildRemovalCommands(
        created
      )
        .map(words => words.join(' '))
        .join('; ')}`
    );
    return;
  }
  if (created.configMaps !== null) await removeConfigMaps(created.configMaps, sh);
  const left = await removeCrds(created.run, sh);
  core.info(`All that the run ${created.run} made is removed.`);
  if (left.length > 0) await warnAboutLeftCrds(left);
}

/** The same cluster, kubectl and helm as in main. */
function useCluster({tools: toolDirectories}: InCluster, work: string): void {
  process.env.PATH = [...toolDirectories, process.env.PATH].join(path.delimiter);
  process.env.KUBECONFIG = path.join(work, 'kubeconfig');
  process.env.KUBECACHEDIR = path.join(work, 'kubectl');
}

/**
 * Removes what istiod has put into other namespaces. Without its configuration, which the operator takes away before
 * its pods have ended, it does so in every namespace.
 */
async function removeConfigMaps(before: string[], sh: Sh): Promise<void> {
  const names = [
    '-o',
    'jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}{"\\n"}{end}'
  ];
  const {stdout} = await sh(
    ['kubectl', 'get', 'configmaps', '-A', '--selector', configMapSelector, ...names],
    {seconds: 60}
  );
  const ours = stdout
    .split('\n')
    .filter(name => name.split('/').every(isKubernetesName) && !before.includes(name));
  const byNamespace = groupBy(ours, name => name.split('/')[0] ?? '');
  for (const [namespace, names] of byNamespace) {
    const bare = names.map(name => name.slice(namespace.length + 1));
    await sh(['kubectl', 'delete', 'configmaps', '--namespace', namespace, ...bare, timeoutFlag], {
      seconds: stepTimeoutSeconds + 60
    });
  }
}

/** Whether it is a name as Kubernetes has them: what is none may be an option of kubectl. */
const isKubernetesName = (text: string): boolean => /^[a-z0-9][a-z0-9.-]*$/.test(text);

/** Removes the CRDs that the run made and nobody uses. Those that somebody does. */
async function removeCrds(run: string, sh: Sh): Promise<string[]> {
  const made = await sh(
    ['kubectl', 'get', 'crds', '--selector', `${runLabel}=${run}`, '-o', 'name'],
    {seconds: 60}
  );
  const names = made.stdout
    .split('\n')
    .flatMap(line => line.split('/')[1] ?? [])
    .filter(isKubernetesName);
  const used = await Promise.all(
    names.map(async name => {
      const {code, stdout} = await sh(['kubectl', 'get', name, '-A', '-o', 'name'], {seconds: 60});
      return code !== 0 || stdout.trim() !== '';
    })
  );
  const free = names.filter((_, at) => !used[at]);
  const {code} =
    free.length === 0
      ? {code: 0}
      : await sh(['kubectl', 'delete', 'crds', ...free, timeoutFlag], {
          seconds: stepTimeoutSeconds + 60
        });
  return code === 0 ? names.filter((_, at) => used[at]) : names;
}

async function warnAboutLeftCrds(names: string[]): Promise<void> {
  const text = `CRDs that this run made are left, for there are objects of theirs: ${names.join(', ')}`;
  core.warning(toSingleLine(text));
  if (process.env.GITHUB_STEP_SUMMARY) await core.summary.addRaw(text, true).write();
}

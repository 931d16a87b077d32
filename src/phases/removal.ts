/** Removes the objects of a run from an existing cluster. */
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

/** Time limit of each step in seconds: enough for a pod's grace period, and for an operator that has just started. */
const stepTimeoutSeconds = 240;
const timeoutFlag = `--timeout=${stepTimeoutSeconds}s`;

const buildDeleteByLabelCommand = (
  kinds: string,
  selector: string,
  ...more: string[]
): string[] => [...['kubectl', 'delete', kinds, '--selector', selector, ...more, timeoutFlag]];

/**
 * The commands that remove all objects of a run. Finalizers need this order: the samples, then Istio with the
 * operator's objects, then the operator. A missing object is no error.
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

// the CRD or the release does not exist
const nothingToRemovePattern = /the server doesn't have a resource type|release: not found/;

/** Removes all objects of a run from a cluster. Stops at the first failed step, which the later ones need. */
export async function removeFromCluster(created: InCluster, work: string, sh: Sh): Promise<void> {
  useCluster(created, work);
  for (const command of buildRemovalCommands(created)) {
    const {code, stderr} = await sh(command, {seconds: stepTimeoutSeconds + 60});
    if (code === 0 || nothingToRemovePattern.test(stderr)) continue;
    core.setFailed(
      `The objects of run ${created.run} could not be removed: \`${command.join(' ')}\` returned: ${toSingleLine(stderr)}. To remove them by hand: ${buildRemovalCommands(
        created
      )
        .map(words => words.join(' '))
        .join('; ')}`
    );
    return;
  }
  if (created.configMaps !== null) await removeConfigMaps(created.configMaps, sh);
  const left = await removeCrds(created.run, sh);
  core.info(`All objects of run ${created.run} are removed.`);
  if (left.length > 0) await warnAboutLeftCrds(left);
}

/** Sets the environment to the cluster, kubectl and helm of main. */
function useCluster({tools: toolDirectories}: InCluster, work: string): void {
  process.env.PATH = [...toolDirectories, process.env.PATH].join(path.delimiter);
  process.env.KUBECONFIG = path.join(work, 'kubeconfig');
  process.env.KUBECACHEDIR = path.join(work, 'kubectl');
}

/**
 * Removes the ConfigMaps that istiod created in other namespaces. The operator removes istiod's configuration before its
 * pods end, and without it istiod writes to every namespace.
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

/** Whether it is a valid Kubernetes name; any other text might be an option of kubectl. */
const isKubernetesName = (text: string): boolean => /^[a-z0-9][a-z0-9.-]*$/.test(text);

/** Removes the unused CRDs of the run. Resolves to those that are left because they have objects. */
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
  const text = `CRDs of this run are kept, because objects of these kinds exist: ${names.join(', ')}`;
  core.warning(toSingleLine(text));
  if (process.env.GITHUB_STEP_SUMMARY) await core.summary.addRaw(text, true).write();
}

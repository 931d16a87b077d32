import * as path from 'node:path';
import * as core from '@actions/core';
import {groupBy} from '../base/group.ts';
import {oneLine} from '../base/log.ts';
import type {Sh} from '../base/sh.ts';
import {
  configMapSelector,
  runLabel,
  samplesLabel
} from '../manifests/existing-cluster-manifests.ts';
import {operatorNamespace} from '../manifests/istio-resources.ts';
import type {InCluster} from '../plan/state.ts';

/** Of each step, in seconds: a pod's grace period, and an operator that has only just started. */
const limit = 240;
const timeout = `--timeout=${limit}s`;

const byLabel = (kinds: string, selector: string, ...more: string[]): string[] => [
  ...['kubectl', 'delete', kinds, '--selector', selector, ...more, timeout]
];

/**
 * What removes all that a run has made, in the order that finalizers need: who uses sidecars, then Istio and all that
 * the operator made of it, then the operator. What is not there is no error.
 */
export const removalCommands = ({run, operator}: InCluster): string[][] => [
  byLabel('namespaces', `${runLabel}=${run},${samplesLabel}=true`),
  // in the foreground: the operator is needed until the revisions are gone too
  byLabel('istios.sailoperator.io', `${runLabel}=${run}`, '--cascade=foreground'),
  byLabel('istiocnis.sailoperator.io', `${runLabel}=${run}`, '--cascade=foreground'),
  ...(operator
    ? [['helm', 'uninstall', 'sail-operator', '--namespace', operatorNamespace, '--wait']]
    : []),
  byLabel('namespaces', `${runLabel}=${run}`)
];

// nothing to remove: no CRD, no release
const nothingThere = /the server doesn't have a resource type|release: not found/;

/** Removes all that a run has made in a cluster. Ends at the first step that fails, since what follows needs it. */
export async function removeFromCluster(made: InCluster, work: string, sh: Sh): Promise<void> {
  useCluster(made, work);
  for (const command of removalCommands(made)) {
    const {code, stderr} = await sh(command, {seconds: limit + 60});
    if (code === 0 || nothingThere.test(stderr)) continue;
    core.setFailed(
      `What the run ${made.run} made could not be removed: \`${command.join(' ')}\` said: ${oneLine(stderr)}. By hand: ${removalCommands(
        made
      )
        .map(words => words.join(' '))
        .join('; ')}`
    );
    return;
  }
  if (made.configMaps !== null) await removeConfigMaps(made.configMaps, sh);
  const left = await removeCrds(made.run, sh);
  core.info(`All that the run ${made.run} made is removed.`);
  if (left.length > 0) await tellLeft(left);
}

/** The same cluster, kubectl and helm as in main. */
function useCluster({tools}: InCluster, work: string): void {
  process.env.PATH = [...tools, process.env.PATH].join(path.delimiter);
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
    .filter(name => name.split('/').every(isName) && !before.includes(name));
  const byNamespace = groupBy(ours, name => name.split('/')[0] ?? '');
  for (const [namespace, names] of byNamespace) {
    const bare = names.map(name => name.slice(namespace.length + 1));
    await sh(['kubectl', 'delete', 'configmaps', '--namespace', namespace, ...bare, timeout], {
      seconds: limit + 60
    });
  }
}

/** Whether it is a name as Kubernetes has them: what is none may be an option of kubectl. */
const isName = (text: string): boolean => /^[a-z0-9][a-z0-9.-]*$/.test(text);

/** Removes the CRDs that the run made and nobody uses. Those that somebody does. */
async function removeCrds(run: string, sh: Sh): Promise<string[]> {
  const made = await sh(
    ['kubectl', 'get', 'crds', '--selector', `${runLabel}=${run}`, '-o', 'name'],
    {seconds: 60}
  );
  const names = made.stdout
    .split('\n')
    .flatMap(line => line.split('/')[1] ?? [])
    .filter(isName);
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
      : await sh(['kubectl', 'delete', 'crds', ...free, timeout], {seconds: limit + 60});
  return code === 0 ? names.filter((_, at) => used[at]) : names;
}

async function tellLeft(names: string[]): Promise<void> {
  const text = `CRDs that this run made are left, for there are objects of theirs: ${names.join(', ')}`;
  core.warning(oneLine(text));
  if (process.env.GITHUB_STEP_SUMMARY) await core.summary.addRaw(text, true).write();
}

/** Builds the outputs of the main action. */
import * as path from 'node:path';
import type {Plan} from '../plan/plan.ts';
import {files} from '../results/files.ts';
import type {Results} from '../results/results.ts';

/** Returns every output of action.yml; an unknown one is empty. `directory` is empty if no files were written. */
export function buildOutputs(
  results: Results,
  plan: Plan | null,
  directory: string
): Record<string, string> {
  const {result, failure, cluster, versions, checks, seconds} = results;
  const file = (name: string) => (directory === '' ? '' : path.join(directory, name));
  return {
    result,
    'failure-class': failure?.class ?? '',
    'failed-layer': failure?.layer ?? '',
    'failed-checks': JSON.stringify(
      checks.filter(({verdict}) => verdict === 'failed').map(({id}) => id)
    ),
    'cluster-name': cluster?.name ?? '',
    kubeconfig: (versions.kubernetes?.found && plan?.cluster.kubeconfig) || '', // written once the API server answers
    context: cluster?.context ?? '',
    'kubernetes-version': formatVersion(versions.kubernetes),
    'operator-version': formatVersion(versions.operator),
    'istio-version': formatVersion(versions.istio),
    'results-dir': directory,
    results: file(files.results),
    junit: file(files.junit),
    report: file(files.report),
    seconds: seconds.toFixed(1)
  };
}

/** Returns a version only if it is a plain one, because workflows often put outputs into scripts. */
const formatVersion = (version: Results['versions'][string] | undefined): string =>
  /^[\w.+-]{1,100}$/.test(version?.found ?? '') ? (version?.found ?? '') : '';

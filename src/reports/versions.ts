/** Lists the versions of a run, and the command that repeats it. */
import {files} from '../results/files.ts';
import type {Results} from '../results/results.ts';
import {sanitizeLine} from './words.ts';

const versionTitles = new Map([
  ['action', 'Action'],
  ['kubectl', 'kubectl'],
  ['kubernetes', 'Kubernetes'],
  ['kind', 'kind'],
  ['helm', 'Helm'],
  ['operator', 'Sail Operator'],
  ['istio-before', 'Istio before the upgrade'],
  ['istio', 'Istio'],
  ['hub', 'Istio images']
]);

/** Returns every version with its title, the requested value and the actual one. */
export const listVersions = (
  results: Results
): {title: string; requested: string; found: string}[] =>
  Object.entries(results.versions).map(([name, {asked, found}]) => ({
    title: versionTitles.get(name) ?? sanitizeLine(name, 60),
    requested: sanitizeLine(asked ?? '', 200),
    found: sanitizeLine(found ?? '', 200)
  }));

export const rerunCommand = `bash ${files.script}`;

/** Whether the run only checked existing Services (`targets`), so that there is no script to repeat it. */
export const isTargetsRun = ({inputs}: Results): boolean => inputs.targets !== undefined;

/** Whether a command needs the cluster of the run, which no longer exists. */
export const isClusterCommand = (command: string, results: Results): boolean =>
  command.startsWith('kubectl ') && !isTargetsRun(results);

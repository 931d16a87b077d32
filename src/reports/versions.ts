import {files} from '../results/files.ts';
import type {Results} from '../results/results.ts';
import {sanitizeLine} from './words.ts';

/** Versions, and how to run it again. Pure. */

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

/** Every version with its title: what was asked for, and what was found. */
export const listVersions = (
  results: Results
): {title: string; requested: string; found: string}[] =>
  Object.entries(results.versions).map(([name, {asked, found}]) => ({
    title: versionTitles.get(name) ?? sanitizeLine(name, 60),
    requested: sanitizeLine(asked ?? '', 200),
    found: sanitizeLine(found ?? '', 200)
  }));

export const rerunCommand = `bash ${files.script}`;

/** Whether Services that were there were looked at, and nothing was made that a script could make again. */
export const isTargetsRun = ({inputs}: Results): boolean => inputs.targets !== undefined;

/** Whether a command asks a cluster, which is gone after the run and has to be made anew. */
export const isClusterCommand = (command: string, results: Results): boolean =>
  command.startsWith('kubectl ') && !isTargetsRun(results);

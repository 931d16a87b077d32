import {files} from '../results/files.ts';
import type {Results} from '../results/results.ts';
import {line} from './words.ts';

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
export const versionRows = (results: Results): {title: string; asked: string; found: string}[] =>
  Object.entries(results.versions).map(([name, {asked, found}]) => ({
    title: versionTitles.get(name) ?? line(name, 60),
    asked: line(asked ?? '', 200),
    found: line(found ?? '', 200)
  }));

export const rerun = `bash ${files.script}`;

/** Whether Services that were there were looked at, and nothing was made that a script could make again. */
export const onlyLooks = ({inputs}: Results): boolean => inputs.targets !== undefined;

/** Whether a command asks a cluster, which is gone after the run and has to be made anew. */
export const asksCluster = (command: string, results: Results): boolean =>
  command.startsWith('kubectl ') && !onlyLooks(results);

import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import * as core from '@actions/core';
import {oneLine} from '../base/log.ts';
import type {Sh} from '../base/sh.ts';
import type {State} from '../plan/state.ts';
import {deleteCommand} from './cluster.ts';

/** Post: deletes the cluster that this run made, and what it wrote for itself. */
export async function cleanUp(state: State, sh: Sh): Promise<void> {
  const {cluster, work, cleanup, result} = state;
  const keep = cleanup === 'never' || (cleanup === 'on-success' && result !== 'passed');
  if (cluster !== null && keep) {
    for (const command of state.undo) await sh(command, {seconds: 20});
    core.info(
      `The cluster ${cluster} is kept (cleanup: ${cleanup}); kind delete cluster --name ${cluster} deletes it.`
    );
    return;
  }
  if (cluster !== null) await deleteCluster(cluster, state, sh);
  if (work !== null) await fs.rm(work, {recursive: true, force: true});
}

async function deleteCluster(name: string, {made, work, kind}: State, sh: Sh): Promise<void> {
  if (kind !== null) process.env.PATH = `${kind}${path.delimiter}${process.env.PATH}`;
  const command = deleteCommand(name, path.join(work ?? '', 'kubeconfig'));
  if (!made) {
    await sh(command, {seconds: 120});
    await sleep(2000); // what Docker was asked for before the run was cut off may still come
  }
  const {code, stderr} = await sh(command, {seconds: 120});
  if (code === 0) core.info(`The cluster ${name} is deleted.`);
  else core.setFailed(`The cluster ${name} could not be deleted: ${oneLine(stderr)}`);
}

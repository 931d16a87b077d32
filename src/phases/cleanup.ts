import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import * as core from '@actions/core';
import {oneLine} from '../base/log.ts';
import type {Sh} from '../base/sh.ts';
import type {State} from '../plan/state.ts';
import {releaseName} from './claim.ts';
import {containersOf, deleteCommand} from './cluster.ts';
import {removalCommands, removeFromCluster} from './removal.ts';

/** Post: deletes the cluster that this run made, and what it wrote for itself. */
export async function cleanUp(state: State, sh: Sh): Promise<void> {
  const {cluster, work, cleanup, result} = state;
  const keep = cleanup === 'never' || (cleanup === 'on-success' && result !== 'passed');
  if (cluster !== null && keep) {
    for (const command of state.undo) await sh(command, {seconds: 20});
    await release(state, sh);
    core.info(
      `The cluster ${cluster} is kept (cleanup: ${cleanup}); kind delete cluster --name ${cluster} deletes it.`
    );
    return;
  }
  if (state.existing !== null && keep) {
    core.info(
      `What the run ${state.existing.run} made in the cluster is kept (cleanup: ${cleanup}). To remove it:`
    );
    for (const command of removalCommands(state.existing)) core.info(command.join(' '));
    return;
  }
  if (state.existing !== null) await removeFromCluster(state.existing, work ?? '', sh);
  if (cluster !== null) await deleteCluster(cluster, state, sh);
  await release(state, sh);
  if (work !== null) await fs.rm(work, {recursive: true, force: true});
}

async function release({claim}: State, sh: Sh): Promise<void> {
  if (claim !== null) await releaseName(claim.name, claim.token, sh);
}

/** Whether a cluster has a container that this run did not make; unknown while it was being made, when its name was claimed. */
async function isAnother(name: string, {containers}: State, sh: Sh): Promise<boolean> {
  if (containers.length === 0) return false;
  const found = await containersOf(name, sh).catch(() => []); // where Docker does not answer, kind says so
  return found.some(id => !containers.includes(id));
}

async function deleteCluster(name: string, state: State, sh: Sh): Promise<void> {
  const {made, work, kind} = state;
  if (kind !== null) process.env.PATH = `${kind}${path.delimiter}${process.env.PATH}`;
  if (await isAnother(name, state, sh)) {
    core.warning(
      `The cluster ${name} is left: it is not the one that this run made, which somebody has deleted.`
    );
    return;
  }
  const command = deleteCommand(name, path.join(work ?? '', 'kubeconfig'));
  if (!made) {
    await sh(command, {seconds: 120});
    await sleep(2000); // what Docker was asked for before the run was cut off may still come
  }
  const {code, stderr} = await sh(command, {seconds: 120});
  if (code === 0) core.info(`The cluster ${name} is deleted.`);
  else core.setFailed(`The cluster ${name} could not be deleted: ${oneLine(stderr)}`);
}

/** Post: deletes the cluster and the files of this run. */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import * as core from '@actions/core';
import {toSingleLine} from '../base/log.ts';
import type {Sh} from '../base/sh.ts';
import type {PostState} from '../plan/state.ts';
import {releaseName} from './claim.ts';
import {
  buildDeleteClusterCommand,
  dockerUnavailablePattern,
  listContainers
} from './create-cluster.ts';
import {buildRemovalCommands, removeFromCluster} from './removal.ts';

/** Deletes the cluster that this run created, and its private files, as the input `cleanup` requires. */
export async function cleanUp(state: PostState, shOnce: Sh): Promise<void> {
  const sh = retryDockerCommands(shOnce);
  const {cluster, work, cleanup, result} = state;
  const keep = cleanup === 'never' || (cleanup === 'on-success' && result !== 'passed');
  if (cluster !== null && keep) {
    for (const command of state.undo) await sh(command, {seconds: 20});
    await releaseClaim(state, sh);
    core.info(
      isRehearsal()
        ? `Rehearsal: no cluster ${cluster} existed, and none is kept.`
        : `The cluster ${cluster} is kept (cleanup: ${cleanup}); kind delete cluster --name ${cluster} deletes it.`
    );
    return;
  }
  if (state.existing !== null && keep) {
    core.info(
      `The objects of run ${state.existing.run} are kept in the cluster (cleanup: ${cleanup}). To remove them:`
    );
    for (const command of buildRemovalCommands(state.existing)) core.info(command.join(' '));
    return;
  }
  if (state.existing !== null) await removeFromCluster(state.existing, work ?? '', sh);
  if (cluster !== null) await deleteCluster(cluster, state, sh);
  await releaseClaim(state, sh);
  if (work !== null) await fs.rm(work, {recursive: true, force: true});
}

/** Whether commands are answered from a recording, so that no cluster exists. */
const isRehearsal = (): boolean => Boolean(process.env.DUAL_STACK_REHEARSAL);

async function releaseClaim({claim}: PostState, sh: Sh): Promise<void> {
  if (claim !== null) await releaseName(claim.name, claim.token, sh);
}

/** Retries commands while Docker restarts, for a minute in total. */
function retryDockerCommands(sh: Sh): Sh {
  let retriesLeft = 30; // for all commands together
  return async (command, options) => {
    for (;;) {
      const output = await sh(command, options);
      if (output.code === 0 || !dockerUnavailablePattern.test(output.stderr) || retriesLeft-- <= 0)
        return output;
      await sleep(2000);
    }
  };
}

/** Prints the names of anonymous volumes, which kind's nodes have. */
const volumeNamesTemplate =
  '{{range .Mounts}}{{if eq .Type "volume"}}{{println .Name}}{{end}}{{end}}';

async function listVolumes(containers: string[], sh: Sh): Promise<string[]> {
  if (containers.length === 0) return [];
  const {stdout} = await sh(['docker', 'inspect', '--format', volumeNamesTemplate, ...containers], {
    seconds: 60
  });
  return stdout.split('\n').filter(Boolean);
}

/** The volumes of a complete cluster; null if it has a container that this run did not create. */
async function listOwnVolumes(
  name: string,
  {containers}: PostState,
  sh: Sh
): Promise<string[] | null> {
  const there = await listContainers(name, sh).catch(() => []); // if Docker does not respond, the deletion by kind reports it
  const isOurs = containers === null || there.every(id => containers.includes(id));
  return isOurs ? listVolumes(there, sh) : null;
}

/** How many times to list the nodes of an incomplete cluster, one second apart. */
const maxPolls = 30;

/**
 * Deletes an incomplete cluster while its nodes still appear, until all have come and gone, for half a minute at most.
 * Docker creates a container even after its client has ended, and lists it some seconds before it can be removed. Until
 * then a removal finds nothing and reports no error. Resolves to the volumes of the nodes.
 */
async function deleteClusterBeingCreated(command: string[], {cluster, nodes}: PostState, sh: Sh) {
  const seen = new Set<string>();
  const volumes: string[] = [];
  for (let attempt = 0; attempt < maxPolls; attempt++) {
    const there = await listContainers(cluster ?? '', sh).catch(() => []);
    if (there.length === 0 && seen.size >= nodes) break;
    volumes.push(...(await listVolumes(there, sh)));
    if (there.length > 0) await sh(command, {seconds: 120});
    for (const id of there) seen.add(id);
    await sleep(1000);
  }
  return volumes;
}

async function deleteCluster(name: string, state: PostState, sh: Sh): Promise<void> {
  const {made, work, kind} = state;
  if (kind !== null) process.env.PATH = `${kind}${path.delimiter}${process.env.PATH}`;
  const command = buildDeleteClusterCommand(name, path.join(work ?? '', 'kubeconfig'));
  const volumes = made
    ? await listOwnVolumes(name, state, sh)
    : await deleteClusterBeingCreated(command, state, sh);
  if (volumes === null) {
    core.warning(
      `The cluster ${name} is kept: this run did not create it. The cluster of this run was deleted before, and another has its name.`
    );
    return;
  }
  const {code, stderr} = await sh(command, {seconds: 120});
  // Docker leaves the volumes behind if it restarts while it removes a container
  if (volumes.length > 0)
    await sh(['docker', 'volume', 'rm', '--force', ...volumes], {seconds: 120});
  if (code === 0)
    core.info(
      isRehearsal()
        ? `Rehearsal: no cluster ${name} existed, and none was deleted.`
        : `The cluster ${name} is deleted.`
    );
  else
    core.setFailed(
      `The cluster ${name} could not be deleted: ${toSingleLine(stderr)}. To delete it by hand: kind delete cluster --name ${name}`
    );
}

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

/** Post: deletes the cluster that this run made, and what it wrote for itself. */
export async function cleanUp(state: PostState, shOnce: Sh): Promise<void> {
  const sh = retryDockerCommands(shOnce);
  const {cluster, work, cleanup, result} = state;
  const keep = cleanup === 'never' || (cleanup === 'on-success' && result !== 'passed');
  if (cluster !== null && keep) {
    for (const command of state.undo) await sh(command, {seconds: 20});
    await releaseClaim(state, sh);
    core.info(
      `The cluster ${cluster} is kept (cleanup: ${cleanup}); kind delete cluster --name ${cluster} deletes it.`
    );
    return;
  }
  if (state.existing !== null && keep) {
    core.info(
      `What the run ${state.existing.run} made in the cluster is kept (cleanup: ${cleanup}). To remove it:`
    );
    for (const command of buildRemovalCommands(state.existing)) core.info(command.join(' '));
    return;
  }
  if (state.existing !== null) await removeFromCluster(state.existing, work ?? '', sh);
  if (cluster !== null) await deleteCluster(cluster, state, sh);
  await releaseClaim(state, sh);
  if (work !== null) await fs.rm(work, {recursive: true, force: true});
}

async function releaseClaim({claim}: PostState, sh: Sh): Promise<void> {
  if (claim !== null) await releaseName(claim.name, claim.token, sh);
}

/** Docker may be on its way back: asks again, for a minute in all. */
function retryDockerCommands(sh: Sh): Sh {
  let retriesLeft = 30; // of all commands together
  return async (command, options) => {
    for (;;) {
      const output = await sh(command, options);
      if (output.code === 0 || !dockerUnavailablePattern.test(output.stderr) || retriesLeft-- <= 0)
        return output;
      await sleep(2000);
    }
  };
}

/** Of volumes that Docker named itself, as those of kind's nodes: their names. */
const volumeNamesTemplate =
  '{{range .Mounts}}{{if eq .Type "volume"}}{{println .Name}}{{end}}{{end}}';

async function listVolumes(containers: string[], sh: Sh): Promise<string[]> {
  if (containers.length === 0) return [];
  const {stdout} = await sh(['docker', 'inspect', '--format', volumeNamesTemplate, ...containers], {
    seconds: 60
  });
  return stdout.split('\n').filter(Boolean);
}

/** The volumes of a cluster that was made whole; null where it has a container that this run did not make. */
async function listOwnVolumes(
  name: string,
  {containers}: PostState,
  sh: Sh
): Promise<string[] | null> {
  const there = await listContainers(name, sh).catch(() => []); // where Docker does not answer, kind says so
  const isOurs = containers === null || there.every(id => containers.includes(id));
  return isOurs ? listVolumes(there, sh) : null;
}

/** How often is looked for the nodes of a cluster that kind was making, a second apart. */
const maxPolls = 30;

/**
 * Deletes a cluster that kind was making as its nodes come, until all have come and gone; where one does not come, for
 * half a minute. Docker makes a container also when who asked for it has gone, and lists it some seconds before it can
 * be removed, when it fills the volumes: until then a removal finds none, and is no error. Gives their volumes.
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
      `The cluster ${name} is left: it is not the one that this run made, which somebody has deleted.`
    );
    return;
  }
  const {code, stderr} = await sh(command, {seconds: 120});
  // a Docker that is restarted while it removes a container forgets its volumes
  if (volumes.length > 0)
    await sh(['docker', 'volume', 'rm', '--force', ...volumes], {seconds: 120});
  if (code === 0) core.info(`The cluster ${name} is deleted.`);
  else
    core.setFailed(
      `The cluster ${name} could not be deleted: ${toSingleLine(stderr)}. By hand: kind delete cluster --name ${name}`
    );
}

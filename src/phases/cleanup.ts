import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import * as core from '@actions/core';
import {oneLine} from '../log.ts';
import type {Sh} from '../sh.ts';
import type {State} from '../state.ts';
import {deleteCommand} from './cluster.ts';

/** Post: deletes the cluster that this run made, and what it wrote for itself. */
export async function cleanUp(
  {cluster, work, kind, cleanup, result}: State,
  sh: Sh
): Promise<void> {
  const keep = cleanup === 'never' || (cleanup === 'on-success' && result !== 'passed');
  if (cluster !== null && keep) {
    core.info(
      `The cluster ${cluster} is kept (cleanup: ${cleanup}); kind delete cluster --name ${cluster} deletes it.`
    );
    return;
  }
  if (cluster !== null) await deleteCluster(cluster, work, kind, sh);
  if (work !== null) await fs.rm(work, {recursive: true, force: true});
}

async function deleteCluster(
  name: string,
  work: string | null,
  kind: string | null,
  sh: Sh
): Promise<void> {
  if (kind !== null) process.env.PATH = `${kind}${path.delimiter}${process.env.PATH}`;
  const {code, stderr} = await sh(deleteCommand(name, path.join(work ?? '', 'kubeconfig')), {
    seconds: 120
  });
  if (code === 0) core.info(`The cluster ${name} is deleted.`);
  else core.setFailed(`The cluster ${name} could not be deleted: ${oneLine(stderr)}`);
}

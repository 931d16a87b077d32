import * as path from 'node:path';
import * as core from '@actions/core';
import {toSingleLine} from './base/log.ts';
import {type Sh, sh} from './base/sh.ts';
import {runMatrix} from './matrix.ts';
import {cleanUp} from './phases/cleanup.ts';
import {readState} from './plan/state.ts';
import {runReport} from './report.ts';
import {run} from './run/run.ts';

/** What main has saved is cleaned up; nothing where there was no main. */
async function post(sh: Sh): Promise<void> {
  const state = readState();
  if (state !== null) await cleanUp(state, sh);
}

/**
 * One bundle for post and the other actions, by the file that their action.yml runs: two lines that import it
 * (scripts/entries.mjs). That is told by nothing else: the environment may be anybody's.
 */
const otherActions: Record<string, (sh: Sh) => Promise<void>> = {
  'matrix.js': runMatrix,
  'report.js': runReport,
  'post.js': post
};

const action = otherActions[path.basename(process.argv[1] ?? '')] ?? run;
try {
  await action(sh);
} catch (error) {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  core.setFailed(toSingleLine(text.slice(0, 4000)));
}
process.exit(); // what is still under way ends with us

/** Starts the main, post, matrix or report action. */
import * as path from 'node:path';
import * as core from '@actions/core';
import {toSingleLine} from './base/log.ts';
import {type Sh, sh} from './base/sh.ts';
import {runMatrix} from './matrix.ts';
import {cleanUp} from './phases/cleanup.ts';
import {readState} from './plan/state.ts';
import {runReport} from './report.ts';
import {run} from './run/run.ts';

/** Cleans up what main saved. Does nothing if main did not run. */
async function post(sh: Sh): Promise<void> {
  const state = readState();
  if (state !== null) await cleanUp(state, sh);
}

/**
 * Started file → action. All actions share one bundle, which each started file imports (scripts/entries.mjs).
 * Only the file name selects the action, because the environment is untrusted.
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
process.exit(); // ends what still runs

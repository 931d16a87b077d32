import * as path from 'node:path';
import * as core from '@actions/core';
import {type Sh, sh} from './base/sh.ts';
import {matrix} from './matrix.ts';
import {cleanUp} from './phases/cleanup.ts';
import {readState} from './plan/state.ts';
import {report} from './report.ts';
import {run} from './run/run.ts';

/** The other actions, by the file that their action.yml runs: two lines that import this bundle (scripts/entries.mjs). */
const others: Record<string, (sh: Sh) => Promise<void>> = {
  'matrix.js': matrix,
  'report.js': report
};

/** One bundle for main and post: post finds what main has saved. */
async function checkOrCleanUp(sh: Sh): Promise<void> {
  const state = readState();
  await (state === null ? run(sh) : cleanUp(state, sh));
}

const action = others[path.basename(process.argv[1] ?? '')] ?? checkOrCleanUp;
try {
  await action(sh);
} catch (error) {
  core.setFailed(error instanceof Error ? (error.stack ?? error.message) : String(error));
}

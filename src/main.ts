import * as core from '@actions/core';
import {cleanUp} from './phases/cleanup.ts';
import {run} from './run.ts';
import {sh} from './sh.ts';
import {readState} from './state.ts';

// One bundle for main and post: post finds what main has saved.
const state = readState();
try {
  await (state === null ? run(sh) : cleanUp(state, sh));
} catch (error) {
  core.setFailed(error instanceof Error ? (error.stack ?? error.message) : String(error));
}

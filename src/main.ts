import * as core from '@actions/core';
import {sh} from './base/sh.ts';
import {cleanUp} from './phases/cleanup.ts';
import {readState} from './plan/state.ts';
import {run} from './run/run.ts';

// One bundle for main and post: post finds what main has saved.
const state = readState();
try {
  await (state === null ? run(sh) : cleanUp(state, sh));
} catch (error) {
  core.setFailed(error instanceof Error ? (error.stack ?? error.message) : String(error));
}

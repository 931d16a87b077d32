import * as path from 'node:path';
import * as core from '@actions/core';
import {ownDirectory, writeAnew} from '../base/safe-fs.ts';
import type {Plan} from '../plan/plan.ts';
import {files} from '../results/files.ts';
import type {Results} from '../results/results.ts';
import {html} from './html.ts';
import {junit} from './junit.ts';
import {script} from './script.ts';
import {summary} from './summary.ts';

/** Writes all reports, and the job summary where the runner takes one. */
export async function writeReports(
  results: Results,
  plan: Plan | null,
  directory: string
): Promise<void> {
  await ownDirectory(directory);
  const text = summary(results);
  const reports = {
    [files.results]: `${JSON.stringify(results, null, 2)}\n`,
    [files.summary]: text,
    [files.junit]: junit(results),
    [files.report]: html(results),
    ...(plan ? {[files.script]: script(plan, results)} : {})
  };
  for (const [name, contents] of Object.entries(reports))
    await writeAnew(path.join(directory, name), contents, name === files.script ? 0o755 : 0o644);
  if (process.env.GITHUB_STEP_SUMMARY) await core.summary.addRaw(text, true).write();
}

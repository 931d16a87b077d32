/** Writes the reports of a run to its results directory. */
import * as path from 'node:path';
import * as core from '@actions/core';
import {ensureDirectory, replaceFile} from '../base/safe-fs.ts';
import type {Plan} from '../plan/plan.ts';
import {files} from '../results/files.ts';
import type {Results} from '../results/results.ts';
import {renderHtml} from './html.ts';
import {renderJunit} from './junit.ts';
import {renderScript} from './script.ts';
import {renderSummary} from './summary.ts';

/** Writes all reports, and the job summary if the runner supports it. Throws on file errors. */
export async function writeReports(
  results: Results,
  plan: Plan | null,
  directory: string
): Promise<void> {
  await ensureDirectory(directory);
  const text = renderSummary(results);
  const reports = {
    [files.results]: `${JSON.stringify(results, null, 2)}\n`,
    [files.summary]: text,
    [files.junit]: renderJunit(results),
    [files.report]: renderHtml(results),
    ...(plan ? {[files.script]: renderScript(plan, results)} : {})
  };
  for (const [name, contents] of Object.entries(reports))
    await replaceFile(path.join(directory, name), contents, name === files.script ? 0o755 : 0o644);
  if (process.env.GITHUB_STEP_SUMMARY) await core.summary.addRaw(text, true).write();
}

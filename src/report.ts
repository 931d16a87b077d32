import * as path from 'node:path';
import * as core from '@actions/core';
import {Fault} from './base/fault.ts';
import {oneLine} from './base/log.ts';
import {ownDirectory, writeAnew} from './base/safe-fs.ts';
import {type ReportInputs, readReportInputs} from './inputs/report-inputs.ts';
import {type Matrix, merge, written} from './reports/merge-results.ts';
import {mergedAnnotations} from './reports/merged-annotations.ts';
import {cellsOf} from './reports/merged-cells.ts';
import {findResults} from './reports/merged-find.ts';
import {mergedHtml} from './reports/merged-html.ts';
import {mergedJunit} from './reports/merged-junit.ts';
import {mergedOutputs} from './reports/merged-outputs.ts';
import {mergedSummary} from './reports/merged-summary.ts';
import {mergedHeadline} from './reports/merged-verdict.ts';
import {files} from './results/files.ts';
import {githubRun} from './run/build-results.ts';

const annotate = {error: core.error, warning: core.warning, notice: core.notice};

/** The report action: what is found and what was planned → cells → one result → reports. */
export async function report(): Promise<void> {
  core.setOutput('result', 'error'); // stands when we are killed
  let inputs: ReportInputs;
  try {
    inputs = readReportInputs();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    core.setFailed(oneLine(error.message.replaceAll('\n', '; ')));
    return;
  }
  const matrix = matrixOf(inputs);
  const directory =
    inputs['results-dir'] ?? path.join(process.env.RUNNER_TEMP || '.', 'dual-stack-report');
  const summary = mergedSummary(matrix);
  const kept = await tried('report', () => write(matrix, summary, directory));
  if (process.env.GITHUB_STEP_SUMMARY)
    await tried('summary', () => core.summary.addRaw(summary, true).write());
  for (const [name, value] of Object.entries(mergedOutputs(matrix, kept ? directory : '')))
    core.setOutput(name, value);
  for (const {level, title, message} of mergedAnnotations(matrix))
    annotate[level](oneLine(message), {title: oneLine(title)});
  const {words, facts} = mergedHeadline(matrix);
  core.info(oneLine([words, ...facts].join(' · ')));
  if (matrix.result === 'failed' || matrix.result === 'error') process.exitCode = 1; // its annotations are written
}

function matrixOf(inputs: ReportInputs): Matrix {
  const {cells: found} = findResults(inputs.directory);
  const before = inputs.previous === null ? null : findResults(inputs.previous);
  const cells = cellsOf(found, inputs.matrix, inputs['fail-on']);
  const old = before && [...before.reported, ...cellsOf(before.cells, [], [])];
  return merge(cells, inputs['fail-on'], old?.length ? old : null, githubRun(process.env));
}

async function write(matrix: Matrix, summary: string, directory: string): Promise<void> {
  await ownDirectory(directory);
  const reports = {
    [files.results]: `${JSON.stringify(written(matrix), null, 2)}\n`,
    [files.summary]: summary,
    [files.junit]: mergedJunit(matrix),
    [files.report]: mergedHtml(matrix)
  };
  for (const [name, contents] of Object.entries(reports))
    await writeAnew(path.join(directory, name), contents, 0o644);
}

/** What cannot be written turns nothing red or green. */
async function tried(what: string, work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    core.warning(`The ${what} could not be written: ${oneLine(String(error))}`);
    return false;
  }
}

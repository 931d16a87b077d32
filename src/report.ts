/** Runs the report action. */
import * as path from 'node:path';
import * as core from '@actions/core';
import {Fault} from './base/fault.ts';
import {toSingleLine} from './base/log.ts';
import {ensureDirectory, replaceFile} from './base/safe-fs.ts';
import {type ReportInputs, readReportInputs} from './inputs/report-inputs.ts';
import {type Matrix, mergeCells, stripResults} from './reports/merge-results.ts';
import {buildMergedAnnotations} from './reports/merged-annotations.ts';
import {buildMatrixCells} from './reports/merged-cells.ts';
import {findResults} from './reports/merged-find.ts';
import {renderMergedHtml} from './reports/merged-html.ts';
import {renderMergedJunit} from './reports/merged-junit.ts';
import {buildMergedOutputs} from './reports/merged-outputs.ts';
import {renderMergedSummary} from './reports/merged-summary.ts';
import {buildMergedHeadline} from './reports/merged-verdict.ts';
import {files} from './results/files.ts';
import {getGithubRun} from './run/build-results.ts';

const annotate = {error: core.error, warning: core.warning, notice: core.notice};

/** Merges the results of the cells into one result, and writes its reports, outputs and annotations. */
export async function runReport(): Promise<void> {
  core.setOutput('result', 'error'); // remains if the process is killed
  let inputs: ReportInputs;
  try {
    inputs = readReportInputs();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    core.setFailed(toSingleLine(error.message.replaceAll('\n', '; ')));
    return;
  }
  const matrix = buildMatrix(inputs);
  const directory =
    inputs['results-dir'] ?? path.join(process.env.RUNNER_TEMP || '.', 'dual-stack-report');
  const summary = renderMergedSummary(matrix);
  const kept = await warnOnFailure('report', () => writeMergedReports(matrix, summary, directory));
  if (process.env.GITHUB_STEP_SUMMARY)
    await warnOnFailure('summary', () => core.summary.addRaw(summary, true).write());
  for (const [name, value] of Object.entries(buildMergedOutputs(matrix, kept ? directory : '')))
    core.setOutput(name, value);
  for (const {level, title, message} of buildMergedAnnotations(matrix))
    annotate[level](toSingleLine(message), {title: toSingleLine(title)});
  const {words, facts} = buildMergedHeadline(matrix);
  core.info(toSingleLine([words, ...facts].join(' · ')));
  if (matrix.result === 'failed' || matrix.result === 'error') process.exitCode = 1; // its annotations are already written
}

function buildMatrix(inputs: ReportInputs): Matrix {
  const {cells: found} = findResults(inputs.directory);
  const before = inputs.previous === null ? null : findResults(inputs.previous);
  const cells = buildMatrixCells(found, inputs.matrix, inputs['fail-on']);
  const old = before && [...before.reported, ...buildMatrixCells(before.cells, [], [])];
  return mergeCells(cells, inputs['fail-on'], old?.length ? old : null, getGithubRun(process.env));
}

async function writeMergedReports(
  matrix: Matrix,
  summary: string,
  directory: string
): Promise<void> {
  await ensureDirectory(directory);
  const reports = {
    [files.results]: `${JSON.stringify(stripResults(matrix), null, 2)}\n`,
    [files.summary]: summary,
    [files.junit]: renderMergedJunit(matrix),
    [files.report]: renderMergedHtml(matrix)
  };
  for (const [name, contents] of Object.entries(reports))
    await replaceFile(path.join(directory, name), contents, 0o644);
}

/** Returns whether `work` succeeded. A report that cannot be written is a warning, and does not change the result. */
async function warnOnFailure(what: string, work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    core.warning(`Could not write the ${what}: ${toSingleLine(String(error))}`);
    return false;
  }
}

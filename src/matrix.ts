/** Runs the matrix action. */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import * as core from '@actions/core';
import {Fault} from './base/fault.ts';
import {logLine, toSingleLine} from './base/log.ts';
import {ensurePrivateDirectory} from './base/safe-fs.ts';
import type {Sh} from './base/sh.ts';
import {type MatrixInputs, readMatrixInputs} from './inputs/matrix-inputs.ts';
import {provideChart} from './phases/fetch-chart.ts';
import {provideTool} from './phases/tools.ts';
import {formatMatrixHeadline, renderMatrixSummary} from './reports/matrix-summary.ts';
import {planCells} from './versions/cells.ts';
import {operatorReleases} from './versions/istio-versions.ts';

/** Sets the outputs of the matrix action: the versions to test with an operator, as JSON for `fromJSON`. */
export async function runMatrix(sh: Sh): Promise<void> {
  try {
    const inputs = readMatrixInputs();
    const {operator, installable} = await resolveOperator(inputs, sh);
    const {cells, leftOut} = planCells({
      operator,
      installable,
      istio: inputs['istio-versions'],
      kubernetes: inputs['kubernetes-versions'],
      families: inputs['ip-families'],
      modes: inputs['dataplane-modes'],
      max: inputs.max
    });
    core.info(formatMatrixHeadline(operator, cells, leftOut));
    for (const {name} of cells) core.info(`  ${name}`);
    for (const {name, reason} of leftOut) core.info(`  left out: ${name}: ${toSingleLine(reason)}`);
    if (leftOut.length > 0) core.notice(formatMatrixHeadline(operator, cells, leftOut));
    core.setOutput('matrix', JSON.stringify({include: cells}));
    core.setOutput('count', cells.length);
    core.setOutput('left-out', JSON.stringify(leftOut));
    if (process.env.GITHUB_STEP_SUMMARY)
      await core.summary.addRaw(renderMatrixSummary(operator, cells, leftOut)).write();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    core.setFailed(
      toSingleLine(
        `${error.message.replaceAll('\n', '; ').replace(/\.?$/, '.')} ${error.attribution.hint}`
      )
    );
  }
}

/** The operator's version and the Istio versions that it can install. A known release needs no download. */
async function resolveOperator(inputs: MatrixInputs, sh: Sh) {
  const asked = inputs['operator-version'];
  const known = inputs['operator-chart'] === null ? operatorReleases[asked] : undefined;
  if (known !== undefined) return {operator: asked, installable: known};
  const chart = await fetchChart(inputs, sh);
  return {operator: chart.version, installable: chart.istioReleases.map(({version}) => version)};
}

async function fetchChart(inputs: MatrixInputs, sh: Sh) {
  const directory = path.join(process.env.RUNNER_TEMP || '.', 'dual-stack.matrix.private');
  await ensurePrivateDirectory(directory);
  const start = performance.now();
  const clock = () => (performance.now() - start) / 1000;
  const reportWait = (what: string | null) => {
    if (what !== null) logLine(clock(), 'chart', `waiting for ${what}`);
  };
  try {
    await provideTool('helm', inputs, sh);
    return await provideChart(
      inputs,
      directory,
      {signal: new AbortController().signal, clock, reportWait},
      sh
    );
  } finally {
    await fs.rm(directory, {recursive: true, force: true});
  }
}

/** Runs the Action: inputs, plan, phases and checks, reports. */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import * as core from '@actions/core';
import {describeMirror} from '../base/download.ts';
import {logGroup, logLine, toSingleLine} from '../base/log.ts';
import {ensureDirectory, ensurePrivateDirectory, replaceFile} from '../base/safe-fs.ts';
import type {Sh} from '../base/sh.ts';
import {collectSamples, layerAttributions, selectDefinitions} from '../checks/catalogue.ts';
import {filterByMode} from '../checks/dataplane.ts';
import type {CheckDefinition} from '../checks/definition.ts';
import {filterApplicable} from '../checks/skip-on-existing.ts';
import {splitByStage} from '../checks/upgrade.ts';
import {readInputs, readResultsDir} from '../inputs/inputs.ts';
import {addNodeMount, renderKindYaml} from '../manifests/kind.ts';
import {describeLostNode} from '../phases/create-cluster.ts';
import {collectDiagnostics} from '../phases/diagnostics.ts';
import {getImagesDirectory, nodeImagesDirectory} from '../phases/load-images.ts';
import {readDockerConfig} from '../phases/logins.ts';
import {applyEnvironment, buildToolEnvironment, refuseKindProvider} from '../plan/environment.ts';
import {refuseExistingNamespaces} from '../plan/existing-cluster.ts';
import {buildPlan, describeHub, type Plan} from '../plan/plan.ts';
import {openState} from '../plan/state.ts';
import {buildAnnotations} from '../reports/annotations.ts';
import {formatLogEnd} from '../reports/log-end.ts';
import {buildOutputs} from '../reports/outputs.ts';
import {renderScript} from '../reports/script.ts';
import {writeReports} from '../reports/write.ts';
import {files} from '../results/files.ts';
import type {Results} from '../results/results.ts';
import {describeKubectlSkew, describeUnsupportedVersion} from '../versions/kubernetes.ts';
import {describeSkippedMinors} from '../versions/upgrade-path.ts';
import {buildResults, getRehearsal} from './build-results.ts';
import {diagnose, type Ending, type Evidence} from './diagnose.ts';
import {
  buildExistingClusterPhases,
  buildExistingClusterPreparations
} from './existing-cluster-phases.ts';
import {buildPhases, buildPreparations} from './graph.ts';
import {createRunContext, type RunContext, required} from './run-context.ts';
import {selectChecks} from './select-checks.ts';
import {buildTargetPhases} from './target-phases.ts';

/** Runs all steps of main. Reports exactly once, however the run ends. */
export async function run(sh: Sh): Promise<void> {
  const externalEndings = [waitForSignal(), waitForUnhandledError()]; // first: an unhandled signal would end the process without a report
  const recording = getRehearsal();
  if (recording)
    core.info(`Rehearsal of the recording "${recording.recording}": no cluster is created.`);
  const run = createRunContext(sh, openState());
  for (const [name, value] of Object.entries({result: 'error', 'failure-class': 'cancelled'}))
    core.setOutput(name, value); // remains if the process is killed
  core.startGroup('Progress, with the seconds since the start');
  const ending = await Promise.race([runWithTimeout(run), ...externalEndings]);
  run.schedule.stop();
  core.endGroup(); // the end of the log repeats what matters
  if (run.inputs?.['dry-run'] && run.errors.length + run.schedule.errors.length === 0) {
    for (const name of ['result', 'failure-class']) core.setOutput(name, ''); // a dry run proves nothing
    if (run.plan) printPlan(run, run.plan);
    return;
  }
  const results = await reportResults(run, ending);
  if (results.failure) process.exitCode = 1; // its annotation is written
}

async function runWithTimeout(run: RunContext): Promise<Ending> {
  const over = new AbortController();
  try {
    run.inputs = readInputs();
    return await Promise.race([executeRun(run), waitForTimeout(run.inputs.timeout, over.signal)]);
  } catch (error) {
    run.errors.push({phase: run.inputs ? 'plan' : 'inputs', error});
    return 'done';
  } finally {
    over.abort();
  }
}

async function executeRun(run: RunContext): Promise<Ending> {
  const inputs = required(run.inputs, 'inputs');
  if (inputs.targets === null) {
    const upgrade = inputs['upgrade-from'] !== null;
    const isApplicable = ({layer}: CheckDefinition) => upgrade || layer !== 'upgrade';
    const rows = splitByStage(
      selectChecks(() =>
        filterByMode(
          inputs['dataplane-mode'],
          filterApplicable(inputs, selectDefinitions(inputs.checks))
        ).filter(isApplicable)
      ),
      upgrade
    );
    run.ledger.selected = rows.before;
    run.ledgerAfterUpgrade.selected = rows.after;
  }
  refuseKindProvider(process.env);
  const words = describeMirror(inputs.mirror);
  if (words) logLine(run.clock(), 'mirror', words);
  run.directory = await createPrivateDirectory(run, inputs['cluster-name']);
  if (inputs.targets !== null) {
    await ensureDirectory(getResultsDirectory(run));
    await run.schedule.run(buildTargetPhases(run, inputs.targets));
    return 'done';
  }
  await run.schedule.run(
    inputs.cluster === 'existing' ? buildExistingClusterPreparations(run) : buildPreparations(run)
  );
  if (run.schedule.failed) return 'done';
  const {kind} = run.tools;
  run.save({kind: kind?.directory ?? null});
  const plan = buildPlan(
    inputs,
    required(run.chart, 'chart'),
    run.samples ?? null,
    run.directory,
    kind?.version ?? '',
    collectSamples([...run.ledger.selected, ...run.ledgerAfterUpgrade.selected]),
    run.existing ?? null
  );
  const {existing} = plan;
  if (existing !== null)
    refuseExistingNamespaces(plan.files['namespaces.yaml'] ?? '', required(run.found, 'found'));
  if (existing?.mesh) run.istio = existing.mesh.version;
  run.plan = plan;
  logVersionWarnings(run, plan);
  if (inputs['dry-run']) return 'done';
  await ensureDirectory(getResultsDirectory(run)); // first: without this directory the results would be lost
  await writePlanFiles(plan);
  core.exportVariable('KUBECONFIG', plan.cluster.kubeconfig);
  await run.schedule.run(
    existing === null ? buildPhases(run, plan) : buildExistingClusterPhases(run, plan, existing)
  );
  return 'done';
}

/** Prints the plan of a dry run, and the equivalent script. */
function printPlan(run: RunContext, plan: Plan): void {
  logGroup('Plan', JSON.stringify(getPrintablePlan(run, plan), null, 2));
  const nothing = buildResults(run, {result: 'passed', failure: null, checks: []});
  logGroup('The same by hand', renderScript(plan, nothing));
}

/** The plan without the contents of YAML inputs, which may contain credentials. Files are listed by name. */
const getPrintablePlan = (
  {ledger, ledgerAfterUpgrade}: RunContext,
  {cluster: {config, ...cluster}, shownFiles, ...plan}: Plan
) => ({
  ...plan,
  cluster,
  files: Object.keys(plan.files),
  checks: ledger.selected.map(({id}) => id),
  ...(ledgerAfterUpgrade.selected.length > 0 && {
    checksAfterUpgrade: ledgerAfterUpgrade.selected.map(({id}) => id)
  })
});

/** Logs unsupported combinations of versions before the run creates anything. */
function logVersionWarnings({clock, tools}: RunContext, plan: Plan): void {
  const {istio, upgrade, cluster} = plan;
  for (const warning of [
    describeHub(plan),
    describeUnsupportedVersion(istio.expected, cluster.kubernetes),
    upgrade && describeUnsupportedVersion(upgrade.to, cluster.kubernetes),
    upgrade && describeSkippedMinors(upgrade.from, upgrade.to, upgrade.strategy),
    describeKubectlSkew(tools.kubectl?.version ?? null, cluster.kubernetes)
  ])
    if (warning !== null) logLine(clock(), 'plan', warning);
}

/** Creates the private directory, one per cluster name, so that two uses in one job do not share it. Helm and kubectl use it too. Throws a Fault. */
async function createPrivateDirectory(run: RunContext, name: string): Promise<string> {
  const directory = path.join(process.env.RUNNER_TEMP || '.', `dual-stack-${name}.private`);
  run.save({work: directory, cleanup: required(run.inputs, 'inputs').cleanup});
  await ensurePrivateDirectory(directory).catch(error => {
    run.save({work: null}); // it is not ours: post must not delete it
    throw error;
  });
  applyEnvironment(
    buildToolEnvironment(process.env, await readDockerConfig(process.env), directory)
  );
  return directory;
}

async function writePlanFiles(plan: Plan): Promise<void> {
  await fs.mkdir(getImagesDirectory(plan.directory), {recursive: true, mode: 0o700});
  const {config, tuned} = plan.cluster;
  const mounted = addNodeMount(config, getImagesDirectory(plan.directory), nodeImagesDirectory);
  const kindFile = plan.existing === null && tuned ? {'kind.yaml': renderKindYaml(mounted)} : {};
  for (const [name, text] of Object.entries({...plan.files, ...kindFile}))
    await replaceFile(path.join(plan.directory, name), text, 0o600);
}

const annotationWriters = {error: core.error, warning: core.warning, notice: core.notice};

/** Writes results, reports, outputs and annotations. A failed write does not change the verdict. */
async function reportResults(run: RunContext, ending: Ending): Promise<Results> {
  const lost = ending === 'cancelled' ? null : await findLostNode(run, ending); // the runner kills a cancelled job soon
  const results = buildResultsSafely(run, {
    ending,
    errors: [...run.errors, ...run.schedule.errors],
    phases: run.schedule.phases,
    checks: [...run.ledger.getEvaluatedChecks(), ...run.ledgerAfterUpgrade.getEvaluatedChecks()],
    attributions: layerAttributions,
    failOnFlaky: run.inputs?.['fail-on-flaky'] ?? false,
    existing: run.inputs?.cluster === 'existing',
    lostNode: lost
  });
  const directory = getResultsDirectory(run);
  run.save({result: results.result});
  const isWritten = await warnOnError('results', () =>
    writeReports(results, run.plan ?? null, directory)
  );
  for (const [name, value] of Object.entries(
    buildOutputs(results, run.plan ?? null, isWritten ? directory : '')
  ))
    core.setOutput(name, value);
  for (const {level, title, message} of buildAnnotations(results))
    annotationWriters[level](message.split('\n').map(toSingleLine).join('\n'), {title});
  await warnOnError('diagnostics', () => saveDiagnostics(run, ending, results, directory));
  for (const text of formatLogEnd(results, isWritten ? directory : '')) core.info(text);
  return results;
}

/** The results. If a bug prevents them, results without checks that report the bug. */
export function buildResultsSafely(run: RunContext, evidence: Evidence): Results {
  try {
    return buildResults(run, diagnose(evidence));
  } catch (bug) {
    const {sh, save, started, clock, schedule} = run;
    const bare = {...createRunContext(sh, save), started, clock, schedule};
    return buildResults(bare, diagnose({...evidence, checks: [], lostNode: null, ending: {bug}}));
  }
}

/** How a node of our cluster ended, if something failed; null if none did. */
async function findLostNode(
  {plan, schedule, errors, ledger, ledgerAfterUpgrade, started, sh}: RunContext,
  ending: Ending
) {
  const containerdPhase = schedule.phases.find(
    ({name, status}) => name === 'containerd' && status === 'passed'
  );
  const hasProblem =
    ending === 'timeout' ||
    errors.length + schedule.errors.length > 0 ||
    [...ledger.getEvaluatedChecks(), ...ledgerAfterUpgrade.getEvaluatedChecks()].some(
      ({verdict}) => verdict === 'failed'
    );
  if (!plan || plan.existing !== null || containerdPhase?.at == null || !hasProblem) return null;
  const since = started.getTime() + (containerdPhase.at + containerdPhase.seconds) * 1000;
  return describeLostNode(plan.cluster.nodes, since, sh);
}

const getResultsDirectory = ({inputs}: RunContext): string =>
  (inputs ? inputs['results-dir'] : readResultsDir()) ??
  path.join(process.env.RUNNER_TEMP || '.', `dual-stack-${inputs?.['cluster-name'] ?? 'results'}`);

async function saveDiagnostics(
  run: RunContext,
  ending: Ending,
  results: Results,
  directory: string
): Promise<void> {
  const isWanted =
    run.inputs?.diagnostics === 'always' ||
    (run.inputs?.diagnostics === 'on-failure' && results.failure !== null);
  if (!isWanted || !run.plan || run.kubernetes === undefined || ending === 'cancelled') return;
  logLine(run.clock(), 'diagnostics', 'started');
  await collectDiagnostics(
    run.plan,
    path.join(directory, files.diagnostics),
    ending === 'timeout' ? 10 : 30,
    run.sh
  );
  logLine(run.clock(), 'diagnostics', `in ${path.join(directory, files.diagnostics)}`);
}

async function warnOnError(what: string, write: () => Promise<void>): Promise<boolean> {
  try {
    await write();
    return true;
  } catch (error) {
    core.warning(`The ${what} could not be written: ${toSingleLine(String(error))}`);
    return false;
  }
}

async function waitForTimeout(seconds: number, signal: AbortSignal): Promise<Ending> {
  return new Promise(resolve => {
    const timer = setTimeout(() => resolve('timeout'), seconds * 1000);
    signal.addEventListener('abort', () => clearTimeout(timer));
  });
}

/** The runner sends SIGINT when the job is cancelled, and SIGTERM 7.5 s later. */
async function waitForSignal(): Promise<Ending> {
  return new Promise(resolve => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => resolve('cancelled'));
  });
}

/** Resolves on an unhandled rejection or error, which is a bug and needs a report. */
async function waitForUnhandledError(): Promise<Ending> {
  return new Promise(resolve => {
    for (const name of ['unhandledRejection', 'uncaughtException'] as const)
      process.on(name, (bug: unknown) => resolve({bug}));
  });
}

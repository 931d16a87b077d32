import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import * as core from '@actions/core';
import {mirrorWords} from '../base/download.ts';
import {group, logLine, oneLine} from '../base/log.ts';
import {makePrivate, ownDirectory, writeAnew} from '../base/safe-fs.ts';
import type {Sh} from '../base/sh.ts';
import {blames, rowsOf, samplesOf} from '../checks/catalogue.ts';
import {inMode} from '../checks/dataplane.ts';
import type {CheckDefinition} from '../checks/definition.ts';
import {askedOf} from '../checks/skip-on-existing.ts';
import {staged} from '../checks/upgrade.ts';
import {readInputs, readResultsDir} from '../inputs/inputs.ts';
import {kindYaml, withMount} from '../manifests/kind.ts';
import {lostNode} from '../phases/create-cluster.ts';
import {collectDiagnostics} from '../phases/diagnostics.ts';
import {imagesIn, imagesInNode} from '../phases/load-images.ts';
import {dockerConfig} from '../phases/logins.ts';
import {ownEnvironment, refuseEnvironment, takeEnvironment} from '../plan/environment.ts';
import {refuseTaken} from '../plan/existing-cluster.ts';
import {describeHub, makePlan, type Plan} from '../plan/plan.ts';
import {openState} from '../plan/state.ts';
import {annotations} from '../reports/annotations.ts';
import {logEnd} from '../reports/log-end.ts';
import {outputs} from '../reports/outputs.ts';
import {script} from '../reports/script.ts';
import {writeReports} from '../reports/write.ts';
import {files} from '../results/files.ts';
import type {Results} from '../results/results.ts';
import {skewed, unsupported} from '../versions/kubernetes.ts';
import {skipped} from '../versions/upgrade-path.ts';
import {gather, rehearsal} from './build-results.ts';
import {diagnose, type Ending, type Evidence} from './diagnose.ts';
import {phasesInExisting, preparationsInExisting} from './existing-cluster-phases.ts';
import {phases, preparations} from './graph.ts';
import {createRunContext, type RunContext, required} from './run-context.ts';
import {selectChecks} from './select-checks.ts';
import {phasesOfTargets} from './target-phases.ts';

/** Main: inputs → plan → phases → checks → report. Every ending reports, once. */
export async function run(sh: Sh): Promise<void> {
  const cutOff = [interrupted(), broken()]; // before all else: a signal that nobody waits for ends us without a report
  const recording = rehearsal();
  if (recording)
    core.info(`Rehearsal: recorded answers of "${recording.recording}"; no cluster is made.`);
  const run = createRunContext(sh, openState());
  for (const [name, value] of Object.entries({result: 'error', 'failure-class': 'cancelled'}))
    core.setOutput(name, value); // stands when we are killed
  core.startGroup('Progress, with the seconds since the start');
  const ending = await Promise.race([work(run), ...cutOff]);
  run.schedule.stop();
  core.endGroup(); // what a reader wants of it stands at the end of the log
  if (run.inputs?.['dry-run'] && run.errors.length + run.schedule.errors.length === 0) {
    for (const name of ['result', 'failure-class']) core.setOutput(name, ''); // nothing was proven
    if (run.plan) tellPlan(run, run.plan);
    return;
  }
  const results = await report(run, ending);
  if (results.failure) process.exitCode = 1; // its annotation is written
}

async function work(run: RunContext): Promise<Ending> {
  const over = new AbortController();
  try {
    run.inputs = readInputs();
    return await Promise.race([job(run), overdue(run.inputs.timeout, over.signal)]);
  } catch (error) {
    run.errors.push({phase: run.inputs ? 'plan' : 'inputs', error});
    return 'done';
  } finally {
    over.abort();
  }
}

async function job(run: RunContext): Promise<Ending> {
  const inputs = required(run.inputs, 'inputs');
  if (inputs.targets === null) {
    const upgrade = inputs['upgrade-from'] !== null;
    const isMade = ({layer}: CheckDefinition) => upgrade || layer !== 'upgrade';
    const rows = staged(
      selectChecks(() =>
        inMode(inputs['dataplane-mode'], askedOf(inputs, rowsOf(inputs.checks))).filter(isMade)
      ),
      upgrade
    );
    run.ledger.selected = rows.before;
    run.ledgerAfterUpgrade.selected = rows.after;
  }
  refuseEnvironment(process.env);
  const words = mirrorWords(inputs.mirror);
  if (words) logLine(run.clock(), 'mirror', words);
  run.directory = await privateDirectory(run, inputs['cluster-name']);
  if (inputs.targets !== null) {
    await ownDirectory(resultsDirectory(run));
    await run.schedule.run(phasesOfTargets(run, inputs.targets));
    return 'done';
  }
  await run.schedule.run(
    inputs.cluster === 'existing' ? preparationsInExisting(run) : preparations(run)
  );
  if (run.schedule.failed) return 'done';
  const {kind} = run.tools;
  run.save({kind: kind?.directory ?? null});
  const plan = makePlan(
    inputs,
    required(run.chart, 'chart'),
    run.samples ?? null,
    run.directory,
    kind?.version ?? '',
    samplesOf([...run.ledger.selected, ...run.ledgerAfterUpgrade.selected]),
    run.existing ?? null
  );
  const {existing} = plan;
  if (existing !== null)
    refuseTaken(plan.files['namespaces.yaml'] ?? '', required(run.found, 'found'));
  if (existing?.mesh) run.istio = existing.mesh.version;
  run.plan = plan;
  tellVersions(run, plan);
  if (inputs['dry-run']) return 'done';
  await ownDirectory(resultsDirectory(run)); // before anything is made: without it nobody learns how it ended
  await writeFiles(plan);
  core.exportVariable('KUBECONFIG', plan.cluster.kubeconfig);
  await run.schedule.run(
    existing === null ? phases(run, plan) : phasesInExisting(run, plan, existing)
  );
  return 'done';
}

/** What a dry run is for. */
function tellPlan(run: RunContext, plan: Plan): void {
  group('Plan', JSON.stringify(shownPlan(run, plan), null, 2));
  const nothing = gather(run, {result: 'passed', failure: null, checks: []});
  group('The same by hand', script(plan, nothing));
}

/** The plan without the YAML that was given, which may hold credentials; files by their names. */
const shownPlan = (
  {ledger, ledgerAfterUpgrade}: RunContext,
  {cluster: {config, ...cluster}, shown, ...plan}: Plan
) => ({
  ...plan,
  cluster,
  files: Object.keys(plan.files),
  checks: ledger.selected.map(({id}) => id),
  ...(ledgerAfterUpgrade.selected.length > 0 && {
    checksAfterUpgrade: ledgerAfterUpgrade.selected.map(({id}) => id)
  })
});

/** Says beforehand what does not fit together. */
function tellVersions({clock, tools}: RunContext, plan: Plan): void {
  const {istio, upgrade, cluster} = plan;
  for (const told of [
    describeHub(plan),
    unsupported(istio.expected, cluster.kubernetes),
    upgrade && unsupported(upgrade.to, cluster.kubernetes),
    upgrade && skipped(upgrade.from, upgrade.to, upgrade.strategy),
    skewed(tools.kubectl?.version ?? null, cluster.kubernetes)
  ])
    if (told !== null) logLine(clock(), 'plan', told);
}

/** One per cluster name, so that two uses in one job do not meet. Helm's and kubectl's own files go there too. */
async function privateDirectory(run: RunContext, name: string): Promise<string> {
  const directory = path.join(process.env.RUNNER_TEMP || '.', `dual-stack-${name}.private`);
  run.save({work: directory, cleanup: required(run.inputs, 'inputs').cleanup});
  await makePrivate(directory).catch(error => {
    run.save({work: null}); // it is somebody else's
    throw error;
  });
  takeEnvironment(ownEnvironment(process.env, await dockerConfig(process.env), directory));
  return directory;
}

async function writeFiles(plan: Plan): Promise<void> {
  await fs.mkdir(imagesIn(plan.directory), {recursive: true, mode: 0o700});
  const {config, tuned} = plan.cluster;
  const mounted = withMount(config, imagesIn(plan.directory), imagesInNode);
  const ofKind = plan.existing === null && tuned ? {'kind.yaml': kindYaml(mounted)} : {};
  for (const [name, text] of Object.entries({...plan.files, ...ofKind}))
    await writeAnew(path.join(plan.directory, name), text, 0o600);
}

const annotate = {error: core.error, warning: core.warning, notice: core.notice};

/** Results, reports, outputs and annotations. What cannot be written turns nothing red or green. */
async function report(run: RunContext, ending: Ending): Promise<Results> {
  const lost = ending === 'cancelled' ? null : await lostOf(run, ending); // who cancels does not wait
  const results = gathered(run, {
    ending,
    errors: [...run.errors, ...run.schedule.errors],
    phases: run.schedule.phases,
    checks: [...run.ledger.results(), ...run.ledgerAfterUpgrade.results()],
    blames,
    failOnFlaky: run.inputs?.['fail-on-flaky'] ?? false,
    existing: run.inputs?.cluster === 'existing',
    lost
  });
  const directory = resultsDirectory(run);
  run.save({result: results.result});
  const kept = await tried('results', () => writeReports(results, run.plan ?? null, directory));
  for (const [name, value] of Object.entries(
    outputs(results, run.plan ?? null, kept ? directory : '')
  ))
    core.setOutput(name, value);
  for (const {level, title, message} of annotations(results))
    annotate[level](message.split('\n').map(oneLine).join('\n'), {title});
  await tried('diagnostics', () => diagnostics(run, ending, results, directory));
  for (const text of logEnd(results, kept ? directory : '')) core.info(text);
  return results;
}

/** The results; where something that was found is so odd that there would be none, those without it, which say so. */
export function gathered(run: RunContext, evidence: Evidence): Results {
  try {
    return gather(run, diagnose(evidence));
  } catch (bug) {
    const {sh, save, started, clock, schedule} = run;
    const bare = {...createRunContext(sh, save), started, clock, schedule};
    return gather(bare, diagnose({...evidence, checks: [], lost: null, ending: {bug}}));
  }
}

/** What became of a node of ours that was there, where something went wrong. */
async function lostOf(
  {plan, schedule, errors, ledger, ledgerAfterUpgrade, started, sh}: RunContext,
  ending: Ending
) {
  const there = schedule.phases.find(
    ({name, status}) => name === 'containerd' && status === 'passed'
  );
  const isWrong =
    ending === 'timeout' ||
    errors.length + schedule.errors.length > 0 ||
    [...ledger.results(), ...ledgerAfterUpgrade.results()].some(
      ({verdict}) => verdict === 'failed'
    );
  if (!plan || plan.existing !== null || there?.at == null || !isWrong) return null;
  const since = started.getTime() + (there.at + there.seconds) * 1000;
  return lostNode(plan.cluster.nodes, since, sh);
}

const resultsDirectory = ({inputs}: RunContext): string =>
  (inputs ? inputs['results-dir'] : readResultsDir()) ??
  path.join(process.env.RUNNER_TEMP || '.', `dual-stack-${inputs?.['cluster-name'] ?? 'results'}`);

async function diagnostics(
  run: RunContext,
  ending: Ending,
  results: Results,
  directory: string
): Promise<void> {
  const wanted =
    run.inputs?.diagnostics === 'always' ||
    (run.inputs?.diagnostics === 'on-failure' && results.failure !== null);
  if (!wanted || !run.plan || run.kubernetes === undefined || ending === 'cancelled') return;
  logLine(run.clock(), 'diagnostics', 'started');
  await collectDiagnostics(
    run.plan,
    path.join(directory, files.diagnostics),
    ending === 'timeout' ? 10 : 30,
    run.sh
  );
  logLine(run.clock(), 'diagnostics', `in ${path.join(directory, files.diagnostics)}`);
}

async function tried(what: string, write: () => Promise<void>): Promise<boolean> {
  try {
    await write();
    return true;
  } catch (error) {
    core.warning(`The ${what} could not be written: ${oneLine(String(error))}`);
    return false;
  }
}

async function overdue(seconds: number, signal: AbortSignal): Promise<Ending> {
  return new Promise(resolve => {
    const timer = setTimeout(() => resolve('timeout'), seconds * 1000);
    signal.addEventListener('abort', () => clearTimeout(timer));
  });
}

/** The runner sends SIGINT when the job is cancelled, and SIGTERM 7.5 s later. */
async function interrupted(): Promise<Ending> {
  return new Promise(resolve => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => resolve('cancelled'));
  });
}

/** A rejection or an error that nobody awaited is a bug, and has its report too. */
async function broken(): Promise<Ending> {
  return new Promise(resolve => {
    for (const name of ['unhandledRejection', 'uncaughtException'] as const)
      process.on(name, (bug: unknown) => resolve({bug}));
  });
}

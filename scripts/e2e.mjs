// npm run e2e [-- --repeat N] [--only NAME]: runs .github/workflows/e2e.yml with act in host mode, on real clusters.
// Uses the lab's values if its mirror answers, otherwise the internet, as on GitHub.
import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import {parseArgs} from 'node:util';
import {parse} from 'yaml';
import {matrixArguments, readMatrix} from './e2e-matrix.mjs';
import {lab, mirrorAnswers, missingImages, plainEnvoy} from './lab.mjs';
import {machineNow} from './machine.mjs';

const root = path.resolve(import.meta.dirname, '..');
const SKIPPED = 77; // an exit code that says: nothing was tried

/** The workflow's variables in the lab. */
const labVariables = {
  E2E_NODE_IMAGE: lab.nodeImage,
  E2E_KUBECTL_VERSION: lab.kubernetes,
  E2E_HELM_VERSION: lab.helm,
  E2E_ISTIO_VALUES: JSON.stringify(plainEnvoy),
  E2E_MIRROR: lab.mirrorInput
};

// of its own, so that it minds no other, such as one that a killed run has left
const cluster = `e2e-${process.pid}`;

const env = {...process.env, PATH: `${lab.bin}:${process.env.PATH}`};

function say(program, ...args) {
  const {status, stdout} = spawnSync(program, args, {env, encoding: 'utf8', timeout: 60_000});
  return status === 0 ? stdout.trim() : null;
}

function stop(message, code = 1) {
  console.log(message);
  process.exit(code);
}

/** Clusters that the workflow has made, or must not make, that are there now, as their node's containers tell. */
const clusters = () =>
  [cluster, `${cluster}-red`].filter(name =>
    say('docker', 'ps', '-aq', '--filter', `label=io.x-k8s.kind.cluster=${name}`)
  );

/** Whether this is the lab. Ends the process where the workflow cannot run. */
async function prepare() {
  if (say('act', '--version') === null)
    stop('`act` is not on PATH: https://nektosact.com tells how to install it.');
  if (say('docker', 'version', '--format', '{{.Server.Version}}') === null)
    stop('No Docker answers here.');
  if (!(await mirrorAnswers())) return false;
  const missing = await missingImages();
  if (missing.length > 0) stop(`Skipped: the lab's registry lacks ${missing.join(', ')}.`, SKIPPED);
  return true;
}

/** The actions that the workflow names and act cannot fetch offline; each is skipped under act anyway. */
function standInActions(temp) {
  const workflow = fs.readFileSync(path.join(root, '.github', 'workflows', 'e2e.yml'), 'utf8');
  const directory = path.join(temp, 'nothing');
  fs.mkdirSync(directory);
  fs.writeFileSync(
    path.join(directory, 'action.yml'),
    'name: nothing\nruns: {using: composite, steps: []}\n'
  );
  return [...workflow.matchAll(/uses: (actions\/upload-artifact@\S+)/g)].flatMap(([, action]) => [
    '--local-repository',
    `${action}=${directory}`
  ]);
}

/** What act is asked for, one after the other: a row of the matrix that needs no runner of another kind, or the red job. */
async function rounds(isLab) {
  const {jobs} = parse(fs.readFileSync(path.join(root, '.github/workflows/e2e.yml'), 'utf8'));
  const noUpgrade = isLab && (await missingImages(lab.upgradeImages)).length > 0;
  const noAmbient = isLab && (await missingImages(lab.ambientImages)).length > 0;
  const rows = jobs.green.strategy.matrix.include.filter(
    row =>
      row.runner === undefined &&
      !(noUpgrade && row['upgrade-from'] !== undefined) &&
      !(noAmbient && row['dataplane-mode'] === 'ambient')
  );
  const all = [
    ...rows.map(({name}) => ({name, job: ['--job', 'green', '--matrix', `name:${name}`]})),
    {name: 'red', job: ['--job', 'red']},
    {name: 'matrix'} // the reusable workflow
  ];
  const asked = only === undefined ? all : all.filter(({name}) => name === only);
  if (asked.length === 0)
    stop(`--only takes one of ${all.map(({name}) => name).join(', ')}, not ${only}.`, 2);
  return asked;
}

function actArguments(isLab, job, temp) {
  const variables = Object.entries({E2E_CLUSTER: cluster, ...(isLab ? labVariables : {})});
  return [
    ...['-P', 'ubuntu-latest=-self-hosted', '--no-cache-server', '--concurrent-jobs', '1'],
    ...['--action-cache-path', path.join(temp, 'act')],
    ...(job === undefined
      ? matrixArguments(root, temp, isLab)
      : [
          ...['push', '-W', '.github/workflows/e2e.yml', ...job],
          ...(isLab ? standInActions(temp) : []),
          ...variables.flatMap(([name, value]) => ['--var', `${name}=${value}`])
        ])
  ];
}

let running = null; // act; ended with us, so that what it made is deleted
let stopped = false;
for (const signal of ['SIGINT', 'SIGTERM'])
  process.on(signal, () => {
    stopped = true;
    running?.kill('SIGTERM');
  });

/** Runs a part of the workflow once; its log goes into the file. */
async function runOnce(isLab, job, log) {
  const temp = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'e2e-'));
  const started = Date.now();
  const output = fs.openSync(log, 'w');
  const child = spawn('act', actArguments(isLab, job, temp), {
    cwd: root,
    env: {...env, TMPDIR: temp},
    stdio: ['ignore', output, output]
  });
  running = child;
  const [code] = await once(child, 'close');
  fs.closeSync(output);
  const wrong = code === 0 ? [] : [`act ended with ${code}`];
  if (job === undefined) {
    const matrix = await readMatrix(temp, path.join(logs, 'matrix'));
    wrong.splice(0, 1, ...matrix.wrong); // a red cell makes act's code 1
    fs.appendFileSync(log, `${matrix.lines.join('\n')}\n`);
  }
  fs.rmSync(temp, {recursive: true, force: true});
  for (const name of clusters()) {
    wrong.push(`left ${name}`);
    say('kind', 'delete', 'cluster', '--name', name);
  }
  return {
    result: wrong.length === 0 ? 'passed' : `failed: ${wrong.join(', ')}`,
    seconds: ((Date.now() - started) / 1000).toFixed(0),
    tried: triedIn(fs.readFileSync(log, 'utf8'))
  };
}

/** What the workflow's jobs print of their results: {name, result, seconds, versions, checks, flaky}. */
const triedIn = text => [...text.matchAll(/tried: (\{.*\})/g)].map(([, json]) => JSON.parse(json));

/** Writes down what came of a round, and what it left, for `npm run tried`. */
function keep(round) {
  const at = new Date().toISOString();
  const file = path.join(logs, `${at.replaceAll(':', '')}-${round.name.replaceAll(' ', '-')}.json`);
  fs.writeFileSync(
    file,
    `${JSON.stringify({at, ...machine(), ...round, left: machineNow()}, null, 2)}\n`
  );
}

const machine = () => ({
  commit: say('git', 'rev-parse', '--short', 'HEAD'),
  docker: say('docker', 'version', '--format', '{{.Server.Version}}'),
  cgroup: say('docker', 'info', '--format', '{{.CgroupVersion}}'),
  kubernetes: isLab ? lab.kubernetes : null, // as the Action chooses
  lab: isLab
});

/** The lines of act's log that tell what went wrong. */
const complaints = log =>
  fs
    .readFileSync(log, 'utf8')
    .split('\n')
    .filter(line => /❌|❗|::error/.test(line))
    .map(line => `     ${line.slice(0, 300)}`)
    .slice(-12);

/** `--repeat N`, and `--only NAME`: one row of the workflow's matrix. */
function readFlags() {
  try {
    const {repeat, only} = parseArgs({
      options: {repeat: {type: 'string', default: '1'}, only: {type: 'string'}}
    }).values;
    if (/^[1-9]\d?$/.test(repeat)) return {repeat: Number(repeat), only};
    stop(`--repeat takes a number from 1 to 99, not ${repeat}.`, 2);
  } catch (error) {
    stop(`${error.message}\nUsage: npm run e2e [-- --repeat N] [--only NAME]`, 2);
  }
}

const {repeat, only} = readFlags();
const isLab = await prepare();
const logs = path.join(root, 'results', 'e2e');
fs.mkdirSync(logs, {recursive: true});
console.log(
  isLab
    ? `In the lab, mirror ${lab.mirror}.`
    : 'No lab answers: everything comes from the internet.'
);
console.log('run  seconds  result');
let failed = 0;
for (let run = 1; run <= repeat; run++) {
  for (const {name, job} of await rounds(isLab)) {
    if (stopped) break;
    const log = path.join(logs, `run-${run}-${name.replaceAll(' ', '-')}.log`);
    const {result, seconds, tried} = await runOnce(isLab, job, log);
    const told = tried.map(
      ({checks, seconds, flaky}) =>
        `, ${checks} checks in ${seconds.toFixed(0)} s, flaky: ${flaky.join(', ') || 'none'}`
    );
    console.log(`${`${run}`.padEnd(4)} ${seconds.padEnd(8)} ${result}  ${name}${told.join('')}`);
    keep({name, result, seconds: Number(seconds), tried});
    if (result === 'passed') continue;
    failed++;
    console.log(`     ${path.relative(root, log)}\n${complaints(log).join('\n')}`);
  }
}
process.exitCode = failed > 0 ? 1 : 0;

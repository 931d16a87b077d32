// npm run record -- NAME [flags of npm start]: a real run in the lab, recorded into rehearsal/recordings.
// A NAME of rehearsal/faults.mjs has that fault caused, and is stored only when it is told as it should be.
import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import * as fs from 'node:fs';
import * as path from 'node:path';
import {gzipSync} from 'node:zlib';
import {deepmerge} from 'deepmerge-ts';
import {faults} from '../rehearsal/faults.mjs';
import {recordingDirectory, standIns} from '../rehearsal/play.mjs';
import {lab, plainEnvoy} from './lab.mjs';

const root = path.resolve(import.meta.dirname, '..');
/** Tools from PATH, where the recorders stand; a downloaded one would go past them. */
const PATH_TOOLS = ['kind-version', 'kubectl-version', 'helm-version'];

/** Starts and ends joined: one call each, in the order of their start. */
export function joined(lines) {
  const calls = new Map();
  for (const {id, ...part} of lines) calls.set(id, {...calls.get(id), ...part});
  return [...calls.values()].sort((a, b) => a.at - b.at);
}

/** Without the times that klog puts before each of its lines. */
const timeless = text =>
  typeof text === 'string' ? text.replace(/^[IWEF]\d{4} [\d:.]+ +\d+ /gm, '') : text;

/** Leaves out polls that saw nothing new, and what is empty; times in seconds since the first call. */
export function folded(calls) {
  const latest = new Map();
  const kept = [];
  for (const {
    at,
    argv,
    stdin = '',
    code = null,
    stdout = '',
    stderr = '',
    files = [],
    ms = null
  } of calls) {
    const key = JSON.stringify([argv, stdin]);
    const answer = JSON.stringify([code, stdout, timeless(stderr), files]);
    if (latest.get(key) === answer && code !== null) continue;
    latest.set(key, answer);
    kept.push({
      at: (at - calls[0].at) / 1000,
      argv,
      ...(stdin !== '' && {stdin}),
      code,
      ...(stdout !== '' && {stdout}),
      ...(stderr !== '' && {stderr}),
      ...(files.length > 0 && {files}),
      ms
    });
  }
  return kept;
}

/** Calls whose answer could not be stored whole, each named. */
export function tooLong(calls) {
  return calls
    .filter(({stdout, stderr}) => stdout?.tooLong || stderr?.tooLong)
    .map(({argv, stdout}) => `${argv.join(' ')} (${stdout.bytes} bytes)`);
}

class RecordingError extends Error {}

function fail(message) {
  throw new RecordingError(message);
}

/** Not for a fault that is Docker itself. */
function dockerAnswers() {
  const {status, stdout} = spawnSync('docker', ['info', '--format', '{{.ServerVersion}}'], {
    timeout: 5000
  });
  return status === 0 && `${stdout}`.trim() !== '';
}

/** The lab's flags; later ones win. */
const labFlags = ({values = {}, flags = []}) => [
  ...['--node-image', lab.nodeImage, '--mirror', lab.mirror, '--operator-chart', lab.chart],
  ...['--istio-values', JSON.stringify(deepmerge(plainEnvoy, values)), ...flags]
];

async function realRun(flags, {directory, bin}, fault) {
  const results = path.join(directory, 'results');
  const tools = PATH_TOOLS.flatMap(name => [`--${name}`, 'path']);
  const command = [
    path.join(root, 'scripts/start.mjs'),
    ...labFlags(fault),
    ...flags,
    ...tools,
    '--results-dir',
    results
  ];
  const env = {...process.env, DUAL_STACK_RECORDER: directory, DUAL_STACK_STAND_INS: bin};
  if (fault.docker) env.DOCKER_HOST = fault.docker;
  if (fault.cause && fault.before)
    fs.writeFileSync(
      path.join(directory, 'fault.json'),
      JSON.stringify({
        before: fault.before.source,
        cause: fault.cause,
        node: 'istio-ds-control-plane'
      })
    );
  const child = spawn(process.execPath, command, {cwd: root, stdio: 'inherit', env});
  process.on('SIGINT', () => {}); // the terminal tells start.mjs too, and that ends the run
  const [code] = await once(child, 'close');
  return {code, results: path.join(results, 'results.json')};
}

const readJson = file => JSON.parse(fs.readFileSync(file, 'utf8'));

/** What recording.json says of a run. The mirror and the results' place are this machine's, not the run's. */
export function description(name, inputs, results, code, fault = {}, seconds = null) {
  const {mirror: _, 'results-dir': __, ...shared} = inputs;
  const found = Object.entries(results.versions ?? {}).map(([tool, version]) => [
    tool,
    version?.found ?? null
  ]);
  return {
    name,
    date: results.started,
    inputs: shared,
    versions: Object.fromEntries(found),
    expect: {
      code,
      result: results.result,
      'failure-class': results.failure?.class ?? '',
      'failed-layer': results.failure?.layer ?? ''
    },
    ...(fault.title && {
      fault: {
        title: fault.title,
        message: results.failure?.message ?? '',
        hint: results.failure?.hint ?? '',
        seconds
      }
    })
  };
}

async function main([name, ...flags]) {
  if (!/^[a-z0-9][a-z0-9-]*$/.test(name ?? ''))
    fail(
      'Usage: npm run record -- NAME [flags of npm start]; NAME is lower case, such as healthy.'
    );
  if (!dockerAnswers()) fail('No Docker answers here: there is nothing real to record.');
  const fault = faults[name] ?? {};
  const recorder = standIns('record');
  try {
    if (!fault.before && fault.cause) shell(fault.cause);
    const {code, results} = await realRun(flags, recorder, fault);
    keep(name, fault, recorder, readJsonOr(results, null), code);
  } finally {
    if (fault.undo) shell(fault.undo);
    recorder.remove();
  }
}

function keep(name, fault, {directory}, results, code) {
  const raw = path.join(directory, 'raw.jsonl');
  if (results === null || !fs.existsSync(raw))
    fail('The run left no results.json or ran no command: nothing recorded.');
  const lines = fs.readFileSync(raw, 'utf8').trimEnd().split('\n');
  const calls = joined(lines.map(line => JSON.parse(line)));
  if (tooLong(calls).length > 0)
    fail(`Answers over 1 MB cannot be recorded whole; ask for less:\n${tooLong(calls).join('\n')}`);
  const caused = readJsonOr(path.join(directory, 'fault', 'caused.json'), null);
  if (fault.before && caused?.status !== 0)
    fail(`The fault was not caused: ${caused?.stderr ?? 'its moment never came'}`);
  const told = {class: results.failure?.class ?? '', layer: results.failure?.layer ?? ''};
  if (fault.expect && JSON.stringify(told) !== JSON.stringify(fault.expect))
    fail(
      `Told was ${JSON.stringify(told)}, expected ${JSON.stringify(fault.expect)}: ${results.failure?.message}`
    );
  const inputs = readJson(path.join(directory, 'inputs.json'));
  store(
    name,
    folded(calls),
    description(
      name,
      inputs,
      results,
      code,
      fault,
      fault.title ? secondsUntilTold(results, caused) : null
    )
  );
}

/** From when the fault could be seen: caused, or told by the kubelet after its pull, or first waited for, or the start. */
function secondsUntilTold({started, seconds, phases, failure}, caused) {
  if (caused) return Number(((Date.parse(started) - caused.at) / 1000 + seconds).toFixed(1));
  const {waits = []} = phases.find(({status}) => status === 'failed') ?? {};
  const noImage = waits.findIndex(wait => /: (ErrImagePull|ImagePullBackOff)$/.test(wait.for));
  if (noImage >= 0)
    return Number(
      waits
        .slice(noImage)
        .reduce((sum, wait) => sum + wait.seconds, 0)
        .toFixed(1)
    );
  const seen = phases.filter(
    ({name, status, at}) =>
      at !== null && (status === 'failed' || name === `check ${failure?.layer}`)
  );
  return Number((seconds - Math.min(...seen.map(({at}) => at), seconds)).toFixed(1));
}

/** Lab only: causes or undoes a fault outside of the run. */
const shell = script => spawnSync('bash', ['--norc', '-uc', script], {stdio: 'inherit'});

const readJsonOr = (file, other) => (fs.existsSync(file) ? readJson(file) : other);

function store(name, calls, about) {
  const target = recordingDirectory(name);
  fs.rmSync(target, {recursive: true, force: true});
  fs.mkdirSync(target, {recursive: true});
  fs.writeFileSync(path.join(target, 'recording.json'), `${JSON.stringify(about, null, 2)}\n`);
  fs.writeFileSync(
    path.join(target, 'calls.jsonl.gz'),
    gzipSync(calls.map(call => `${JSON.stringify(call)}\n`).join(''), {level: 9})
  );
  console.log(
    `Recorded ${calls.length} calls in ${path.relative(process.cwd(), target)}: ${JSON.stringify(about.expect)}`
  );
}

if (process.argv[1] === import.meta.filename)
  await main(process.argv.slice(2)).catch(error => {
    if (!(error instanceof RecordingError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  });

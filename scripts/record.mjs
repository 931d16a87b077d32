// npm run record -- NAME [flags of npm start]: records a real run on this machine's Docker into rehearsal/recordings.
// A NAME from rehearsal/faults.mjs causes that fault; `healthy` and `ambient` have none. `--all` repeats every recording.
// A run with an unexpected class or layer is not stored. Uses the lab's flags if its mirror answers, otherwise the internet.
import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import {gzipSync} from 'node:zlib';
import {deepmerge} from 'deepmerge-ts';
import semver from 'semver';
import {faults} from '../rehearsal/faults.mjs';
import {recording, recordingDirectory, recordings, standIns} from '../rehearsal/play.mjs';
import {lab, mirrorAnswers, plainEnvoy} from './lab.mjs';

const root = path.resolve(import.meta.dirname, '..');
/** Those that the bundle would download. */
const TOOLS = ['kind', 'kubectl', 'helm'];

/** Starts and ends joined: one call each, in the order of their start. */
export function joined(lines) {
  const calls = new Map();
  for (const {id, ...part} of lines) calls.set(id, {...calls.get(id), ...part});
  return [...calls.values()].sort((a, b) => a.at - b.at);
}

/** Without the times that klog puts before each of its lines. */
const timeless = text =>
  typeof text === 'string' ? text.replace(/^[IWEF]\d{4} [\d:.]+ +\d+ /gm, '') : text;

/** What a check asks in a pod: several ask the same, and the n-th who asks gets the n-th answer. */
const asksPod = ([program, verb]) => program === 'kubectl' && verb === 'exec';

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
    if (latest.get(key) === answer && code !== null && !asksPod(argv)) continue;
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
function dockerAnswers(env) {
  const {status, stdout} = spawnSync('docker', ['info', '--format', '{{.ServerVersion}}'], {
    timeout: 5000,
    env
  });
  return status === 0 && `${stdout}`.trim() !== '';
}

/** The lab reaches no registry, and its Envoy is the plain one. */
const labFlags = [
  ...['--node-image', lab.nodeImage, '--mirror', lab.mirrorInput, '--operator-chart', lab.chart]
];

/** What a fault is run with; later flags win. */
function flagsOf({values, flags = []}, isLab) {
  const all = isLab ? deepmerge(plainEnvoy, values ?? {}) : values;
  return [
    ...(isLab ? labFlags : []),
    ...(all ? ['--istio-values', JSON.stringify(all)] : []),
    ...flags
  ];
}

const isOnPath = (program, {PATH = ''}) =>
  PATH.split(':').some(folder => fs.existsSync(path.join(folder, program)));

/**
 * Directories of kind, kubectl and helm where they are not on PATH: the bundle downloads and verifies them in a dry run.
 * In the run that is recorded they must be on PATH, behind the recorders: a downloaded one would go past them.
 */
function fetchedTools(isLab, env) {
  const missing = TOOLS.filter(tool => !isOnPath(tool, env));
  if (missing.length === 0) return [];
  const cache = env.RUNNER_TOOL_CACHE ?? path.join(os.homedir(), '.cache', 'dual-stack', 'tools');
  const results = fs.mkdtempSync(path.join(os.tmpdir(), 'dual-stack-tools-'));
  const command = ['scripts/start.mjs', '--dry-run', '--results-dir', results];
  spawnSync(process.execPath, [...command, ...flagsOf({}, isLab)], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {...env, RUNNER_TOOL_CACHE: cache}
  });
  fs.rmSync(results, {recursive: true, force: true});
  return missing.map(tool => {
    const kept = path.join(cache, tool);
    const versions = fs.existsSync(kept) ? fs.readdirSync(kept).filter(semver.valid) : [];
    const [version] = semver.rsort(versions);
    if (!version) fail(`There is no ${tool} on PATH, and it could not be downloaded.`);
    return path.join(kept, version, process.arch);
  });
}

/** A class and a layer, as they are compared. */
const told = failure => ({class: failure?.class ?? '', layer: failure?.layer ?? ''});

/** Runs without a fault, and what they are run with. */
const healthy = {healthy: {}, ambient: {flags: ['--dataplane-mode', 'ambient']}};

/** What must be told of a run; null where nothing says so. */
export function expected(name) {
  if (faults[name]) return faults[name].expect;
  if (healthy[name]) return told(null);
  if (!recordings().includes(name)) return null;
  const {'failure-class': failureClass, 'failed-layer': layer} = recording(name).expect;
  return {class: failureClass, layer};
}

/** `class layer`, for people. */
export const inWords = ({class: failureClass, layer}) =>
  failureClass === '' ? 'passed' : `${failureClass}, ${layer || 'no layer'}`;

async function realRun(flags, {directory, bin}, fault, {isLab, env}) {
  const results = path.join(directory, 'results');
  const command = [
    path.join(root, 'scripts/start.mjs'),
    ...flagsOf(fault, isLab),
    ...flags,
    ...TOOLS.flatMap(tool => [`--${tool}-version`, 'path']),
    '--results-dir',
    results
  ];
  if (fault.cause && fault.before)
    fs.writeFileSync(
      path.join(directory, 'fault.json'),
      JSON.stringify({
        before: fault.before.source,
        cause: fault.cause,
        node: 'istio-ds-control-plane'
      })
    );
  const child = spawn(process.execPath, command, {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...env,
      DUAL_STACK_RECORDER: directory,
      DUAL_STACK_STAND_INS: bin,
      ...(fault.docker && {DOCKER_HOST: fault.docker})
    }
  });
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
    checks: [...new Set((results.checks ?? []).map(({id}) => id))], // a rehearsal leaves out what is newer
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

/** Every recording that there should be. */
const everyName = [...Object.keys(healthy), ...Object.keys(faults)];

/** Set by Ctrl-C: the terminal tells start.mjs too, and that ends the run under way. */
let interrupted = false;

/** Where it runs: whether that is the lab, and the environment, with every program on PATH. */
async function findPlace() {
  const isLab = await mirrorAnswers();
  const {PATH} = process.env;
  const env = {...process.env, PATH: isLab ? `${lab.bin}:${PATH}` : PATH};
  if (!dockerAnswers(env)) fail('No Docker answers here: there is nothing real to record.');
  env.PATH = [env.PATH, ...fetchedTools(isLab, env)].join(':');
  env.KIND_FLAGS = isLab ? `--image ${lab.nodeImage}` : '';
  return {isLab, env};
}

async function main([name, ...flags]) {
  if (name !== '--all' && !/^[a-z0-9][a-z0-9-]*$/.test(name ?? ''))
    fail(
      'Usage: npm run record -- NAME [flags of npm start], or --all instead of NAME; NAME is lower case, such as healthy.'
    );
  const place = await findPlace();
  process.on('SIGINT', () => {
    interrupted = true;
  });
  if (name === '--all') await recordAll(flags, place);
  else await recordOne(name, flags, place);
}

/** One after the other, whatever becomes of one; ends with a table. */
async function recordAll(flags, place) {
  const rows = [];
  for (const [at, name] of everyName.entries()) {
    if (interrupted) break;
    console.log(`\n${name} (${at + 1} of ${everyName.length})`);
    const started = Date.now();
    const problem = await recordOne(name, flags, place).then(
      () => null,
      error => (error instanceof RecordingError ? error.message : `${error.stack}`)
    );
    if (problem) console.error(problem);
    rows.push({name, problem, seconds: Math.round((Date.now() - started) / 1000)});
  }
  const line = ({name, problem, seconds}) =>
    `${name.padEnd(26)} ${`${seconds} s`.padStart(6)}  ${problem ? `NOT RECORDED  ${problem.split('\n')[0]}` : `recorded      ${inWords(expected(name))}`}`;
  console.log(`\n${rows.map(line).join('\n')}`);
  const failed = rows.filter(({problem}) => problem).length;
  const missing = everyName.length - rows.length;
  console.log(
    `\n${rows.length - failed} recorded, ${failed} not${missing > 0 ? `, ${missing} not tried` : ''}; of those not recorded the old recording stands.`
  );
  if (failed + missing > 0) process.exitCode = 1;
}

async function recordOne(name, flags, place) {
  const fault = faults[name] ?? healthy[name] ?? {};
  const recorder = standIns('record');
  try {
    if (!fault.before && fault.cause) shell(fault.cause, place);
    const {code, results} = await realRun(flags, recorder, fault, place);
    keep(name, fault, recorder, readJsonOr(results, null), code);
  } finally {
    if (fault.undo) shell(fault.undo, place);
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
  const must = expected(name);
  const found = told(results.failure);
  if (must && JSON.stringify(found) !== JSON.stringify(must))
    fail(
      `${name}: expected ${inWords(must)}, reported ${inWords(found)}. Not stored. Message: ${results.failure?.message ?? 'none'}`
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

/** Causes or undoes a fault outside of the run. */
const shell = (script, {env}) =>
  spawnSync('bash', ['--norc', '-uc', script], {stdio: 'inherit', env});

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

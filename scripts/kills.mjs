// npm run kills [-- --runs N] [--seed N] [--lab [--docker-restart PROGRAM]]: starts the Action as the runner does, interrupts
// main with SIGINT, SIGTERM or SIGKILL at a moment from the seed, runs post, and checks what is left.
// Without --lab it plays recordings on a simulated Docker (rehearsal/engine.mjs); with it, it creates real clusters.
// With --docker-restart it runs PROGRAM, which restarts Docker, instead of sending a signal.
import {spawn, spawnSync} from 'node:child_process';
import {randomUUID} from 'node:crypto';
import {once} from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {parseArgs} from 'node:util';
import {Ajv2020} from 'ajv/dist/2020.js';
import {parse} from 'yaml';
import {readRecording} from '../rehearsal/answers.mjs';
import {startEngine} from '../rehearsal/engine.mjs';
import {lab} from './lab.mjs';

const root = path.resolve(import.meta.dirname, '..');
const {inputs, outputs, runs} = parse(fs.readFileSync(path.join(root, 'action.yml'), 'utf8'));
const schema = JSON.parse(fs.readFileSync(path.join(root, 'schema/results.schema.json'), 'utf8'));
const isValid = new Ajv2020({strict: true, allowUnionTypes: true}).compile(schema);

const {values: flags} = parseArgs({
  options: {
    runs: {type: 'string', default: '300'},
    seed: {type: 'string', default: '1'},
    within: {type: 'string'}, // seconds in which a real run is killed
    lab: {type: 'boolean', default: false},
    'docker-restart': {type: 'string'}
  }
});
const wanted = Number(flags.runs);
if (!Number.isInteger(wanted) || wanted < 1) throw new Error('--runs takes a whole number');

/** The same numbers for the same seed (mulberry32). */
function chances(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const restart = 'restart of Docker';
const signals = flags['docker-restart'] ? [restart] : ['SIGINT', 'SIGTERM', 'SIGKILL'];
/** A run that passes, one that fails with diagnostics, and one that ends before it has a mesh. */
const played = ['healthy', 'ipv6-dropped-to-pod', 'istiod-image-missing'];
/** How much of its recorded time an answer takes. */
const speed = 0.1;
const FILES = ['STATE', 'OUTPUT', 'ENV', 'PATH', 'STEP_SUMMARY'];

const say = (program, ...args) => {
  const {stdout} = spawnSync(program, args, {env: labEnv, encoding: 'utf8', timeout: 60_000});
  return (stdout ?? '').split('\n').filter(Boolean);
};
const labEnv = {...process.env, PATH: `${lab.bin}:${process.env.PATH}`};

// ---- the runner ----

const foreign =
  /^(INPUT|STATE|ACTIONS|GITHUB|RUNNER|DUAL_STACK)_|^(KUBECONFIG|NODE_OPTIONS|FORCE_COLOR)$/;

/** The environment of main on a runner of its own, below `directory`. */
function environment(directory, given, more) {
  const temp = path.join(directory, 'temp');
  const tmp = path.join(directory, 'tmp');
  for (const one of [temp, tmp]) fs.mkdirSync(one, {recursive: true, mode: 0o700});
  const files = FILES.map(name => [`GITHUB_${name}`, path.join(directory, name)]);
  for (const [, file] of files) fs.writeFileSync(file, '');
  const all = Object.entries(inputs).map(([name, {default: value = ''}]) => [
    `INPUT_${name.toUpperCase()}`,
    given[name] ?? `${value}`
  ]);
  return {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name))),
    ...Object.fromEntries([...files, ...all]),
    RUNNER_TEMP: temp,
    RUNNER_TOOL_CACHE: path.join(os.homedir(), '.cache', 'dual-stack', 'tools'),
    GITHUB_WORKSPACE: directory,
    TMPDIR: tmp,
    ...more
  };
}

/** Entries of a file that the Action writes for the runner. An entry that was cut off is left out. */
function entries(file) {
  const text = fs.readFileSync(file, 'utf8');
  const all = [...text.matchAll(/^([^=\n]+?)<<(.+)\n([\s\S]*?)\n?\2$/gm)];
  return Object.fromEntries(all.map(([, name, , value]) => [name, value]));
}

/** The environment of post: with what main has told the runner. */
function afterwards(env) {
  const state = Object.entries(entries(env.GITHUB_STATE)).map(([name, value]) => [
    `STATE_${name}`,
    value
  ]);
  const paths = fs.readFileSync(env.GITHUB_PATH, 'utf8').split('\n').filter(Boolean).reverse();
  return {
    ...env,
    ...entries(env.GITHUB_ENV),
    ...Object.fromEntries(state),
    PATH: [...paths, env.PATH].join(':')
  };
}

function start(script, env) {
  const child = spawn(process.execPath, [path.join(root, script)], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true
  });
  const run = {child, log: '', ended: once(child, 'exit').then(() => Date.now())};
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', chunk => {
      run.log += chunk;
    });
  return run;
}

/** Restarts Docker; main ends by itself. */
async function restartDocker({ended}) {
  const [code] = await once(spawn(flags['docker-restart'], {stdio: 'inherit'}), 'exit');
  if (code !== 0) throw new Error(`${flags['docker-restart']} ended with ${code}`);
  await ended;
  return 0;
}

/** As the runner cancels: what has not ended 7.5 s after SIGINT gets SIGTERM, and 2.5 s later SIGKILL. */
async function end({child, ended}, signal) {
  const sent = Date.now();
  child.kill(signal);
  const later = [
    [7500, 'SIGTERM'],
    [10_000, 'SIGKILL']
  ].map(([time, next]) => setTimeout(() => child.kill(next), time));
  const seconds = ((await ended) - sent) / 1000;
  for (const timer of later) clearTimeout(timer);
  return seconds;
}

/** Phases that were under way at the end of a log. */
function underWay(log) {
  const open = new Set();
  for (const [, name, what] of log.matchAll(
    /^ *[\d.]+s {2}(.{20,}?) (started$|(?:passed|failed|cancelled) after )/gm
  ))
    if (what === 'started') open.add(name.trim());
    else open.delete(name.trim());
  return [...open];
}

/** Processes that were started with this in their environment, and are still there. */
const processes = token =>
  fs
    .readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .filter(id => {
      try {
        return fs.readFileSync(`/proc/${id}/environ`, 'latin1').includes(token);
      } catch {
        return false;
      }
    });

/** Whether nothing is left of it within so many seconds. */
async function gone(look, seconds) {
  const until = Date.now() + seconds * 1000;
  for (;;) {
    const left = look();
    if (left.length === 0 || Date.now() > until) return left;
    await sleep(200);
  }
}

// ---- what must hold ----

/** What is not as it is promised, each in a sentence. */
function broken(run, {signal, took, env, code, post, postCode}) {
  const told = entries(env.GITHUB_OUTPUT);
  const results = path.join(env.RUNNER_TEMP, `dual-stack-${env['INPUT_CLUSTER-NAME']}`);
  const known = ['GITHUB_STATE', 'GITHUB_OUTPUT', 'GITHUB_ENV', 'GITHUB_PATH'];
  const temporary = [
    ...fs.readdirSync(env.RUNNER_TEMP).filter(name => path.join(env.RUNNER_TEMP, name) !== results),
    ...fs.readdirSync(env.TMPDIR).filter(name => name !== 'node-compile-cache')
  ];
  const begun = run.log.includes('Progress, with');
  const file = path.join(results, 'results.json');
  const all = [
    ...temporary.map(name => `a temporary file: ${name}`),
    ...Object.keys(told)
      .filter(name => outputs[name] === undefined)
      .map(name => `an output that is none: ${name}`),
    ...known.filter(name => !fs.existsSync(env[name])),
    ...(postCode === 0 ? [] : [`post ended with ${postCode}: ${post.log.slice(-300)}`])
  ];
  if (begun && told.result === undefined) all.push('no output `result`');
  if (signal === 'SIGKILL' || !begun) return all;
  if (signal === restart && !['', 'infrastructure'].includes(told['failure-class']))
    all.push(`blamed ${told['failure-class']} for it`);
  if (took > 10) all.push(`main took ${took} s to end`);
  // a signal that comes while Node is taken down ends it although all is written
  if (!fs.existsSync(file))
    return [...all, `no results.json, ended by ${run.child.signalCode ?? code}`];
  const read = JSON.parse(fs.readFileSync(file, 'utf8'));
  if (!isValid(read)) all.push(`results.json: ${JSON.stringify(isValid.errors).slice(0, 200)}`);
  if (read.result !== told.result) all.push(`results.json and the output differ: ${told.result}`);
  if (told['failure-class'] !== (read.failure?.class ?? '')) all.push('failure-class differs');
  if (read.failure?.class === 'internal') all.push(`a bug: ${read.failure.message}`);
  for (const name of ['summary.md', 'junit.xml', 'report.html'])
    if (!fs.existsSync(path.join(results, name))) all.push(`no ${name}`);
  return all;
}

// ---- one run ----

/** Waits for a moment: so many seconds after the start, or a part of a phase's time after its beginning. */
async function moment(run, {seconds, phase, part, long}) {
  const over = Date.now() + seconds * 1000;
  if (phase === undefined) await Promise.race([run.ended, sleep(seconds * 1000)]);
  else {
    const begins = new RegExp(`^ *[\\d.]+s {2}${phase.replace(/[+.*]/g, '\\$&')} +started$`, 'm');
    while (run.child.exitCode === null && Date.now() < over && !begins.test(run.log))
      await sleep(5);
    await Promise.race([run.ended, sleep(part * long * 1000)]);
  }
}

/** Runs main, ends it when `when` says so (null: never), then post; what was not as promised. */
async function one(directory, machine, given, signal, when) {
  const token = randomUUID();
  const env = environment(directory, given, {...machine.env, DUAL_STACK_KILLS: token});
  const begun = Date.now();
  const run = start(runs.main, env);
  if (when !== null) await moment(run, when);
  const isOver = when === null || run.child.exitCode !== null;
  const phases = underWay(run.log);
  const ending = signal === restart ? restartDocker : end;
  const took = isOver ? 0 : await ending(run, signal);
  await run.ended;
  const seconds = (Date.now() - begun) / 1000;
  const post = start(runs.post, afterwards(env));
  const late = setTimeout(() => post.child.kill('SIGKILL'), 300_000);
  await post.ended;
  clearTimeout(late);
  const found = {signal, took, env, code: run.child.exitCode, post, postCode: post.child.exitCode};
  const wrong = [
    ...broken(run, found),
    ...(await gone(machine.left, machine.patience)).map(what => `left: ${what}`),
    ...(await gone(() => processes(token), 5)).map(id => `a process: ${id}`)
  ];
  return {isOver, phases, took, seconds, wrong, log: run.log, post: post.log};
}

// ---- rehearsals ----

/** The ids of the checks that the bundle makes: every ending tells them, also that of a run without programs. */
function checkIds() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'kills-'));
  const given = Object.fromEntries(
    ['kind', 'kubectl', 'helm'].map(tool => [`${tool}-version`, 'path'])
  );
  const env = environment(directory, {...given, 'cluster-name': 'none'}, {PATH: directory});
  spawnSync(process.execPath, [path.join(root, runs.main)], {env, stdio: 'ignore'});
  const file = path.join(env.RUNNER_TEMP, 'dual-stack-none', 'results.json');
  const {checks} = JSON.parse(fs.readFileSync(file, 'utf8'));
  fs.rmSync(directory, {recursive: true, force: true});
  return checks.map(({id}) => id);
}

async function rehearsed(recording, ids, signal, when, chance) {
  const directory = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'kills-'));
  const known = ids.filter(id => recording.checks.includes(id));
  const engine = await startEngine(
    recording,
    path.join(directory, 'machine'),
    path.join(directory, 'temp'),
    known.length < ids.length,
    {speed, chance}
  );
  const env = {
    ...engine.env,
    DUAL_STACK_REHEARSAL: recording.name,
    DOCKER_CONFIG: directory, // nobody's logins: a recording has none
    PATH: `${engine.bin}:${process.env.PATH}`
  };
  const given = {
    'cluster-name': 'istio-ds',
    ...recording.inputs,
    checks: `^(${known.join('|')})$`
  };
  try {
    return await one(directory, {env, left: engine.left, patience: 3}, given, signal, when);
  } finally {
    engine.stop();
    fs.rmSync(directory, {recursive: true, force: true});
  }
}

/** The recordings that are killed, each with its phases and their times when nobody ends it. */
async function whole(ids) {
  const all = [];
  for (const name of played) {
    const recording = readRecording(name);
    const {seconds, log, wrong} = await rehearsed(recording, ids, 'SIGKILL', null, () => 1);
    if (wrong.length > 0) throw new Error(`${name}, not killed: ${wrong.join('; ')}`);
    const phases = [
      ...log.matchAll(/^ *[\d.]+s {2}(.{20,}?) (?:passed|failed) after ([\d.]+) s$/gm)
    ];
    const timed = phases.map(([, phase, long]) => ({phase: phase.trim(), long: Number(long)}));
    console.log(`${name}: ${seconds.toFixed(1)} s when nobody ends it, ${timed.length} phases`);
    all.push({recording, seconds, phases: timed});
  }
  return all;
}

/** The n-th kill: half of them at any moment of the run, half of them in one phase after the other. */
function nth(number, all, chance) {
  const {recording, seconds, phases} = all[Math.floor(number / 6) % all.length];
  const signal = signals[number % 3];
  if (Math.floor(number / 3) % 2 === 0)
    return {recording, signal, when: {seconds: chance() * seconds}};
  const {phase, long} = phases[Math.floor(number / 18 + 7 * number) % phases.length];
  return {recording, signal, when: {seconds: seconds * 3, phase, part: chance(), long}};
}

// ---- the lab ----

/** Volumes that nobody uses, but for the claims of clusters that others are making beside this one. */
const dangling = () =>
  say('docker', 'volume', 'ls', '--quiet', '--filter', 'dangling=true').filter(
    name => !name.endsWith('.dual-stack-check-claim')
  );
const networks = () => say('docker', 'network', 'ls', '--format', '{{.Name}}');

async function inLab(number, signal, when) {
  const directory = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'kills-'));
  const name = `kills-${process.pid}-${number}`;
  const before = {volumes: dangling(), networks: [...networks(), 'kind']};
  const left = () => [
    ...say('docker', 'ps', '--all', '--quiet', '--filter', `label=io.x-k8s.kind.cluster=${name}`),
    ...say('docker', 'volume', 'ls', '--quiet', '--filter', `name=${name}`),
    ...dangling().filter(one => !before.volumes.includes(one)),
    ...networks().filter(one => !before.networks.includes(one))
  ];
  const given = {
    'cluster-name': name,
    'node-image': lab.nodeImage,
    'operator-chart': lab.chart,
    'kubectl-version': lab.kubernetes,
    'helm-version': lab.helm,
    mirror: lab.mirrorInput,
    timeout: '20m'
  };
  const machine = {env: {PATH: labEnv.PATH}, left, patience: 30};
  try {
    return await one(directory, machine, given, signal, when);
  } finally {
    fs.rmSync(directory, {recursive: true, force: true});
  }
}

// ---- all of them ----

const count = (all, key) => all.set(key, (all.get(key) ?? 0) + 1);
const chance = chances(Number(flags.seed));
const ids = flags.lab ? [] : checkIds();
const all = flags.lab ? [] : await whole(ids);
const within = Number(flags.within ?? 90);
const [perSignal, perPhase, slowest] = [new Map(), new Map(), new Map()];
let bad = 0;
const started = Date.now();
for (let number = 0; number < wanted; number++) {
  const kill = flags.lab
    ? {
        signal: signals[(number + Number(flags.seed)) % signals.length],
        when: {seconds: chance() * within}
      }
    : nth(number, all, chance);
  const {signal, when} = kill;
  const ended = flags.lab
    ? await inLab(number, signal, when)
    : await rehearsed(kill.recording, ids, signal, when, chance);
  count(perSignal, ended.isOver ? 'over before' : signal);
  if (!ended.isOver)
    for (const phase of ended.phases.length > 0 ? ended.phases : ['no phase'])
      count(perPhase, phase);
  if (!ended.isOver && ['SIGINT', 'SIGTERM'].includes(signal))
    slowest.set(signal, Math.max(slowest.get(signal) ?? 0, ended.took));
  const where = ended.isOver ? 'it was over' : ended.phases.join(', ') || 'no phase';
  const told = `${number + 1} ${signal} after ${ended.seconds.toFixed(1)} s in ${where}`;
  if (flags.lab || ended.wrong.length > 0 || (number + 1) % 10 === 0) console.log(told);
  if (ended.wrong.length === 0) continue;
  bad++;
  for (const what of ended.wrong) console.log(`   ${what}`);
  console.log(ended.log.slice(-3000).replace(/^/gm, '   | '));
}
const listed = map => [...map].map(([name, times]) => `${name} ${times}`).join(', ');
console.log(`Killed: ${listed(perSignal)}.`);
console.log(`Under way then: ${listed(perPhase)}.`);
console.log(
  `Slowest end: ${[...slowest].map(([name, took]) => `${name} ${took.toFixed(1)} s`).join(', ')}.`
);
const seconds = Math.round((Date.now() - started) / 1000);
console.log(
  `${wanted} runs${flags.lab ? ' in the lab' : ''}, seed ${flags.seed}, in ${seconds} s: ${bad === 0 ? 'nothing left, all as promised' : `${bad} not as promised`}`
);
process.exitCode = bad === 0 ? 0 : 1;

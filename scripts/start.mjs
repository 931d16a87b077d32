// npm start: runs the bundle on this machine as GitHub's runner does. The inputs of action.yml are flags.
import {spawn, spawnSync} from 'node:child_process';
import {randomUUID} from 'node:crypto';
import {once} from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import {createInterface} from 'node:readline';
import {setTimeout as sleep} from 'node:timers/promises';
import {parseArgs} from 'node:util';
import {parse} from 'yaml';

const root = path.resolve(import.meta.dirname, '..');
const {inputs, runs} = parse(fs.readFileSync(path.join(root, 'action.yml'), 'utf8'));
const own = {
  rehearse: {
    type: 'boolean',
    description: 'Replays the recorded answers of a real run, without a cluster.'
  },
  recording: {type: 'string', description: 'The recording to replay.', default: 'healthy'},
  help: {type: 'boolean', short: 'h', description: 'Prints this help.'}
};

class UsageError extends Error {}

const coloured = process.stdout.isTTY && !process.env.NO_COLOR;
const colour = number => text => (coloured ? `\u001b[${number}m${text}\u001b[0m` : text);
const [bold, red, yellow] = [1, 31, 33].map(colour);

// ---- flags ----

const isSwitch = name => ['true', 'false'].includes(`${inputs[name]?.default}`);

/** npm consumes flags before `--`, and passes them on only as environment variables. */
function refuseSwallowedFlags(env) {
  const swallowed = [...Object.keys(inputs), ...Object.keys(own)]
    .map(name => ({name, value: env[`npm_config_${name.replaceAll('-', '_')}`]}))
    .filter(({value}) => value !== undefined);
  if (swallowed.length === 0) return;
  const flags = swallowed.map(({name, value}) => {
    const bare = own[name]?.type === 'boolean' || (isSwitch(name) && value === 'true');
    if (bare) return `--${name}`;
    return `--${name} ${['', 'true'].includes(value) ? 'VALUE' : value}`; // npm cuts `--name value` in two
  });
  const names = swallowed.map(({name}) => `--${name}`).join(', ');
  throw new UsageError(
    `npm consumed ${names}. Put flags after --:\n  npm start -- ${flags.join(' ')}`
  );
}

/** `--dry-run` alone means `--dry-run true`. */
const completed = args =>
  args.flatMap((arg, at) => {
    const bare =
      arg.startsWith('--') && isSwitch(arg.slice(2)) && (args[at + 1] ?? '-').startsWith('-');
    return bare ? [`${arg}=true`] : [arg];
  });

function readFlags(args) {
  const options = Object.fromEntries(Object.keys(inputs).map(name => [name, {type: 'string'}]));
  for (const [name, {type, short}] of Object.entries(own))
    options[name] = {type, ...(short && {short})};
  const unknown = args.find(arg => /^--[^=]/.test(arg) && !options[arg.slice(2).split('=')[0]]);
  const help = '`npm start -- --help` lists the flags.';
  if (unknown) throw new UsageError(`Unknown flag ${unknown.split('=')[0]}. ${help}`);
  try {
    return parseArgs({args: completed(args), options}).values;
  } catch (error) {
    throw new UsageError(`${error.message}\n${help}`);
  }
}

function help() {
  const line = ([name, {description, default: value = ''}]) => {
    const [sentence] = /^.*?\.(?=\s|$)/s.exec(description.trim()) ?? [description.trim()];
    return `  --${name.padEnd(18)} ${sentence}${`${value}` && ` Default: ${value}.`}`;
  };
  return [
    'npm start -- [flags]: runs the Action on this machine. Without Docker it plays a rehearsal.',
    '',
    ...Object.entries(own).map(line),
    '',
    'Inputs of the Action:',
    '',
    ...Object.entries(inputs).map(line)
  ].join('\n');
}

// ---- a real run, or a rehearsal ----

function dockerAnswers() {
  const command = ['info', '--format', '{{.ServerVersion}}'];
  const {status, stdout} = spawnSync('docker', command, {
    timeout: 5000,
    stdio: ['ignore', 'pipe', 'ignore']
  });
  return status === 0 && `${stdout}`.trim() !== '';
}

/** Returns why this is a rehearsal; null for a real run. */
function rehearsalReason({rehearse, recording, cluster, 'dry-run': dryRun}) {
  if (rehearse || recording) return 'As requested';
  if (cluster === 'existing') return null; // needs no Docker
  if (process.platform !== 'linux') return 'A cluster requires Linux';
  if (dryRun === 'true' || process.env.DUAL_STACK_RECORDER || dockerAnswers()) return null;
  return 'Docker does not answer';
}

async function player(name) {
  const {rehearse} = await import('../rehearsal/play.mjs');
  try {
    return rehearse(name);
  } catch (error) {
    throw new UsageError(error.message);
  }
}

/** Returns the first line of the log, the inputs, and the directory to put first in PATH. */
async function choose({rehearse, recording, help: _, ...given}) {
  const reason = rehearsalReason({rehearse, recording, ...given});
  if (reason === null) {
    const dryRun = given['dry-run'] === 'true';
    const title = dryRun
      ? 'Dry run: nothing is created or changed.'
      : given.cluster === 'existing'
        ? 'This is a real run on an existing cluster.'
        : 'Docker answers: this is a real run on a new cluster.';
    return {
      title,
      given: {'results-dir': 'results/run', ...given},
      bin: process.env.DUAL_STACK_STAND_INS,
      env: {}
    };
  }
  const name = recording ?? own.recording.default;
  const play = await player(name);
  const all = {...play.inputs, ...given};
  const asked = play.checks ? askedChecks(all) : [];
  const newer = asked.filter(id => !play.checks.includes(id));
  if (newer.length > 0 && newer.length === asked.length) {
    play.remove();
    throw new UsageError(
      `The recording "${name}" is older than all selected checks. Run them on Docker, or record it again (npm run record -- ${name}).`
    );
  }
  if (Object.keys(given).every(input => sameRun.includes(input)))
    play.bend({leftOut: newer.length > 0});
  const title = `${reason}: this is a rehearsal. It replays recorded answers of a real run ("${name}") and creates no cluster.`;
  return {
    ...play,
    title: newer.length > 0 ? `${title}\n${leftOut(newer, asked)}` : title,
    rehearsal: true,
    given: {
      'results-dir': 'results/rehearsal',
      ...all,
      ...(newer.length > 0 && {checks: without(newer, asked, all.checks)})
    }
  };
}

/** Inputs that do not change the commands of the recorded run. */
const sameRun = [
  ...['checks', 'cleanup', 'diagnostics', 'dry-run', 'fail-on-flaky', 'results-dir', 'timeout']
];

/** Returns the ids of the checks that the bundle selects for these inputs. A run without programs fails, but lists them. */
function askedChecks(given) {
  const temp = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'dual-stack-'));
  const results = path.join(temp, 'results');
  const nothing = {
    ...Object.fromEntries(['kind', 'kubectl', 'helm'].map(tool => [`${tool}-version`, 'path'])),
    ...{'dry-run': 'false', 'results-dir': results, timeout: '10s'}
  };
  const env = {...stageEnvironment({given: {...given, ...nothing}}, temp), PATH: temp};
  try {
    spawnSync(process.execPath, [path.join(root, runs.main)], {env, stdio: 'ignore'});
    const {checks} = JSON.parse(fs.readFileSync(path.join(results, 'results.json'), 'utf8'));
    return [...new Set(checks.map(({id}) => id))];
  } catch {
    return []; // the run itself reports the error
  } finally {
    fs.rmSync(temp, {recursive: true, force: true});
  }
}

/** Shortens ids to `layer/` or `layer/target/` if all selected checks in that group are among them. */
function inShort(ids, asked) {
  const others = asked.filter(id => !ids.includes(id));
  const starts = ids.map(id => {
    const [layer, target] = id.split('/');
    const groups = [`${layer}/`, `${layer}/${target}/`];
    return groups.find(group => !others.some(other => other.startsWith(group))) ?? id;
  });
  return [...new Set(starts)];
}

function leftOut(newer, asked) {
  const names = inShort(newer, asked).map(start => start.replace(/\/$/, ''));
  const what = newer.length === 1 ? '1 check that is' : `${newer.length} checks that are`;
  return `Not run: ${what} newer than this recording (${names.join(', ')}).`;
}

const literal = text => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Returns a value of `checks` that selects the same checks without the newer ones. */
function without(newer, asked, given = '') {
  const starts = inShort(newer, asked)
    .map(start => (start.endsWith('/') ? literal(start) : `${literal(start)}$`))
    .join('|');
  if (given === '') return `!^(${starts})`;
  if (given.startsWith('!')) return `!^(?:${starts})|${given.slice(1)}`;
  const narrowed = `^(?!${starts})(?=.*(?:${given}))`;
  const kept = asked.filter(id => !newer.includes(id));
  // a named set is no pattern for ids
  return kept.every(id => new RegExp(narrowed).test(id))
    ? narrowed
    : `^(${kept.map(literal).join('|')})$`;
}

// ---- the environment of an action ----

/** Defaults of `npm start`. Recordings have this name in their commands. */
const standing = {'cluster-name': 'istio-ds'};
const FILES = ['OUTPUT', 'STATE', 'ENV', 'PATH', 'STEP_SUMMARY'];

function stageEnvironment({given, bin, env}, temp) {
  const foreign = /^(INPUT|STATE|GITHUB|RUNNER|ACTIONS)_/; // from a run around this one
  const tools =
    process.env.RUNNER_TOOL_CACHE ?? path.join(os.homedir(), '.cache', 'dual-stack', 'tools');
  const files = FILES.map(name => [
    `GITHUB_${name}`,
    path.join(temp, `_runner_${name.toLowerCase()}`)
  ]);
  for (const [, file] of files) fs.writeFileSync(file, '');
  const values = Object.entries(inputs).map(([name, {default: value = ''}]) => [
    `INPUT_${name.replaceAll(' ', '_').toUpperCase()}`,
    given[name] ?? (given.cluster === 'existing' ? undefined : standing[name]) ?? `${value}`
  ]);
  return {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name))),
    RUNNER_TEMP: temp,
    RUNNER_TOOL_CACHE: tools,
    GITHUB_WORKSPACE: process.cwd(),
    ...Object.fromEntries([...files, ...values]),
    ...(bin && given.mirror && {DUAL_STACK_MIRROR: given.mirror}), // for the stand-ins, because the bundle passes no inputs to child processes
    ...env,
    PATH: [bin, process.env.PATH].filter(Boolean).join(':')
  };
}

/** Returns the values in a GITHUB_OUTPUT, STATE or ENV file; the last value of a name counts. */
function pairs(file) {
  const lines = fs.readFileSync(file, 'utf8').split(/\r?\n/);
  const found = {};
  while (lines.length > 0) {
    const line = lines.shift();
    const [, name, delimiter] = /^(.+?)<<(.+)$/.exec(line) ?? [];
    if (name) {
      const end = lines.indexOf(delimiter);
      if (end < 0)
        throw new Error(`${path.basename(file)}: no ${delimiter} ends the value of ${name}`);
      found[name] = lines
        .splice(0, end + 1)
        .slice(0, -1)
        .join('\n');
    } else if (line.includes('='))
      found[line.slice(0, line.indexOf('='))] = line.slice(line.indexOf('=') + 1);
  }
  return found;
}

/** Returns the environment of post, with the state, the variables and the paths from main. */
function postEnvironment(env, bin) {
  const state = Object.entries(pairs(env.GITHUB_STATE)).map(([name, value]) => [
    `STATE_${name}`,
    value
  ]);
  const paths = fs.readFileSync(env.GITHUB_PATH, 'utf8').split('\n').filter(Boolean).reverse();
  const {NODE_OPTIONS: _, ...variables} = pairs(env.GITHUB_ENV); // the runner refuses it
  return {
    ...env,
    ...variables,
    ...Object.fromEntries(state),
    PATH: [bin, ...paths, env.PATH].filter(Boolean).join(':')
  };
}

// ---- the log ----

const ESCAPE = '\u001b';
/** Removes control characters, which can control a terminal; keeps colours. */
const harmless = text =>
  text.replace(/\p{Cc}/gu, (char, at) =>
    char === '\t' || (char === ESCAPE && /^\[[\d;]*m/.test(text.slice(at + 1, at + 16))) ? char : ''
  );

const COMMANDS =
  /^(group|endgroup|error|warning|notice|debug|add-mask|stop-commands|echo|add-matcher|remove-matcher)$/;

/** Decodes the escapes of the runner. Only properties escape commas and colons. */
const decoded = text =>
  text
    .replaceAll('%0D', '')
    .replaceAll('%0A', '\n')
    .replaceAll('%3A', ':')
    .replaceAll('%2C', ',')
    .replaceAll('%25', '%');

/** Parses `::name properties::text` after leading spaces, or `##[name properties]text` anywhere, as the runner does. */
function commandOf(line) {
  const [, head, text] = /^\s*::(.*?)::(.*)$/.exec(line) ?? /##\[(.*?)\](.*)$/.exec(line) ?? [];
  const [name, ...properties] = (head ?? '').split(' ');
  if (!COMMANDS.test(name)) return null;
  const title = /title=([^,]*)/.exec(properties.join(' '))?.[1];
  return {name, text: decoded(text), title: title && decoded(title)};
}

/** Prints a log line by line, with readable commands. No text can control the terminal or a runner. */
function logPrinter() {
  const masks = [];
  let stoppedBy = null;
  const print = (text, paint = plain => plain) => {
    for (const line of text.split('\n'))
      console.log(
        paint(harmless(masks.reduce((result, mask) => result.replaceAll(mask, '***'), line)))
      );
  };
  const act = ({name, text, title}) => {
    const message = title ? `${title}: ${text}` : text;
    if (name === 'stop-commands') stoppedBy = text;
    else if (name === 'add-mask' && text !== '') masks.push(...text.split('\n').filter(Boolean));
    else if (name === 'group') print(text, bold);
    else if (name === 'error') print(message, red);
    else if (name === 'warning' || name === 'notice') print(message, yellow);
  };
  return line => {
    if (stoppedBy !== null) {
      if (line.trim() === `::${stoppedBy}::`) stoppedBy = null;
      else print(line);
      return;
    }
    const command = commandOf(line);
    if (command) act(command);
    else print(line);
  };
}

// ---- stages ----

/** The process of the current stage, the time of Ctrl-C, and whether the stage is post. */
const now = {child: null, cancelled: null, isPost: false};

/** Cancels as the runner does, only the node process: SIGINT, SIGTERM after 7.5 s, SIGKILL after 10 s. */
function cancel(child) {
  child.kill('SIGINT');
  for (const [signal, after] of [
    ['SIGTERM', 7500],
    ['SIGKILL', 10000]
  ])
    setTimeout(() => child.kill(signal), after).unref(); // has no effect on an ended process
}

function onInterrupt() {
  if (now.cancelled === null) {
    now.cancelled = Date.now();
    console.log(
      now.isPost
        ? 'Cleaning up. Press Ctrl-C again to stop at once.'
        : 'Cancelling, then cleaning up. Press Ctrl-C again to stop at once.'
    );
    if (!now.isPost && now.child) cancel(now.child);
  } else if (Date.now() - now.cancelled > 500) endAtOnce(); // npm sends the first Ctrl-C twice
}

function endAtOnce() {
  if (now.child) process.kill(-now.child.pid, 'SIGKILL');
  console.log(red('Stopped at once. A cluster may remain: run `kind get clusters`.'));
  process.exit(130);
}

/** Runs main or post, and returns its exit code. A missing answer of a rehearsal ends it. */
async function stage(script, env, {misses = () => []}) {
  const child = spawn(process.execPath, [path.join(root, script)], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true
  });
  now.child = child;
  const print = logPrinter();
  for (const input of [child.stdout, child.stderr]) createInterface({input}).on('line', print);
  const before = misses().length;
  const watch = setInterval(() => {
    if (misses().length === before) return;
    clearInterval(watch);
    cancel(child);
  }, 100);
  // 'close' waits for all processes with the pipes; children of a killed bundle may keep them open
  const ended = once(child, 'exit').then(() => sleep(2000, undefined, {ref: false}));
  await Promise.race([once(child, 'close'), ended]);
  clearInterval(watch);
  now.child = null;
  return child.exitCode ?? 128 + (os.constants.signals[child.signalCode] ?? 0);
}

// ---- the end ----

const shown = file => path.relative(process.cwd(), file) || '.';

/** Prints the outputs, and the paths of the summary and the results. */
function tellResults(outputs) {
  console.log('');
  const gone = name => name === 'kubeconfig' && !fs.existsSync(outputs.kubeconfig);
  for (const [name, value] of Object.entries(outputs).filter(
    ([name, value]) => value !== '' && !gone(name)
  ))
    console.log(`${name.padEnd(20)} ${harmless(value.replaceAll('\n', ' '))}`);
  const files = [
    ['Summary', path.join(outputs['results-dir'] ?? '', 'summary.md')],
    ['Results', outputs.results ?? '']
  ];
  console.log('');
  for (const [title, file] of files)
    if (fs.existsSync(file)) console.log(`${title.padEnd(20)} ${bold(shown(file))}`);
}

/** Whether `cleanup` keeps the cluster. Then its kubeconfig, in RUNNER_TEMP, must stay too. */
function isClusterKept({rehearsal, given}, {result, kubeconfig}) {
  const cleanup = given.cleanup ?? inputs.cleanup?.default;
  const kept = cleanup === 'never' || (cleanup === 'on-success' && result !== 'passed');
  const ours = given.cluster !== 'existing'; // else the end of the log has the commands that remove the objects
  return !rehearsal && kept && ours && fs.existsSync(kubeconfig ?? '');
}

function tellKept({'cluster-name': name, kubeconfig}) {
  console.log(`\nThe cluster ${name} is kept. To use it and to delete it:`);
  console.log(`  export KUBECONFIG=${kubeconfig}`);
  console.log(`  kind delete cluster --name ${name} && rm -r ${path.dirname(kubeconfig)}`);
}

function tellMisses(misses) {
  for (const miss of misses) console.log(red(`no recorded answer: ${harmless(miss)}`));
  console.log(
    'A rehearsal can only repeat the recorded run. For these inputs, run on Docker, or make a recording (npm run record).'
  );
}

async function run(choice, temp) {
  const env = stageEnvironment(choice, temp);
  const code = await stage(runs.main, env, choice);
  now.isPost = true;
  await stage(runs.post, postEnvironment(env, choice.bin), choice);
  const outputs = pairs(env.GITHUB_OUTPUT);
  tellResults(outputs);
  const kept = isClusterKept(choice, outputs);
  if (kept) tellKept(outputs);
  const misses = choice.misses?.() ?? [];
  if (misses.length > 0) tellMisses(misses);
  return {kept, code: misses.length > 0 ? code || 1 : code};
}

async function main() {
  refuseSwallowedFlags(process.env);
  const flags = readFlags(process.argv.slice(2));
  if (flags.help) return console.log(help());
  const choice = await choose(flags);
  const recorder = process.env.DUAL_STACK_RECORDER; // record.mjs reads the inputs
  if (recorder) fs.writeFileSync(path.join(recorder, 'inputs.json'), JSON.stringify(choice.given));
  const temp = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'dual-stack-')); // has mode 0700
  process.on('SIGINT', onInterrupt).on('SIGTERM', onInterrupt);
  const token = process.env.GITHUB_ACTIONS && randomUUID(); // the outer runner must not execute commands in this log
  if (token) console.log(`::stop-commands::${token}`);
  console.log(bold(choice.title));
  const {kept, code} = await run(choice, temp);
  if (token) console.log(`::${token}::`);
  if (!kept) fs.rmSync(temp, {recursive: true, force: true});
  choice.remove?.();
  process.exitCode = code;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}

// npm start: runs the bundle on this machine as GitHub's runner does. Flags are the inputs of action.yml.
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
    description: 'Plays recorded answers of a real run; makes no cluster.'
  },
  recording: {type: 'string', description: 'Which recording to play.', default: 'healthy'},
  help: {type: 'boolean', short: 'h', description: 'Prints this.'}
};

class UsageError extends Error {}

const coloured = process.stdout.isTTY && !process.env.NO_COLOR;
const colour = number => text => (coloured ? `\u001b[${number}m${text}\u001b[0m` : text);
const [bold, red, yellow] = [1, 31, 33].map(colour);

// ---- flags ----

const isSwitch = name => ['true', 'false'].includes(`${inputs[name]?.default}`);

/** npm takes flags before `--` for its own, and tells of them only by environment variables. */
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
    `npm kept ${names} to itself: flags go after a --, as in\n  npm start -- ${flags.join(' ')}`
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
    'npm start -- [flags]: the main job, on Docker where one answers, else a rehearsal.',
    '',
    ...Object.entries(own).map(line),
    '',
    "The action's inputs:",
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

/** Why this is a rehearsal; null when it is not. */
function rehearsalReason({rehearse, recording, cluster, 'dry-run': dryRun}) {
  if (rehearse || recording) return 'As asked';
  if (cluster === 'existing') return null; // needs no Docker
  if (process.platform !== 'linux') return 'A cluster needs Linux here';
  if (dryRun === 'true' || process.env.DUAL_STACK_RECORDER || dockerAnswers()) return null;
  return 'No Docker answers here';
}

async function player(name) {
  const {rehearse} = await import('../rehearsal/play.mjs');
  try {
    return rehearse(name);
  } catch (error) {
    throw new UsageError(error.message);
  }
}

/** What is run: the first line that tells it, the inputs, and what stands in front of PATH. */
async function choose({rehearse, recording, help: _, ...given}) {
  const reason = rehearsalReason({rehearse, recording, ...given});
  if (reason === null) {
    const dryRun = given['dry-run'] === 'true';
    const title = dryRun
      ? 'A dry run: nothing is made or changed.'
      : given.cluster === 'existing'
        ? 'This is a real run, on a cluster that is there already.'
        : 'Docker answers here: this is a real run, on a real cluster.';
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
      `The recording "${name}" is older than every check that is asked for. Run them on Docker, or record it anew (npm run record -- ${name}).`
    );
  }
  if (Object.keys(given).every(input => sameRun.includes(input)))
    play.bend({leftOut: newer.length > 0});
  const title = `${reason}: this is a rehearsal, recorded answers of a real run ("${name}"), no cluster is made.`;
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

/** Inputs with which the run is still the recorded one: they change nothing that is made. */
const sameRun = [
  ...['checks', 'cleanup', 'diagnostics', 'dry-run', 'fail-on-flaky', 'results-dir', 'timeout']
];

/** The ids of the checks that the bundle makes with these inputs. Every ending tells them: also that of a run that finds no program, as here. */
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
    return []; // what is wrong, the run itself will tell
  } finally {
    fs.rmSync(temp, {recursive: true, force: true});
  }
}

/** Ids by what they have in common: `layer/` or `layer/target/` where nothing else that is asked for is in it. */
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
  const what = newer.length === 1 ? 'a check that is' : `${newer.length} checks that are`;
  return `Left out: ${what} newer than this recording (${names.join(', ')}).`;
}

const literal = text => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** A value of `checks` that asks for the same, without the newer ones. */
function without(newer, asked, given = '') {
  const starts = inShort(newer, asked)
    .map(start => (start.endsWith('/') ? literal(start) : `${literal(start)}$`))
    .join('|');
  if (given === '') return `!^(${starts})`;
  if (given.startsWith('!')) return `!^(?:${starts})|${given.slice(1)}`;
  const narrowed = `^(?!${starts})(?=.*(?:${given}))`;
  const kept = asked.filter(id => !newer.includes(id));
  // the name of a set is no expression over ids
  return kept.every(id => new RegExp(narrowed).test(id))
    ? narrowed
    : `^(${kept.map(literal).join('|')})$`;
}

// ---- what the runner gives an action ----

/** Where no flag says otherwise: here one run is made after the other, and recordings have that name in their commands. */
const standing = {'cluster-name': 'istio-ds'};
const FILES = ['OUTPUT', 'STATE', 'ENV', 'PATH', 'STEP_SUMMARY'];

function stageEnvironment({given, bin, env}, temp) {
  const foreign = /^(INPUT|STATE|GITHUB|RUNNER|ACTIONS)_/; // another run's, when this one is inside it
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
    ...(bin && given.mirror && {DUAL_STACK_MIRROR: given.mirror}), // for the stand-ins: the bundle tells no child its inputs
    ...env,
    PATH: [bin, process.env.PATH].filter(Boolean).join(':')
  };
}

/** What a GITHUB_OUTPUT, STATE or ENV file says; of a name written twice the last one stands. */
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

/** The environment of post: with the state, the variables and the paths that main left. */
function postEnvironment(env, bin) {
  const state = Object.entries(pairs(env.GITHUB_STATE)).map(([name, value]) => [
    `STATE_${name}`,
    value
  ]);
  const paths = fs.readFileSync(env.GITHUB_PATH, 'utf8').split('\n').filter(Boolean).reverse();
  const {NODE_OPTIONS: _, ...variables} = pairs(env.GITHUB_ENV); // which the runner refuses
  return {
    ...env,
    ...variables,
    ...Object.fromEntries(state),
    PATH: [bin, ...paths, env.PATH].filter(Boolean).join(':')
  };
}

// ---- the log ----

const ESCAPE = '\u001b';
/** Without control characters, which could act on a terminal; colours stay. */
const harmless = text =>
  text.replace(/\p{Cc}/gu, (char, at) =>
    char === '\t' || (char === ESCAPE && /^\[[\d;]*m/.test(text.slice(at + 1, at + 16))) ? char : ''
  );

const COMMANDS =
  /^(group|endgroup|error|warning|notice|debug|add-mask|stop-commands|echo|add-matcher|remove-matcher)$/;

/** The runner's escapes; those of a comma and a colon are used in properties only. */
const decoded = text =>
  text
    .replaceAll('%0D', '')
    .replaceAll('%0A', '\n')
    .replaceAll('%3A', ':')
    .replaceAll('%2C', ',')
    .replaceAll('%25', '%');

/** `::name properties::text` after leading spaces, or `##[name properties]text` anywhere, as the runner reads it. */
function commandOf(line) {
  const [, head, text] = /^\s*::(.*?)::(.*)$/.exec(line) ?? /##\[(.*?)\](.*)$/.exec(line) ?? [];
  const [name, ...properties] = (head ?? '').split(' ');
  if (!COMMANDS.test(name)) return null;
  const title = /title=([^,]*)/.exec(properties.join(' '))?.[1];
  return {name, text: decoded(text), title: title && decoded(title)};
}

/** Prints a log line by line, its commands made readable; no text can act on the terminal or on a runner. */
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

/** The stage that runs now, when Ctrl-C came, and whether that may end the stage. */
const now = {child: null, cancelled: null, isPost: false};

/** Ctrl-C as the runner's cancel, to node alone: SIGINT, 7.5 s later SIGTERM, 2.5 s later SIGKILL. */
function cancel(child) {
  child.kill('SIGINT');
  for (const [signal, after] of [
    ['SIGTERM', 7500],
    ['SIGKILL', 10000]
  ])
    setTimeout(() => child.kill(signal), after).unref(); // nothing happens to one that has ended
}

function onInterrupt() {
  if (now.cancelled === null) {
    now.cancelled = Date.now();
    console.log(
      now.isPost
        ? 'Cleaning up; Ctrl-C once more ends that.'
        : 'Cancelling, then cleaning up; Ctrl-C once more ends at once.'
    );
    if (!now.isPost && now.child) cancel(now.child);
  } else if (Date.now() - now.cancelled > 500) endAtOnce(); // npm passes the first one on a second time
}

function endAtOnce() {
  if (now.child) process.kill(-now.child.pid, 'SIGKILL');
  console.log(red('Ended at once: what was made may still be there (`kind get clusters`).'));
  process.exit(130);
}

/** Runs main or post, and gives its exit code. A rehearsal's missing answer ends it. */
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
  // 'close' waits for whoever holds the pipes; what a killed bundle leaves may do so for long
  const ended = once(child, 'exit').then(() => sleep(2000, undefined, {ref: false}));
  await Promise.race([once(child, 'close'), ended]);
  clearInterval(watch);
  now.child = null;
  return child.exitCode ?? 128 + (os.constants.signals[child.signalCode] ?? 0);
}

// ---- the end ----

const shown = file => path.relative(process.cwd(), file) || '.';

/** Tells the outputs, and where the summary and the results are. */
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

/** Whether the cluster was left on purpose; its kubeconfig, in RUNNER_TEMP, is then needed. */
function isClusterKept({rehearsal, given}, {result, kubeconfig}) {
  const cleanup = given.cleanup ?? inputs.cleanup?.default;
  const kept = cleanup === 'never' || (cleanup === 'on-success' && result !== 'passed');
  const ours = given.cluster !== 'existing'; // else the end of the log tells how to remove what was made
  return !rehearsal && kept && ours && fs.existsSync(kubeconfig ?? '');
}

function tellKept({'cluster-name': name, kubeconfig}) {
  console.log(`\nThe cluster ${name} stays. To use it, and to end it:`);
  console.log(`  export KUBECONFIG=${kubeconfig}`);
  console.log(`  kind delete cluster --name ${name} && rm -r ${path.dirname(kubeconfig)}`);
}

function tellMisses(misses) {
  for (const miss of misses) console.log(red(`no recorded answer: ${harmless(miss)}`));
  console.log(
    'A rehearsal can only repeat what the real run did: with these inputs, run it on Docker, or record it (npm run record).'
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
  const recorder = process.env.DUAL_STACK_RECORDER; // record.mjs wants to know the inputs
  if (recorder) fs.writeFileSync(path.join(recorder, 'inputs.json'), JSON.stringify(choice.given));
  const temp = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'dual-stack-')); // made 0700
  process.on('SIGINT', onInterrupt).on('SIGTERM', onInterrupt);
  const token = process.env.GITHUB_ACTIONS && randomUUID(); // what is printed here must not act there
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

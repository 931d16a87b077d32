// Stands in for one program: `shim.mjs record|replay DIRECTORY PROGRAM ARGUMENTS…`, started by the
// scripts that play.mjs puts in front of PATH. It imports little: a rehearsal starts it for each call.
import {createHash} from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import {answerToNewer, later, leftBy, nearest, onlyParts, question} from './question.mjs';

const [mode, directory, program, ...rest] = process.argv.slice(2);
/** What one call may print, in bytes: more is an error, for half an answer would be a wrong one. */
const OUTPUT_LIMIT = 1 << 20;
const FILE_LIMIT = 1 << 16;

const mirror = process.env.DUAL_STACK_MIRROR?.replace(/#.*$/, '').replace(/\/+$/, '');
const places = ['RUNNER_TEMP', 'RUNNER_TOOL_CACHE', 'GITHUB_WORKSPACE', 'HOME']
  .map(name => ({name, value: process.env[name] ?? ''}))
  .filter(({value}) => value.length > 1)
  .sort((a, b) => b.value.length - a.value.length); // the innermost directory first

const literal = text => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** This machine's directories as placeholders, and what a mirror served as the address it stands for. */
function toPlaceholders(text) {
  const direct = mirror
    ? text.replace(new RegExp(`${literal(mirror)}/(?=\\w)`, 'g'), 'https://')
    : text;
  return places.reduce(
    (result, {name, value}) =>
      result.replace(new RegExp(`${literal(value)}(?![\\w.-])`, 'g'), `{${name}}`),
    direct
  );
}

const fromPlaceholders = text =>
  places.reduce((result, {name, value}) => result.replaceAll(`{${name}}`, value), text);

/** Hosts of this machine's proxies and package registries: they are nobody else's business. */
const privateHosts = Object.entries(process.env)
  .filter(([name]) => /(proxy|registry|index_url)$/i.test(name))
  .flatMap(([, value]) => [...value.matchAll(/https?:\/\/(?:[^/@\s]*@)?([^/:,\s]+)/g)])
  .map(([, host]) => host)
  .filter(host => !/^(localhost|127\.|\[|registry\.npmjs\.org$|proxy\.golang\.org$)/.test(host));

const SECRETS = [
  [
    /((?:client-key|client-certificate|certificate-authority)-data"?:\s*"?)[\w+/=-]+/g,
    '$1REDACTED'
  ],
  [/-----BEGIN ([A-Z ]*)PRIVATE KEY-----[\s\S]*?-----END \1PRIVATE KEY-----/g, 'REDACTED'],
  [/LS0tLS1CRUdJTi[\w+/=]+/g, 'REDACTED'], // "-----BEGIN" in base64, as Secrets hold it
  [/\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g, 'REDACTED'],
  [/(\bbearer\s+)[\w.~+/-]{8,}=*/gi, '$1REDACTED'],
  [/\b(gh[a-z]_|github_pat_)\w{16,}/g, 'REDACTED'],
  [/((?:^|[\s"{,])"?(?:token|password|identitytoken|auth)"?:[ \t]*"?)[^\s",{}[\]]+/gi, '$1REDACTED']
];

/** Text without key data, tokens and private hosts. Applied to what is asked too, so that both agree. */
function redact(text) {
  const clean = SECRETS.reduce(
    (result, [secret, instead]) => result.replace(secret, instead),
    text
  );
  return privateHosts.reduce((result, host) => result.replaceAll(host, 'redacted.invalid'), clean);
}

const storable = text => redact(toPlaceholders(text));

/** Keeps the beginning of a stream, and how long all of it was. */
function keep() {
  const kept = [];
  let bytes = 0;
  const add = chunk => {
    if (bytes <= OUTPUT_LIMIT) kept.push(chunk);
    bytes += chunk.length;
  };
  return {add, value: () => ({bytes, head: Buffer.concat(kept)})};
}

/** Text as text; what is binary, only by its size; `tooLong` when it is text over the limit. */
function stored({bytes, head}) {
  const text = new TextDecoder('utf-8', {ignoreBOM: true}).decode(head);
  if (head.includes(0)) return {bytes};
  if (bytes > OUTPUT_LIMIT) return {bytes, tooLong: true};
  return text.includes('\ufffd') ? {bytes} : storable(text);
}

const argv = [program, ...rest].map(storable);

/** The CRDs of a chart are megabytes, and only handed on: no recording has them, and the rest goes by without. */
const unheard = argv.slice(0, 3).join(' ') === 'helm show crds';

function refuse(message, code) {
  process.stderr.write(`${message}\n`);
  process.exitCode = code;
}

/** The real program: the first on PATH that is not a stand-in. */
function realProgram(PATH) {
  return PATH.split(':')
    .map(folder => path.join(folder, program))
    .find(file => fs.existsSync(file));
}

/** Files under RUNNER_TEMP that the arguments or KUBECONFIG name, or that such a directory holds. */
function namedFiles() {
  const temp = `${process.env.RUNNER_TEMP}/`;
  const named = [
    ...rest,
    ...rest.map(text => text.replace(/^--?[\w-]+=/, '')),
    process.env.KUBECONFIG ?? ''
  ];
  const found = new Map();
  for (const file of named.filter(name => name.startsWith(temp) && fs.existsSync(name))) {
    const inside = fs.statSync(file).isDirectory()
      ? fs.readdirSync(file).map(name => path.join(file, name))
      : [file];
    for (const one of inside) {
      const status = fs.statSync(one, {throwIfNoEntry: false});
      if (status?.isFile()) found.set(one, `${status.mtimeMs} ${status.size}`);
    }
  }
  return found;
}

/** What a call left in files, such as a kubeconfig: later steps may read it. */
function writtenFiles(before) {
  return [...namedFiles()]
    .filter(([file, state]) => before.get(file) !== state)
    .map(([file]) => {
      const content = fs.readFileSync(file);
      const text =
        content.length > FILE_LIMIT
          ? {bytes: content.length}
          : stored({bytes: content.length, head: content});
      return {path: toPlaceholders(file), text};
    });
}

/** Before the command that a fault names, once: causes it. The time is kept, to tell how long it took to be told. */
function causeFault(spawnSync, env) {
  const file = path.join(directory, 'fault.json');
  if (!fs.existsSync(file)) return;
  const {before, cause, node} = JSON.parse(fs.readFileSync(file, 'utf8'));
  if (!new RegExp(before).test([program, ...rest].join(' '))) return;
  try {
    fs.mkdirSync(path.join(directory, 'fault'));
  } catch {
    return; // caused before
  }
  const {status, stderr} = spawnSync('bash', ['--norc', '-euc', cause], {
    env: {...env, NODE: node},
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe']
  });
  const caused = {at: Date.now(), status, stderr};
  fs.writeFileSync(path.join(directory, 'fault', 'caused.json'), JSON.stringify(caused));
}

/** Runs the real program and appends what happened: a start, then an end. A killed call's code is null. */
async function record() {
  const {spawn, spawnSync} = await import('node:child_process');
  const id = `${process.pid}-${Date.now()}`;
  const write = line =>
    fs.appendFileSync(path.join(directory, 'raw.jsonl'), `${JSON.stringify({id, ...line})}\n`);
  // Without the stand-ins, so that what kind itself asks docker is not taken for the bundle's call.
  const PATH = process.env.PATH.split(':')
    .filter(folder => folder !== path.join(directory, 'bin'))
    .join(':');
  causeFault(spawnSync, {...process.env, PATH});
  const before = namedFiles();
  const started = Date.now();
  write({at: started, argv}); // before the work: a call killed outright has a start and no end
  const child = spawn(realProgram(PATH) ?? program, rest, {env: {...process.env, PATH}});
  const [input, out, error] = [keep(), keep(), keep()];
  child.stdin.on('error', () => {}); // it need not read what it is given
  process.stdin.on('data', input.add).pipe(child.stdin);
  child.stdout.on('data', out.add).pipe(process.stdout);
  child.stderr.on('data', error.add).pipe(process.stderr);
  process.stdout.on('error', () => child.stdout.destroy());
  let killed = false;
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'])
    process.on(signal, () => {
      killed = true;
      child.kill(signal);
    });
  const code = await new Promise(done => {
    child.on('error', () => done(127));
    child.on('close', status => done(killed ? null : status));
  });
  write({
    ms: Date.now() - started,
    stdin: stored(input.value()),
    code,
    stdout: unheard ? {bytes: out.value().bytes} : stored(out.value()),
    stderr: stored(error.value()),
    files: writtenFiles(before)
  });
  process.exitCode = code ?? 143;
  process.stdin.destroy();
}

const digest = text => createHash('sha256').update(text).digest('hex').slice(0, 24);

/** The number of this call among those with the same key: each directory can be made only once. */
function turnOf(key, last) {
  for (let turn = 0; turn < last; turn++) {
    try {
      fs.mkdirSync(path.join(directory, 'turns', `${digest(key)}-${turn}`));
      return turn;
    } catch {} // taken by a call before
  }
  return last;
}

/** The bundle leaves standard input open where it gives none: only a command that reads it is asked for it. */
async function standardInput() {
  if (!rest.some(argument => ['-', '-i', '--interactive'].includes(argument))) return '';
  const input = keep();
  for await (const chunk of process.stdin) input.add(chunk);
  return stored(input.value());
}

const readJson = file => JSON.parse(fs.readFileSync(file, 'utf8'));

/** What the recording has under a key: the answers to a question, or the questions of a scope. */
function kept(key) {
  const file = path.join(directory, 'answers', `${digest(key)}.json`);
  return fs.existsSync(file) ? readJson(file) : [];
}

/** The recorded calls that answer a command, under the key that they share; none when nothing does. */
function recorded(asked) {
  const calls = kept(asked.exact);
  if (calls.length > 0 || !asked.parts) return {key: asked.exact, calls};
  const near = nearest(asked, kept(asked.scope));
  if (!near) return {key: asked.exact, calls: []};
  return {
    key: near.exact,
    calls: kept(near.exact).map(call => ({
      ...call,
      ...(asked.kinds && {stdout: onlyParts(call.stdout, near.parts, asked.parts)})
    }))
  };
}

/** A claim holds a token of its own run, which no recording can have: these volumes are the rehearsal's own. */
function claim() {
  const [noun, verb, ...more] = rest;
  if (program !== 'docker' || noun !== 'volume') return null;
  const file = path.join(directory, digest(more.at(-1)));
  if (verb === 'create') fs.writeFileSync(file, more[1].replace(/^[^=]*=/, ''));
  return {code: 0, stdout: verb === 'inspect' ? fs.readFileSync(file, 'utf8') : more.at(-1)};
}

/** Answers from the recording: the n-th call of a question gets its n-th answer, and the last one stands. */
async function replay() {
  const own = claim();
  if (own) return answer(own);
  const stdin = await standardInput();
  const {key, calls: known} = recorded(question(argv));
  const binary = known.some(call => typeof call.stdin === 'object');
  const calls = binary ? known : known.filter(call => (call.stdin ?? '') === stdin);
  if (calls.length > 0)
    await answer(calls[turnOf(JSON.stringify([key, binary ? null : stdin]), calls.length - 1)]);
  else if (!unheard)
    await answerUnknown(known.length > 0 ? ' (recorded with other standard input)' : '');
  process.stdin.destroy();
}

async function answerUnknown(note) {
  if (later.some(asked => asked.test(argv.join(' ')))) return answer({code: 0});
  const file = path.join(directory, 'newer.json');
  const newer = note === '' && fs.existsSync(file) ? answerToNewer(argv, readJson(file)) : null;
  if (newer) return answer(newer);
  const command = `${argv.join(' ').replace(/\s+/g, ' ')}${note}`;
  fs.appendFileSync(path.join(directory, 'misses'), `${command}\n`);
  refuse(`no recorded answer: ${command}`, 86);
}

async function answer({code, ms = 0, stdout = '', stderr = '', files = []}) {
  const speed = Number(process.env.REPLAY_SPEED ?? 0);
  if (code !== null && speed > 0) await new Promise(done => setTimeout(done, ms * speed));
  for (const {path: file, text} of leftBy(argv, files)) leave(fromPlaceholders(file), text);
  if (typeof stdout === 'string') process.stdout.write(fromPlaceholders(stdout));
  if (typeof stderr === 'string') process.stderr.write(fromPlaceholders(stderr));
  if (code === null) hang();
  else process.exitCode = code;
}

/** Leaves a file that a call left; never outside the run's own directory, whatever a recording says. */
function leave(file, text) {
  const temp = path.resolve(process.env.RUNNER_TEMP || '.');
  if (!path.resolve(file).startsWith(`${temp}${path.sep}`))
    throw new Error(`a recording would write ${file}, which is not under RUNNER_TEMP`);
  fs.writeFileSync(file, typeof text === 'string' ? fromPlaceholders(text) : '', {mode: 0o600});
}

/** It was killed when it was recorded: it hangs until it is killed again, or nobody waits for it. */
function hang() {
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || process.exit(143), 200);
}

if (mode === 'record') await record();
else if (process.env.DUAL_STACK_REHEARSAL) await replay();
else refuse('DUAL_STACK_REHEARSAL is not set: recorded answers are for rehearsals only', 87);

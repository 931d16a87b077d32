import * as fs from 'node:fs';
import {createRequire} from 'node:module';
import * as os from 'node:os';
import * as path from 'node:path';
import type {CommandOutput, Sh} from '../src/base/sh.ts';
import {give} from './fake.ts';

/** A recording played in this process, with foreign text where a cluster, a chart or a program may put it. */

const root = path.join(import.meta.dirname, '..');
const {answers, readRecording} = await import(path.join(root, 'rehearsal', 'answers.mjs'));

export interface Call {
  argv: string[];
  code: number | null;
  stdout?: string | object;
  stderr?: string | object;
}
export interface Recording {
  inputs: Record<string, string>;
  checks: string[];
  calls: Call[];
  /** How the real run ended. */
  expect: {code: number; result: string; 'failure-class': string; 'failed-layer': string};
}

// ---- time ----

/**
 * Pauses and the clock of what is imported after this run so many times as fast: a rehearsal answers at once, and would
 * spend its time waiting for what it knows already. Gives the way back.
 */
export function hurry(times: number): () => void {
  const timers = createRequire(import.meta.url)('node:timers/promises');
  const {setTimeout: pause} = timers;
  const now = performance.now.bind(performance);
  const start = now();
  timers.setTimeout = (time: number, ...rest: unknown[]) => pause(time / times, ...rest);
  performance.now = () => start + (now() - start) * times;
  return () => {
    timers.setTimeout = pause;
    performance.now = now;
  };
}

// ---- foreign text ----

/** In each hostile text: what was made of it is known by this. */
export const mark = 'hostile';

/** Each would act somewhere, were it taken for anything but text: in a log, a file of the runner, a page, a terminal, a shell. */
export const texts: Record<string, string> = {
  'a command of the runner': `\n::error title=${mark}::${mark}\n##[error]${mark}\n`,
  'an end of commands': `\n::stop-commands::${mark}\n::add-mask::${mark}\n::set-output name=${mark}::${mark}\n`,
  'an escaped command': `%0A::error::${mark}%0D%0A::warning::${mark}`,
  'a command in the middle of a line': `x ##[add-mask]${mark} ##[group]${mark}`,
  'another line end': `\r::error::${mark}\u2028::error::${mark}\u0085::error::${mark}\v::error::${mark}`,
  'an entry of a file': `\n${mark}=x\n${mark}<<E\nx\nE\nresult=passed\n`,
  'commands of a terminal': `\u001b[2J\u001b]0;${mark}\u0007\u009b31m\u001b]8;;https://${mark}.example\u0007\u001bc`,
  markup: `<script>${mark}</script><${mark} ${mark}=x>"'><${mark} onload=x>`,
  'the end of an element': `</textarea></code></pre></style></title><img src=x onerror=${mark}><!--`,
  'a link': `[x](javascript:${mark}) ![x](https://${mark}.example/x) <https://${mark}.example> @${mark} #1`,
  'the end of code': `\`<${mark}>\` <${mark}> \`\`\`\`\n\`\n<${mark}>\n\`\`\`\n</details>\n| a | b |\n# ${mark}\n`,
  'the beginning of code': `a\`<${mark}> [x](javascript:${mark})`,
  'a command of a shell': `$(touch ${mark})\`touch ${mark}\`';touch ${mark};'";touch ${mark};"\n touch ${mark}\nEOF\ntouch ${mark} #`,
  'an option': `--${mark} -${mark}`,
  'the end of XML': `]]>&${mark};</testcase><testcase name="${mark}">\ufffe\u0001`,
  'marks that reorder': `\u202e${mark}\u2066\u200f`,
  'no text': `\0${mark}\ud800\u0000`,
  'a long text': `${mark} `.repeat(40_000),
  'a path': `../../../../${mark}/../%2e%2e/`,
  'a name that every object has': '__proto__'
};

/** Where foreign text goes: a field by its name in any JSON answer, or the lines of what commands print that is none. */
export interface Place {
  field?: string;
  command?: string;
  stream?: 'stdout' | 'stderr';
}

export const placeName = ({field, command, stream}: Place): string =>
  field === undefined ? `${stream} of ${command}` : `the field ${field || 'of a list'}`;

const parsed = (text: unknown): unknown => {
  if (typeof text !== 'string' || !/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** `docker exec NODE ctr`: what is asked, by as many words as tell it. */
const commandName = (argv: string[]): string =>
  argv
    .slice(0, argv.includes('exec') ? 12 : 4)
    .filter(word => !/[/\n]|^-/.test(word))
    .join(' ')
    .slice(0, 80);

/** A key as one of a kind: `images.v1_30_3.cni` and others like it are told apart by nobody. */
const kindOf = (key: string): string => key.replace(/\d+/g, 'N');

/** Every place of a recording, in an order that stays. */
export function placesIn({calls}: Recording): Place[] {
  const fields = new Set<string>();
  const walk = (value: unknown, key: string): void => {
    if (typeof value === 'string') fields.add(kindOf(key));
    else if (Array.isArray(value)) for (const item of value) walk(item, key);
    else if (typeof value === 'object' && value !== null)
      for (const [name, item] of Object.entries(value)) walk(item, name);
  };
  const printed = new Map<string, Place>();
  for (const {argv, stdout} of calls) {
    const json = parsed(stdout);
    if (json !== undefined) walk(json, '');
    const command = commandName(argv);
    if (json === undefined && typeof stdout === 'string' && stdout !== '')
      printed.set(`out ${command}`, {command, stream: 'stdout'});
    printed.set(`err ${command}`, {command, stream: 'stderr'});
  }
  return [...[...fields].sort().map(field => ({field})), ...printed.values()];
}

/** How a text comes in: after what was there, before it, or instead of it. */
export const ways = ['after', 'before', 'instead'] as const;
export type Way = (typeof ways)[number];
const joined = (text: string, hostile: string, way: Way): string =>
  way === 'after' ? text + hostile : way === 'before' ? hostile + text : hostile;

/** The recording with hostile text in that place of every answer. */
export function withText(recording: Recording, place: Place, hostile: string, way: Way): Recording {
  const change = (value: unknown, key: string): unknown => {
    if (typeof value === 'string')
      return kindOf(key) === place.field ? joined(value, hostile, way) : value;
    if (Array.isArray(value)) return value.map(item => change(item, key));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [name, change(item, name)])
    );
  };
  const lines = (text: unknown): string =>
    way === 'instead'
      ? hostile
      : `${typeof text === 'string' ? text : ''}`
          .split('\n')
          .map(line => joined(line, hostile, way))
          .join('\n');
  const calls = recording.calls.map(call => {
    const {argv, stdout, stderr} = call;
    if (place.field !== undefined) {
      const json = parsed(stdout);
      return json === undefined ? call : {...call, stdout: JSON.stringify(change(json, ''))};
    }
    if (commandName(argv) !== place.command) return call;
    if (place.stream === 'stderr') return {...call, stderr: lines(stderr)};
    return parsed(stdout) === undefined ? {...call, stdout: lines(stdout)} : call;
  });
  return {...recording, calls};
}

export const read = (name: string): Recording => readRecording(name);

// ---- the rehearsal ----

/** What came of a rehearsal: all that a reader, the runner or a later step gets of it. */
export interface Ended {
  exitCode: number;
  /** Standard output and error as they came. */
  log: string;
  directory: string;
  asked: string[][];
  files: Record<'OUTPUT' | 'ENV' | 'STATE' | 'PATH', string>;
}

interface Run {
  run: (sh: Sh) => Promise<void>;
  rows: {id: string}[];
}

/** What a run is given beside what was recorded, and who stands between it and the answers. */
export interface More {
  inputs?: Record<string, string>;
  env?: Record<string, string>;
  through?: (sh: Sh) => Sh;
}

/** Plays a recording in a directory of its own, which `look` has seen when it is gone. */
export async function rehearsed<Found>(
  recording: Recording,
  {run, rows}: Run,
  look: (ended: Ended) => Found,
  {inputs = {}, env = {}, through = sh => sh}: More = {}
): Promise<Found> {
  const directory = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'hostile-'));
  const before = {
    env: {...process.env},
    out: process.stdout.write,
    err: process.stderr.write,
    exit: process.exit
  };
  const printed: string[] = [];
  const print = (text: unknown) => printed.push(`${text}`) > 0;
  const at = (file: string) => path.join(directory, file);
  const known = rows.filter(({id}) => recording.checks.includes(id));
  const {sh, asked} = shOf(recording, directory, known.length < rows.length);
  try {
    fs.mkdirSync(at('bin'));
    for (const name of ['kind', 'kubectl', 'helm'])
      fs.writeFileSync(path.join(at('bin'), name), '', {mode: 0o755});
    for (const name of files) fs.writeFileSync(at(name), '');
    for (const name of Object.keys(process.env))
      if (/^(INPUT|STATE|GITHUB|RUNNER)_|^KUBECONFIG$/.test(name)) delete process.env[name];
    Object.assign(process.env, {
      ...Object.fromEntries(files.map(name => [`GITHUB_${name}`, at(name)])),
      RUNNER_TEMP: directory,
      GITHUB_WORKSPACE: directory,
      DUAL_STACK_REHEARSAL: 'played',
      DOCKER_CONFIG: directory, // nobody's logins: a recording has none
      PATH: `${at('bin')}:${process.env.PATH}`,
      ...env
    });
    give({
      'cluster-name': 'istio-ds',
      ...recording.inputs,
      timeout: '20s', // for what an answer makes a run wait for in vain; no clock is hurried for it
      ...inputs,
      checks: `^(${known.map(({id}) => id).join('|')})$`
    });
    process.stdout.write = print as typeof process.stdout.write;
    process.stderr.write = print as typeof process.stderr.write;
    process.exit = (() => {}) as typeof process.exit; // a run that was not done ends so
    process.exitCode = 0;
    await run(through(sh));
    const text = Object.fromEntries(files.map(name => [name, fs.readFileSync(at(name), 'utf8')]));
    return look({
      exitCode: Number(process.exitCode),
      log: printed.join(''),
      directory,
      asked,
      files: text as Ended['files']
    });
  } finally {
    process.stdout.write = before.out;
    process.stderr.write = before.err;
    process.exit = before.exit;
    process.exitCode = 0;
    for (const name of ['SIGINT', 'SIGTERM', 'unhandledRejection', 'uncaughtException'])
      process.removeAllListeners(name);
    for (const name of Object.keys(process.env)) delete process.env[name];
    Object.assign(process.env, before.env);
    fs.rmSync(directory, {recursive: true, force: true});
  }
}

const files = ['OUTPUT', 'ENV', 'STATE', 'PATH'] as const;

/** Answers from a recording. What it has no answer to fails, as any command may. */
function shOf(recording: Recording, temp: string, newer: boolean) {
  const ask = answers(recording, {RUNNER_TEMP: temp}, newer);
  const asked: string[][] = [];
  const one = (command: string[]): CommandOutput => {
    asked.push(command);
    const answer = ask(command) ?? {code: 1, stderr: 'it was never asked'};
    const {code, stdout = '', stderr = '', files: written = []} = answer;
    for (const file of written) fs.writeFileSync(file.path, file.text, {mode: 0o600});
    return {code: code ?? 124, stdout, stderr, timedOut: code === null};
  };
  const sh: Sh = async (command, {pipeTo} = {}) => {
    const output = one(command);
    return pipeTo === undefined || output.code !== 0 ? output : one(pipeTo);
  };
  return {sh, asked};
}

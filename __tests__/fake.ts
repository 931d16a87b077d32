import {spawnSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import {afterEach, beforeEach, jest} from '@jest/globals';
import type {PhaseContext} from '../src/base/schedule.ts';
import type {CommandOutput, Sh} from '../src/base/sh.ts';
import type {Probe} from '../src/checks/probe.ts';

export type Answer = string | Partial<CommandOutput>;
export type FakeSh = Sh & {calls: string[]};

/** A Sh that answers from a table of command lines, and fails on any other. Of a list each call takes the next answer; the last one stands. */
export function fakeSh(
  answers: Record<string, Answer | Answer[]> | ((command: string[]) => Answer | undefined)
): FakeSh {
  const calls: string[] = [];
  const turns = new Map<string, number>();
  const fromTable = (line: string): Answer | undefined => {
    const answer = typeof answers === 'function' ? undefined : answers[line];
    if (!Array.isArray(answer)) return answer;
    const turn = turns.get(line) ?? 0;
    turns.set(line, turn + 1);
    return answer[Math.min(turn, answer.length - 1)];
  };
  const sh: Sh = async (command, options) => {
    const line = [...command, ...(options?.pipeTo ? ['|', ...options.pipeTo] : [])].join(' ');
    calls.push(line);
    const answer = typeof answers === 'function' ? answers(command) : fromTable(line);
    if (answer === undefined) throw new Error(`unexpected command: ${line}`);
    const output: CommandOutput = {code: 0, stdout: '', stderr: '', timedOut: false};
    return {...output, ...(typeof answer === 'string' ? {stdout: answer} : answer)};
  };
  return Object.assign(sh, {calls});
}

/** A Docker engine, as far as it keeps volumes and containers: it makes one volume of a name, whose labels are those of the first who asked. */
export function engine(volumes: Record<string, string> = {}) {
  const containers: string[] = [];
  const answer = ([, noun, verb, ...rest]: string[]): Answer | undefined => {
    const name = rest.at(-1) ?? '';
    if (noun === 'context') return 'unix:///var/run/docker.sock\n';
    if (noun === 'ps') return containers.map(id => `${id}\n`).join('');
    if (noun !== 'volume') return undefined;
    if (verb === 'create') volumes[name] ??= /=(.*)/.exec(rest[1] ?? '')?.[1] ?? '';
    const owner = volumes[name];
    if (owner === undefined) return {code: 1, stderr: `Error: No such volume: ${name}`};
    if (verb === 'rm') delete volumes[name];
    return verb === 'inspect' ? `${owner}\n` : `${name}\n`;
  };
  return {volumes, containers, answer};
}

/** What a client was asked in one call. */
export interface Round {
  namespace: string;
  probes: Probe[];
}

/** Echo servers as seen from the clients: `answer` says what comes back for one try; anything but a probe goes to `other`. */
export function fakeClients(
  answer: (
    probe: Probe,
    round: number,
    attempt: number
  ) => string | {text: string; peers?: string; seconds?: number},
  other: Sh = fakeSh({})
): Sh & {rounds: Round[]} {
  const rounds: Round[] = [];
  const sh: Sh = async (command, options) => {
    const at = command.indexOf('probe');
    if (at < 0) return other(command, options);
    const [, times = '', ...words] = command.slice(at + 1);
    const probes: Probe[] = [];
    for (let index = 0; index < words.length; index += 3)
      probes.push({
        word: words[index] ?? '',
        address: words[index + 1] ?? '',
        port: Number(words[index + 2])
      });
    const round = rounds.push({namespace: command[3] ?? '', probes}) - 1;
    const lines: string[] = [];
    let clock = 10;
    for (const [row, probe] of probes.entries())
      for (let attempt = 0; attempt < Number(times); attempt++) {
        const said = answer(probe, round, attempt);
        const {text, peers = '', seconds = 0.02} = typeof said === 'string' ? {text: said} : said;
        const start = clock.toFixed(2);
        clock += seconds;
        lines.push(`${row} ${start} ${clock.toFixed(2)} ${peers} ${text}\n`);
        if (text !== `hello ${probe.word}`) break; // as the script does it
      }
    return {code: 0, stdout: lines.join(''), stderr: '', timedOut: false};
  };
  return Object.assign(sh, {rounds});
}

/** Work whose clock stands still unless `clock` says otherwise. */
export function fakeWork(clock: () => number = () => 0): PhaseContext & {
  waits: (string | null)[];
  stop: () => void;
} {
  const controller = new AbortController();
  const waits: (string | null)[] = [];
  return {
    signal: controller.signal,
    clock,
    reportWait: what => waits.push(what),
    waits,
    stop: () => controller.abort()
  };
}

export interface Runner {
  /** A directory for one test. */
  directory: string;
  /** What was printed. */
  log: () => string;
  /** What was written to one of the runner's files; of a name written twice the last stands. */
  written: (file: 'OUTPUT' | 'STATE' | 'ENV') => Record<string, string>;
  /** The text of one of the runner's files. */
  text: (file: 'OUTPUT' | 'STATE' | 'ENV' | 'PATH' | 'STEP_SUMMARY') => string;
}

const files = ['OUTPUT', 'STATE', 'ENV', 'PATH', 'STEP_SUMMARY'] as const;

/** For each test: the runner's files in a directory of its own, and standard output kept. The environment is as before after it. */
export function eachOnRunner(): Runner {
  const before = {...process.env};
  let printed: string[] = [];
  const runner: Runner = {
    directory: '',
    log: () => printed.join(''),
    written: file =>
      Object.fromEntries(
        [...runner.text(file).matchAll(/^(.+?)<<(.+)\n([\s\S]*?)\n?\2$/gm)].map(
          ([, name = '', , value = '']) => [name, value]
        )
      ),
    text: file => fs.readFileSync(path.join(runner.directory, file), 'utf8')
  };
  beforeEach(() => {
    printed = [];
    runner.directory = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'dual-stack-test-'));
    for (const name of Object.keys(process.env))
      if (/^(INPUT|STATE|GITHUB|RUNNER)_|^DUAL_STACK_|^KUBECONFIG$/.test(name))
        delete process.env[name];
    for (const file of files) {
      process.env[`GITHUB_${file}`] = path.join(runner.directory, file);
      fs.writeFileSync(path.join(runner.directory, file), '');
    }
    process.env.RUNNER_TEMP = runner.directory;
    process.env.GITHUB_WORKSPACE = runner.directory;
    jest.spyOn(process.stdout, 'write').mockImplementation(text => printed.push(`${text}`) > 0);
  });
  afterEach(() => {
    jest.restoreAllMocks();
    for (const name of Object.keys(process.env)) delete process.env[name];
    Object.assign(process.env, before);
    fs.rmSync(runner.directory, {recursive: true, force: true});
  });
  return runner;
}

/** Gives inputs as the runner does. */
export function give(inputs: Record<string, string>): void {
  for (const [name, value] of Object.entries(inputs))
    process.env[`INPUT_${name.toUpperCase()}`] = value;
}

/** Whether this machine has a program. */
export const has = (program: string): boolean => spawnSync(program, ['--version']).status === 0;

/** Writes programs of a test's own, each given by its lines of bash, into `<directory>/bin`. An environment in which they stand before all others. */
export function fakePrograms(
  directory: string,
  programs: Record<string, string[]>
): NodeJS.ProcessEnv {
  const bin = path.join(directory, 'bin');
  fs.mkdirSync(bin, {recursive: true});
  for (const [name, lines] of Object.entries(programs))
    fs.writeFileSync(path.join(bin, name), ['#!/bin/bash', ...lines, ''].join('\n'), {mode: 0o755});
  return {...process.env, PATH: `${bin}${path.delimiter}${process.env.PATH}`};
}

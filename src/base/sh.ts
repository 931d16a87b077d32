/** Runs other programs with limits of time, memory and output. */
import {spawnSync} from 'node:child_process';
import {setTimeout as sleep} from 'node:timers/promises';
import * as exec from '@actions/exec';

export interface CommandOutput {
  code: number;
  stdout: string;
  stderr: string;
  /** The time limit ended it. */
  timedOut: boolean;
}

export interface CommandOptions {
  /** A second command that reads the first one's standard output. */
  pipeTo?: string[];
  /** Time limit in seconds, 600 without one. */
  seconds?: number;
  /** Memory limit in bytes, applied where this machine has `prlimit`. */
  memory?: number;
  /** Size limit of each file that it writes, in bytes; the same condition. */
  file?: number;
}

/** Runs a command, given as an argument array. It must not read standard input. Never rejects because of its exit code. */
export type Sh = (command: string[], options?: CommandOptions) => Promise<CommandOutput>;

/** A command failed: it ended with a non-zero exit code, or reached its time limit. */
export class CommandError extends Error {
  /** The time limit ended it. */
  readonly timedOut: boolean;

  constructor(command: string[], output: CommandOutput) {
    const said = output.stderr.trim() || output.stdout.trim() || 'no output';
    const end = output.timedOut ? 'did not end in time' : `ended with exit code ${output.code}`;
    super(`\`${command.slice(0, 3).join(' ')}\` ${end}: ${said.slice(-2000)}`);
    this.name = 'CommandError';
    this.timedOut = output.timedOut;
  }
}

/** Joins two argument arrays by a pipe; bash parses none of their arguments. */
const buildPipe = (from: string[], into: string[]): string[] => [
  'bash',
  '-c',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: bash reads it
  'set -o pipefail; "${@:2:$1}" | "${@:$1+2}"',
  'pipe',
  `${from.length}`,
  ...from,
  ...into
];

const setpriv = ['setpriv', '--pdeathsig', 'TERM'];

/** Whether this machine's setpriv supports `--pdeathsig`: util-linux does since 2.33, BusyBox does not. */
export const detectParentDeathSignal = (): boolean =>
  spawnSync('setpriv', [...setpriv.slice(1), 'true'], {env: process.env, stdio: 'ignore'})
    .status === 0;
let parentDeathSignal: boolean | undefined;
function hasParentDeathSignal(): boolean {
  parentDeathSignal ??= detectParentDeathSignal();
  return parentDeathSignal;
}

/** The command with its limits; unchanged if `prlimit` of util-linux is missing. */
function limitResources(command: string[], {memory, file}: CommandOptions): string[] {
  const limits = [
    ...(memory === undefined ? [] : [`--data=${memory}`]),
    ...(file === undefined ? [] : [`--fsize=${file}`])
  ];
  const can = () =>
    spawnSync('prlimit', [...limits, 'true'], {env: process.env, stdio: 'ignore'}).status === 0;
  return limits.length > 0 && can() ? ['prlimit', ...limits, ...command] : command;
}

/** The command with its time limit. timeout kills its whole process group; setpriv ends it when Node dies. */
export const limitTime = (
  line: string[],
  seconds: number,
  withUs = hasParentDeathSignal()
): string[] =>
  process.platform === 'linux'
    ? [...(withUs ? setpriv : []), 'timeout', '-k', '2', `${seconds}`, ...line]
    : line;

/** Output limit in bytes of each stream, about 50 times what our own mesh needs. */
const mostOutput = 32 << 20;

/** Variables that a child does not get: our inputs and state, and the tokens and files of the runner. */
const ours =
  /^(INPUT|STATE|ACTIONS)_|^GITHUB_(TOKEN|ENV|OUTPUT|PATH|STATE|STEP_SUMMARY)$|^GH_TOKEN$/i;

const buildChildEnvironment = (env: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      value === undefined || ours.test(name) ? [] : [[name, value]]
    )
  );

/** The only function that runs other programs. They end after `seconds`, or when this process ends. */
export const sh: Sh = async (command, {pipeTo, seconds = 600, ...limits} = {}) => {
  const line = limitResources(pipeTo ? buildPipe(command, pipeTo) : command, limits);
  const [program = '', ...rest] = limitTime(line, seconds);
  const [stdout, stderr] = [new OutputBuffer(), new OutputBuffer()];
  const exitCode: number | null = await exec.exec(program, rest, {
    silent: true,
    ignoreReturnCode: true,
    env: buildChildEnvironment(process.env),
    listeners: {stdout: stdout.add, stderr: stderr.add},
    delay: 500 // a grandchild that keeps the pipes open would cost 10 s
    // no input, not even an empty one: writing to a child that has ended is an uncaught EPIPE
  });
  const code = stdout.full || stderr.full ? tooMuch : (exitCode ?? 137); // null, despite its type, if a signal ended it
  return {
    code,
    stdout: stdout.text(),
    stderr: stderr.text() + (code === tooMuch ? `\nit wrote more than ${mostOutput} bytes` : ''),
    timedOut: exitCode === 124 || exitCode === null
  };
};

/** Exit code for truncated output, which is of no use. */
const tooMuch = 125;

/** The beginning of a stream. Beyond the limit the rest is dropped and the command fails. */
class OutputBuffer {
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  /** Copies the chunk and ends it with a newline: the toolkit searches an unfinished line again at each chunk (30 MB took 9 s). */
  add = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    if (!this.full) this.#chunks.push(Buffer.from(chunk));
    chunk[chunk.length - 1] = 10;
  };

  get full(): boolean {
    return this.#bytes > mostOutput;
  }

  text = (): string => Buffer.concat(this.#chunks).toString();
}

const turns = 3;

/**
 * Runs a read-only command up to three times, twice after a timeout, until `read` returns a value; null means that the
 * output is incomplete. On a busy machine `kubectl exec` sometimes exits with 0 and no output (2 of 13 runs under a
 * load of 40), fails, or hangs. Throws CommandError.
 */
export async function runUntilComplete<Value>(
  sh: Sh,
  command: string[],
  read: (output: CommandOutput, isLast: boolean) => Value | null,
  options?: CommandOptions
): Promise<Value> {
  for (let turn = 1; ; turn++) {
    const output = await sh(command, options);
    if (output.timedOut) turn++; // a timeout counts as two tries
    const isLast = turn >= turns;
    const found = read(output, isLast);
    if (found !== null) return found;
    if (isLast) throw new CommandError(command, output);
    await sleep(300);
  }
}

/** The JSON output of a command that must succeed; retried if it is no valid JSON. Throws CommandError. */
export async function runJson(
  sh: Sh,
  command: string[],
  options?: CommandOptions
): Promise<unknown> {
  const {json} = await runUntilComplete(
    sh,
    command,
    (output, isLast) => {
      if (output.code !== 0 && !output.timedOut) throw new CommandError(command, output);
      const found = output.timedOut ? null : parseJson(output.stdout);
      if (found !== null || !isLast || output.timedOut) return found;
      const stderr = `invalid JSON: ${output.stdout.slice(0, 200)}`;
      throw new CommandError(command, {...output, stdout: '', stderr});
    },
    options
  );
  return json;
}

function parseJson(text: string): {json: unknown} | null {
  try {
    return {json: JSON.parse(text)};
  } catch {
    return null;
  }
}

/** The standard output of a command that must succeed. Throws CommandError. */
export async function runOrThrow(
  sh: Sh,
  command: string[],
  options?: CommandOptions
): Promise<string> {
  const output = await sh(command, options);
  if (output.code !== 0) throw new CommandError(options?.pipeTo ?? command, output);
  return output.stdout;
}

import {spawnSync} from 'node:child_process';
import {setTimeout as sleep} from 'node:timers/promises';
import * as exec from '@actions/exec';

export interface CommandOutput {
  code: number;
  stdout: string;
  stderr: string;
  /** It was ended because its time was over. */
  timedOut: boolean;
}

export interface CommandOptions {
  /** A second command that reads the first one's standard output. */
  pipeTo?: string[];
  /** Time limit in seconds, 600 without one. */
  seconds?: number;
  /** Limit of the memory that it may fill, in bytes, where this machine has `prlimit`. */
  memory?: number;
  /** The same of each file that it writes. */
  file?: number;
}

/** Runs a command, given as an argument array, which must not read standard input. Never rejects because of its exit code. */
export type Sh = (command: string[], options?: CommandOptions) => Promise<CommandOutput>;

/** A command that ended with another exit code than 0. */
export class CommandError extends Error {
  /** It was ended because its time was over. */
  readonly timedOut: boolean;

  constructor(command: string[], output: CommandOutput) {
    const said = output.stderr.trim() || output.stdout.trim() || 'it said nothing';
    const end = output.timedOut ? 'did not end in time' : `ended with exit code ${output.code}`;
    super(`\`${command.slice(0, 3).join(' ')}\` ${end}: ${said.slice(-2000)}`);
    this.name = 'CommandError';
    this.timedOut = output.timedOut;
  }
}

/** Joins two argument arrays by a pipe; nothing of them is read as shell. */
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

/** Whether this machine's setpriv can have the kernel end a program with us: that of util-linux can since 2.33, BusyBox's cannot. */
export const detectParentDeathSignal = (): boolean =>
  spawnSync('setpriv', [...setpriv.slice(1), 'true'], {env: process.env, stdio: 'ignore'})
    .status === 0;
let parentDeathSignal: boolean | undefined;
function hasParentDeathSignal(): boolean {
  parentDeathSignal ??= detectParentDeathSignal();
  return parentDeathSignal;
}

/** A command that may fill no more than that; as it is where `prlimit` of util-linux is not there. */
function limitResources(command: string[], {memory, file}: CommandOptions): string[] {
  const limits = [
    ...(memory === undefined ? [] : [`--data=${memory}`]),
    ...(file === undefined ? [] : [`--fsize=${file}`])
  ];
  const can = () =>
    spawnSync('prlimit', [...limits, 'true'], {env: process.env, stdio: 'ignore'}).status === 0;
  return limits.length > 0 && can() ? ['prlimit', ...limits, ...command] : command;
}

/** timeout makes a process group and kills it whole; setpriv has it end when Node dies, else it ends when its time is over. */
export const limitTime = (
  line: string[],
  seconds: number,
  withUs = hasParentDeathSignal()
): string[] =>
  process.platform === 'linux'
    ? [...(withUs ? setpriv : []), 'timeout', '-k', '2', `${seconds}`, ...line]
    : line;

/** The most that is kept of what a command writes, in bytes of each stream; a mesh of ours has a fiftieth. */
const mostOutput = 32 << 20;

/** What a child is not told: our inputs and state, and with what tokens and files the runner is spoken to. */
const ours =
  /^(INPUT|STATE|ACTIONS)_|^GITHUB_(TOKEN|ENV|OUTPUT|PATH|STATE|STEP_SUMMARY)$|^GH_TOKEN$/i;

const buildChildEnvironment = (env: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      value === undefined || ours.test(name) ? [] : [[name, value]]
    )
  );

/** The one door to other programs. They end after `seconds`, or with this process, however that ends. */
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
    // no input, not even an empty one: a child that has ended before it is written is an uncaught EPIPE
  });
  const code = stdout.full || stderr.full ? tooMuch : (exitCode ?? 137); // null, against its type, when a signal ended it
  return {
    code,
    stdout: stdout.text(),
    stderr: stderr.text() + (code === tooMuch ? `\nit wrote more than ${mostOutput} bytes` : ''),
    timedOut: exitCode === 124 || exitCode === null
  };
};

/** Half an answer is none. */
const tooMuch = 125;

/** The beginning of a stream. What comes after that is forgotten, and the command has failed. */
class OutputBuffer {
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  /** Takes the chunk's bytes, and leaves it as one line: the toolkit keeps what has no end, and searches all of it at each chunk (30 MB of that took 9 s). */
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
 * Asks what changes nothing, up to three times, until `read` makes something of the output; null means that it is not
 * whole. What did not end in time is asked once more. On a busy machine `kubectl exec` ends with 0 now and then and has
 * passed nothing on (2 of 13 runs under a load of 40), or fails or stays on its way to the kubelet. Throws CommandError.
 */
export async function runUntilComplete<Value>(
  sh: Sh,
  command: string[],
  read: (output: CommandOutput, isLast: boolean) => Value | null,
  options?: CommandOptions
): Promise<Value> {
  for (let turn = 1; ; turn++) {
    const output = await sh(command, options);
    if (output.timedOut) turn++; // it has taken long enough
    const isLast = turn >= turns;
    const found = read(output, isLast);
    if (found !== null) return found;
    if (isLast) throw new CommandError(command, output);
    await sleep(300);
  }
}

/** What a command that must succeed writes as JSON; asked again where it is none. Throws CommandError. */
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
      const stderr = `what it wrote is no JSON: ${output.stdout.slice(0, 200)}`;
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

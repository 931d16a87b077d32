import {spawn} from 'node:child_process';
import type {Readable} from 'node:stream';

export interface Output {
  code: number;
  stdout: string;
  stderr: string;
  /** It was ended because its time was over. */
  late: boolean;
}

export interface Options {
  /** A second command that reads the first one's standard output. */
  into?: string[];
  /** Time limit in seconds, 600 without one. */
  seconds?: number;
}

/** Runs a command, given as an argument array, which must not read standard input. Never rejects because of its exit code. */
export type Sh = (command: string[], options?: Options) => Promise<Output>;

/** A command that ended with another exit code than 0. */
export class CommandError extends Error {
  constructor(command: string[], output: Output) {
    const said = output.stderr.trim() || output.stdout.trim() || 'it said nothing';
    const end = output.late ? 'did not end in time' : `ended with exit code ${output.code}`;
    super(`\`${command.slice(0, 3).join(' ')}\` ${end}: ${said.slice(-2000)}`);
    this.name = 'CommandError';
  }
}

/** Joins two argument arrays by a pipe; nothing of them is read as shell. */
const pipe = (from: string[], into: string[]): string[] => [
  'bash',
  '-c',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: bash reads it
  'set -o pipefail; "${@:2:$1}" | "${@:$1+2}"',
  'pipe',
  `${from.length}`,
  ...from,
  ...into
];

// timeout makes a process group and kills it whole; setpriv has the kernel end timeout when Node dies.
const bounded = (line: string[], seconds: number): string[] =>
  process.platform === 'linux'
    ? ['setpriv', '--pdeathsig', 'TERM', 'timeout', '--kill-after=2', `${seconds}`, ...line]
    : line;

/** The most that is kept of what a command writes, in bytes of each stream; a mesh of ours has a fiftieth. */
const mostOutput = 32 << 20;

/** What a child is not told: our inputs and state, and with what tokens and files the runner is spoken to. */
const ours =
  /^(INPUT|STATE|ACTIONS)_|^GITHUB_(TOKEN|ENV|OUTPUT|PATH|STATE|STEP_SUMMARY)$|^GH_TOKEN$/i;

export const childEnvironment = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !ours.test(name)));

/** The one door to other programs. They end after `seconds`, or with this process, however that ends. */
export const sh: Sh = (command, {into, seconds = 600} = {}) => {
  const [program = '', ...rest] = bounded(into ? pipe(command, into) : command, seconds);
  const child = spawn(program, rest, {
    env: childEnvironment(process.env),
    stdio: ['ignore', 'pipe', 'pipe']
  });
  const [stdout, stderr] = [child.stdout, child.stderr].map(stream =>
    keep(stream, () => child.kill())
  ) as [Kept, Kept];
  return new Promise(resolve => {
    const end = (code: number | null, said = '') => {
      const tooMuch = [stdout, stderr].some(({bytes}) => bytes > mostOutput);
      const more = tooMuch ? `\nit was ended, having written more than ${mostOutput} bytes` : said;
      resolve({
        code: code ?? 137, // null when a signal ended it
        stdout: textOf(stdout),
        stderr: textOf(stderr) + more,
        late: !tooMuch && (code === 124 || code === null)
      });
    };
    child.on('error', error => end(127, error.message));
    child.on('close', code => end(code));
    child.on('exit', () => {
      // a grandchild that keeps the pipes open is not waited for
      setTimeout(() => [child.stdout, child.stderr].map(stream => stream.destroy()), 500).unref();
    });
  });
};

interface Kept {
  chunks: Buffer[];
  bytes: number;
}

/** Collects a stream; `full` is called when it is too much, and what comes then is forgotten. */
function keep(stream: Readable, full: () => void): Kept {
  const kept: Kept = {chunks: [], bytes: 0};
  stream.on('data', (chunk: Buffer) => {
    kept.bytes += chunk.length;
    if (kept.bytes <= mostOutput) kept.chunks.push(chunk);
    else full();
  });
  return kept;
}

const textOf = ({chunks}: Kept): string => Buffer.concat(chunks).toString();

/** What a command that must succeed writes as JSON. Throws CommandError. */
export async function mustJson(sh: Sh, command: string[], options?: Options): Promise<unknown> {
  const text = await must(sh, command, options);
  try {
    return JSON.parse(text);
  } catch {
    const stderr = `what it wrote is no JSON: ${text.slice(0, 200)}`;
    throw new CommandError(command, {code: 0, stdout: '', stderr, late: false});
  }
}

/** The standard output of a command that must succeed. Throws CommandError. */
export async function must(sh: Sh, command: string[], options?: Options): Promise<string> {
  const output = await sh(command, options);
  if (output.code !== 0) throw new CommandError(options?.into ?? command, output);
  return output.stdout;
}

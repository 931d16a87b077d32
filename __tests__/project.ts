import {type ChildProcess, spawn} from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import {gzipSync} from 'node:zlib';
import {afterAll} from '@jest/globals';
import {fakePrograms} from './fake.ts';

/** For tests of what is around the bundle: copies of this project with a bundle, recordings and programs of a test's own. */

export const root = path.join(import.meta.dirname, '..');
export const recordingsHere = path.join('rehearsal', 'recordings');

/** A directory for one test file. */
export const temp = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'rehearsal-test-'));
afterAll(() => fs.rmSync(temp, {recursive: true, force: true}));

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}
export interface Settings {
  cwd?: string;
  env?: Record<string, string>;
  input?: string | Buffer;
  started?: (child: ChildProcess) => void;
}

/** Runs a program to its end. Only `env` and what a program needs anywhere is in its environment. */
export function run(
  program: string,
  args: string[],
  {cwd, env, input = '', started}: Settings = {}
) {
  const child = spawn(program, args, {
    cwd,
    env: {PATH: process.env.PATH ?? '', HOME: os.homedir(), TMPDIR: temp, ...env}
  });
  const out: Buffer[] = [];
  const error: Buffer[] = [];
  child.stdout.on('data', chunk => out.push(chunk));
  child.stderr.on('data', chunk => error.push(chunk));
  child.stdin.on('error', () => {}).end(input);
  started?.(child);
  return new Promise<Ended>((done, fail) => {
    child
      .on('error', fail)
      .on('close', code =>
        done({code, stdout: `${Buffer.concat(out)}`, stderr: `${Buffer.concat(error)}`})
      );
  });
}

export const fresh = () => fs.mkdtempSync(path.join(temp, 'x-'));

export function write(file: string, text: string | Buffer, mode = 0o644): string {
  fs.mkdirSync(path.dirname(file), {recursive: true});
  fs.writeFileSync(file, text, {mode});
  return file;
}

/** The directory of programs of a test's own: lines of bash. */
export function programsIn(scripts: Record<string, string>): string {
  const directory = fresh();
  const lines = Object.entries(scripts).map(([name, script]) => [name, [script]]);
  fakePrograms(directory, Object.fromEntries(lines));
  return path.join(directory, 'bin');
}

export function store(here: string, name: string, calls: object[], about: object = {}) {
  const directory = path.join(here, recordingsHere, name);
  write(path.join(directory, 'recording.json'), JSON.stringify({name, inputs: {}, ...about}));
  write(
    path.join(directory, 'calls.jsonl.gz'),
    gzipSync(calls.map(call => `${JSON.stringify(call)}\n`).join(''))
  );
}

/** A copy of what `npm start` needs, with a bundle of its own, and no recordings. */
export function project(bundle = ''): string {
  const here = fresh();
  const programs = [
    ...['start.mjs', 'lab.mjs', 'record.mjs', 'fault-table.mjs'].map(file =>
      path.join('scripts', file)
    ),
    ...['play.mjs', 'shim.mjs', 'question.mjs', 'faults.mjs'].map(file =>
      path.join('rehearsal', file)
    )
  ];
  for (const file of ['action.yml', 'package.json', ...programs])
    write(path.join(here, file), fs.readFileSync(path.join(root, file), 'utf8'));
  write(path.join(here, 'dist', 'index.js'), bundle);
  write(path.join(here, 'dist', 'post.js'), "import './index.js';\n");
  fs.symlinkSync(path.join(root, 'node_modules'), path.join(here, 'node_modules'));
  return here;
}

/** Beginning of every bundle here: how it tells post from main, runs programs, and sets outputs. */
export const prelude = `
import {spawnSync} from 'node:child_process';
import * as fs from 'node:fs';
const post = process.env.STATE_run !== undefined;
const set = (file, text) => fs.appendFileSync(process.env['GITHUB_' + file], text + '\\n');
const ask = (...command) => {
  const {status, stdout} = spawnSync(command[0], command.slice(1), {input: '', encoding: 'utf8'});
  return status + ' ' + stdout;
};
if (!post) set('STATE', 'run<<E\\nhere\\nE');
`;

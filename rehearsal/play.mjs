// The player: puts stand-ins in front of PATH that answer from a recording of a real run.

import {createHash} from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import {gunzipSync} from 'node:zlib';

const here = import.meta.dirname;

/** Every program that the bundle runs: each is recorded, and played in a rehearsal. */
export const programs = ['kind', 'kubectl', 'helm', 'docker', 'sysctl', 'df', 'sha256sum', 'tar'];

const quoted = text => `'${text.replaceAll("'", `'\\''`)}'`;

/** Makes a fresh directory with, in `bin`, a stand-in for each program; `mode` is `record` or `replay`. */
export function standIns(mode, names = programs) {
  const directory = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), `dual-stack-${mode}-`));
  const bin = path.join(directory, 'bin');
  fs.mkdirSync(bin);
  for (const name of names) {
    const command = [process.execPath, path.join(here, 'shim.mjs'), mode, directory, name];
    const script = `#!/bin/sh\nexec ${command.map(quoted).join(' ')} "$@"\n`;
    fs.writeFileSync(path.join(bin, name), script, {mode: 0o755});
  }
  return {directory, bin, remove: () => fs.rmSync(directory, {recursive: true, force: true})};
}

const kept = path.join(here, 'recordings');

/** Where a recording is, or will be. */
export const recordingDirectory = name => path.join(kept, name);

/** The names of the recordings at hand. */
export function recordings() {
  if (!fs.existsSync(kept)) return [];
  return fs
    .readdirSync(kept)
    .filter(name => fs.existsSync(path.join(recordingDirectory(name), 'recording.json')))
    .sort();
}

/** A recording's description: name, date, inputs, versions, and the result to expect. */
export function recording(name) {
  if (!recordings().includes(name))
    throw new Error(
      `no recording ${JSON.stringify(name)}; there are: ${recordings().join(', ') || 'none'}`
    );
  return JSON.parse(fs.readFileSync(path.join(recordingDirectory(name), 'recording.json'), 'utf8'));
}

const readLines = file => fs.readFileSync(file, 'utf8').split('\n').filter(Boolean);

/** The calls of a recording: one JSON a line, compressed. */
export const readCalls = directory =>
  gunzipSync(fs.readFileSync(path.join(directory, 'calls.jsonl.gz')))
    .toString()
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line));

/** One file per command line with all its answers, so that a stand-in reads only its own. */
function index(calls, directory) {
  const answers = new Map();
  for (const call of calls) {
    const key = createHash('sha256').update(JSON.stringify(call.argv)).digest('hex').slice(0, 24);
    answers.set(key, [...(answers.get(key) ?? []), call]);
  }
  fs.mkdirSync(directory);
  for (const [key, list] of answers)
    fs.writeFileSync(path.join(directory, `${key}.json`), JSON.stringify(list));
}

/**
 * Gets a rehearsal ready: `bin` goes in front of PATH, `env` into the environment; `misses()` names the
 * commands that had no answer so far; `remove()` ends it. Throws when there is no such recording.
 */
export function rehearse(name) {
  const {inputs} = recording(name);
  const {directory, bin, remove} = standIns('replay');
  index(readCalls(recordingDirectory(name)), path.join(directory, 'answers'));
  fs.mkdirSync(path.join(directory, 'turns'));
  const file = path.join(directory, 'misses');
  fs.writeFileSync(file, '');
  return {bin, inputs, remove, env: {DUAL_STACK_REHEARSAL: name}, misses: () => readLines(file)};
}

// The player: puts stand-ins in front of PATH that answer from a recording of a real run.

import {createHash} from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import {gunzipSync} from 'node:zlib';
import {manifestsOf, question} from './question.mjs';

const here = import.meta.dirname;

/** Every program that the bundle runs: each is recorded, and played in a rehearsal. */
export const programs = [
  'kind',
  'kubectl',
  'helm',
  'docker',
  'sysctl',
  'df',
  'sha256sum',
  'tar',
  'curl'
];

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

// registries that Istio retired in December 2026, as names of images and in requests to their API
const retired = [
  [/\b(gcr\.io\/istio-release|registry\.istio\.io\/release)\//g, 'docker.io/istio/'],
  [
    /\b(gcr\.io\/v2\/istio-release|registry\.istio\.io\/v2\/release)\//g,
    'registry-1.docker.io/v2/istio/'
  ]
];

/** A recording from before Istio's images moved answers as if they had been where they are now. */
const withMovedImages = text =>
  retired.reduce((all, [shape, place]) => all.replace(shape, place), text);

/** The calls of a recording: one JSON a line, compressed. */
export const readCalls = directory =>
  withMovedImages(gunzipSync(fs.readFileSync(path.join(directory, 'calls.jsonl.gz'))).toString())
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line));

const digest = text => createHash('sha256').update(text).digest('hex').slice(0, 24);

/** Pairs of a key and a value as key → all its values. */
export const grouped = pairs =>
  pairs.reduce((all, [key, value]) => all.set(key, [...(all.get(key) ?? []), value]), new Map());

/**
 * One file per question with all its answers, so that a stand-in reads only its own; and one per scope of those that
 * ask for several things at once, with the parts of each.
 */
function index(calls, directory) {
  const asked = calls.map(call => ({call, ...question(call.argv)}));
  const answers = grouped(asked.map(({exact, call}) => [exact, call]));
  const parted = new Map(asked.filter(({parts}) => parts).map(one => [one.exact, one]));
  const scopes = grouped(
    [...parted.values()].map(({scope, parts, exact}) => [scope, {parts, exact}])
  );
  fs.mkdirSync(directory);
  for (const [key, list] of [...answers, ...scopes])
    fs.writeFileSync(path.join(directory, `${digest(key)}.json`), JSON.stringify(list));
}

/** Whether every change by a file succeeded in the end, and there was one: the cluster took what it was given. */
export function tookManifests(calls) {
  const changes = calls.filter(({argv}) => manifestsOf(argv).length > 0);
  const last = new Map(changes.map(({argv, code}) => [question(argv).exact, code]));
  return last.size > 0 && [...last.values()].every(code => code === 0);
}

/** Everything that a recording names: an image or a file that is not among it is newer. */
export const namesIn = calls => [
  ...new Set(
    calls.flatMap(({argv}) => argv.flatMap(word => [word, word.replace(/^--?[\w-]+=/, '')]))
  )
];

/**
 * Gets a rehearsal ready: `bin` goes in front of PATH, `env` into the environment; `misses()` names the
 * commands that had no answer so far; `remove()` ends it. Throws when there is no such recording.
 *
 * `bend` has it answer what is newer than the recording, where that can hide nothing (question.mjs): images, as long as
 * the run is the recorded one; and files of checks that are left out, where the recorded cluster took every file.
 */
export function rehearse(name) {
  const {inputs, checks} = recording(name);
  const {directory, bin, remove} = standIns('replay');
  const calls = readCalls(recordingDirectory(name));
  index(calls, path.join(directory, 'answers'));
  fs.mkdirSync(path.join(directory, 'turns'));
  const file = path.join(directory, 'misses');
  fs.writeFileSync(file, '');
  return {
    bin,
    inputs,
    checks,
    remove,
    env: {DUAL_STACK_REHEARSAL: name, DOCKER_CONFIG: directory}, // nobody's logins: a recording has none
    misses: () => readLines(file),
    bend: ({leftOut}) =>
      fs.writeFileSync(
        path.join(directory, 'newer.json'),
        JSON.stringify({
          images: true,
          manifests: leftOut && tookManifests(calls),
          known: namesIn(calls)
        })
      )
  };
}

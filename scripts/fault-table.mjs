// npm run faults: plays every recorded fault, and makes docs/faults.md of what is told; a test holds the two together.
// Where a class or a layer comes out otherwise than expected, it says so and writes nothing.
import {spawnSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import {faults} from '../rehearsal/faults.mjs';
import {recording, recordingDirectory, recordings} from '../rehearsal/play.mjs';
import {inWords} from './record.mjs';

const root = path.resolve(import.meta.dirname, '..');
const recorded = Object.keys(faults).filter(name => recordings().includes(name));
const cell = text => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const short = text => (text.length > 300 ? `${text.slice(0, 300)}…` : text);

/** The text of docs/faults.md. */
export function table() {
  const rows = recorded.map(name => {
    const {expect, fault, checks} = recording(name);
    const layer = expect['failed-layer'] ? `\`${expect['failed-layer']}\`` : '';
    return `| ${cell(fault.title)} | \`${expect['failure-class']}\` | ${layer} | ${cell(short(fault.message))} | ${cell(fault.hint)} | ${fault.seconds} | ${checks.length} |`;
  });
  return `# Faults, and what is told of them

Each fault was caused where it occurs, nearly all in a real cluster with the real Sail Operator and Istio, and the run was recorded; the tests play the recordings against the bundle. Made by \`npm run faults\`. The seconds count from when the fault was caused to the end of the run, with all the checks made that the last column counts (of a few faults those of one layer alone were recorded); for what was wrong from the beginning, from the start of the phase that found it.

| fault | class | layer | told | hint | seconds | checks |
| --- | --- | --- | --- | --- | ---: | ---: |
${rows.join('\n')}
`;
}

/** What the bundle tells now when a recording is played; null when it could not be played. */
function played(name, temp) {
  const results = path.join(temp, name);
  const command = ['scripts/start.mjs', '--recording', name, '--results-dir', results];
  const {stdout} = spawnSync(process.execPath, command, {cwd: root, encoding: 'utf8'});
  const file = path.join(results, 'results.json');
  if (!fs.existsSync(file) || /^no recorded answer: /m.test(stdout)) return null;
  const {failure} = JSON.parse(fs.readFileSync(file, 'utf8'));
  return {
    class: failure?.class ?? '',
    layer: failure?.layer ?? '',
    message: failure?.message ?? '',
    hint: failure?.hint ?? ''
  };
}

/** What is told otherwise than expected; null when nothing is. */
function difference(name, now) {
  const {expect} = faults[name];
  if (now === null) return `${name}: it cannot be played; expected is ${inWords(expect)}`;
  if (now.class === expect.class && now.layer === expect.layer) return null;
  return `${name}: told is ${inWords(now)}; expected is ${inWords(expect)}: ${now.message || 'nothing'}`;
}

/** Message and hint, as the bundle words them now, go into recording.json. */
function refresh(name, {message, hint}) {
  const about = recording(name);
  const fault = {...about.fault, message, hint};
  fs.writeFileSync(
    path.join(recordingDirectory(name), 'recording.json'),
    `${JSON.stringify({...about, fault}, null, 2)}\n`
  );
}

function main() {
  const temp = fs.mkdtempSync(path.join(os.tmpdir(), 'dual-stack-faults-'));
  const all = recorded.map(name => ({name, now: played(name, temp)}));
  fs.rmSync(temp, {recursive: true, force: true});
  const wrong = all.map(({name, now}) => difference(name, now)).filter(Boolean);
  if (wrong.length > 0) {
    console.error(`${wrong.join('\n')}\nNothing is written.`);
    process.exitCode = 1;
    return;
  }
  for (const {name, now} of all) refresh(name, now);
  fs.writeFileSync(path.join(root, 'docs', 'faults.md'), table());
}

if (process.argv[1] === import.meta.filename) main();

// npm run faults: plays every recorded fault, and makes docs/faults.md of what is told; a test holds the two together.
import {spawnSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import {faults} from '../rehearsal/faults.mjs';
import {recording, recordingDirectory, recordings} from '../rehearsal/play.mjs';

const root = path.resolve(import.meta.dirname, '..');
const recorded = Object.keys(faults).filter(name => recordings().includes(name));
const cell = text => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const short = text => (text.length > 300 ? `${text.slice(0, 300)}…` : text);

/** The text of docs/faults.md. */
export function table() {
  const rows = recorded.map(name => {
    const {expect, fault} = recording(name);
    const layer = expect['failed-layer'] ? `\`${expect['failed-layer']}\`` : '';
    return `| ${cell(fault.title)} | \`${expect['failure-class']}\` | ${layer} | ${cell(short(fault.message))} | ${cell(fault.hint)} | ${fault.seconds} |`;
  });
  return `# Faults, and what is told of them

Each fault was caused in a real cluster with the real Sail Operator and Istio, and the run was recorded; the tests play the recordings against the bundle. Made by \`npm run faults\`. The seconds count from when the fault was caused to the end of the run, with all other checks made; for what was wrong from the beginning, from the start of the phase that found it.

| fault | class | layer | told | hint | seconds |
| --- | --- | --- | --- | --- | ---: |
${rows.join('\n')}
`;
}

/** Plays a recording; its message and hint, as the bundle words them now, go into recording.json. */
function refresh(name, temp) {
  const results = path.join(temp, name);
  const command = ['scripts/start.mjs', '--recording', name, '--results-dir', results];
  spawnSync(process.execPath, command, {cwd: root, stdio: 'ignore'});
  const {failure} = JSON.parse(fs.readFileSync(path.join(results, 'results.json'), 'utf8'));
  const about = recording(name);
  const fault = {...about.fault, message: failure.message, hint: failure.hint};
  fs.writeFileSync(
    path.join(recordingDirectory(name), 'recording.json'),
    `${JSON.stringify({...about, fault}, null, 2)}\n`
  );
}

if (process.argv[1] === import.meta.filename) {
  const temp = fs.mkdtempSync(path.join(os.tmpdir(), 'dual-stack-faults-'));
  for (const name of recorded) refresh(name, temp);
  fs.rmSync(temp, {recursive: true, force: true});
  fs.writeFileSync(path.join(root, 'docs', 'faults.md'), table());
}

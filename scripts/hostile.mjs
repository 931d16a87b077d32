// npm run hostile [-- [--recording NAME]... [--every N] [--jobs N]]: puts hostile text into every field and line of the answers.
// It plays one rehearsal for each place of each recording, or for each N-th place. --jobs plays recordings in parallel.
// `npm test` plays some of them (__tests__/hostile.test.ts).
import {spawn} from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import {text} from 'node:stream/consumers';
import {parseArgs} from 'node:util';
import {recordings} from '../rehearsal/play.mjs';

const root = path.resolve(import.meta.dirname, '..');
const {values} = parseArgs({
  options: {
    recording: {type: 'string', multiple: true, default: recordings()},
    every: {type: 'string', default: '1'},
    jobs: {type: 'string', default: '1'}
  }
});
if (values.recording.some(name => !recordings().includes(name)))
  throw new Error(`--recording takes one of ${recordings().join(', ')}`);
for (const name of ['every', 'jobs'])
  if (!/^[1-9]\d{0,3}$/.test(values[name])) throw new Error(`--${name} takes a whole number`);

const left = [...values.recording];
const temp = fs.mkdtempSync(path.join(os.tmpdir(), 'hostile-'));
const count = path.join(temp, 'count');
const jest = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js'];
const started = Date.now();

/** Plays one recording after the other, as long as there are any; gives how many did not hold. */
async function play() {
  let failed = 0;
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    const child = spawn(
      process.execPath,
      [...jest, '--maxWorkers=1', '--testPathPatterns', 'hostile\\.test', '-t', 'every place'],
      {
        cwd: root,
        stdio: ['ignore', 'ignore', 'pipe'],
        env: {
          ...process.env,
          HOSTILE: name,
          HOSTILE_EVERY: values.every,
          HOSTILE_COUNT: count
        }
      }
    );
    const ended = new Promise(resolve => child.once('close', resolve));
    const told = await text(child.stderr);
    const held = (await ended) === 0;
    console.log(held ? `${name}: no text acted` : `${name}: not all held\n${told}`);
    failed += Number(!held);
  }
  return failed;
}

try {
  const failed = (await Promise.all(Array.from({length: Number(values.jobs)}, play))).reduce(
    (one, other) => one + other
  );
  const played = fs.existsSync(count)
    ? fs.readFileSync(count, 'utf8').trimEnd().split('\n').map(Number)
    : [];
  const seconds = Math.round((Date.now() - started) / 1000);
  console.log(
    `${played.reduce((one, other) => one + other, 0)} rehearsals of ${played.length} recordings in ${seconds} s: ${failed === 0 ? 'no text acted' : `${failed} did not hold`}`
  );
  process.exitCode = Number(failed > 0);
} finally {
  fs.rmSync(temp, {recursive: true, force: true});
}

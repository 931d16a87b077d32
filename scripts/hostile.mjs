// npm run hostile [-- --recording NAME] [--every N]: hostile text in every field and every line of what programs answer, one
// rehearsal for each place of each recording, or for each N-th; `npm test` plays some of them (__tests__/hostile.test.ts).
import {spawnSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import {parseArgs} from 'node:util';
import {recordings} from '../rehearsal/play.mjs';

const root = path.resolve(import.meta.dirname, '..');
const {values} = parseArgs({
  options: {recording: {type: 'string', default: 'all'}, every: {type: 'string', default: '1'}}
});
if (![...recordings(), 'all'].includes(values.recording))
  throw new Error(`--recording takes one of ${recordings().join(', ')}`);

if (!/^[1-9]\d*$/.test(values.every)) throw new Error('--every takes a whole number');

const temp = fs.mkdtempSync(path.join(os.tmpdir(), 'hostile-'));
const count = path.join(temp, 'count');
const jest = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js'];
const started = Date.now();
try {
  const {status} = spawnSync(
    process.execPath,
    [...jest, '--maxWorkers=1', '--testPathPatterns', 'hostile\\.test'],
    {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: {
        ...process.env,
        HOSTILE: values.recording,
        HOSTILE_EVERY: values.every,
        HOSTILE_COUNT: count
      }
    }
  );
  const played = fs.existsSync(count)
    ? fs.readFileSync(count, 'utf8').trimEnd().split('\n').map(Number)
    : [];
  const seconds = Math.round((Date.now() - started) / 1000);
  console.log(
    `${played.reduce((one, other) => one + other, 0)} rehearsals of ${played.length} recordings in ${seconds} s: ${status === 0 ? 'no text acted' : 'not all held'}`
  );
  process.exitCode = status ?? 1;
} finally {
  fs.rmSync(temp, {recursive: true, force: true});
}

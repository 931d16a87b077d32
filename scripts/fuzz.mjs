// npm run fuzz [-- --cases 1000000]: puts arbitrary text into every place for foreign text. The number of cases is shared by
// the properties of __tests__/fuzz.test.ts. A failing case is reduced to a minimum and reported with its seed.
import {spawnSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import {parseArgs} from 'node:util';

const root = path.resolve(import.meta.dirname, '..');
const {values} = parseArgs({options: {cases: {type: 'string', default: '1000000'}}});
const wanted = Number(values.cases);
if (!Number.isInteger(wanted) || wanted < 1) throw new Error('--cases takes a whole number');

const jest = (...args) => [
  ...['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js'],
  ...['--maxWorkers=1', '--testPathPatterns', 'fuzz\\.test', ...args]
];
const report = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'fuzz-')), 'report.json');
/** Runs every property with as many cases; how many properties there are. */
function run(cases) {
  const {status} = spawnSync(process.execPath, jest('--json', '--outputFile', report), {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {...process.env, FUZZ_CASES: `${cases}`}
  });
  const {numTotalTests} = JSON.parse(fs.readFileSync(report, 'utf8'));
  return {status, properties: numTotalTests};
}

const started = Date.now();
try {
  const {properties} = run(1);
  const each = Math.ceil(wanted / properties);
  const {status} = run(each);
  const seconds = Math.round((Date.now() - started) / 1000);
  console.log(
    `${each * properties} cases, ${each} of each of ${properties} properties, in ${seconds} s: ${status === 0 ? 'all held' : 'not all held'}`
  );
  process.exitCode = status ?? 1;
} finally {
  fs.rmSync(path.dirname(report), {recursive: true, force: true});
}

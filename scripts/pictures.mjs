// npm run pictures [-- --passed DIR --failed DIR --matrix DIR]: takes the pictures of the README and docs from current reports.
// DIR is the results-dir of a run or of the report action. Without it, a recording is played. For the matrix, the last
// `npm run e2e -- --only matrix` is used; without one, the picture stays. Needs Chromium (exit code 77 without it).
import {spawnSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import {pathToFileURL} from 'node:url';
import {parseArgs} from 'node:util';
import {marked} from 'marked';

const root = path.resolve(import.meta.dirname, '..');
const skipped = 77;
const {values: given} = parseArgs({
  options: {passed: {type: 'string'}, failed: {type: 'string'}, matrix: {type: 'string'}}
});
const chromium = ['chromium', 'chromium-browser', 'google-chrome'].find(
  name => spawnSync(name, ['--version']).status === 0
);
if (!chromium) {
  console.log('no Chromium on this machine');
  process.exit(skipped);
}
const temp = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'dual-stack-pictures-'));
process.on('exit', () => fs.rmSync(temp, {recursive: true, force: true}));

/** The results-dir of a recording that is played now. */
function rehearsed(recording) {
  const directory = path.join(temp, recording);
  spawnSync(
    process.execPath,
    [
      ...['scripts/start.mjs', '--rehearse', '--recording', recording],
      ...['--results-dir', directory]
    ],
    {cwd: root, stdio: ['ignore', 'ignore', 'inherit']}
  );
  return directory;
}

/** As GitHub shows a job's summary, or nearly. */
const asOnGitHub = markdown => `<!doctype html><meta charset="utf-8"><style>
  body {font: 16px/1.5 -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; color: #1f2328; margin: 24px}
  h1, h2 {border-bottom: 1px solid #d1d9e0; padding-bottom: .3em} h2 {font-size: 1.5em}
  code {background: #818b981f; border-radius: 6px; padding: .2em .4em; font: 85% ui-monospace, monospace}
  pre {background: #f6f8fa; border-radius: 6px; padding: 16px; overflow: hidden} pre code {background: none; padding: 0}
  table {border-collapse: collapse} th, td {border: 1px solid #d1d9e0; padding: 6px 13px}
  tr:nth-child(even) {background: #f6f8fa}
  blockquote {border-left: .25em solid #d1d9e0; color: #59636e; margin: 0; padding: 0 1em}
  </style>${marked.parse(markdown)}`;

/** Shows a page to Chromium, and writes what the first screen of this size shows. */
function take(page, [width, height], name) {
  const picture = path.join(root, 'docs', name);
  const {status, stderr} = spawnSync(
    chromium,
    [
      ...['--headless', '--no-sandbox', '--hide-scrollbars', `--user-data-dir=${temp}/chromium`],
      ...[`--window-size=${width},${height}`, `--screenshot=${picture}`],
      pathToFileURL(page).href
    ],
    {encoding: 'utf8', timeout: 120_000}
  );
  if (status !== 0) throw new Error(`Chromium ended with ${status}: ${stderr.slice(-500)}`);
  console.log(path.relative(root, picture));
}

function summary(directory, size, name) {
  const page = path.join(temp, `${name}.html`);
  fs.writeFileSync(page, asOnGitHub(fs.readFileSync(path.join(directory, 'summary.md'), 'utf8')));
  take(page, size, name);
}

const report = (directory, size, name) => take(path.join(directory, 'report.html'), size, name);

const passed = given.passed ?? rehearsed('healthy');
const failed = given.failed ?? rehearsed('ipv6-dropped-to-pod');
summary(passed, [1000, 760], 'summary-passed.png');
report(passed, [1280, 1100], 'report-passed.png');
summary(failed, [1000, 760], 'summary-failed.png');
report(failed, [390, 1600], 'report-failed-phone.png');
const matrix = given.matrix ?? path.join(root, 'results', 'e2e', 'matrix', 'report');
if (fs.existsSync(matrix)) {
  summary(matrix, [1000, 760], 'matrix-summary.png');
  report(matrix, [1280, 1000], 'matrix-report.png');
}

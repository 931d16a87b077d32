// npm run browser: opens report.html in headless Chromium, as a phone and as a desktop would show it.
// Held to: no horizontal scroll, the grid in view, light and dark both painted, no console error, no
// request. Needs Chromium, and Node 24, which reads our TypeScript; exit code 77 without Chromium.
import {spawnSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

const skipped = 77;
const program = ['chromium', 'chromium-browser', 'google-chrome'].find(
  name => spawnSync(name, ['--version']).status === 0
);
if (!program) {
  console.log('no Chromium on this machine');
  process.exit(skipped);
}
const {html} = await import('../src/reports/html.ts');
const {failed, hostileRun, many, passed} = await import('../__tests__/results.ts');
const pages = {passed: passed(), failed: failed(), hostile: hostileRun(), '100 targets': many(100)};
const widths = [390, 1280];
const temp = fs.mkdtempSync(path.join(os.tmpdir(), 'dual-stack-browser-'));

/** A page that shows the report in a frame of this width, and writes down what came of it. */
const frame = (report, width) => `<!doctype html><meta charset="utf-8"><pre id="found"></pre>
<iframe width="${width}" height="800" style="border: 0" srcdoc="${report.replaceAll('&', '&amp;').replaceAll('"', '&quot;')}"></iframe>
<script>
  const iframe = document.querySelector('iframe');
  iframe.onload = () => {
    const page = iframe.contentDocument;
    const grid = page.querySelector('table');
    const box = grid?.getBoundingClientRect();
    document.querySelector('#found').textContent = JSON.stringify({
      scrolls: page.documentElement.scrollWidth,
      grid: Boolean(box && box.width > 0 && box.left >= 0 && box.right <= ${width}),
      background: iframe.contentWindow.getComputedStyle(page.body).backgroundColor,
      requests: iframe.contentWindow.performance.getEntriesByType('resource').length
    });
  };
</script>`;

function look(name, report, width, scheme) {
  const file = path.join(temp, 'page.html');
  fs.writeFileSync(file, frame(report, width));
  const dark = scheme === 'dark' ? ['--blink-settings=preferredColorScheme=0'] : [];
  const {stdout, stderr} = spawnSync(
    program,
    [
      ...[
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--enable-logging=stderr',
        '--log-level=0'
      ],
      ...[`--user-data-dir=${path.join(temp, 'profile')}`, '--window-size=1400,1000', ...dark],
      ...['--virtual-time-budget=5000', '--dump-dom', `file://${file}`]
    ],
    {encoding: 'utf8', timeout: 60_000}
  );
  const [, json] = /<pre id="found">(.*?)<\/pre>/s.exec(stdout) ?? [];
  const found = json ? JSON.parse(json.replaceAll('&quot;', '"')) : null;
  const said = stderr.split('\n').filter(line => /CONSOLE/.test(line));
  const wrong = [
    ...(found ? [] : ['nothing was shown']),
    ...(found && found.scrolls > width ? [`scrolls to ${found.scrolls} pixels`] : []),
    ...(found && !found.grid ? ['the grid is not in view'] : []),
    ...(found && found.requests > 0 ? [`${found.requests} requests`] : []),
    ...said
  ];
  console.log(
    `${wrong.length ? 'FAILED' : 'passed'}  ${name}, ${width} pixels, ${scheme}  ${wrong.join('; ')}`
  );
  return {wrong: wrong.length > 0, background: found?.background};
}

try {
  let broken = 0;
  for (const [name, results] of Object.entries(pages))
    for (const width of widths) {
      const looks = ['light', 'dark'].map(scheme => look(name, html(results), width, scheme));
      if (looks[0].background === looks[1].background) {
        console.log(`FAILED  ${name}, ${width} pixels: light and dark have the same background`);
        broken++;
      }
      broken += looks.filter(({wrong}) => wrong).length;
    }
  process.exitCode = broken > 0 ? 1 : 0;
} finally {
  fs.rmSync(temp, {recursive: true, force: true});
}

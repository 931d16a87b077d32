// npm run browser [-- WORD]: opens report.html of a run and of a matrix in headless Chromium, in phone and desktop widths.
// WORD selects the pages whose name contains it. Each page must have no horizontal scroll, a visible grid, a light and a
// dark theme, no console error and no request. With everything unfolded, it must pass axe-core (WCAG 2.2 AA), keep the
// reading order, and show the focus on every control.
// Needs Chromium (exit code 77 without it), and Node 24 to import TypeScript.
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
const {renderHtml} = await import('../src/reports/html.ts');
const {renderMergedHtml} = await import('../src/reports/merged-html.ts');
const {error, failed, flaky, hostileRun, many, passed} = await import(
  '../__tests__/sample-results.ts'
);
const {allFound, matrix, mixed} = await import('../__tests__/merged-cells-table.ts');
const pages = {
  passed: renderHtml(passed()),
  failed: renderHtml(failed()),
  flaky: renderHtml(flaky()),
  'an error': renderHtml(error()),
  hostile: renderHtml(hostileRun()),
  '100 targets': renderHtml(many(100)),
  'a matrix that passed': renderMergedHtml(matrix(allFound())),
  'a matrix that failed': renderMergedHtml(mixed()),
  'a matrix with tolerated cells': renderMergedHtml(mixed(['istio']))
};
const widths = [390, 1280];
const temp = fs.mkdtempSync(path.join(os.tmpdir(), 'dual-stack-browser-'));

const axe = fs.readFileSync(
  path.join(import.meta.dirname, '..', 'node_modules', 'axe-core', 'axe.min.js'),
  'utf8'
);
const standards = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** A page that shows the report in a frame of this width, and writes down what came of it. */
const frame = (report, width, look) => `<!doctype html><meta charset="utf-8"><pre id="found"></pre>
<iframe width="${width}" height="800" style="border: 0" srcdoc="${report.replaceAll('&', '&amp;').replaceAll('"', '&quot;')}"></iframe>
<script>
  const iframe = document.querySelector('iframe');
  iframe.onload = async () => {
    const page = iframe.contentDocument;
    const found = await (${look})(page, iframe.contentWindow, ${width});
    document.querySelector('#found').textContent = JSON.stringify(found);
  };
</script>`;

/** What the eye finds. Runs in the browser. */
function look(page, view, width) {
  const grid = page.querySelector('table');
  const box = grid?.getBoundingClientRect();
  return {
    scrolls: page.documentElement.scrollWidth,
    grid:
      page.querySelector('.grid') === null ||
      Boolean(box && box.width > 0 && box.left >= 0 && box.right <= width),
    background: view.getComputedStyle(page.body).backgroundColor,
    requests: view.performance.getEntriesByType('resource').length
  };
}

/** What everybody else finds: axe-core, the order of reading, the keyboard. Runs in the browser. */
async function listen(page, view, _width, axe, standards) {
  for (const fold of page.querySelectorAll('details')) fold.open = true;
  const script = page.createElement('script');
  script.textContent = axe;
  page.head.append(script);
  const {violations, passes} = await view.axe.run(page, {
    runOnly: standards,
    resultTypes: ['violations']
  });
  const wrong = violations.map(
    ({id, nodes}) =>
      `${id}: ${nodes[0].html.slice(0, 120)} (${nodes.length}) ${nodes[0].any[0]?.message ?? ''}`
  );
  const top = element => element.getBoundingClientRect().top;
  const parts = [...page.querySelector('main').children, page.querySelector('footer')];
  if (parts.some((part, at) => at > 0 && top(part) < top(parts[at - 1])))
    wrong.push('is read in another order than it is seen');
  const levels = [...page.querySelectorAll('h1, h2, h3')].map(title => Number(title.tagName[1]));
  if (levels[0] !== 1 || levels.some((level, at) => level > (levels[at - 1] ?? 0) + 1))
    wrong.push(`headings ${levels}`);
  if (page.querySelector('[tabindex]:not([tabindex="0"])'))
    wrong.push('an order of its own for the Tab key');
  const controls = [...page.querySelectorAll('a[href], summary, pre')];
  for (const control of controls) {
    control.focus();
    if (page.activeElement !== control)
      wrong.push(`takes no focus: ${control.outerHTML.slice(0, 80)}`);
    else if (view.getComputedStyle(control).outlineStyle === 'none')
      wrong.push(`shows no focus: ${control.outerHTML.slice(0, 80)}`);
  }
  return {wrong: wrong.slice(0, 10), passes: passes.length, controls: controls.length};
}

/** Opens a page in Chromium; what it found, and what the console said. */
function open(page, scheme) {
  const file = path.join(temp, 'page.html');
  fs.writeFileSync(file, page);
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
      ...['--virtual-time-budget=20000', '--dump-dom', `file://${file}`]
    ],
    {encoding: 'utf8', timeout: 180_000, maxBuffer: 1e8}
  );
  const [, json] = /<pre id="found">(.*?)<\/pre>/s.exec(stdout) ?? [];
  const text = json
    ?.replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&');
  return {
    found: text ? JSON.parse(text) : null,
    said: stderr.split('\n').filter(line => /CONSOLE/.test(line))
  };
}

function tell(wrong, what, more = '') {
  console.log(
    `${wrong.length > 0 ? 'FAILED' : 'passed'}  ${what}  ${wrong.join('\n        ')}${more}`
  );
  return wrong.length > 0;
}

function seen(name, report, width, scheme) {
  const {found, said} = open(frame(report, width, look), scheme);
  const wrong = [
    ...(found ? [] : ['nothing was shown']),
    ...(found && found.scrolls > width ? [`scrolls to ${found.scrolls} pixels`] : []),
    ...(found && !found.grid ? ['the grid is not in view'] : []),
    ...(found && found.requests > 0 ? [`${found.requests} requests`] : []),
    ...said
  ];
  return {
    wrong: tell(wrong, `${name}, ${width} pixels, ${scheme}`),
    background: found?.background
  };
}

function heard(name, report, width, scheme) {
  // axe-core is a script, which the page's own policy forbids.
  const open_ = report.replace(/<meta http-equiv="Content-Security-Policy"[^>]*>/, '');
  const call = `(page, view, width) => (${listen})(page, view, width, axe, ${JSON.stringify(standards)})`;
  const page = frame(open_, width, call).replace(
    '<script>',
    () => `<script>const axe = ${JSON.stringify(axe).replaceAll('</', '<\\/')};`
  );
  const {found, said} = open(page, scheme);
  const wrong = [...(found ? found.wrong : ['nothing was heard']), ...said];
  const more = found
    ? `${found.passes} rules of axe-core hold, ${found.controls} controls take the focus`
    : '';
  return tell(
    wrong,
    `${name}, ${width} pixels, ${scheme}, for everyone`,
    wrong.length > 0 ? '' : more
  );
}

try {
  let broken = 0;
  const asked = Object.entries(pages).filter(([name]) => name.includes(process.argv[2] ?? ''));
  for (const [name, report] of asked)
    for (const width of widths) {
      const looks = ['light', 'dark'].map(scheme => seen(name, report, width, scheme));
      if (looks[0].background === looks[1].background) {
        console.log(`FAILED  ${name}, ${width} pixels: light and dark have the same background`);
        broken++;
      }
      broken += looks.filter(({wrong}) => wrong).length;
      if (name === '100 targets') continue; // the same parts again, and axe-core takes minutes
      broken += ['light', 'dark'].filter(scheme => heard(name, report, width, scheme)).length;
    }
  process.exitCode = broken > 0 ? 1 : 0;
} finally {
  fs.rmSync(temp, {recursive: true, force: true});
}

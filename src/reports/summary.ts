import {files} from '../results/files.ts';
import {type CheckResult, familyNames, type Results} from '../results/results.ts';
import {type Block, cutToFit, folded, icons, mostBytes, quote, tableHead, whole} from './blocks.ts';
import {
  brokenCheck,
  failures,
  flakyChecks,
  greenAllTheSame,
  type LayerRow,
  layerRows,
  layersHold,
  sentences,
  skippedByReason,
  triesOf,
  tryWords
} from './findings.ts';
import {type Cell, columns, foldRows, type Grid, grids, gridTitle, type Row} from './grid.ts';
import {loadColumns, loadRows, loadTitle} from './load-words.ts';
import {code, fence, row, text} from './markdown.ts';
import {type Bar, criticalPath, longestWaits, timeline} from './timeline.ts';
import {headline} from './verdict.ts';
import {asksCluster, onlyLooks, rerun, versionRows} from './versions.ts';
import {count, duration, ended, upper} from './words.ts';

/**
 * The job summary, as GitHub-flavoured markdown: the verdict in the first line, what broke, the grid,
 * and the details folded. Always below 1 MiB. Foreign text in it can never act as markup.
 */
export const summary = (results: Results): string =>
  cutToFit(
    [
      verdict(results),
      ...failure(results),
      ...warnings(results),
      ...load(results),
      ...gridBlocks(results, grids(results)),
      ...flaky(results),
      ...failed(results),
      ...skipped(results),
      ...phases(results),
      ...layerTable(results),
      versions(results)
    ],
    mostBytes
  );

// ---- The verdict, and what broke ----

function verdict(results: Results): Block {
  const {icon, words, facts, rehearsal} = headline(results);
  const first = `## ${icon} ${[words, ...facts].map(part => text(part)).join(' · ')}`;
  return whole(rehearsal ? `${first}\n\n> ${text(rehearsal)}` : first);
}

/** What does not fit together; it may be what broke, so it is told above the grid. */
const warnings = (results: Results): Block[] =>
  results.warnings.map(one => whole(`> ⚠️ ${text(one, 500)}`));

function failure(results: Results): Block[] {
  if (results.failure === null) return [];
  const {layer, hint, reproduce} = results.failure;
  const [first = '', ...more] = sentences(results.failure);
  const where = [layer && `Layer ${code(layer)}`, `class ${code(results.failure.class)}`];
  const parts = [
    `**${upper(where.filter(Boolean).join(' · '))}.** ${more.length > 0 ? '' : `${text(ended(first), 2000)} `}${text(hint, 2000)}`,
    more.length > 0 ? [first, ...more].map(one => `- ${text(one, 2000)}`).join('\n') : '',
    reproduce ? `${byHand(reproduce, results)}\n\n${fence(reproduce)}` : '',
    consequences(results),
    greenLine(results)
  ];
  return [whole(quote(parts.filter(Boolean).join('\n\n')))];
}

const byHand = (reproduce: string, results: Results): string =>
  asksCluster(reproduce, results)
    ? `To see it by hand, on a cluster made by ${code(rerun)} (${code('KEEP=1')} keeps it):`
    : 'To see it by hand:';

function consequences(results: Results): string {
  const {follow} = failures(results);
  if (follow.length === 0) return '';
  const shown = follow.slice(0, 8).map(check => code(check.id));
  const rest = follow.length > shown.length ? ` and ${follow.length - shown.length} more` : '';
  return `What follows from it (${count(follow.length, 'check')}): ${shown.join(', ')}${rest}.`;
}

function greenLine(results: Results): string {
  const green = greenAllTheSame(results);
  const family = brokenCheck(results)?.family;
  if (green.length === 0 || !family) return '';
  const other = familyNames[family === 'ipv4' ? 'ipv6' : 'ipv4'];
  const shown = green.slice(0, 4).map(check => code(check.id));
  const rest = green.length > shown.length ? ` and ${green.length - shown.length} more` : '';
  return `Green all the same, because ${other} carried it: ${shown.join(', ')}${rest}.`;
}

// ---- An upgrade under load ----

function load(results: Results): Block[] {
  const lines = loadRows(results).map(({title, family, verdict, counts}) =>
    row(`${icons[verdict]} ${title}`, family, ...counts)
  );
  if (lines.length === 0) return [];
  return [{head: tableHead([loadTitle, '', ...loadColumns]), lines, tail: ''}];
}

// ---- The grid ----

const gridBlocks = (results: Results, all: Grid[]): Block[] =>
  all.flatMap(grid => gridBlock(grid, gridTitle(results, grid, all.length > 1)));

function gridBlock({rows}: Grid, first: string): Block[] {
  const {shown, folded: rest, title} = foldRows(rows);
  const titles = [first, ...columns.map(column => column.title)];
  const head = `| ${titles.join(' | ')} |\n| --- | :---: | :---: | --- |`;
  const fold = `<details><summary>${title}</summary>\n\n${head}`;
  return [
    {head, lines: shown.map(gridRow), tail: ''},
    {head: fold, lines: rest.map(gridRow), tail: '\n</details>'}
  ].filter(block => block.lines.length > 0);
}

function gridRow({title, target, cells}: Row): string {
  const name = target === '' ? `**${text(title)}**` : `${text(title)} ${code(target)}`;
  return row(name, ...columns.map(({column}) => gridCell(cells[column])));
}

function gridCell(shown: Cell | null): string {
  if (shown === null) return '';
  const value = shown.value && code(shown.value);
  const note = shown.note && text(shown.note);
  const said = [value, note].filter(Boolean).join(', ');
  return [icons[shown.state], shown.cause ? `**${said}**` : said].filter(Boolean).join(' ');
}

// ---- Checks ----

function flaky(results: Results): Block[] {
  const lines = flakyChecks(results).map(check => `- ${code(check.id)}: ${tries(check)}`);
  const title = `${count(lines.length, 'check')} needed another try, and passed`;
  if (lines.length > 3) return folded(`⚠️ ${title}`, lines);
  return lines.length === 0 ? [] : [{head: `⚠️ ${title}:\n`, lines, tail: ''}];
}

/** `no answer` at 28.1 s, then `hello` at 29.0 s, 5 times. */
function tries(check: CheckResult): string {
  const all = triesOf(check);
  const said = all.slice(0, 5).map(one => `${code(one.observed, 100)} ${tryWords(one)}`);
  return `${said.join(', then ')}${all.length > 5 ? `, and ${all.length - 5} more` : ''}`;
}

function failed(results: Results): Block[] {
  const {own, follow} = failures(results);
  const lines = own.map(check =>
    row(
      `${code(check.id)} ${upgraded(check)}`.trim(),
      text(check.expected),
      `${text(check.observed)}${check.reason ? `<br>${text(check.reason)}` : ''}`,
      tries(check)
    )
  );
  const titles = ['check', 'expected', 'observed', 'tries'];
  return [
    ...folded(`Failed: ${count(own.length, 'check')}`, lines, titles, true),
    ...folded(
      `Follows from that: ${count(follow.length, 'check')}`,
      follow.map(check => row(code(check.id), text(check.observed), code(check.because ?? ''))),
      ['check', 'observed', 'because of']
    )
  ];
}

const upgraded = (check: CheckResult): string =>
  check.stage === 'upgrade' ? 'after the upgrade' : '';

function skipped(results: Results): Block[] {
  const reasons = skippedByReason(results);
  const total = reasons.reduce((sum, [, checks]) => sum + checks.length, 0);
  const lines = reasons.map(
    ([reason, checks]) =>
      `- ${count(checks.length, 'check')} (${checks
        .slice(0, 5)
        .map(check => code(check.id))
        .join(', ')}${checks.length > 5 ? ', …' : ''}): ${text(reason)}`
  );
  return folded(`Skipped: ${count(total, 'check')}`, lines);
}

// ---- The timeline ----

function phases(results: Results): Block[] {
  const bars = timeline(results);
  if (bars.length === 0) return [];
  const path = criticalPath(results.phases).map(name => text(name, 60));
  const waits = longestWaits(results).map(
    wait => `${text(wait.phase)} for ${text(wait.for, 100)} (${duration(wait.seconds)})`
  );
  const parts = [
    `<details><summary>Where the ${duration(results.seconds)} went</summary>`,
    gantt(bars),
    `Critical path: ${path.join(' → ')}.`,
    waits.length > 0 ? `Waited longest: ${waits.join(' · ')}.` : '',
    '</details>'
  ];
  return [whole(parts.filter(Boolean).join('\n\n'))];
}

/** In milliseconds: Mermaid reads whole seconds (`X`) as milliseconds in some versions. */
const gantt = (bars: Bar[]): string =>
  [
    '```mermaid',
    'gantt',
    '  dateFormat x',
    '  axisFormat %s s',
    // Left alone, a short run's axis says `0 s, 0 s, 1 s, 1 s`.
    ...(Math.max(...bars.map(bar => bar.at + bar.seconds)) < 12 ? ['  tickInterval 1second'] : []),
    ...bars.slice(0, 100).map(bar => `  ${task(bar)}`),
    '```'
  ].join('\n');

function task({name, status, at, seconds, critical}: Bar): string {
  const title = name.replace(/[^\p{L}\p{N}._-]+/gu, ' ').trim() || 'phase';
  const ended = status === 'passed' ? '' : ` ${status}`;
  const start = Math.round(1000 * at);
  const end = Math.max(start + 1, Math.round(1000 * (at + seconds)));
  return `${title}${ended} :${critical ? 'crit, ' : ''}${start}, ${end}`;
}

// ---- Layers and versions ----

function layerTable(results: Results): Block[] {
  const rows = layerRows(results);
  return folded(
    `Layers: ${layersHold(rows)}`,
    rows.map(one =>
      row(one.layer, String(one.checks.length), `${icons[one.state]} ${layerSays(one)}`.trim())
    ),
    ['layer', 'checks', '']
  );
}

function layerSays({state, checks, held, follow, why}: LayerRow): string {
  if (state === 'skipped') return why ? `skipped: ${text(why)}` : 'skipped';
  const broke = checks.filter(check => check.verdict === 'failed').length;
  if (broke === 0) return held < checks.length ? `${checks.length - held} skipped` : '';
  return `${broke} failed${follow > 0 ? `, ${follow === broke ? 'all' : follow} as a consequence` : ''}`;
}

function versions(results: Results): Block {
  const rows = versionRows(results).map(({title, asked, found}) =>
    row(text(title), found ? code(found) : 'not found out', asked ? code(asked) : '')
  );
  const inputs = Object.entries(results.inputs).map(
    ([name, value]) => `- ${code(name)}: ${code(value)}`
  );
  const parts = [
    `${tableHead(['', 'version', 'asked for'])}\n${rows.join('\n')}`,
    onlyLooks(results)
      ? ''
      : `By hand, with these versions: ${code(rerun)}, from the results (${code(files.script)}).`,
    inputs.length > 0 ? `Inputs given:\n\n${inputs.join('\n')}` : '',
    '</details>'
  ];
  const head = '<details><summary>Versions, and how to run this yourself</summary>';
  return whole([head, ...parts.filter(Boolean)].join('\n\n'));
}

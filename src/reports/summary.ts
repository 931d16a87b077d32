/** Renders the job summary of a run. */
import {type CheckResult, familyNames, type Layer, type Results} from '../results/results.ts';
import {
  type Block,
  createBlock,
  createFoldedBlocks,
  cutToFit,
  maxSummaryBytes,
  renderQuote,
  renderTableHead,
  stateIcons
} from './blocks.ts';
import {findLayerPage} from './checks-page.ts';
import {
  buildLayerRows,
  findBrokenCheck,
  findFlakyChecks,
  findMaskedChecks,
  formatAttemptGroup,
  formatLayersHeld,
  groupAttempts,
  groupFailures,
  groupSkippedByReason,
  type LayerRow,
  splitSentences
} from './findings.ts';
import {
  buildGrids,
  columns,
  foldRows,
  type Grid,
  type GridCell,
  type GridRow,
  getGridTitle
} from './grid.ts';
import {buildLoadRows, loadColumns, loadTitle} from './load-words.ts';
import {code, fence, row, text} from './markdown.ts';
import {buildTimeline, findCriticalPath, findLongestWaits, type TimelineBar} from './timeline.ts';
import {buildHeadline} from './verdict.ts';
import {isClusterCommand, isTargetsRun, listVersions, rerunCommand} from './versions.ts';
import {capitalize, endSentence, formatCount, formatDuration} from './words.ts';

/**
 * Returns the job summary in GitHub-flavoured Markdown: the verdict, the failure, the grid, and folded details. It
 * is always below 1 MiB, and foreign text in it is inert.
 */
export const renderSummary = (results: Results): string =>
  cutToFit(
    [
      renderVerdict(results),
      ...renderFailure(results),
      ...renderWarnings(results),
      ...renderLoad(results),
      ...renderGrids(results, buildGrids(results)),
      ...renderFlakyChecks(results),
      ...renderFailedChecks(results),
      ...renderSkippedChecks(results),
      ...renderTimeline(results),
      ...renderLayers(results),
      renderVersions(results)
    ],
    maxSummaryBytes
  );

// ---- The verdict and the failure ----

function renderVerdict(results: Results): Block {
  const {icon, words, facts, rehearsal} = buildHeadline(results);
  const first = `## ${icon} ${[words, ...facts].map(part => text(part)).join(' · ')}`;
  return createBlock(rehearsal ? `${first}\n\n> ${text(rehearsal)}` : first);
}

/** Version warnings come before the grid, because they can be the cause. */
const renderWarnings = (results: Results): Block[] =>
  results.warnings.map(one => createBlock(`> ⚠️ ${text(one, 500)}`));

function renderFailure(results: Results): Block[] {
  if (results.failure === null) return [];
  const {layer, hint, reproduce} = results.failure;
  const [first = '', ...more] = splitSentences(results.failure);
  const where = [layer && `Layer ${code(layer)}`, `class ${code(results.failure.class)}`];
  const parts = [
    `**${capitalize(where.filter(Boolean).join(' · '))}.** ${more.length > 0 ? '' : `${text(endSentence(first), 2000)} `}${text(hint, 2000)}`,
    more.length > 0 ? [first, ...more].map(one => `- ${text(one, 2000)}`).join('\n') : '',
    layer ? renderLayerPage(layer) : '',
    reproduce ? `${describeReproduce(reproduce, results)}\n\n${fence(reproduce)}` : '',
    renderConsequences(results),
    renderMaskedChecks(results)
  ];
  return [createBlock(renderQuote(parts.filter(Boolean).join('\n\n')))];
}

function renderLayerPage(layer: Layer): string {
  const {name, url} = findLayerPage(layer);
  return `About this layer: ${url === null ? code(name) : `[${code(name)}](${url})`}.`;
}

const describeReproduce = (reproduce: string, results: Results): string =>
  isClusterCommand(reproduce, results)
    ? `To reproduce it on a cluster that ${code(rerunCommand)} creates (${code('KEEP=1')} keeps it):`
    : 'To reproduce it:';

function renderConsequences(results: Results): string {
  const {follow} = groupFailures(results);
  if (follow.length === 0) return '';
  const shown = follow.slice(0, 8).map(check => code(check.id));
  const rest = follow.length > shown.length ? ` and ${follow.length - shown.length} more` : '';
  return `Consequences (${formatCount(follow.length, 'check')}): ${shown.join(', ')}${rest}.`;
}

function renderMaskedChecks(results: Results): string {
  const green = findMaskedChecks(results);
  const family = findBrokenCheck(results)?.family;
  if (green.length === 0 || !family) return '';
  const other = familyNames[family === 'ipv4' ? 'ipv6' : 'ipv4'];
  const shown = green.slice(0, 4).map(check => code(check.id));
  const rest = green.length > shown.length ? ` and ${green.length - shown.length} more` : '';
  return `Passed only because ${other} carried the traffic: ${shown.join(', ')}${rest}.`;
}

// ---- An upgrade under load ----

function renderLoad(results: Results): Block[] {
  const lines = buildLoadRows(results).map(({title, family, verdict, counts}) =>
    row(`${stateIcons[verdict]} ${title}`, family, ...counts)
  );
  if (lines.length === 0) return [];
  return [{head: renderTableHead([loadTitle, '', ...loadColumns]), lines, tail: ''}];
}

// ---- The grid ----

const renderGrids = (results: Results, all: Grid[]): Block[] =>
  all.flatMap(grid => renderGrid(grid, getGridTitle(results, grid, all.length > 1)));

function renderGrid({rows}: Grid, first: string): Block[] {
  const {shown, folded: rest, title} = foldRows(rows);
  const titles = [first, ...columns.map(column => column.title)];
  const head = `| ${titles.join(' | ')} |\n| --- | :---: | :---: | --- |`;
  const fold = `<details><summary>${title}</summary>\n\n${head}`;
  return [
    {head, lines: shown.map(renderGridRow), tail: ''},
    {head: fold, lines: rest.map(renderGridRow), tail: '\n</details>'}
  ].filter(block => block.lines.length > 0);
}

function renderGridRow({title, target, cells}: GridRow): string {
  const name = target === '' ? `**${text(title)}**` : `${text(title)} ${code(target)}`;
  return row(name, ...columns.map(({column}) => renderGridCell(cells[column])));
}

function renderGridCell(shown: GridCell | null): string {
  if (shown === null) return '';
  const value = shown.value && code(shown.value);
  const note = shown.note && text(shown.note);
  const words = [value, note].filter(Boolean).join(', ');
  return [stateIcons[shown.state], shown.isCause ? `**${words}**` : words]
    .filter(Boolean)
    .join(' ');
}

// ---- Checks ----

function renderFlakyChecks(results: Results): Block[] {
  const lines = findFlakyChecks(results).map(
    check => `- ${code(check.id)}: ${renderAttempts(check)}`
  );
  const title = `${formatCount(lines.length, 'check')} passed only after a retry`;
  if (lines.length > 3) return createFoldedBlocks(`⚠️ ${title}`, lines);
  return lines.length === 0 ? [] : [{head: `⚠️ ${title}:\n`, lines, tail: ''}];
}

/** Returns `no answer` at 28.1 s, then `hello` at 29.0 s, 5 times. */
function renderAttempts(check: CheckResult): string {
  const all = groupAttempts(check);
  const shown = all.slice(0, 5).map(one => `${code(one.observed, 100)} ${formatAttemptGroup(one)}`);
  return `${shown.join(', then ')}${all.length > 5 ? `, and ${all.length - 5} more` : ''}`;
}

function renderFailedChecks(results: Results): Block[] {
  const {own, follow} = groupFailures(results);
  const lines = own.map(check =>
    row(
      `${code(check.id)} ${formatStage(check)}`.trim(),
      text(check.expected),
      `${text(check.observed)}${check.reason ? `<br>${text(check.reason)}` : ''}`,
      renderAttempts(check)
    )
  );
  const titles = ['check', 'expected', 'observed', 'attempts'];
  return [
    ...createFoldedBlocks(`Failed: ${formatCount(own.length, 'check')}`, lines, titles, true),
    ...createFoldedBlocks(
      `Consequences: ${formatCount(follow.length, 'check')}`,
      follow.map(check => row(code(check.id), text(check.observed), code(check.because ?? ''))),
      ['check', 'observed', 'caused by']
    )
  ];
}

const formatStage = (check: CheckResult): string =>
  check.stage === 'upgrade' ? 'after the upgrade' : '';

function renderSkippedChecks(results: Results): Block[] {
  const reasons = groupSkippedByReason(results);
  const total = reasons.reduce((sum, [, checks]) => sum + checks.length, 0);
  const lines = reasons.map(
    ([reason, checks]) =>
      `- ${formatCount(checks.length, 'check')} (${checks
        .slice(0, 5)
        .map(check => code(check.id))
        .join(', ')}${checks.length > 5 ? ', …' : ''}): ${text(reason)}`
  );
  return createFoldedBlocks(`Skipped: ${formatCount(total, 'check')}`, lines);
}

// ---- The timeline ----

function renderTimeline(results: Results): Block[] {
  const bars = buildTimeline(results);
  if (bars.length === 0) return [];
  const path = findCriticalPath(results.phases).map(name => text(name, 60));
  const waits = findLongestWaits(results).map(
    wait => `${text(wait.phase)} for ${text(wait.for, 100)} (${formatDuration(wait.seconds)})`
  );
  const parts = [
    `<details><summary>Timeline: ${formatDuration(results.seconds)}</summary>`,
    renderGantt(bars),
    `Critical path: ${path.join(' → ')}.`,
    waits.length > 0 ? `Longest waits: ${waits.join(' · ')}.` : '',
    '</details>'
  ];
  return [createBlock(parts.filter(Boolean).join('\n\n'))];
}

/** Uses milliseconds, because some versions of Mermaid read seconds (`X`) as milliseconds. */
const renderGantt = (bars: TimelineBar[]): string =>
  [
    '```mermaid',
    'gantt',
    '  dateFormat x',
    '  axisFormat %s s',
    // else the axis of a short run shows `0 s, 0 s, 1 s, 1 s`
    ...(Math.max(...bars.map(bar => bar.at + bar.seconds)) < 12 ? ['  tickInterval 1second'] : []),
    ...bars.slice(0, 100).map(bar => `  ${renderGanttTask(bar)}`),
    '```'
  ].join('\n');

function renderGanttTask({name, status, at, seconds, critical}: TimelineBar): string {
  const title = name.replace(/[^\p{L}\p{N}._-]+/gu, ' ').trim() || 'phase';
  const ended = status === 'passed' ? '' : ` ${status}`;
  const start = Math.round(1000 * at);
  const end = Math.max(start + 1, Math.round(1000 * (at + seconds)));
  return `${title}${ended} :${critical ? 'crit, ' : ''}${start}, ${end}`;
}

// ---- Layers and versions ----

function renderLayers(results: Results): Block[] {
  const rows = buildLayerRows(results);
  return createFoldedBlocks(
    `Layers: ${formatLayersHeld(rows)}`,
    rows.map(one =>
      row(
        one.layer,
        String(one.checks.length),
        `${stateIcons[one.state]} ${describeLayer(one)}`.trim()
      )
    ),
    ['layer', 'checks', '']
  );
}

function describeLayer({
  state,
  checks,
  passedCount,
  consequenceCount,
  skipReason
}: LayerRow): string {
  if (state === 'skipped') return skipReason ? `skipped: ${text(skipReason)}` : 'skipped';
  const broke = checks.filter(check => check.verdict === 'failed').length;
  if (broke === 0)
    return passedCount < checks.length ? `${checks.length - passedCount} skipped` : '';
  return `${broke} failed${consequenceCount > 0 ? `, ${consequenceCount === broke ? 'all' : consequenceCount} as a consequence` : ''}`;
}

function renderVersions(results: Results): Block {
  const rows = listVersions(results).map(({title, requested, found}) =>
    row(text(title), found ? code(found) : 'unknown', requested ? code(requested) : '')
  );
  const inputs = Object.entries(results.inputs).map(
    ([name, value]) => `- ${code(name)}: ${code(value)}`
  );
  const parts = [
    `${renderTableHead(['', 'version', 'requested'])}\n${rows.join('\n')}`,
    isTargetsRun(results)
      ? ''
      : `${code(rerunCommand)}, in the results directory, repeats the run with these versions.`,
    inputs.length > 0 ? `Inputs:\n\n${inputs.join('\n')}` : '',
    '</details>'
  ];
  const head = '<details><summary>Versions, and how to run this yourself</summary>';
  return createBlock([head, ...parts.filter(Boolean)].join('\n\n'));
}

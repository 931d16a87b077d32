/** Renders the job summary of the report action. */
import {files} from '../results/files.ts';
import type {Layer} from '../results/results.ts';
import {
  type Block,
  createBlock,
  createFoldedBlocks,
  cutToFit,
  maxSummaryBytes,
  renderQuote,
  renderTableHead
} from './blocks.ts';
import {code, fence, row, text} from './markdown.ts';
import {type Cause, groupCauses, type Matrix} from './merge-results.ts';
import type {Cell} from './merged-cells.ts';
import {
  buildMergedGrid,
  describeCell,
  describeChange,
  foldCells,
  type GridField,
  getFamilyField,
  getLayerField,
  type Mark,
  type MergedGrid
} from './merged-grid.ts';
import {buildMergedHeadline} from './merged-verdict.ts';
import {capitalize, endSentence, formatCount} from './words.ts';

/** The HTML report has the rest. */
const maxCauses = 20;
const maxNames = 8;

/** Returns the verdict, one grid, and each cause once; always below 1 MiB. */
export function renderMergedSummary(matrix: Matrix): string {
  const all = groupCauses(matrix.cells);
  const counted = all.filter(cause => cause.counts);
  const tolerated = all.filter(cause => !cause.counts);
  return cutToFit(
    [
      renderVerdict(matrix),
      ...renderGrid(matrix),
      ...counted.slice(0, maxCauses).map(cause => createBlock(renderQuote(renderCause(cause)))),
      ...renderMoreCauses(counted),
      ...(tolerated.length === 0
        ? []
        : [createBlock(`**Not counted, because ${code('fail-on')} excludes the class:**`)]),
      ...tolerated.slice(0, maxCauses).map(cause => createBlock(renderQuote(renderCause(cause)))),
      ...renderMoreCauses(tolerated),
      ...renderGoneCells(matrix)
    ],
    maxSummaryBytes
  );
}

function renderVerdict(matrix: Matrix): Block {
  const {icon, words, facts, rehearsal} = buildMergedHeadline(matrix);
  const first = `## ${icon} ${[words, ...facts].map(part => text(part)).join(' · ')}`;
  return createBlock(rehearsal ? `${first}\n\n> ${text(rehearsal)}` : first);
}

function renderCause({cells, first}: Cause): string {
  const where = [
    first.layer && `layer ${code(first.layer)}`,
    `class ${code(first.class ?? '')}`,
    first.check && `check ${code(first.check)}`
  ];
  const parts = [
    `**${capitalize(where.filter(Boolean).join(' · '))}.** ${text(endSentence(first.message), 2000)} ${text(first.hint, 2000)}`,
    first.reproduce ? fence(first.reproduce) : '',
    `In ${formatCount(cells.length, 'cell')}: ${renderNames(cells)}.`
  ];
  return parts.filter(Boolean).join('\n\n');
}

const renderNames = (cells: Cell[]): string =>
  cells
    .slice(0, maxNames)
    .map(({name}) => code(name))
    .join(' · ') + (cells.length > maxNames ? ` and ${cells.length - maxNames} more` : '');

const renderMoreCauses = (all: Cause[]): Block[] =>
  all.length <= maxCauses
    ? []
    : [createBlock(`And ${all.length - maxCauses} more causes, in ${code(files.report)}.`)];

function renderGoneCells({gone}: Matrix): Block[] {
  const lines = gone.map(name => `- ${code(name)}`);
  return createFoldedBlocks(
    `Only in the previous run: ${formatCount(lines.length, 'cell')}`,
    lines
  );
}

// ---- The grid ----

function renderGrid(matrix: Matrix): Block[] {
  if (matrix.cells.length === 0) return [];
  const shown = buildMergedGrid(matrix);
  const {shown: rows, folded: rest, title} = foldCells(matrix.cells);
  const head = renderGridHead(shown);
  const fold = `<details><summary>${title}</summary>\n\n${head}`;
  const lines = (cells: Cell[]) => cells.map(cell => renderGridRow(cell, shown));
  return [
    ...(rows.length > 0 ? [{head, lines: lines(rows), tail: ''}] : []),
    ...(rest.length > 0 ? [{head: fold, lines: lines(rest), tail: '\n</details>'}] : []),
    ...(shown.others ? [createBlock(text(shown.others, 1000))] : [])
  ];
}

const renderGridHead = ({dimensions, layers, isCompared}: MergedGrid): string =>
  renderTableHead([
    ...dimensions.map(({title}) => title),
    'IPv4',
    'IPv6',
    ...layers,
    'verdict',
    ...(isCompared ? ['change'] : [])
  ]);

const renderGridRow = (cell: Cell, {dimensions, layers, isCompared}: MergedGrid): string =>
  row(
    ...dimensions.map(({getValue}) => text(getValue(cell))),
    renderField(getFamilyField(cell, 'ipv4')),
    renderField(getFamilyField(cell, 'ipv6')),
    ...layers.map((layer: Layer) => renderField(getLayerField(cell, layer))),
    cell.outcome === 'passed' ? 'passed' : `**${describeCell(cell)}**`,
    ...(isCompared ? [renderChange(cell)] : [])
  );

const markIcons: Record<Mark, string> = {
  passed: '✅',
  flaky: '⚠️',
  failed: '❌',
  follows: '↳',
  skipped: '➖',
  unproven: '❔',
  none: ''
};

const renderField = ({mark, words}: GridField): string =>
  [markIcons[mark], words].filter(Boolean).join(' ');

function renderChange(cell: Cell): string {
  const words = describeChange(cell);
  return cell.change === 'broke' ? `🔻 ${words}` : cell.change === 'mended' ? `🔼 ${words}` : words;
}

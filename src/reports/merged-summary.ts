import {files} from '../results/files.ts';
import type {Layer} from '../results/results.ts';
import {type Block, cutToFit, folded, mostBytes, quote, tableHead, whole} from './blocks.ts';
import {code, fence, row, text} from './markdown.ts';
import {type Cause, causes, type Matrix} from './merge-results.ts';
import type {Cell} from './merged-cells.ts';
import {
  cellSays,
  changeWords,
  type Field,
  familyField,
  foldCells,
  layerField,
  type Mark,
  type MergedGrid,
  mergedGrid
} from './merged-grid.ts';
import {mergedHeadline} from './merged-verdict.ts';
import {count, ended, upper} from './words.ts';

/** More causes are for the HTML report. */
const mostCauses = 20;
const mostNames = 8;

/** The job summary of a matrix: the verdict, one grid, each cause once. Always below 1 MiB. */
export function mergedSummary(matrix: Matrix): string {
  const all = causes(matrix.cells);
  const counted = all.filter(cause => cause.counts);
  const tolerated = all.filter(cause => !cause.counts);
  return cutToFit(
    [
      verdict(matrix),
      ...grid(matrix),
      ...counted.slice(0, mostCauses).map(cause => whole(quote(causeSays(cause)))),
      ...more(counted),
      ...(tolerated.length === 0
        ? []
        : [whole(`**Not counted, because ${code('fail-on')} leaves the class out:**`)]),
      ...tolerated.slice(0, mostCauses).map(cause => whole(quote(causeSays(cause)))),
      ...more(tolerated),
      ...gone(matrix)
    ],
    mostBytes
  );
}

function verdict(matrix: Matrix): Block {
  const {icon, words, facts, rehearsal} = mergedHeadline(matrix);
  const first = `## ${icon} ${[words, ...facts].map(part => text(part)).join(' · ')}`;
  return whole(rehearsal ? `${first}\n\n> ${text(rehearsal)}` : first);
}

function causeSays({cells, first}: Cause): string {
  const where = [
    first.layer && `layer ${code(first.layer)}`,
    `class ${code(first.class ?? '')}`,
    first.check && `check ${code(first.check)}`
  ];
  const parts = [
    `**${upper(where.filter(Boolean).join(' · '))}.** ${text(ended(first.message), 2000)} ${text(first.hint, 2000)}`,
    first.reproduce ? fence(first.reproduce) : '',
    `In ${count(cells.length, 'cell')}: ${names(cells)}.`
  ];
  return parts.filter(Boolean).join('\n\n');
}

const names = (cells: Cell[]): string =>
  cells
    .slice(0, mostNames)
    .map(({name}) => code(name))
    .join(' · ') + (cells.length > mostNames ? ` and ${cells.length - mostNames} more` : '');

const more = (all: Cause[]): Block[] =>
  all.length <= mostCauses
    ? []
    : [whole(`And ${all.length - mostCauses} more causes, in ${code(files.report)}.`)];

function gone({gone}: Matrix): Block[] {
  const lines = gone.map(name => `- ${code(name)}`);
  return folded(`Of the run before, not in this one: ${count(lines.length, 'cell')}`, lines);
}

// ---- The grid ----

function grid(matrix: Matrix): Block[] {
  if (matrix.cells.length === 0) return [];
  const shown = mergedGrid(matrix);
  const {shown: rows, folded: rest, title} = foldCells(matrix.cells);
  const head = gridHead(shown);
  const fold = `<details><summary>${title}</summary>\n\n${head}`;
  const lines = (cells: Cell[]) => cells.map(cell => gridRow(cell, shown));
  return [
    ...(rows.length > 0 ? [{head, lines: lines(rows), tail: ''}] : []),
    ...(rest.length > 0 ? [{head: fold, lines: lines(rest), tail: '\n</details>'}] : []),
    ...(shown.others ? [whole(text(shown.others, 1000))] : [])
  ];
}

const gridHead = ({dimensions, layers, compared}: MergedGrid): string =>
  tableHead([
    ...dimensions.map(({title}) => title),
    'IPv4',
    'IPv6',
    ...layers,
    'verdict',
    ...(compared ? ['since before'] : [])
  ]);

const gridRow = (cell: Cell, {dimensions, layers, compared}: MergedGrid): string =>
  row(
    ...dimensions.map(({of}) => text(of(cell))),
    field(familyField(cell, 'ipv4')),
    field(familyField(cell, 'ipv6')),
    ...layers.map((layer: Layer) => field(layerField(cell, layer))),
    cell.outcome === 'passed' ? 'passed' : `**${cellSays(cell)}**`,
    ...(compared ? [changeIcon(cell)] : [])
  );

const icons: Record<Mark, string> = {
  passed: '✅',
  flaky: '⚠️',
  failed: '❌',
  follows: '↳',
  skipped: '➖',
  unproven: '❔',
  none: ''
};

const field = ({mark, says}: Field): string => [icons[mark], says].filter(Boolean).join(' ');

function changeIcon(cell: Cell): string {
  const words = changeWords(cell);
  return cell.change === 'broke' ? `🔻 ${words}` : cell.change === 'mended' ? `🔼 ${words}` : words;
}

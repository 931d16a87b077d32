/** Renders report.html of the report action. */
import {layers} from '../results/results.ts';
import {groupFailures} from './findings.ts';
import {
  code,
  codes,
  command,
  emptyMarkup,
  inline,
  type Markup,
  mark,
  markup,
  renderFooter,
  renderPage,
  renderRunFacts
} from './markup.ts';
import {type Cause, groupCauses, type Matrix} from './merge-results.ts';
import type {Cell} from './merged-cells.ts';
import {
  buildMergedGrid,
  describeCell,
  describeChange,
  foldCells,
  formatDimension,
  type GridField,
  getFamilyField,
  getLayerField,
  type MergedGrid
} from './merged-grid.ts';
import {buildMergedHeadline} from './merged-verdict.ts';
import {capitalize, formatCount, formatDuration, sanitizeLine} from './words.ts';

/** Returns one page that loads no resources: the verdict, the grid, each cause once, and every cell. */
export function renderMergedHtml(matrix: Matrix): string {
  const all = groupCauses(matrix.cells);
  return renderPage(
    buildMergedHeadline(matrix).words,
    [
      renderVerdict(matrix),
      renderGrid(matrix),
      ...all.filter(cause => cause.counts).map(renderCause),
      ...all.filter(cause => !cause.counts).map(renderCause),
      renderCells(matrix),
      renderGoneCells(matrix)
    ],
    renderFooter(renderRunFacts(matrix.run))
  );
}

const resultStates = {
  passed: 'passed',
  tolerated: 'flaky',
  failed: 'failed',
  error: 'failed'
} as const;

function renderVerdict(matrix: Matrix): Markup {
  const {words, facts, rehearsal} = buildMergedHeadline(matrix);
  const state = resultStates[matrix.result];
  return markup`<header class="verdict ${state}">
<p class="name">Istio dual-stack check, all cells</p>
<h1>${mark(state)}<span>${inline(words)}</span></h1>
<ul class="facts">${facts.map(fact => markup`<li>${fact}</li>`)}</ul>
${rehearsal ? markup`<p class="rehearsal">${rehearsal}</p>` : emptyMarkup}
</header>`;
}

function renderCause({counts, cells, first}: Cause): Markup {
  const {layer, check, message, hint, reproduce} = first;
  return markup`<section class="card ${counts ? 'broken' : 'shaky'}">
<h2>${counts ? 'What broke' : 'Not counted'} in ${formatCount(cells.length, 'cell')}</h2>
<p class="where">${layer ? markup`layer ${code(layer)} · ` : emptyMarkup}class ${code(first.class ?? '')}${check ? markup` · check ${code(check)}` : emptyMarkup}</p>
<p class="message">${inline(message)}</p>
${hint ? markup`<p class="hint"><strong>Next:</strong> ${inline(hint)}</p>` : emptyMarkup}
${reproduce ? markup`<p class="label">To reproduce it</p>${command(reproduce)}` : emptyMarkup}
<p class="also">${codes(cells.slice(0, 20).map(({name}) => name))}${cells.length > 20 ? ` and ${cells.length - 20} more` : ''}</p>
</section>`;
}

// ---- The grid ----

function renderGrid(matrix: Matrix): Markup {
  if (matrix.cells.length === 0) return emptyMarkup;
  const shown = buildMergedGrid(matrix);
  const {shown: rows, folded, title} = foldCells(matrix.cells);
  return markup`<section class="card"><h2>Versions, families and layers</h2>
${rows.length > 0 ? renderTable(rows, shown) : emptyMarkup}
${folded.length > 0 ? markup`<details class="rest"><summary><span class="soft">${title}</span></summary>${renderTable(folded, shown)}</details>` : emptyMarkup}
${shown.others ? markup`<p class="also soft">${shown.others}</p>` : emptyMarkup}
</section>`;
}

const buildColumns = ({
  layers,
  isCompared
}: MergedGrid): [string, (cell: Cell) => GridField | null][] => [
  ['IPv4', cell => getFamilyField(cell, 'ipv4')],
  ['IPv6', cell => getFamilyField(cell, 'ipv6')],
  ...layers.map((layer): [string, (cell: Cell) => GridField] => [
    layer,
    cell => getLayerField(cell, layer)
  ]),
  ['verdict', cell => ({mark: 'none', words: describeCell(cell)})],
  ...(isCompared
    ? ([['change', cell => ({mark: 'none', words: describeChange(cell)})]] as [
        string,
        (cell: Cell) => GridField
      ][])
    : [])
];

function renderTable(rows: Cell[], shown: MergedGrid): Markup {
  const columns = buildColumns(shown);
  const row = (cell: Cell): Markup =>
    markup`<tr><th scope="row">${renderDimensions(cell, shown)}</th>${columns.map(([title, field]) => renderGridField(title, field(cell)))}</tr>`;
  return markup`<table class="grid matrix">
<thead><tr><th scope="col">${capitalize(shown.dimensions.map(({title}) => title).join(', '))}</th>${columns.map(([title]) => markup`<th scope="col">${title}</th>`)}</tr></thead>
<tbody>${rows.map(row)}</tbody>
</table>`;
}

const renderDimensions = (cell: Cell, {dimensions}: MergedGrid): Markup => {
  const [first = '', ...rest] = dimensions
    .map(({title, getValue}) => formatDimension(title, getValue(cell)))
    .filter(Boolean);
  return markup`${first}${rest.length > 0 ? markup`<span class="note">${rest.join(' · ')}</span>` : emptyMarkup}`;
};

/** `unproven` and `follows` have words instead of a mark. */
function renderGridField(column: string, field: GridField | null): Markup {
  if (field === null || (field.mark === 'none' && field.words === ''))
    return markup`<td class="empty"></td>`;
  const marked =
    field.mark === 'unproven' || field.mark === 'follows' || field.mark === 'none'
      ? emptyMarkup
      : mark(field.mark);
  const words = field.words
    ? markup`<span class="said"><span class="note">${field.words}</span></span>`
    : emptyMarkup;
  return markup`<td class="${field.mark}" data-column="${column}"><div>${marked}${words}</div></td>`;
}

// ---- Every cell ----

function renderCells(matrix: Matrix): Markup {
  if (matrix.cells.length === 0) return emptyMarkup;
  return markup`<section class="card layers cells"><h2>${capitalize(formatCount(matrix.cells.length, 'cell'))}</h2>
${matrix.cells.map(renderCellDetails)}
</section>`;
}

const getCellState = (cell: Cell) =>
  cell.outcome === 'passed' ? 'passed' : cell.counts ? 'failed' : 'flaky';

const renderCellDetails = (cell: Cell): Markup =>
  markup`<details><summary>${mark(getCellState(cell))}<span class="layer">${cell.name}</span><span class="soft">${describeCell(cell)}</span></summary>
<div class="checks"><dl>${renderCellFacts(cell)}</dl></div>
</details>`;

function renderCellFacts(cell: Cell): Markup[] {
  const {own, follow} = cell.results ? groupFailures(cell.results) : {own: [], follow: []};
  const states = layers.flatMap(layer => {
    const state = cell.layers[layer]?.state;
    return state && state !== 'passed' ? [`${layer} ${state}`] : [];
  });
  const rows: [string, Markup | null][] = [
    ['message', cell.message ? inline(cell.message) : null],
    ['next', cell.hint ? inline(cell.hint) : null],
    ['results', cell.directory ? code(cell.directory) : null],
    ['operator', cell.operator ? code(cell.operator) : null],
    ['took', cell.seconds === null ? null : markup`${formatDuration(cell.seconds)}`],
    ['layers', states.length > 0 ? markup`${states.join(', ')}` : null],
    ['failed', own.length > 0 ? codes(own.slice(0, 20).map(({id}) => id)) : null],
    ['consequences', follow.length > 0 ? codes(follow.slice(0, 20).map(({id}) => id)) : null],
    ['started', cell.results ? markup`${sanitizeLine(cell.results.started, 40)}` : null]
  ];
  return rows.flatMap(([name, value]) =>
    value ? [markup`<div><dt>${name}</dt><dd>${value}</dd></div>`] : []
  );
}

function renderGoneCells({gone}: Matrix): Markup {
  if (gone.length === 0) return emptyMarkup;
  return markup`<section class="card"><h2>Only in the previous run</h2>
<ul class="gone">${gone.slice(0, 200).map(name => markup`<li>${code(name)}</li>`)}</ul></section>`;
}

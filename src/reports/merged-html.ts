import {layers} from '../results/results.ts';
import {failures} from './findings.ts';
import {
  code,
  codes,
  command,
  footerOf,
  inline,
  type Markup,
  mark,
  markup,
  nothing,
  page,
  runFacts
} from './markup.ts';
import {type Cause, causes, type Matrix} from './merge-results.ts';
import type {Cell} from './merged-cells.ts';
import {
  cellSays,
  changeWords,
  type Field,
  familyField,
  foldCells,
  layerField,
  type MergedGrid,
  mergedGrid,
  titled
} from './merged-grid.ts';
import {mergedHeadline} from './merged-verdict.ts';
import {count, duration, line, upper} from './words.ts';

/** report.html of a matrix: the verdict, the grid, each cause once, and every cell. One page that loads nothing. */
export function mergedHtml(matrix: Matrix): string {
  const all = causes(matrix.cells);
  return page(
    mergedHeadline(matrix).words,
    [
      verdict(matrix),
      grid(matrix),
      ...all.filter(cause => cause.counts).map(causeCard),
      ...all.filter(cause => !cause.counts).map(causeCard),
      cells(matrix),
      gone(matrix)
    ],
    footerOf(runFacts(matrix.run))
  );
}

const states = {passed: 'passed', tolerated: 'flaky', failed: 'failed', error: 'failed'} as const;

function verdict(matrix: Matrix): Markup {
  const {words, facts, rehearsal} = mergedHeadline(matrix);
  const state = states[matrix.result];
  return markup`<header class="verdict ${state}">
<p class="name">Istio dual-stack check, all cells</p>
<h1>${mark(state)}<span>${inline(words)}</span></h1>
<ul class="facts">${facts.map(fact => markup`<li>${fact}</li>`)}</ul>
${rehearsal ? markup`<p class="rehearsal">${rehearsal}</p>` : nothing}
</header>`;
}

function causeCard({counts, cells, first}: Cause): Markup {
  const {layer, check, message, hint, reproduce} = first;
  return markup`<section class="card ${counts ? 'broken' : 'shaky'}">
<h2>${counts ? 'What broke' : 'Not counted'} in ${count(cells.length, 'cell')}</h2>
<p class="where">${layer ? markup`layer ${code(layer)} · ` : nothing}class ${code(first.class ?? '')}${check ? markup` · check ${code(check)}` : nothing}</p>
<p class="message">${inline(message)}</p>
${hint ? markup`<p class="hint"><strong>Next:</strong> ${inline(hint)}</p>` : nothing}
${reproduce ? markup`<p class="label">To see it by hand</p>${command(reproduce)}` : nothing}
<p class="also">${codes(cells.slice(0, 20).map(({name}) => name))}${cells.length > 20 ? ` and ${cells.length - 20} more` : ''}</p>
</section>`;
}

// ---- The grid ----

function grid(matrix: Matrix): Markup {
  if (matrix.cells.length === 0) return nothing;
  const shown = mergedGrid(matrix);
  const {shown: rows, folded, title} = foldCells(matrix.cells);
  return markup`<section class="card"><h2>Versions, families and layers</h2>
${rows.length > 0 ? table(rows, shown) : nothing}
${folded.length > 0 ? markup`<details class="rest"><summary><span class="soft">${title}</span></summary>${table(folded, shown)}</details>` : nothing}
${shown.others ? markup`<p class="also soft">${shown.others}</p>` : nothing}
</section>`;
}

const columnsOf = ({layers, compared}: MergedGrid): [string, (cell: Cell) => Field | null][] => [
  ['IPv4', cell => familyField(cell, 'ipv4')],
  ['IPv6', cell => familyField(cell, 'ipv6')],
  ...layers.map((layer): [string, (cell: Cell) => Field] => [
    layer,
    cell => layerField(cell, layer)
  ]),
  ['verdict', cell => ({mark: 'none', says: cellSays(cell)})],
  ...(compared
    ? ([['since before', cell => ({mark: 'none', says: changeWords(cell)})]] as [
        string,
        (cell: Cell) => Field
      ][])
    : [])
];

function table(rows: Cell[], shown: MergedGrid): Markup {
  const columns = columnsOf(shown);
  const row = (cell: Cell): Markup =>
    markup`<tr><th scope="row">${dimensions(cell, shown)}</th>${columns.map(([title, field]) => gridField(title, field(cell)))}</tr>`;
  return markup`<table class="grid matrix">
<thead><tr><th scope="col">${upper(shown.dimensions.map(({title}) => title).join(', '))}</th>${columns.map(([title]) => markup`<th scope="col">${title}</th>`)}</tr></thead>
<tbody>${rows.map(row)}</tbody>
</table>`;
}

const dimensions = (cell: Cell, {dimensions}: MergedGrid): Markup => {
  const [first = '', ...rest] = dimensions
    .map(({title, of}) => titled(title, of(cell)))
    .filter(Boolean);
  return markup`${first}${rest.length > 0 ? markup`<span class="note">${rest.join(' · ')}</span>` : nothing}`;
};

/** `unproven` and `follows` are said in words; there is no mark for them. */
function gridField(column: string, field: Field | null): Markup {
  if (field === null || (field.mark === 'none' && field.says === ''))
    return markup`<td class="empty"></td>`;
  const marked =
    field.mark === 'unproven' || field.mark === 'follows' || field.mark === 'none'
      ? nothing
      : mark(field.mark);
  const says = field.says
    ? markup`<span class="said"><span class="note">${field.says}</span></span>`
    : nothing;
  return markup`<td class="${field.mark}" data-column="${column}"><div>${marked}${says}</div></td>`;
}

// ---- Every cell ----

function cells(matrix: Matrix): Markup {
  if (matrix.cells.length === 0) return nothing;
  return markup`<section class="card layers cells"><h2>${upper(count(matrix.cells.length, 'cell'))}</h2>
${matrix.cells.map(details)}
</section>`;
}

const stateOf = (cell: Cell) =>
  cell.outcome === 'passed' ? 'passed' : cell.counts ? 'failed' : 'flaky';

const details = (cell: Cell): Markup =>
  markup`<details><summary>${mark(stateOf(cell))}<span class="layer">${cell.name}</span><span class="soft">${cellSays(cell)}</span></summary>
<div class="checks"><dl>${facts(cell)}</dl></div>
</details>`;

function facts(cell: Cell): Markup[] {
  const {own, follow} = cell.results ? failures(cell.results) : {own: [], follow: []};
  const states = layers.flatMap(layer => {
    const state = cell.layers[layer]?.state;
    return state && state !== 'passed' ? [`${layer} ${state}`] : [];
  });
  const rows: [string, Markup | null][] = [
    ['message', cell.message ? inline(cell.message) : null],
    ['next', cell.hint ? inline(cell.hint) : null],
    ['results', cell.directory ? code(cell.directory) : null],
    ['operator', cell.operator ? code(cell.operator) : null],
    ['took', cell.seconds === null ? null : markup`${duration(cell.seconds)}`],
    ['layers', states.length > 0 ? markup`${states.join(', ')}` : null],
    ['failed', own.length > 0 ? codes(own.slice(0, 20).map(({id}) => id)) : null],
    ['follows', follow.length > 0 ? codes(follow.slice(0, 20).map(({id}) => id)) : null],
    ['started', cell.results ? markup`${line(cell.results.started, 40)}` : null]
  ];
  return rows.flatMap(([name, value]) =>
    value ? [markup`<div><dt>${name}</dt><dd>${value}</dd></div>`] : []
  );
}

function gone({gone}: Matrix): Markup {
  if (gone.length === 0) return nothing;
  return markup`<section class="card"><h2>Of the run before, not in this one</h2>
<ul class="gone">${gone.slice(0, 200).map(name => markup`<li>${code(name)}</li>`)}</ul></section>`;
}

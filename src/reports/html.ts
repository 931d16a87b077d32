/** Renders report.html of a run. */
import {
  type CheckResult,
  familyNames,
  type Layer,
  type Place,
  type Results
} from '../results/results.ts';
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
import {buildTimeline, findLongestWaits, type TimelineBar} from './timeline.ts';
import {buildHeadline} from './verdict.ts';
import {isClusterCommand, isTargetsRun, listVersions, rerunCommand} from './versions.ts';
import {formatCount, formatDuration, sanitizeLine} from './words.ts';

/**
 * Returns one page that loads no resources and runs no scripts: the verdict, the failure, the grid, the timeline, and
 * every check by layer. Foreign text is escaped.
 */
export const renderHtml = (results: Results): string =>
  renderPage(
    sanitizeLine(buildHeadline(results).words),
    [
      renderVerdict(results),
      renderFailure(results),
      ...renderWarnings(results),
      renderFlakyChecks(results),
      renderLoad(results),
      ...renderGrids(results, buildGrids(results)),
      renderTimeline(results),
      renderLayers(results),
      renderVersions(results)
    ],
    renderRunFooter(results)
  );

// ---- The verdict and the failure ----

function renderVerdict(results: Results): Markup {
  const {words, facts, rehearsal} = buildHeadline(results);
  const state = results.result === 'passed' ? 'passed' : 'failed';
  return markup`<header class="verdict ${state}">
<p class="name">Istio dual-stack check</p>
<h1>${mark(state)}<span>${inline(words)}</span></h1>
<ul class="facts">${facts.map(fact => markup`<li>${fact}</li>`)}</ul>
${rehearsal ? markup`<p class="rehearsal">${rehearsal}</p>` : emptyMarkup}
</header>`;
}

function renderFailure(results: Results): Markup {
  if (results.failure === null) return emptyMarkup;
  const {layer, hint, reproduce} = results.failure;
  const check = findBrokenCheck(results);
  return markup`<section class="card broken" aria-labelledby="broken">
<h2 id="broken">${results.result === 'failed' ? 'What broke' : 'What happened'}</h2>
<p class="where">${layer ? markup`layer ${code(layer)} · ` : emptyMarkup}class ${code(results.failure.class)}${check ? markup` · check ${code(check.id)}` : emptyMarkup}</p>
${renderMessages(splitSentences(results.failure))}
<p class="hint"><strong>Next:</strong> ${inline(hint)}</p>
${layer ? renderLayerPage(layer) : emptyMarkup}
${reproduce ? markup`<p class="label">To reproduce it${isClusterCommand(reproduce, results) ? markup` on a cluster that ${code(rerunCommand)} creates (${code('KEEP=1')} keeps it)` : emptyMarkup}</p>${command(reproduce)}` : emptyMarkup}
${renderRelatedChecks(results)}
</section>`;
}

function renderLayerPage(layer: Layer): Markup {
  const {name, url} = findLayerPage(layer);
  const page = code(name);
  return markup`<p class="also"><strong>About this layer:</strong> ${url === null ? page : markup`<a href="${url}" rel="noreferrer">${page}</a>`}</p>`;
}

const renderMessages = ([first = '', ...more]: string[]): Markup =>
  more.length === 0
    ? markup`<p class="message">${inline(first)}</p>`
    : markup`<ul class="message">${[first, ...more].map(one => markup`<li>${inline(one)}</li>`)}</ul>`;

function renderRelatedChecks(results: Results): Markup[] {
  const {follow} = groupFailures(results);
  const green = findMaskedChecks(results);
  const family = findBrokenCheck(results)?.family === 'ipv4' ? 'ipv6' : 'ipv4';
  return [
    follow.length > 0
      ? markup`<p class="also"><strong>Consequences:</strong> ${renderIds(follow)}</p>`
      : emptyMarkup,
    green.length > 0
      ? markup`<p class="also"><strong>Passed only because ${familyNames[family]} carried the traffic:</strong> ${renderIds(green)}</p>`
      : emptyMarkup
  ];
}

const renderIds = (checks: CheckResult[]): Markup =>
  markup`${codes(checks.slice(0, 8).map(check => check.id))}${checks.length > 8 ? ` and ${checks.length - 8} more` : ''}`;

function renderFlakyChecks(results: Results): Markup {
  const checks = findFlakyChecks(results);
  if (checks.length === 0) return emptyMarkup;
  const items = checks
    .slice(0, 20)
    .map(check => markup`<li>${code(check.id)} ${renderAttempts(check)}</li>`);
  return markup`<section class="card shaky" aria-labelledby="shaky">
<h2 id="shaky">${formatCount(checks.length, 'check')} passed only after a retry</h2>
<ul>${items}</ul>
${checks.length > 20 ? markup`<p class="soft">And ${checks.length - 20} more, below.</p>` : emptyMarkup}
</section>`;
}

const renderAttempts = (check: CheckResult): Markup =>
  markup`<ol class="tries">${groupAttempts(check).map(
    one =>
      markup`<li><span class="soft">${formatAttemptGroup(one)}:</span> ${one.observed === '' ? markup`<em>nothing</em>` : code(one.observed)}</li>`
  )}</ol>`;

// ---- An upgrade under load ----

function renderLoad(results: Results): Markup {
  const rows = buildLoadRows(results);
  if (rows.length === 0) return emptyMarkup;
  const titles = ['', 'family', ...loadColumns];
  return markup`<section class="card"><h2>${loadTitle}</h2>
<table class="grid">
<thead><tr>${titles.map(title => markup`<th scope="col">${title}</th>`)}</tr></thead>
<tbody>${rows.map(
    ({title, family, verdict, counts}) =>
      markup`<tr><th scope="row">${mark(verdict)} ${title}</th>${[family, ...counts].map(
        (value, at) =>
          value === ''
            ? markup`<td class="empty"></td>`
            : markup`<td data-column="${titles[at + 1] ?? ''}"><div><span class="said">${value}</span></div></td>`
      )}</tr>`
  )}</tbody>
</table>
</section>`;
}

// ---- The grid ----

const renderGrids = (results: Results, all: Grid[]): Markup[] =>
  all.map(grid => {
    const first = getGridTitle(results, grid, all.length > 1);
    const {shown, folded, title} = foldRows(grid.rows);
    return markup`<section class="card"><h2>Targets and families</h2>
${shown.length > 0 ? renderGridTable(first, shown) : emptyMarkup}
${folded.length > 0 ? markup`<details class="rest"><summary><span class="soft">${title}</span></summary>${renderGridTable(first, folded)}</details>` : emptyMarkup}
</section>`;
  });

const renderGridTable = (first: string, rows: GridRow[]): Markup =>
  markup`<table class="grid">
<thead><tr><th scope="col">${first}</th>${columns.map(column => markup`<th scope="col">${column.title}</th>`)}</tr></thead>
<tbody>${rows.map(renderGridRow)}</tbody>
</table>`;

const renderGridRow = ({title, target, cells}: GridRow): Markup =>
  markup`<tr><th scope="row">${title}${target ? markup` ${code(target)}` : emptyMarkup}</th>${columns.map(
    ({column, title: name}) => renderGridCell(name, cells[column])
  )}</tr>`;

function renderGridCell(column: string, cell: GridCell | null): Markup {
  if (cell === null) return markup`<td class="empty"></td>`;
  const value = cell.value ? code(cell.value) : emptyMarkup;
  const note = cell.note ? markup`<span class="note">${cell.note}</span>` : emptyMarkup;
  const classes = `${cell.state}${cell.isCause ? ' cause' : ''}`;
  return markup`<td class="${classes}" data-column="${column}"><div>${mark(cell.state)}<span class="said">${value}${note}</span></div></td>`;
}

// ---- The timeline ----

function renderTimeline(results: Results): Markup {
  const bars = buildTimeline(results);
  if (bars.length === 0) return emptyMarkup;
  const end = Math.max(results.seconds, ...bars.map(bar => bar.at + bar.seconds), 0.001);
  const waits = findLongestWaits(results).map(
    wait =>
      markup`<li>${wait.phase} for ${sanitizeLine(wait.for, 100)} <span class="soft">${formatDuration(wait.seconds)}</span></li>`
  );
  return markup`<section class="card"><h2>Timeline: ${formatDuration(results.seconds)}</h2>
<ol class="timeline">${bars.map(bar => renderTimelineBar(bar, end))}
<li class="axis" aria-hidden="true"><span class="track">${listTicks(end).map(tick => markup`<span style="left:${formatPercent(tick, end)}">${formatDuration(tick)}</span>`)}</span></li></ol>
<p class="soft legend"><span class="swatch critical"></span>critical path <span class="swatch"></span>other phases</p>
${waits.length > 0 ? markup`<p class="label">Longest waits</p><ul class="waits">${waits}</ul>` : emptyMarkup}
</section>`;
}

function renderTimelineBar(
  {name, status, at, seconds, critical}: TimelineBar,
  end: number
): Markup {
  const classes = `${critical ? 'critical ' : ''}${status}`;
  const ended =
    status === 'passed'
      ? emptyMarkup
      : markup`<span class="ended"><span class="comma">, </span>${status}</span>`;
  return markup`<li class="${classes}"><span class="phase">${name}</span><span class="track"><span class="bar" style="left:${formatPercent(at, end)};width:${formatPercent(seconds, end)}"></span></span><span class="took">${formatDuration(seconds)}${ended}</span></li>`;
}

const formatPercent = (seconds: number, end: number): string =>
  `${((100 * seconds) / end).toFixed(2)}%`;

/** Returns at most six round numbers of seconds for the axis. */
function listTicks(end: number): number[] {
  const steps = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
  const step = steps.find(one => end / one < 6) ?? end;
  return Array.from({length: Math.floor(end / step) + 1}, (_, index) => index * step);
}

// ---- Every check, by layer ----

function renderLayers(results: Results): Markup {
  const rows = buildLayerRows(results);
  if (rows.length === 0) return emptyMarkup;
  return markup`<section class="card layers"><h2>Layers: ${formatLayersHeld(rows)}</h2>
${rows.map(renderLayer)}
</section>`;
}

/** Consequences stay folded. */
const isOwnFailure = (one: CheckResult): boolean =>
  one.verdict === 'failed' && one.because === null;

function renderLayer(row: LayerRow): Markup {
  const open = row.checks.some(isOwnFailure) ? markup` open` : emptyMarkup;
  return markup`<details${open}><summary>${mark(row.state)}<span class="layer">${row.layer}</span><span class="soft">${describeLayer(row)}</span></summary>
<div class="checks">${row.checks.map(renderCheck)}</div>
</details>`;
}

function describeLayer({
  state,
  checks,
  passedCount,
  consequenceCount,
  skipReason
}: LayerRow): string {
  if (state === 'skipped' && skipReason)
    return `skipped: ${skipReason} · ${formatCount(checks.length, 'check')}`;
  const failed = checks.filter(one => one.verdict === 'failed').length;
  const skipped = checks.length - passedCount - failed;
  const consequenceWords =
    consequenceCount === failed ? ' as a consequence' : `, ${consequenceCount} as a consequence`;
  const parts = [
    failed > 0 && `${failed} failed${consequenceCount > 0 ? consequenceWords : ''}`,
    skipped > 0 && `${skipped} skipped`,
    formatCount(checks.length, 'check')
  ];
  return parts.filter(Boolean).join(' · ');
}

function renderCheck(one: CheckResult): Markup {
  const open = isOwnFailure(one) ? markup` open` : emptyMarkup;
  const observed = one.verdict === 'skipped' ? (one.reason ?? '') : one.observed;
  return markup`<details class="check"${open}><summary>${mark(one.verdict)}<span class="what">${inline(one.title, 300)}<span class="id">${sanitizeLine(one.id)}${one.stage === 'upgrade' ? ' · after the upgrade' : ''}</span></span><span class="observed">${sanitizeLine(observed, 120)}</span></summary>
<dl>${renderCheckFacts(one)}</dl>
${one.reproduce ? markup`<p class="label">Reproduce</p>${command(one.reproduce)}` : emptyMarkup}
</details>`;
}

function renderCheckFacts(one: CheckResult): Markup[] {
  const rows: [string, Markup | null][] = [
    ['expected', inline(one.expected)],
    ['observed', inline(one.observed)],
    ['reason', one.reason ? inline(one.reason) : null],
    ['caused by', one.because ? code(one.because) : null],
    ['from', one.from && renderPlace(one.from)],
    ['to', one.to && renderPlace(one.to)],
    ['address', one.address ? code(one.address) : null],
    ['connected to', one.upstream ? code(one.upstream) : null],
    ['attempts', one.attempts.length > 0 ? renderAttempts(one) : null]
  ];
  return rows.flatMap(([name, value]) =>
    value ? [markup`<div><dt>${name}</dt><dd>${value}</dd></div>`] : []
  );
}

const renderPlace = ({kind, namespace, name}: Place): Markup =>
  markup`${sanitizeLine(kind)} ${code(`${namespace}/${name}`)}`;

// ---- Versions and the script ----

const renderWarnings = (results: Results): Markup[] =>
  results.warnings.map(one => markup`<p class="rehearsal">${sanitizeLine(one, 500)}</p>`);

function renderVersions(results: Results): Markup {
  const rows = listVersions(results).map(
    ({title, requested, found}) =>
      markup`<div><dt>${title}</dt><dd>${found ? code(found) : markup`<em>unknown</em>`}${requested && requested !== found ? markup` <span class="soft">requested ${code(requested)}</span>` : emptyMarkup}</dd></div>`
  );
  const inputs = Object.entries(results.inputs).map(
    ([name, value]) => markup`<div><dt>${sanitizeLine(name)}</dt><dd>${code(value)}</dd></div>`
  );
  return markup`<section class="card"><h2>Versions</h2>
<dl>${rows}</dl>
${inputs.length > 0 ? markup`<h2>Inputs</h2><dl>${inputs}</dl>` : emptyMarkup}
${
  isTargetsRun(results)
    ? emptyMarkup
    : markup`<h2>Run it yourself</h2>
<p>The script beside this report repeats the run with these versions.</p>
${command(rerunCommand)}`
}
</section>`;
}

function renderRunFooter(results: Results): Markup {
  const parts = [
    ...renderRunFacts(results.run),
    markup`started ${sanitizeLine(results.started, 60)
      .replace('T', ' ')
      .replace(/(\.\d+)?Z$/, ' UTC')}`,
    results.cluster &&
      markup`cluster ${code(results.cluster.name)}, ${results.cluster.ipFamilies.map(family => familyNames[family]).join(' then ')}`
  ];
  return renderFooter(parts);
}

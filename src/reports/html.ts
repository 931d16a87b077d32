import {type CheckResult, familyNames, type Place, type Results} from '../results/results.ts';
import {
  brokenCheck,
  failures,
  flakyChecks,
  greenAllTheSame,
  type LayerRow,
  layerRows,
  layersHold,
  sentences,
  triesOf,
  tryWords
} from './findings.ts';
import {type Cell, columns, foldRows, type Grid, grids, gridTitle, type Row} from './grid.ts';
import {loadColumns, loadRows, loadTitle} from './load-words.ts';
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
import {type Bar, longestWaits, timeline} from './timeline.ts';
import {headline} from './verdict.ts';
import {asksCluster, onlyLooks, rerun, versionRows} from './versions.ts';
import {count, duration, line} from './words.ts';

/**
 * report.html: one page that loads nothing and runs nothing. Verdict first, then what broke, the
 * grid, the timeline, and every check by layer. Whatever others wrote is escaped.
 */
export const html = (results: Results): string =>
  page(
    line(headline(results).words),
    [
      verdict(results),
      failure(results),
      ...warnings(results),
      flaky(results),
      load(results),
      ...gridTables(results, grids(results)),
      phases(results),
      layers(results),
      versions(results)
    ],
    footer(results)
  );

// ---- The verdict, and what broke ----

function verdict(results: Results): Markup {
  const {words, facts, rehearsal} = headline(results);
  const state = results.result === 'passed' ? 'passed' : 'failed';
  return markup`<header class="verdict ${state}">
<p class="name">Istio dual-stack check</p>
<h1>${mark(state)}<span>${inline(words)}</span></h1>
<ul class="facts">${facts.map(fact => markup`<li>${fact}</li>`)}</ul>
${rehearsal ? markup`<p class="rehearsal">${rehearsal}</p>` : nothing}
</header>`;
}

function failure(results: Results): Markup {
  if (results.failure === null) return nothing;
  const {layer, hint, reproduce} = results.failure;
  const check = brokenCheck(results);
  return markup`<section class="card broken" aria-labelledby="broken">
<h2 id="broken">${results.result === 'failed' ? 'What broke' : 'What happened'}</h2>
<p class="where">${layer ? markup`layer ${code(layer)} · ` : nothing}class ${code(results.failure.class)}${check ? markup` · check ${code(check.id)}` : nothing}</p>
${happened(sentences(results.failure))}
<p class="hint"><strong>Next:</strong> ${inline(hint)}</p>
${reproduce ? markup`<p class="label">To see it by hand${asksCluster(reproduce, results) ? markup`, on a cluster made by ${code(rerun)} (${code('KEEP=1')} keeps it)` : nothing}</p>${command(reproduce)}` : nothing}
${also(results)}
</section>`;
}

const happened = ([first = '', ...more]: string[]): Markup =>
  more.length === 0
    ? markup`<p class="message">${inline(first)}</p>`
    : markup`<ul class="message">${[first, ...more].map(one => markup`<li>${inline(one)}</li>`)}</ul>`;

function also(results: Results): Markup[] {
  const {follow} = failures(results);
  const green = greenAllTheSame(results);
  const family = brokenCheck(results)?.family === 'ipv4' ? 'ipv6' : 'ipv4';
  return [
    follow.length > 0
      ? markup`<p class="also"><strong>Follows from it:</strong> ${ids(follow)}</p>`
      : nothing,
    green.length > 0
      ? markup`<p class="also"><strong>Green all the same,</strong> because ${familyNames[family]} carried it: ${ids(green)}</p>`
      : nothing
  ];
}

const ids = (checks: CheckResult[]): Markup =>
  markup`${codes(checks.slice(0, 8).map(check => check.id))}${checks.length > 8 ? ` and ${checks.length - 8} more` : ''}`;

function flaky(results: Results): Markup {
  const checks = flakyChecks(results);
  if (checks.length === 0) return nothing;
  const items = checks
    .slice(0, 20)
    .map(check => markup`<li>${code(check.id)} ${tries(check)}</li>`);
  return markup`<section class="card shaky" aria-labelledby="shaky">
<h2 id="shaky">${count(checks.length, 'check')} needed another try, and passed</h2>
<ul>${items}</ul>
${checks.length > 20 ? markup`<p class="soft">And ${checks.length - 20} more, below.</p>` : nothing}
</section>`;
}

const tries = (check: CheckResult): Markup =>
  markup`<ol class="tries">${triesOf(check).map(
    one =>
      markup`<li><span class="soft">${tryWords(one)}:</span> ${one.observed === '' ? markup`<em>nothing</em>` : code(one.observed)}</li>`
  )}</ol>`;

// ---- An upgrade under load ----

function load(results: Results): Markup {
  const rows = loadRows(results);
  if (rows.length === 0) return nothing;
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

const gridTables = (results: Results, all: Grid[]): Markup[] =>
  all.map(grid => {
    const first = gridTitle(results, grid, all.length > 1);
    const {shown, folded, title} = foldRows(grid.rows);
    return markup`<section class="card"><h2>Targets and families</h2>
${shown.length > 0 ? gridTable(first, shown) : nothing}
${folded.length > 0 ? markup`<details class="rest"><summary><span class="soft">${title}</span></summary>${gridTable(first, folded)}</details>` : nothing}
</section>`;
  });

const gridTable = (first: string, rows: Row[]): Markup =>
  markup`<table class="grid">
<thead><tr><th scope="col">${first}</th>${columns.map(column => markup`<th scope="col">${column.title}</th>`)}</tr></thead>
<tbody>${rows.map(gridRow)}</tbody>
</table>`;

const gridRow = ({title, target, cells}: Row): Markup =>
  markup`<tr><th scope="row">${title}${target ? markup` ${code(target)}` : nothing}</th>${columns.map(
    ({column, title: name}) => gridCell(name, cells[column])
  )}</tr>`;

function gridCell(column: string, cell: Cell | null): Markup {
  if (cell === null) return markup`<td class="empty"></td>`;
  const value = cell.value ? code(cell.value) : nothing;
  const note = cell.note ? markup`<span class="note">${cell.note}</span>` : nothing;
  const classes = `${cell.state}${cell.cause ? ' cause' : ''}`;
  return markup`<td class="${classes}" data-column="${column}"><div>${mark(cell.state)}<span class="said">${value}${note}</span></div></td>`;
}

// ---- The timeline ----

function phases(results: Results): Markup {
  const bars = timeline(results);
  if (bars.length === 0) return nothing;
  const end = Math.max(results.seconds, ...bars.map(bar => bar.at + bar.seconds), 0.001);
  const waits = longestWaits(results).map(
    wait =>
      markup`<li>${wait.phase} for ${line(wait.for, 100)} <span class="soft">${duration(wait.seconds)}</span></li>`
  );
  return markup`<section class="card"><h2>Where the ${duration(results.seconds)} went</h2>
<ol class="timeline">${bars.map(bar => timelineBar(bar, end))}
<li class="axis" aria-hidden="true"><span class="track">${ticks(end).map(tick => markup`<span style="left:${percent(tick, end)}">${duration(tick)}</span>`)}</span></li></ol>
<p class="soft legend"><span class="swatch critical"></span>critical path <span class="swatch"></span>beside it</p>
${waits.length > 0 ? markup`<p class="label">Waited longest</p><ul class="waits">${waits}</ul>` : nothing}
</section>`;
}

function timelineBar({name, status, at, seconds, critical}: Bar, end: number): Markup {
  const classes = `${critical ? 'critical ' : ''}${status}`;
  const ended =
    status === 'passed'
      ? nothing
      : markup`<span class="ended"><span class="comma">, </span>${status}</span>`;
  return markup`<li class="${classes}"><span class="phase">${name}</span><span class="track"><span class="bar" style="left:${percent(at, end)};width:${percent(seconds, end)}"></span></span><span class="took">${duration(seconds)}${ended}</span></li>`;
}

const percent = (seconds: number, end: number): string => `${((100 * seconds) / end).toFixed(2)}%`;

/** Round numbers of seconds along the axis, at most six. */
function ticks(end: number): number[] {
  const steps = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
  const step = steps.find(one => end / one < 6) ?? end;
  return Array.from({length: Math.floor(end / step) + 1}, (_, index) => index * step);
}

// ---- Every check, by layer ----

function layers(results: Results): Markup {
  const rows = layerRows(results);
  if (rows.length === 0) return nothing;
  return markup`<section class="card layers"><h2>Layers: ${layersHold(rows)}</h2>
${rows.map(layer)}
</section>`;
}

/** What follows from another check stays folded. */
const ownFailure = (one: CheckResult): boolean => one.verdict === 'failed' && one.because === null;

function layer(row: LayerRow): Markup {
  const open = row.checks.some(ownFailure) ? markup` open` : nothing;
  return markup`<details${open}><summary>${mark(row.state)}<span class="layer">${row.layer}</span><span class="soft">${layerSays(row)}</span></summary>
<div class="checks">${row.checks.map(check)}</div>
</details>`;
}

function layerSays({state, checks, held, follow, why}: LayerRow): string {
  if (state === 'skipped' && why) return `skipped: ${why} · ${count(checks.length, 'check')}`;
  const failed = checks.filter(one => one.verdict === 'failed').length;
  const skipped = checks.length - held - failed;
  const also = follow === failed ? ' as a consequence' : `, ${follow} as a consequence`;
  const said = [
    failed > 0 && `${failed} failed${follow > 0 ? also : ''}`,
    skipped > 0 && `${skipped} skipped`,
    count(checks.length, 'check')
  ];
  return said.filter(Boolean).join(' · ');
}

function check(one: CheckResult): Markup {
  const open = ownFailure(one) ? markup` open` : nothing;
  const says = one.verdict === 'skipped' ? (one.reason ?? '') : one.observed;
  return markup`<details class="check"${open}><summary>${mark(one.verdict)}<span class="what">${inline(one.title, 300)}<span class="id">${line(one.id)}${one.stage === 'upgrade' ? ' · after the upgrade' : ''}</span></span><span class="observed">${line(says, 120)}</span></summary>
<dl>${facts(one)}</dl>
${one.reproduce ? markup`<p class="label">By hand</p>${command(one.reproduce)}` : nothing}
</details>`;
}

function facts(one: CheckResult): Markup[] {
  const rows: [string, Markup | null][] = [
    ['expected', inline(one.expected)],
    ['observed', inline(one.observed)],
    ['reason', one.reason ? inline(one.reason) : null],
    ['because of', one.because ? code(one.because) : null],
    ['from', one.from && place(one.from)],
    ['to', one.to && place(one.to)],
    ['address', one.address ? code(one.address) : null],
    ['really took', one.upstream ? code(one.upstream) : null],
    ['tries', one.attempts.length > 0 ? tries(one) : null]
  ];
  return rows.flatMap(([name, value]) =>
    value ? [markup`<div><dt>${name}</dt><dd>${value}</dd></div>`] : []
  );
}

const place = ({kind, namespace, name}: Place): Markup =>
  markup`${line(kind)} ${code(`${namespace}/${name}`)}`;

// ---- Versions, and how to run it again ----

/** What does not fit together. */
const warnings = (results: Results): Markup[] =>
  results.warnings.map(one => markup`<p class="rehearsal">${line(one, 500)}</p>`);

function versions(results: Results): Markup {
  const rows = versionRows(results).map(
    ({title, asked, found}) =>
      markup`<div><dt>${title}</dt><dd>${found ? code(found) : markup`<em>not found out</em>`}${asked && asked !== found ? markup` <span class="soft">asked for ${code(asked)}</span>` : nothing}</dd></div>`
  );
  const inputs = Object.entries(results.inputs).map(
    ([name, value]) => markup`<div><dt>${line(name)}</dt><dd>${code(value)}</dd></div>`
  );
  return markup`<section class="card"><h2>Versions</h2>
<dl>${rows}</dl>
${inputs.length > 0 ? markup`<h2>Inputs given</h2><dl>${inputs}</dl>` : nothing}
${
  onlyLooks(results)
    ? nothing
    : markup`<h2>Run it yourself</h2>
<p>The same run by hand, with these versions; the script lies beside this report.</p>
${command(rerun)}`
}
</section>`;
}

function footer(results: Results): Markup {
  const parts = [
    ...runFacts(results.run),
    markup`started ${line(results.started, 60)
      .replace('T', ' ')
      .replace(/(\.\d+)?Z$/, ' UTC')}`,
    results.cluster &&
      markup`cluster ${code(results.cluster.name)}, ${results.cluster.ipFamilies.map(family => familyNames[family]).join(' then ')}`
  ];
  return footerOf(parts);
}

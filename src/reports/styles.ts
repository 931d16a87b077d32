/** The style sheet of report.html: light and dark, for phones and larger screens. */
export const styles = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #fff; --sunk: #f1f3f6; --ink: #1b2129; --soft: #5c6672; --rule: #e2e6eb;
  --good: #18794e; --good-wash: #e4f4ec; --bad: #c02b3c; --bad-wash: #fdecee;
  --warn: #8a5a00; --warn-wash: #fdf2d8; --critical: #3e5bd1; --beside: #b4bfcc;
  --mono: ui-monospace, SFMono-Regular, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0e1216; --card: #151a20; --sunk: #1c232b; --ink: #e3e8ed; --soft: #96a2af; --rule: #28313b;
    --good: #54c08a; --good-wash: #14302a; --bad: #ff7a85; --bad-wash: #37191f;
    --warn: #e5b454; --warn-wash: #33280f; --critical: #7f9bff; --beside: #475463;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); overflow-wrap: anywhere;
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 64rem; margin: 0 auto; padding: 2.5rem 1.25rem 0; }
h1, h2, p, ul, ol, dl, dd, pre { margin: 0; }
h2 { font-size: .95rem; font-weight: 650; margin-bottom: .75rem; }
code, pre { font: .86em/1.55 var(--mono); }
code { background: var(--sunk); border-radius: 4px; padding: .1em .35em; }
pre { background: var(--sunk); border-radius: 8px; padding: .75rem .9rem; white-space: pre-wrap; user-select: all; }
pre code { background: none; padding: 0; font-size: 1em; }
a { color: var(--critical); }
:focus-visible { outline: 2px solid var(--critical); outline-offset: 2px; border-radius: 6px; }
.soft, .label, .where { color: var(--soft); }
.label { font-size: .82rem; margin: 1rem 0 .35rem; }
.card > p + pre { margin-top: .5rem; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 1.25rem 1.4rem; margin-bottom: 1rem; }
.card dl + h2, .card h2 ~ h2 { margin-top: 1.5rem; }

.verdict { margin-bottom: 1.75rem; }
.name { color: var(--soft); font-size: .82rem; letter-spacing: .01em; margin-bottom: .5rem; }
h1 { display: flex; gap: .75rem; align-items: flex-start; font-size: clamp(1.35rem, 4.5vw, 2rem); line-height: 1.2; font-weight: 680; letter-spacing: -.015em; text-wrap: balance; }
h1 > span:last-child { min-width: 0; }
h1 .mark { flex: none; width: 1.2em; height: 1.2em; font-size: 1em; }
h1 .mark.passed { background: var(--good); color: var(--card); }
h1 .mark.failed { background: var(--bad); color: var(--card); }
h1 .mark::first-line { font-size: .7em; }
.facts { display: flex; flex-wrap: wrap; gap: .4rem; list-style: none; padding: 0; margin-top: 1rem; }
.facts li { background: var(--card); border: 1px solid var(--rule); border-radius: 99px; padding: .15rem .75rem; font-size: .87rem; font-variant-numeric: tabular-nums; }
.rehearsal { margin-top: 1rem; padding: .55rem .9rem; border-radius: 8px; background: var(--warn-wash); color: var(--warn); font-size: .9rem; }

.mark { display: inline-grid; place-items: center; flex: none; width: 1.3rem; height: 1.3rem; border-radius: 50%; font-size: .76rem; line-height: 1; font-weight: 700; }
.mark.passed { background: var(--good-wash); color: var(--good); }
.mark.failed { background: var(--bad-wash); color: var(--bad); }
.mark.flaky { background: var(--warn-wash); color: var(--warn); }
.mark.skipped { background: var(--sunk); color: var(--soft); }

.broken { border-color: color-mix(in srgb, var(--bad) 45%, var(--rule)); box-shadow: inset 4px 0 0 var(--bad); }
.shaky { border-color: color-mix(in srgb, var(--warn) 40%, var(--rule)); box-shadow: inset 4px 0 0 var(--warn); }
.where { font-size: .87rem; margin-bottom: .6rem; }
.message { font-size: 1.05rem; }
.hint, .also { margin-top: .6rem; }
.also { font-size: .9rem; }
.also:first-of-type { margin-top: 1rem; }
.shaky ul { padding: 0; list-style: none; }
.shaky li + li { margin-top: .4rem; }
.tries { padding: 0; list-style: none; font-size: .92em; }
.tries li + li { margin-top: .15rem; }

.grid { width: 100%; border-collapse: collapse; table-layout: fixed; }
.grid thead th:nth-child(1) { width: 23%; }
.grid thead th:nth-child(2) { width: 23%; }
.grid thead th:nth-child(3) { width: 27%; }
.grid th, .grid td { text-align: left; vertical-align: top; padding: .6rem .75rem; border-top: 1px solid var(--rule); }
.grid thead th { border: 0; padding-top: 0; color: var(--soft); font-size: .82rem; font-weight: 500; }
.grid th:first-child { padding-left: 0; }
.grid td:last-child { padding-right: 0; }
.grid tbody th { font-weight: 500; }
.grid td > div { display: flex; gap: .5rem; align-items: flex-start; }
.grid .said { min-width: 0; display: flex; flex-direction: column; align-items: flex-start; }
.grid .note { color: var(--soft); font-size: .87rem; }
.grid td .note:only-child { font-size: inherit; }
.grid td.failed .note { color: var(--bad); }
.grid td.cause .note { font-weight: 650; }
.grid td.none .note { color: var(--soft); font-size: .87rem; }

.matrix { table-layout: auto; }
.matrix thead th:nth-child(n) { width: auto; }
.matrix th .note { display: block; font-weight: 400; }
.gone { padding-left: 1.1rem; }

.timeline { list-style: none; padding: 0; }
.timeline { display: grid; grid-template-columns: fit-content(10rem) minmax(0, 1fr) max-content; column-gap: .9rem; }
.timeline li { display: grid; grid-column: 1 / -1; grid-template-columns: subgrid; align-items: center; padding: .22rem 0; }
.track { position: relative; height: .8rem; border-radius: 4px; background: var(--sunk); }
.bar { position: absolute; inset: 0 auto 0 0; min-width: 3px; border-radius: 4px; background: var(--beside); }
.critical .bar { background: var(--critical); }
.timeline .failed .bar { background: var(--bad); }
.timeline .cancelled .bar { background: repeating-linear-gradient(135deg, var(--beside) 0 5px, transparent 5px 9px); }
.took { font-size: .87rem; font-variant-numeric: tabular-nums; color: var(--soft); }
li.axis .track { grid-column: 2; height: 1.2rem; background: none; }
.axis .track span { position: absolute; transform: translateX(-50%); font-size: .75rem; color: var(--soft); font-variant-numeric: tabular-nums; white-space: nowrap; }
.axis .track span:first-child { transform: none; }
.legend { font-size: .82rem; margin-top: .4rem; }
.swatch { display: inline-block; width: .8rem; height: .55rem; border-radius: 3px; background: var(--beside); margin: 0 .35rem 0 .75rem; }
.swatch.critical { background: var(--critical); }
.swatch:first-child { margin-left: 0; }
.waits { padding-left: 1.1rem; font-size: .92rem; }
.waits .soft { white-space: nowrap; }

details > summary { cursor: pointer; list-style: none; }
details > summary::-webkit-details-marker { display: none; }
.layers > details { border-top: 1px solid var(--rule); }
.layers > details > summary { display: flex; gap: .65rem; align-items: center; padding: .55rem 0; }
.rest > summary { padding-top: .5rem; }
.rest > summary::after { content: " ›"; color: var(--soft); }
.rest[open] > summary { padding-bottom: 1rem; }
.layers > details > summary::after, .check > summary::after { content: "›"; color: var(--soft); margin-left: auto; padding-left: .5rem; transition: rotate .12s; }
details[open]:not(.rest) > summary::after { rotate: 90deg; }
.layer { font-weight: 550; flex: none; }
.cells .layer { flex: 0 1 auto; min-width: 0; }
.cells .soft { min-width: 0; }
.checks { padding: 0 0 .75rem 1.95rem; }
.check { border-radius: 8px; }
.check[open] { background: var(--page); padding-bottom: .75rem; margin: .25rem 0; }
.check > summary { display: grid; grid-template-columns: auto minmax(0, 1fr) minmax(0, 16rem) auto; gap: .65rem; padding: .4rem .6rem; align-items: start; border-radius: 8px; }
.check > summary:hover { background: var(--page); }
.check .id { display: block; font: .78rem/1.5 var(--mono); color: var(--soft); }
.observed { font-size: .87rem; color: var(--soft); text-align: right; }
.check > dl, .check > .label, .check > pre { margin-left: 2.55rem; margin-right: .75rem; }
.check > pre { background: var(--card); }
dl > div { display: grid; grid-template-columns: 8rem minmax(0, 1fr); gap: .75rem; padding: .15rem 0; }
.check dl { font-size: .92rem; }
.check dl > div { grid-template-columns: 6rem minmax(0, 1fr); }
dt { color: var(--soft); }

footer { max-width: 64rem; margin: 0 auto; padding: .5rem 1.25rem 3rem; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; font-size: .82rem; color: var(--soft); }

@media (max-width: 44rem) {
  main { padding: 1.5rem .9rem 0; }
  footer { padding: .25rem .9rem 2rem; }
  .card { padding: 1rem; border-radius: 10px; }
  .grid, .grid tbody, .grid tr, .grid th, .grid td { display: block; padding: 0; border: 0; }
  .grid thead, .grid .empty { display: none; }
  .grid tr { padding: .7rem 0; border-top: 1px solid var(--rule); }
  .grid tr:first-child { border: 0; padding-top: 0; }
  .grid tbody th { margin-bottom: .3rem; font-weight: 600; }
  .grid td { display: grid; grid-template-columns: 4.5rem minmax(0, 1fr); padding: .15rem 0; }
  .grid td::before { content: attr(data-column); color: var(--soft); font-size: .87rem; }
  .timeline { grid-template-columns: fit-content(6.5rem) minmax(0, 1fr) max-content; column-gap: .6rem; font-size: .87rem; }
  .axis .track span:nth-child(even) { display: none; }
  .timeline .ended { display: block; }
  .timeline .comma { display: none; }
  .checks { padding-left: 0; }
  .check > summary { grid-template-columns: auto minmax(0, 1fr) auto; padding: .4rem 0; }
  .observed { grid-column: 2; grid-row: 2; text-align: left; }
  .check[open] { padding: .25rem .6rem .75rem; }
  .check > dl, .check > .label, .check > pre { margin-left: 0; margin-right: 0; }
  .check dl > div, dl > div { grid-template-columns: 5.5rem minmax(0, 1fr); gap: .5rem; }
}
@media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
@media print { body { background: none; } .card { break-inside: avoid; } }
`;

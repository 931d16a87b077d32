// npm run bugs: makes docs/bugs.md of scripts/bugs.json and the catalogue of checks, which __tests__/bugs.test.ts reads.
// A bug's `number` is that of the survey it comes from. `known` says how: by a recorded fault (`faults`, by their names
// in rehearsal/faults.mjs), by a fault caused by hand in a real cluster, by reading the check against the report, or by
// every run, for the releases of today have it.
// `release` is one of Istio that has the bug, was run in a real cluster, and was told so by that check.
// `row` is the row of the end-to-end workflow that it takes, `phase` what ends the run where no check does.
import * as fs from 'node:fs';
import * as path from 'node:path';
import {faults} from '../rehearsal/faults.mjs';

/** @type {{number: number, upstream: string[], symptom: string, verdict: 'caught' | 'partly' | 'not', checks?: string[], phase?: string, row?: string, release?: string, known?: 'recorded' | 'by hand' | 'by reading' | 'in every run', faults?: string[], lacks?: string, why: string}[]} */
export const bugs = JSON.parse(
  fs.readFileSync(path.join(import.meta.dirname, 'bugs.json'), 'utf8')
);

/** The checks that a pattern names: `*` stands for anything within one part of an id. */
export function named(pattern, ids) {
  const matching = new RegExp(`^${pattern.replaceAll('*', '[^/]*')}$`); // ids have no sign that means something there
  return ids.filter(id => matching.test(id));
}

const cell = text => text.replaceAll('|', '\\|');
const link = upstream => `[${upstream}](https://github.com/${upstream.replace('#', '/issues/')})`;
const of = (list, verdict) => list.filter(bug => bug.verdict === verdict);

/** What a bug is caught by. */
const by = ({checks = [], phase, row}) =>
  [
    ...checks.map(id => `\`${id}\``),
    ...(phase ? [`the phase \`${phase}\``] : []),
    ...(row ? [`in the row “${row}”`] : [])
  ].join(', ');

const why = ({known, faults: names = [], why: text}) =>
  [
    known === 'recorded'
      ? `Recorded (${names.map(name => faults[name].title).join('; ')}).`
      : {'by hand': 'By hand.', 'by reading': 'By reading.', 'in every run': 'In every run.'}[
          known
        ],
    text
  ]
    .filter(Boolean)
    .join(' ');

/** Which bugs were caught in what had them. */
function replayed(list) {
  const own = list.filter(({release}) => release);
  const said = own.map(({upstream: [first], release}) => `${link(first)} (${release})`).join(', ');
  return `${own.length} of them were caught in a release of Istio that had them, in its code, its chart or its sample: ${said}; and istio/istio#56783 is in all. No other such release was run.`;
}

/** What the checks lack, and the bugs that are not caught for it; nothing where all are. */
function lacking(list) {
  const all = of(list, 'not');
  const lines = [...new Set(all.map(({lacks}) => lacks))].map(lacks => {
    const own = all.filter(bug => bug.lacks === lacks);
    return `- ${lacks} (${own.length}): ${own.map(({upstream: [first]}) => link(first)).join(', ')}\n`;
  });
  return lines.length === 0
    ? ''
    : `What the checks do not have, and the bugs that are not caught for it:\n\n${lines.join('')}\n`;
}

/** The text of docs/bugs.md. Throws where a bug names a check that is not there. */
export function page(list, ids) {
  for (const {number, checks = []} of list)
    for (const pattern of checks)
      if (named(pattern, ids).length === 0)
        throw new Error(`bug ${number}: no check is named ${pattern}`);
  const caught = of(list, 'caught');
  const count = known => caught.filter(bug => bug.known === known).length;
  const rows = list.map(bug =>
    [
      bug.number,
      bug.upstream.map(link).join(', '),
      bug.symptom,
      bug.verdict === 'caught' ? '**caught**' : bug.verdict,
      by(bug),
      why(bug)
    ]
      .map(text => cell(`${text}`))
      .join(' | ')
  );
  return `# Bugs of the field, and what the checks say of them

Dual-stack and IPv6 bugs that users reported upstream from 2022 to 2026, as far as they can occur in a dual-stack kind cluster of one node: ${list.length}. **Caught are ${caught.length}, partly ${of(list, 'partly').length}, and ${of(list, 'not').length} are not.** Made by \`npm run bugs\` of scripts/bugs.json and the catalogue of the checks.

${replayed(list)} What is said here is known of ${count('recorded')} of those caught by a recorded fault that shows the same ([faults.md](faults.md)), of ${count('by hand')} by one that was caused by hand in a real cluster, and of ${count('by reading')} by reading the check against the report alone. Rows such as “IPv6 first” are those of [the end-to-end workflow](../.github/workflows/e2e.yml), which always makes them; a run with other inputs does not catch what takes them.

${lacking(list)}| # | upstream | bug | verdict | by | why |
| ---: | --- | --- | --- | --- | --- |
${rows.map(row => `| ${row} |`).join('\n')}
`;
}

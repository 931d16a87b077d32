import {describe, expect, test} from '@jest/globals';
import {buildMergedAnnotations} from '../src/reports/merged-annotations.ts';
import {renderMergedHtml} from '../src/reports/merged-html.ts';
import {renderMergedJunit} from '../src/reports/merged-junit.ts';
import {renderMergedSummary} from '../src/reports/merged-summary.ts';
import type {Results} from '../src/results/results.ts';
import {allFound, cell, found, matrix, mixed, unread} from './merged-cells-table.ts';
import {error, failed, flaky, hostile, hostileRun, passed} from './sample-results.ts';

const rows = (markdown: string) => markdown.split('\n').filter(one => /^\| (?!---)/.test(one));
const first = (markdown: string) => markdown.split('\n')[0];

/** So many cells, each with a failure of its own. */
const large = (number: number, results: (index: number) => Results = () => passed()) =>
  matrix(
    Array.from({length: number}, (_, index) =>
      found(`cell-${index}`, cell(results(index), {'istio-version': `v1.${index}.0`}))
    ),
    {plan: []}
  );

const hostileMatrix = () =>
  matrix(
    [
      found(hostile, hostileRun()),
      found(`2${hostile}`, {...hostileRun(), inputs: {'istio-version': hostile}}),
      unread(hostile, hostile)
    ],
    {
      plan: [{name: hostile, 'istio-version': hostile}],
      before: matrix([unread(`3${hostile}`, hostile), found(hostile, passed())], {plan: []})
    }
  );

describe('the summary', () => {
  test('has the verdict first, then the grid', () => {
    const markdown = renderMergedSummary(mixed());
    expect(first(markdown)).toBe(
      '## ❌ 3 of 6 cells are red: 1 at layer cluster, 1 at layer network, 1 without results · Kubernetes 1.34.4 · sidecar · Sail Operator 1.30.3 · 3 broke, 1 mended since the previous run · 236 checks · slowest cell 38 s'
    );
    expect(rows(markdown)).toEqual([
      '| Istio | families | IPv4 | IPv6 | network | cluster | verdict | change |',
      '| 1.30.3 | IPv4 first | ✅ | ✅ | ✅ | ✅ | passed | 🔼 mended |',
      '| 1.30.3 | IPv6 first | ✅ | ✅ | ✅ | ✅ | passed |  |',
      '| 1.29.6 | IPv4 first | ✅ | ✅ | ✅ | ✅ | passed |  |',
      '| 1.29.6 | IPv6 first | ✅ | ❌ cluster | ✅ | ❌ IPv6 | **infrastructure, layer cluster** | 🔻 broke |',
      '| 1.28.8 | IPv4 first |  |  | ❌ |  | **infrastructure, layer network** | 🔻 broke |',
      '| 1.28.8 | IPv6 first |  |  |  |  | **missing** | 🔻 broke |'
    ]);
  });

  test('is short where all is well', () => {
    const markdown = renderMergedSummary(matrix(allFound()));
    expect(first(markdown)).toContain('## ✅ Dual-stack works in all 6 cells · Kubernetes 1.34.4');
    expect(rows(markdown)[0]).toBe('| Istio | families | IPv4 | IPv6 | verdict |');
    expect(markdown).toContain('15 layers passed in every cell that ran them: runner, network');
  });

  test('tells a cause once, with its cells and its command', () => {
    const markdown = renderMergedSummary(large(12, index => (index < 10 ? failed() : passed())));
    expect(markdown.match(/Client and server without any sidecar/g)).toHaveLength(1);
    expect(markdown).toContain('In 10 cells: ');
    expect(markdown).toContain(' and 2 more.');
    expect(markdown).toContain("kubectl exec -n sleep deploy/sleep -- sh -c '(echo dualstack");
  });

  test('shows what is not counted apart', () => {
    const markdown = renderMergedSummary(mixed(['istio', 'missing']));
    expect(first(markdown)).toContain(
      '## ❌ 1 of 6 cells is red: without results; 2 more not counted'
    );
    expect(markdown.indexOf('**Not counted')).toBeGreaterThan(
      markdown.indexOf('**Class `missing`')
    );
    expect(markdown.indexOf('**Layer `cluster`')).toBeGreaterThan(
      markdown.indexOf('**Not counted')
    );
    expect(first(renderMergedSummary(mixed([])))).toContain(
      '## ⚠️ 3 of 6 cells are red, with a class that fail-on excludes: 1 at layer cluster'
    );
  });

  test('says that nothing was found', () => {
    expect(first(renderMergedSummary(matrix([], {plan: []})))).toBe(
      '## ❌ No cells found, so nothing is proven'
    );
  });

  test('says what a rehearsal is', () => {
    const one = matrix([found('a', passed({rehearsal: {recording: 'healthy'}}))], {plan: []});
    expect(renderMergedSummary(one)).toContain(
      '> Rehearsal: recorded answers in the one cell, no real cluster.'
    );
  });

  test('folds the cells without trouble, and stays below 1 MiB', () => {
    const few = renderMergedSummary(large(256, index => (index === 7 ? flaky() : passed())));
    expect(few).toContain('<details><summary>255 more cells passed</summary>');
    expect(Buffer.byteLength(few)).toBeLessThan(50_000);
    const all = renderMergedSummary(
      large(1000, index =>
        error({message: `${index} ${'<b> '.repeat(1000)}`, hint: '| '.repeat(1000)})
      )
    );
    expect(Buffer.byteLength(all)).toBeLessThan(1_000_000);
    expect(all).toContain('And 980 more causes, in `report.html`.');
  });
});

describe('the annotations', () => {
  test('are one for each cause, errors where they count', () => {
    expect(
      buildMergedAnnotations(mixed(['missing'])).map(({level, title}) => [level, title])
    ).toEqual([
      ['error', '1 cell: class missing'],
      ['warning', '1 cell: cluster/plain/ipv6, not counted'],
      ['warning', '1 cell: layer network, not counted']
    ]);
    expect(buildMergedAnnotations(matrix(allFound()))).toEqual([]);
    expect(buildMergedAnnotations(matrix([], {plan: []}))).toHaveLength(1);
  });

  test('are ten at most', () => {
    const all = buildMergedAnnotations(large(30, index => error({message: `${index}`})));
    expect(all).toHaveLength(10);
    expect(all.at(-1)).toMatchObject({level: 'error', title: '21 more causes'});
  });
});

describe('junit.xml', () => {
  test('has a suite for each cell, with all its checks', () => {
    const xml = renderMergedJunit(mixed());
    expect(xml.match(/<testsuite name="([^"]*)"/g)).toHaveLength(6);
    expect(xml).toContain(
      '<testsuite name="Istio 1.30.3, Kubernetes 1.34.4, IPv4 first, sidecar" tests="59" failures="0" errors="0" skipped="1"'
    );
    expect(xml).toContain(
      'classname="dual-stack.Istio 1-29-6, Kubernetes 1-34-4, IPv6 first, sidecar.cluster" name="cluster/plain/ipv6"'
    );
  });

  test('a cell that is missing is an error', () => {
    const xml = renderMergedJunit(mixed());
    expect(xml).toContain(
      '<error message="The matrix has this cell, but it has no results." type="missing">'
    );
    expect(xml).toContain('<testsuites name="dual-stack" tests="244" failures="4" errors="2"');
  });
});

describe('report.html', () => {
  test('has verdict, grid, causes and cells', () => {
    const page = renderMergedHtml(mixed());
    const titles = [...page.matchAll(/<h2[^>]*>([^<]*)/g)].map(([, title]) => title);
    expect(titles).toEqual([
      'Versions, families and layers',
      'What broke in 1 cell',
      'What broke in 1 cell',
      'What broke in 1 cell',
      '6 cells'
    ]);
    expect(page).toContain('<th scope="row">Istio 1.29.6<span class="note">IPv6 first</span></th>');
    expect(page).toContain(
      '<td class="failed" data-column="IPv6"><div><span class="mark failed" role="img" aria-label="failed">'
    );
  });

  test('grows with the cells, not with their square', () => {
    const size = (number: number) => renderMergedHtml(large(number, () => failed())).length;
    const [small, large_] = [size(50), size(200)];
    expect(large_ / small).toBeLessThan(4.2);
  });
});

describe('hostile text', () => {
  const one = hostileMatrix();

  test('makes no markup in the summary', () => {
    const markdown = renderMergedSummary(one);
    const outside = markdown
      .replace(/^(?:> )?(`{3,})\n[\s\S]*?^(?:> )?\1$/gm, '')
      .replace(/(`+)(?!`)(.*?[^`])\1(?!`)/g, '');
    for (const sign of [
      '<img',
      '@octocat',
      'evil.example',
      '](',
      '**bold',
      '$x$',
      '</script',
      ':100:'
    ])
      expect(outside).not.toContain(sign);
    expect(markdown).not.toMatch(/[^\P{Cc}\n\t]|\u202e/u);
    expect(markdown.split('\n').filter(text => /^(::|##\[|# two|- three)/.test(text))).toEqual([]);
  });

  test('makes no element and no attribute in the page', () => {
    const tags = (page: string) => [
      ...new Set([...page.matchAll(/<([a-z][a-z\d]*)/gi)].map(([, name]) => name))
    ];
    const known = tags(renderMergedHtml(mixed())).concat(
      tags(renderMergedHtml(matrix([found('a', failed())], {plan: [], before: mixed()}))),
      'details'
    );
    expect(tags(renderMergedHtml(one)).filter(tag => !known.includes(tag))).toEqual([]);
    for (const tag of renderMergedHtml(one).match(/<[a-z][^>]*>/gi) ?? [])
      expect(tag).not.toMatch(/onerror|octocat|evil/);
  });

  test('stays text in junit.xml', () => {
    const xml = renderMergedJunit(one);
    expect(xml).not.toMatch(/<img|<script|<b>/);
    expect(xml).not.toMatch(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u);
    expect(xml.replace(/&(?:amp|lt|gt|quot|apos);/g, '')).not.toContain('&');
  });

  test('is one line in titles', () => {
    for (const {title} of buildMergedAnnotations(one)) expect(title).not.toMatch(/\p{Cc}|\u202e/u);
  });
});

import {describe, expect, test} from '@jest/globals';
import {cutToFit} from '../src/reports/blocks.ts';
import {code, escapeCell, fence, row, text} from '../src/reports/markdown.ts';
import {renderSummary} from '../src/reports/summary.ts';
import type {Failure} from '../src/results/results.ts';
import {
  badInputs,
  cancelled,
  changed,
  check,
  error,
  failed,
  flaky,
  hostile,
  hostileRun,
  many,
  passed,
  phase
} from './sample-results.ts';

const bytes = (markdown: string): number => Buffer.byteLength(markdown);
const gridRow = (markdown: string, start: string): string | undefined =>
  markdown.split('\n').find(one => one.startsWith(`| ${start}`));

test('what does not fit together is told above the grid', () => {
  const warnings = ['Kubernetes 1.37 is outside of what Istio 1.30 supports, 1.32 to 1.36.'];
  const markdown = renderSummary(passed({warnings}));
  expect(markdown).toContain(`> ⚠️ ${warnings[0]}`);
  expect(markdown.indexOf('⚠️')).toBeLessThan(markdown.indexOf('| --- |'));
  expect(renderSummary(passed())).not.toContain('⚠️');
});

describe('foreign text as prose', () => {
  test.each([
    [
      'plain words',
      'No answer within 3 s, twice (as before).',
      'No answer within 3 s, twice (as before).'
    ],
    ['versions', 'Istio v1.30.3 on 1.34', 'Istio v1.30.3 on 1.34'],
    ['addresses', 'on fd00:10:244::a, or 10.0.0.1:90', 'on `fd00:10:244::a`, or `10.0.0.1:90`'],
    ['an address that ends in colons', 'in fd00:: now', 'in `fd00::` now'],
    ['html', 'a <b>c</b> & d', 'a `<b>c</b>` `&` d'],
    ['mentions', 'ask @octocat!', 'ask `@octocat`!'],
    ['references', 'see #12, GH-1', 'see `#12`, `GH-1`'],
    ['links', 'https://x.y www.x.y a@x.y', '`https://x.y` `www.x.y` `a@x.y`'],
    ['emoji', 'is :100: here', 'is `:100`: here'],
    ['pipes', 'a | b', 'a `|` b'],
    ['emphasis', '*a* _b_ ~~c~~ $d$', '`*a*` `_b_` `~~c~~` `$d$`'],
    ['lines', 'a\n# b\n\n- c', 'a `#` b `-` c'],
    ['code in backticks', 'run `a <b>`, then', 'run `a <b>`, then'],
    ['a lone backtick', 'a ` b', 'a `` ` `` b'],
    ['code side by side', '`a``b`', '`a` `b`'],
    ['colours and control characters', '\u001b[1mred\u001b[0m \u0000now', 'red now']
  ])('%s', (_, foreign, expected) => {
    expect(text(foreign)).toBe(expected);
  });
});

describe('foreign text as code', () => {
  test.each([
    ['hello', '`hello`'],
    ['', '(empty)'],
    ['a\nb', '`a b`'],
    ['a`b', '``a`b``'],
    ['`a', '`` `a ``'],
    ['a```b``c', '````a```b``c````'],
    ['<b>@x|y&lt;', '`<b>@x|y&lt;`'],
    ['\u001b[31mred\u001b[0m\u0007', '`red`']
  ])('%j in a line', (foreign, expected) => {
    expect(code(foreign)).toBe(expected);
  });

  test.each([
    ['a\nb', '```\na\nb\n```'],
    ['```\n<b>', '````\n```\n<b>\n````'],
    ['\u001b[31mred', '```\nred\n```']
  ])('%j in a block', (foreign, expected) => {
    expect(fence(foreign)).toBe(expected);
  });

  test.each([
    ['`a|b`', '`a\\|b`'],
    ['`a\\|b`', '`a\\ \\|b`'],
    ['`a\\\\|b`', '`a\\\\ \\|b`']
  ])('%s in a cell', (markdown, expected) => {
    expect(escapeCell(markdown)).toBe(expected);
  });
});

describe('the command to see it by hand', () => {
  const told = (reproduce: string) =>
    renderSummary(failed({failure: {...(failed().failure as Failure), reproduce}}));

  test('is for a cluster that is made anew first', () => {
    expect(told('kubectl get pods')).toContain(
      '> To reproduce it on a cluster that `bash reproduce.sh` creates (`KEEP=1` keeps it):\n>\n> ```\n> kubectl get pods'
    );
  });

  test('needs none where it does not ask one', () => {
    expect(told('docker info')).toContain('> To reproduce it:\n>\n> ```\n> docker info');
  });

  test('stands after message and hint, which are sentences', () => {
    const failure = {...(failed().failure as Failure), message: 'it ended', hint: 'See why.'};
    expect(renderSummary(failed({failure}))).toContain('it ended. See why.');
  });
});

describe('the summary of a run that passed', () => {
  const markdown = renderSummary(passed());

  test('says so in its first line', () => {
    expect(markdown.split('\n')[0]).toBe(
      '## ✅ Dual-stack works · Istio v1.30.3 · Kubernetes v1.34.4 · 58 checks in 31 s'
    );
  });

  test.each([
    [
      'Service `dual-stack`',
      '✅ `10.96.69.70` | ✅ `fd00:10:96::d025`, carried over IPv4 | ✅ `hello dualstack` |'
    ],
    ['Service `ipv4`', '✅ `10.96.112.140` | none, as expected | ✅ `hello ipv4` |'],
    [
      '**one family blocked**',
      '✅ an answer after 0.31 s, carried over IPv6 | ✅ an answer after 0.004 s |  |'
    ],
    ['**under STRICT', '✅ `10.96.69.70`, 3 of 3 |']
  ])('shows %s', (start, end) => {
    expect(gridRow(markdown, start)).toContain(end);
  });

  test('has the timeline, layers, versions and what was skipped, all folded', () => {
    expect(markdown.match(/<summary>.*<\/summary>/g)).toEqual([
      '<summary>Skipped: 1 check</summary>',
      '<summary>Timeline: 31 s</summary>',
      '<summary>Layers: 15 of 15 passed</summary>',
      '<summary>Versions, and how to run this yourself</summary>'
    ]);
    expect(markdown).not.toContain('<details open>');
    expect(markdown).not.toContain('❌');
  });

  test('marks the critical path', () => {
    expect(markdown).toContain('  control plane :crit, 16800, 22200\n');
    expect(markdown).toContain('  images :2100, 13500\n');
    expect(markdown).toContain(
      'Critical path: tools → cluster → operator → control plane → samples → checks.'
    );
  });

  test('says how to run it by hand', () => {
    expect(markdown).toContain('`bash reproduce.sh`');
    expect(markdown).toContain('| Sail Operator | `1.30.3` | `1.30` |');
  });
});

test('a rehearsal is said beside the verdict', () => {
  const lines = renderSummary(passed({rehearsal: {recording: 'healthy'}})).split('\n');
  expect(lines[2]).toBe('> Rehearsal: recorded answers of "healthy", no real cluster.');
});

describe('the summary of a run that failed', () => {
  const markdown = renderSummary(failed());

  test('names what is broken in its first line', () => {
    expect(markdown).toMatch(/^## ❌ IPv6 between pods is dead · Istio v1\.30\.3 · Kubernetes/);
  });

  test('has layer, class, message, hint and the command right below', () => {
    const block = markdown.slice(0, markdown.indexOf('| from the mesh'));
    expect(block).toContain('> **Layer `cluster` · class `infrastructure`.** Client and server');
    expect(block).toContain(
      'look at the node’s `ip6tables` and IPv6 routes (`diagnostics/node/ip6tables.txt`)'
    );
    expect(block).toContain(
      "> ```\n> kubectl exec -n sleep deploy/sleep -- sh -c '(echo dualstack;"
    );
  });

  test('shows consequences as such, and what is green all the same', () => {
    expect(markdown).toContain(
      'Consequences (3 checks): `echo/ipv6/name`, `echo/ipv6/ipv6`, `path/dual-stack/ipv6`.'
    );
    expect(markdown).toContain('because IPv4 carried the traffic: `echo/dual-stack/ipv6`.');
    expect(markdown).toContain('| `echo/ipv6/name` | no answer | `cluster/plain/ipv6` |');
    expect(markdown).toContain('❌ 2 failed, all as a consequence');
  });

  test('lists the failed check with what was expected, observed and tried', () => {
    expect(markdown).toContain('<details open><summary>Failed: 1 check</summary>');
    expect(gridRow(markdown, '`cluster/plain/ipv6`')).toBe(
      '| `cluster/plain/ipv6` | hello plain | no answer<br>no answer within 3 s | `no answer` at 28.1 s, 2 times |'
    );
    expect(gridRow(markdown, '**without any sidecar**')).toContain('❌ **no answer**');
  });
});

test('several bad inputs have a bullet each', () => {
  expect(renderSummary(badInputs()).split('\n').slice(0, 6)).toEqual([
    expect.stringMatching(/^## ❌ Invalid inputs: retries, timeout · /),
    '',
    '> **Class `input`.** Correct the inputs. Nothing was created.',
    '>',
    expect.stringMatching(/^> - Invalid `retries` /),
    expect.stringMatching(/^> - Invalid `timeout` /)
  ]);
});

test('a flaky check is listed with what was observed', () => {
  expect(renderSummary(flaky())).toContain(
    '⚠️ 1 check passed only after a retry:\n\n- `echo/dual-stack/name`: (empty) at 28.1 s, then `hello dualstack` at 28.4 s\n'
  );
});

test.each([
  [
    'an error',
    error(),
    '## ❌ Cluster could not be created: the Docker network `kind` has no IPv6 subnet · '
  ],
  ['a cancelled run', cancelled(), '## ❌ Cancelled after 12 s, in images · '],
  [
    'a timeout',
    error({class: 'timeout', message: 'm'}),
    '## ❌ Timed out after 6.4 s, in cluster and images: m · '
  ]
])('%s is said in the first line', (_, results, start) => {
  const markdown = renderSummary(results);
  expect(markdown.startsWith(start)).toBe(true);
  expect(markdown).toContain('cancelled :');
  expect(markdown).not.toContain('from the mesh');
});

test('what was counted under load has its table', () => {
  const load = {connections: 'held' as const, sent: 152, failed: 3, cut: 1, longestGap: 1430};
  const one = check('upgrade/restart/ipv6-held', {family: 'ipv6', stage: 'upgrade', load});
  expect(renderSummary(passed({checks: [one]}))).toContain(
    [
      '| Traffic during the upgrade |  | probes | failed | cut | longest gap |',
      '| --- | --- | --- | --- | --- | --- |',
      '| ✅ server restarted, one held connection | IPv6 | 152 | 3 | 1 | 1430 ms |'
    ].join('\n')
  );
  expect(renderSummary(passed())).not.toContain('Traffic during');
});

test('both stages of an upgrade have their grid', () => {
  const {checks} = passed();
  const both = [...checks, ...checks.map(one => ({...one, stage: 'upgrade' as const}))];
  const markdown = renderSummary(passed({checks: both}));
  expect(markdown).toContain('| before the upgrade, to | IPv4 |');
  expect(markdown).toContain('| after the upgrade, to | IPv4 |');
});

describe('hostile text', () => {
  /** What GitHub reads outside code: blocks first, then spans by their marks. */
  const outsideCode = (markdown: string): string =>
    markdown
      .replace(/^(?:> )?(`{3,})\w*\n[\s\S]*?\n(?:> )?\1$/gm, '')
      .replace(/(?<!`)(`+)(?!`)[\s\S]*?(?<!`)\1(?!`)/g, '');

  test('is code wherever it stands', () => {
    const own = /<\/?(?:details|summary)(?: open)?>|<br>/g;
    const left = outsideCode(renderSummary(hostileRun())).replace(own, '');
    for (const sign of ['<', '@', '&', '$', '](', '://', 'www.', '#1', ':100:', '~~']) {
      expect(left).not.toContain(sign);
    }
    expect(left.match(/^#/gm)).toHaveLength(1);
  });

  test('adds no cell and no line to a table', () => {
    const one = row(text(hostile), code(hostile), 'c');
    expect(one.match(/(?<!\\)\|/g)).toHaveLength(4);
    expect(one).not.toContain('\n');
  });

  test('has no control character', () => {
    expect(renderSummary(hostileRun())).not.toMatch(/[^\P{Cc}\n\t]|\u202e/u);
  });

  test('cannot end the chart', () => {
    const phases = [phase('a\n```\n<b>: ; # crit', [], 0, 1)];
    expect(renderSummary(passed({phases}))).toContain('\n  a b crit :crit, 0, 1000\n```\n');
  });
});

describe('size', () => {
  test('a thousand targets are all there', () => {
    const markdown = renderSummary(many(1000));
    expect(bytes(markdown)).toBeLessThan(500_000);
    expect(markdown).toContain('| Service `shop-999` |');
    expect(markdown).toContain('<summary>2000 rows without problems</summary>');
  });

  test('rows with trouble stand before a long grid', () => {
    const results = changed(many(1000), {
      'echo/shop-700/ipv6': {verdict: 'failed', observed: 'no'}
    });
    const markdown = renderSummary(results);
    expect(markdown.indexOf('`shop-700`')).toBeLessThan(markdown.indexOf('1999 more rows'));
  });

  test.each([
    ['targets', many(20_000)],
    ['failures', many(5000, {verdict: 'failed', observed: '😀'.repeat(500)})],
    [
      'long texts',
      failed({
        failure: {
          class: 'istio',
          layer: 'echo',
          check: 'cluster/plain/ipv6',
          message: '`'.repeat(3_000_000),
          hint: '|'.repeat(3_000_000)
        }
      })
    ],
    [
      'inputs',
      passed({
        inputs: Object.fromEntries(
          Array.from({length: 20_000}, (_, n) => [`input-${n}`, 'x'.repeat(90)])
        )
      })
    ],
    [
      'phases',
      passed({
        phases: Array.from({length: 5000}, (_, n) =>
          phase(`phase ${n}`, n > 0 ? [`phase ${n - 1}`] : [], n, 1)
        )
      })
    ]
  ])('however many %s, it stays below 1 MiB and keeps its verdict', (_, results) => {
    const markdown = renderSummary(results);
    expect(bytes(markdown)).toBeLessThan(1024 * 1024);
    expect(markdown).toMatch(/^## (✅|❌) /);
  });

  test('is cut from the bottom, and says so', () => {
    const blocks = [
      {head: '# first', lines: [], tail: ''},
      {head: 'list', lines: Array.from({length: 100}, (_, n) => `line ${n}`), tail: 'end of list'},
      {head: 'last', lines: [], tail: ''}
    ];
    const whole = cutToFit(blocks, 10_000);
    expect(whole).toContain('line 99\nend of list\n\nlast\n');
    expect(whole).not.toContain('Cut here');
    const cut = cutToFit(blocks, 500);
    expect(bytes(cut)).toBeLessThanOrEqual(500);
    expect(cut).toMatch(/line 4\d\nend of list\n\n_Cut here: .*`report\.html`\._\n$/);
    expect(cut).not.toContain('last');
  });

  test('shows nothing below a line that was cut, even where there is room', () => {
    const blocks = [
      {head: 'list', lines: ['short', 'x'.repeat(1000)], tail: 'end of list'},
      {head: 'last', lines: [], tail: ''}
    ];
    expect(cutToFit(blocks, 500)).toMatch(/^list\nshort\nend of list\n\n_Cut here/);
  });

  test('work grows with the targets, not with their square', () => {
    const time = (targets: number): number => {
      const results = many(targets);
      const start = performance.now();
      renderSummary(results);
      return performance.now() - start;
    };
    time(1000);
    expect(time(8000)).toBeLessThan(40 * Math.max(time(1000), 10));
  });
});

test('a run without anything is a summary all the same', () => {
  const markdown = renderSummary(
    passed({result: 'error', checks: [], phases: [], versions: {}, inputs: {}, seconds: 0})
  );
  expect(markdown).toMatch(/^## ❌ Dual-stack was not proven · no checks ran in 0 s\n/);
});

test('checks that were not reached make no grid, and say so in their layer', () => {
  const results = passed();
  const unreached = {verdict: 'skipped' as const, reason: 'not reached'};
  const markdown = renderSummary({
    ...results,
    checks: results.checks.map(one => ({...one, ...unreached}))
  });
  expect(markdown).not.toContain('from the mesh');
  expect(markdown).toContain('| echo | 7 | ➖ skipped: not reached |');
});

test('checks that were skipped are told with their reason', () => {
  const checks = [
    check('failover/x/ipv4', {verdict: 'skipped', reason: 'not on an existing cluster'})
  ];
  expect(renderSummary(passed({checks}))).toContain(
    '- 1 check (`failover/x/ipv4`): not on an existing cluster'
  );
});

import {describe, expect, test} from '@jest/globals';
import {
  buildLayerRows,
  findMaskedChecks,
  formatAttemptGroup,
  formatLayersHeld,
  groupAttempts,
  groupFailures
} from '../src/reports/findings.ts';
import {buildGrids} from '../src/reports/grid.ts';
import {buildTimeline, findCriticalPath, findLongestWaits} from '../src/reports/timeline.ts';
import {buildHeadline} from '../src/reports/verdict.ts';
import {
  findCarryingFamily,
  formatDuration,
  parseFamily,
  parseSpans,
  sanitizeLine,
  sanitizeText,
  truncate
} from '../src/reports/words.ts';
import type {FailureClass, Layer, Results} from '../src/results/results.ts';
import {
  cancelled,
  changed,
  check,
  error,
  failed,
  flaky,
  many,
  passed,
  phase
} from './sample-results.ts';

test.each([
  ['colours', '\u001b[31mred\u001b[0m', 'red'],
  ['links of terminals', '\u001b]8;;https://evil.example\u0007here', 'here'],
  ['control characters', 'a\u0000b\u0008c\u0085d', 'abcd'],
  ['commands of terminals that begin with one character', 'a\u009b31mb', 'ab'],
  ['marks that reorder', 'a\u202eb\u2066c', 'abc'],
  ['half characters', 'a\ud800b', 'a\ufffdb'],
  ['what XML cannot hold', 'a\ufffeb\uffff', 'ab'],
  ['other line ends', 'a\r\nb\rc', 'a\nb\nc']
])('plain text has no %s', (_, foreign, expected) => {
  expect(sanitizeText(foreign)).toBe(expected);
});

test('plain text keeps what is text', () => {
  expect(sanitizeText('1\t2\n3 ä 😀')).toBe('1\t2\n3 ä 😀');
});

test.each([
  ['a\n\n b\t c ', 300, 'a b c'],
  ['abcdef', 4, 'abc…'],
  ['ab😀d', 4, 'ab…'],
  ['', 300, '']
])('one line of %j, at most %i characters', (foreign, most, expected) => {
  expect(sanitizeLine(foreign, most)).toBe(expected);
});

test('clips no text that fits', () => {
  expect(truncate('abcd', 4)).toBe('abcd');
});

test('what stands between backticks is code', () => {
  expect(parseSpans('run `a b`, then `c')).toEqual([
    {code: false, text: 'run '},
    {code: true, text: 'a b'},
    {code: false, text: ', then `c'}
  ]);
});

test.each([
  [0, '0 s'],
  [0.004, '4 ms'],
  [0.312, '0.31 s'],
  [4.24, '4.2 s'],
  [9.96, '10 s'],
  [31.2, '31 s'],
  [120, '2 min'],
  [252.4, '4 min 12 s']
])('%f seconds are %s', (seconds, expected) => {
  expect(formatDuration(seconds)).toBe(expected);
});

test.each([
  ['10.96.69.70', 'ipv4'],
  ['10.244.0.6:9000', 'ipv4'],
  ['fd00:10:96::d025', 'ipv6'],
  ['[fd00:10:244::6]:9000', 'ipv6'],
  ['::', 'ipv6'],
  ['::ffff:10.244.0.6', 'ipv4'],
  ['tcp-echo.dual-stack', null],
  ['', null],
  [null, null]
])('the family of %s is %s', (address, family) => {
  expect(parseFamily(address)).toBe(family);
});

test.each([
  ['fd00:10:96::d025', '10.244.0.6:9000', 'ipv4'],
  ['10.96.69.70', '[fd00:10:244::6]:9000', 'ipv6'],
  ['10.96.69.70', '10.244.0.6:9000', null],
  ['fd00:10:96::d025', null, null],
  ['tcp-echo.dual-stack', '10.244.0.6:9000', null],
  ['fd00:10:96::d025', '10.244.0.6, 10.244.0.7', 'ipv4'],
  ['fd00:10:96::d025', '10.244.0.6, fd00:10:244::6', null]
])('%s answered by %s was carried over %s', (address, upstream, expected) => {
  expect(findCarryingFamily(check('echo/dual-stack/any', {address, upstream}))).toBe(expected);
});

describe('the headline', () => {
  test('of a run that passed', () => {
    expect(buildHeadline(passed())).toEqual({
      icon: '✅',
      words: 'Dual-stack works',
      facts: ['Istio v1.30.3', 'Kubernetes v1.34.4', '58 checks in 31 s'],
      rehearsal: null
    });
  });

  test('of a rehearsal names the recording', () => {
    expect(buildHeadline(passed({rehearsal: {recording: 'healthy'}})).rehearsal).toBe(
      'Rehearsal: recorded answers of "healthy", no real cluster.'
    );
  });

  test('leaves out what was not found out, and writes a version as Istio does', () => {
    const versions = {istio: {asked: null, found: '1.30.3'}, kubernetes: {asked: '1', found: null}};
    expect(buildHeadline(passed({versions})).facts).toEqual(['Istio v1.30.3', '58 checks in 31 s']);
  });

  test.each<[string, Results, string, string]>([
    ['failed', failed(), 'IPv6 between pods is dead', '4 of 58 checks failed in 38 s'],
    [
      'error',
      error(),
      'Cluster could not be created: the Docker network `kind` has no IPv6 subnet',
      'only 4 checks ran in 6.4 s'
    ],
    ['cancelled', cancelled(), 'Cancelled after 12 s, in images', 'no checks ran in 12 s'],
    [
      'timeout',
      error({class: 'timeout', message: 'istiod was not available in time.'}),
      'Timed out after 6.4 s, in cluster and images: istiod was not available in time',
      'only 4 checks ran in 6.4 s'
    ],
    [
      'an invalid input',
      error(
        {class: 'input', message: 'Invalid `cluster` "x": expected kind or existing.'},
        {phases: [], checks: [], seconds: 0.2}
      ),
      'Invalid `cluster` "x": expected kind or existing',
      'no checks ran in 0.2 s'
    ],
    [
      'invalid inputs in another form',
      error(
        {class: 'input', message: 'Invalid `cluster` "x": no\nkubectl: found "x".'},
        {phases: [], checks: [], seconds: 0.2}
      ),
      'Invalid input: Invalid `cluster` "x": no kubectl: found "x"',
      'no checks ran in 0.2 s'
    ],
    [
      'internal',
      error({class: 'internal', message: 'x is not a function'}),
      'Bug in this Action: x is not a function',
      'only 4 checks ran in 6.4 s'
    ],
    [
      'a check that ended the run',
      changed(
        error({
          layer: 'runner',
          check: 'runner/docker/answers',
          message: 'no Docker',
          headline: 'Docker does not answer'
        }),
        {
          'runner/docker/answers': {verdict: 'failed'}
        }
      ),
      'Docker does not answer',
      '1 of 4 checks failed in 6.4 s'
    ],
    [
      'images of one kind',
      error({message: 'no'}, {phases: [phase('images: operator', [], 0, 1, {status: 'failed'})]}),
      'Images could not be copied to the nodes: no',
      'only 4 checks ran in 6.4 s'
    ],
    [
      'an archive of images',
      error({message: 'no'}, {phases: [phase('save: operator', [], 0, 1, {status: 'failed'})]}),
      'Images could not be copied to the nodes: no',
      'only 4 checks ran in 6.4 s'
    ],
    [
      'an unknown phase',
      error({message: 'no'}, {phases: [phase('dance', [], 0, 1, {status: 'failed'})]}),
      'Phase dance failed: no',
      'only 4 checks ran in 6.4 s'
    ]
  ])('of %s', (_, results, words, numbers) => {
    const shown = buildHeadline(results);
    expect([shown.icon, shown.words, shown.facts.at(-1)]).toEqual(['❌', words, numbers]);
  });

  test('of what has words of its own says no more', () => {
    const words = 'The image x/y:1 cannot be pulled';
    const results = error({headline: words, message: 'Pod a/b: ErrImagePull: Back-off …'});
    expect(buildHeadline(results).words).toBe(words);
  });

  test('of several phases that failed, names the one that the failure is of', () => {
    const phases = ['kind', 'kubectl'].map(name => phase(name, [], 0, 1, {status: 'failed'}));
    const results = error({message: '404', phase: 'kubectl'}, {phases, checks: []});
    expect(buildHeadline(results).words).toBe('kubectl is not available: 404');
  });

  test('of a run that fail-on-flaky failed blames no layer', () => {
    const failure = {
      class: 'connectivity' as FailureClass,
      layer: 'echo' as Layer,
      check: 'echo/dual-stack/name',
      message: 'm',
      hint: 'h'
    };
    expect(buildHeadline(flaky({result: 'failed', failure})).words).toBe(
      '1 check passed only after a retry, and fail-on-flaky is set'
    );
  });
});

describe('the grid', () => {
  const titles = (results: Results) =>
    buildGrids(results).map(grid => grid.rows.map(row => `${row.title} ${row.target}`.trim()));
  const cell = (results: Results, row: number, column: 'ipv4' | 'ipv6' | 'name') =>
    buildGrids(results)[0]?.rows[row]?.cells[column];

  test('has a row for each target that something connected to', () => {
    expect(titles(passed())).toEqual([
      [
        'Service dual-stack',
        'Service ipv4',
        'Service ipv6',
        'Pods of dual-stack',
        'one family blocked',
        'under STRICT mutual TLS',
        'without any sidecar'
      ]
    ]);
  });

  test('gives a target that it does not know a row of its own', () => {
    const checks = [check('echo/shop/ipv4', {family: 'ipv4', address: '10.0.0.1'})];
    expect(titles(passed({checks}))).toEqual([['Service shop']]);
  });

  test('is left out where nothing was connected to', () => {
    expect(buildGrids(error())).toEqual([]);
  });

  test('shows each stage by itself', () => {
    const {checks} = passed();
    const both = [...checks, ...checks.map(one => ({...one, stage: 'upgrade' as const}))];
    expect(buildGrids(passed({checks: both})).map(grid => [grid.stage, grid.rows.length])).toEqual([
      ['install', 7],
      ['upgrade', 7]
    ]);
  });

  test.each([
    ['an address', 0, 'ipv4', {state: 'passed', value: '10.96.69.70', note: ''}],
    [
      'what carried it',
      0,
      'ipv6',
      {state: 'passed', value: 'fd00:10:96::d025', note: 'carried over IPv4'}
    ],
    ['an answer', 0, 'name', {state: 'passed', value: 'hello dualstack', note: ''}],
    ['what must not be', 1, 'ipv6', {state: 'none', value: '', note: 'none, as expected'}],
    [
      'what was seen',
      4,
      'ipv4',
      {state: 'passed', value: '', note: 'an answer after 0.31 s, carried over IPv6'}
    ]
  ] as const)('shows %s', (_, row, column, expected) => {
    expect(cell(passed(), row, column)).toEqual({...expected, isCause: false});
  });

  test('says none only when a check says so', () => {
    const results = passed();
    const without = results.checks.filter(one => one.expected !== 'none');
    expect(cell({...results, checks: without}, 1, 'ipv6')).toBeNull();
    const has = changed(results, {'dns/ipv4/aaaa': {verdict: 'failed', observed: 'fd00::1'}});
    expect(cell(has, 1, 'ipv6')).toMatchObject({state: 'failed', note: 'fd00::1, 1 of 2'});
  });

  test('takes no other check for one that says none', () => {
    const results = passed();
    const checks = results.checks.map(one =>
      one.expected === 'none' ? {...one, expected: 'its ClusterIP'} : one
    );
    expect(cell({...results, checks}, 1, 'ipv6')).toBeNull();
  });

  test('marks the cause, not what follows from it', () => {
    expect(cell(failed(), 6, 'ipv6')).toMatchObject({state: 'failed', isCause: true});
    expect(cell(failed(), 2, 'ipv6')).toMatchObject({state: 'failed', isCause: false});
  });

  test('shows the worst of several checks, and how many', () => {
    const checks = ['node-1', 'node-2', 'node-3'].map(node =>
      check(`path/dual-stack/${node}`, {family: 'ipv6', address: 'fd00::1'})
    );
    const results = changed(passed({checks}), {
      'path/dual-stack/node-2': {verdict: 'failed', observed: 'no answer'}
    });
    expect(cell(results, 0, 'ipv6')).toMatchObject({state: 'failed', note: 'no answer, 1 of 3'});
  });

  test('shows a later try and a skipped check', () => {
    expect(cell(flaky(), 0, 'name')).toMatchObject({state: 'flaky', note: 'after a retry'});
    const results = changed(passed(), {
      'echo/dual-stack/ipv4': {verdict: 'skipped'},
      'cluster/plain/ipv4': {verdict: 'skipped'}
    });
    expect(cell(results, 0, 'ipv4')).toMatchObject({state: 'skipped', note: 'skipped'});
  });
});

test('attempts in a row that observed the same are one try', () => {
  const attempts = ['', 'a', 'a', ''].map((observed, at) => ({at, seconds: 0.1, observed}));
  const tries = groupAttempts(check('echo/x/name', {attempts}));
  expect(tries.map(one => [one.observed, formatAttemptGroup(one)])).toEqual([
    ['', 'at 0.0 s'],
    ['a', 'at 1.0 s, 2 times'],
    ['', 'at 3.0 s']
  ]);
});

describe('failures', () => {
  test('of their own come first, the named one before all', () => {
    const results = changed(failed(), {'runner/disk/free': {verdict: 'failed'}});
    const {own, follow} = groupFailures(results);
    expect(own.map(one => one.id)).toEqual(['cluster/plain/ipv6', 'runner/disk/free']);
    expect(follow.map(one => one.id)).toEqual([
      'echo/ipv6/name',
      'echo/ipv6/ipv6',
      'path/dual-stack/ipv6'
    ]);
  });

  test('do not show in checks that the other family carried', () => {
    expect(findMaskedChecks(failed()).map(one => one.id)).toEqual(['echo/dual-stack/ipv6']);
    expect(findMaskedChecks(passed())).toEqual([]);
  });
});

test('layers are in their order, and a skipped one is not counted', () => {
  const rows = buildLayerRows(failed());
  expect(formatLayersHeld(rows)).toBe('12 of 15 passed');
  expect(
    rows
      .filter(row => row.state !== 'passed')
      .map(({layer, state, consequenceCount}) => [layer, state, consequenceCount])
  ).toEqual([
    ['cluster', 'failed', 0],
    ['echo', 'failed', 2],
    ['path', 'failed', 1],
    ['uninstall', 'skipped', 0]
  ]);
});

describe('the critical path', () => {
  test('takes the need that ended last, back from the phase that ended last', () => {
    const phases = [
      phase('a', [], 0, 5),
      phase('b', [], 0, 9),
      phase('c', ['a', 'b'], 9, 2),
      phase('d', ['a'], 5, 3)
    ];
    expect(findCriticalPath(phases)).toEqual(['b', 'c']);
  });

  test.each([
    ['nothing', [], []],
    ['phases that were never started', [phase('a', [], null, 0)], []],
    ['a need that is not there', [phase('a', ['x'], 0, 1)], ['a']],
    ['a circle', [phase('a', ['b'], 0, 1), phase('b', ['a'], 0, 2)], ['a', 'b']]
  ])('bears %s', (_, phases, expected) => {
    expect(findCriticalPath(phases)).toEqual(expected);
  });

  test('is marked in the timeline, which shows what was started, in order', () => {
    expect(buildTimeline(cancelled()).map(bar => [bar.name, bar.status, bar.critical])).toEqual([
      ['tools', 'passed', true],
      ['cluster', 'passed', false],
      ['images', 'cancelled', true]
    ]);
  });
});

test('the longest wait is named first', () => {
  expect(findLongestWaits(passed(), 1)).toEqual([
    {phase: 'control plane', for: 'istiod to be available', seconds: 4.1}
  ]);
});

test('a thousand targets are a thousand rows for each layer', () => {
  expect(buildGrids(many(1000))[0]?.rows).toHaveLength(2000);
});

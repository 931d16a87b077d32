import {describe, expect, test} from '@jest/globals';
import {renderHtml} from '../src/reports/html.ts';
import {
  badInputs,
  cancelled,
  error,
  failed,
  flaky,
  hostile,
  hostileRun,
  many,
  passed
} from './sample-results.ts';

/** What a reader sees, without the markup. */
const words = (page: string): string =>
  page
    .replace(/<style>[\s\S]*<\/style>/, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/&#(\d+);/g, (_, number) => String.fromCharCode(Number(number)))
    .replace(/\s+/g, ' ');

const tags = (page: string): string[] => [
  ...new Set([...page.matchAll(/<([a-z][a-z\d]*)/gi)].map(found => found[1] ?? ''))
];

test.each([
  ['passed', passed(), 'Dual-stack works Istio v1.30.3 Kubernetes v1.34.4 58 checks in 31 s'],
  ['failed', failed(), 'IPv6 between pods is dead Istio v1.30.3'],
  ['an error', error(), 'Cluster could not be created: the Docker network kind has no IPv6 subnet'],
  ['cancelled', cancelled(), 'Cancelled after 12 s, in images']
])('a run that is %s has its verdict first', (_, results, verdict) => {
  const page = renderHtml(results);
  expect(words(page.slice(page.indexOf('<h1>')))).toMatch(/^ [✓✕] /);
  expect(words(page.slice(page.indexOf('<h1>'))).slice(3)).toContain(verdict);
  expect(page.indexOf('<h1>')).toBeLessThan(page.indexOf('<section'));
});

test.each([passed(), failed(), hostileRun()])('loads nothing and runs nothing (%#)', results => {
  const page = renderHtml(results);
  expect(page).toContain(
    `http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'`
  );
  const opened = page.match(/<[a-z][^>]*>/gi) ?? [];
  expect(opened.filter(tag => /^<(script|link|img|iframe|object|base|form)/i.test(tag))).toEqual(
    []
  );
  expect(opened.filter(tag => /\s(on\w+|src|srcset)=/i.test(tag))).toEqual([]);
  expect(/<style>([^<]*)<\/style>/.exec(page)?.[1]).not.toMatch(/@import|url\(/);
});

test('is made for light and dark, and for phones', () => {
  const page = renderHtml(passed());
  expect(page).toContain('<meta name="color-scheme" content="light dark">');
  expect(page).toContain('@media (prefers-color-scheme: dark)');
  expect(page).toContain('content="width=device-width, initial-scale=1"');
});

test('says that a rehearsal is one', () => {
  const page = renderHtml(passed({rehearsal: {recording: 'healthy'}}));
  expect(words(page)).toContain('Rehearsal: recorded answers of "healthy", no real cluster.');
});

test('says what does not fit together', () => {
  const warnings = ['Kubernetes 1.37 is outside of what Istio 1.30 supports.'];
  expect(words(renderHtml(passed({warnings})))).toContain(warnings[0]);
});

describe('a run that failed', () => {
  const seen = words(renderHtml(failed()));

  test.each([
    'layer cluster · class infrastructure · check cluster/plain/ipv6',
    'look at the node’s ip6tables and IPv6 routes ( diagnostics/node/ip6tables.txt )',
    "kubectl exec -n sleep deploy/sleep -- sh -c '(echo dualstack; sleep 1) | timeout 3 nc fd00:10:244::a 9000'",
    'Consequences: echo/ipv6/name , echo/ipv6/ipv6 , path/dual-stack/ipv6',
    'because IPv4 carried the traffic: echo/dual-stack/ipv6',
    '✕ echo',
    '2 failed as a consequence · 7 checks',
    'Layers: 12 of 15 passed'
  ])('shows %s', said => {
    expect(seen).toContain(said);
  });

  test('opens the broken layer and check, and folds what follows', () => {
    const open = renderHtml(failed()).match(/<details[^>]* open>/g);
    expect(open).toHaveLength(2);
  });

  test('marks the cause in the grid', () => {
    expect(renderHtml(failed()).match(/<td class="failed cause"/g)).toHaveLength(1);
  });
});

test('several bad inputs have a bullet each', () => {
  const page = renderHtml(badInputs());
  expect(page).toMatch(
    /<ul class="message"><li>Invalid <code>retries<\/code> [^<]*<\/li>\s*<li>Invalid <code>timeout<\/code> [^<]*<\/li><\/ul>/
  );
  expect(renderHtml(failed())).toContain('<p class="message">');
});

test('shows the grid', () => {
  const seen = words(renderHtml(passed()));
  expect(seen).toContain('✓ fd00:10:96::d025 carried over IPv4');
  expect(seen).toContain('none, as expected');
});

test('shows every check, folded where it holds', () => {
  const page = renderHtml(passed());
  expect(page.match(/<details class="check">/g)).toHaveLength(59);
  expect(words(page)).toContain('echo/dual-stack/ipv6');
});

test('shows the timeline, its critical path marked', () => {
  const page = renderHtml(passed());
  expect(page.match(/<li class="critical passed">/g)).toHaveLength(6);
  expect(page).toContain('<li class="passed"><span class="phase">images</span>');
  expect(page).toContain('style="left:6.73%;width:31.41%"');
});

test('shows a flaky check with what it answered first', () => {
  expect(words(renderHtml(flaky()))).toContain(
    '1 check passed only after a retry echo/dual-stack/name at 28.1 s: nothing at 28.4 s: hello dualstack'
  );
});

describe('hostile text', () => {
  test('makes no element and no attribute', () => {
    const known = new Set([...tags(renderHtml(failed())), ...tags(renderHtml(flaky()))]);
    expect(tags(renderHtml(hostileRun())).filter(tag => !known.has(tag))).toEqual([]);
    for (const tag of renderHtml(hostileRun()).match(/<[a-z][^>]*>/gi) ?? []) {
      expect(tag).not.toMatch(/onerror|octocat|evil/);
    }
  });

  test('is shown as it is, without its control characters', () => {
    expect(words(renderHtml(hostileRun()))).toContain('<img src=x onerror=alert(1)> @octocat #1');
    expect(renderHtml(hostileRun())).not.toMatch(/[^\P{Cc}\n\t]|\u202e/u);
  });

  test.each([
    [`https://github.com/"><script>${hostile}`, false],
    ['javascript:alert(1)', false],
    ['https://github.com/example/mesh/actions/runs/4711', true]
  ])('%j is a link: %s', (url, link) => {
    const run = {id: '1', attempt: null, url, sha: null};
    expect(renderHtml(passed({run})).includes('<a ')).toBe(link);
  });
});

test('closes what it opens', () => {
  for (const results of [passed(), failed(), flaky(), error(), cancelled()]) {
    const open: string[] = [];
    for (const [, closes, name = ''] of renderHtml(results).matchAll(
      /<(\/?)([a-z][a-z\d]*)[^>]*>/g
    )) {
      if (closes) expect(open.pop()).toBe(name);
      else if (name !== 'meta') open.push(name);
    }
    expect(open).toEqual([]);
  }
});

test('a thousand targets are all there', () => {
  const page = renderHtml(many(1000));
  expect(words(page)).toContain('2000 rows without problems');
  expect(page.match(/<details class="check">/g)).toHaveLength(4000);
});

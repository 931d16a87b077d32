import {expect, test} from '@jest/globals';
import {formatLogEnd} from '../src/reports/log-end.ts';
import {badInputs, changed, failed, flaky, hostileRun, passed} from './sample-results.ts';

test('of a run that passed: the verdict, a line for each layer, and where the results are', () => {
  const lines = formatLogEnd(passed(), '/results');
  expect(lines[1]).toBe(
    '✅ Dual-stack works · Istio v1.30.3 · Kubernetes v1.34.4 · 58 checks in 31 s'
  );
  expect(lines.slice(3, -2)).toEqual(
    expect.arrayContaining([
      '√ runner         4 checks',
      '√ echo           7 checks',
      '– uninstall      1 check skipped: only on request'
    ])
  );
  expect(lines.at(-1)).toBe('Results: /results');
});

test('of a failure: which layers broke, what follows, what to do, and the commands', () => {
  const lines = formatLogEnd(failed(), '/results');
  expect(lines[1]).toMatch(/^❌ IPv6 between pods is dead · /);
  expect(lines).toContainEqual(expect.stringMatching(/^× cluster {8}1 of 2 checks failed$/));
  expect(lines).toContainEqual(
    expect.stringMatching(/^× \S+ +\d of \d checks? failed, as a consequence$/)
  );
  expect(lines.slice(-8)).toEqual([
    expect.stringMatching(/^What broke: Client and server without any sidecar/),
    'Consequences: 3 failed checks',
    expect.stringMatching(/^Next: The fault is below Istio/),
    expect.stringMatching(/^About this layer: .*docs\/checks\.md#cluster$/),
    expect.stringMatching(/^Reproduce: kubectl exec /),
    'Rerun: bash reproduce.sh, in the results directory, repeats the run, and ends with the failed check',
    '',
    'Results: /results'
  ]);
});

test('what passed at a later try is told', () => {
  const more = {'echo/ipv4/name': {verdict: 'flaky' as const}};
  expect(formatLogEnd(changed(flaky(), more), '/results')).toContainEqual(
    '√ echo           7 checks, 2 of them after a retry'
  );
});

test('several bad inputs have a line each', () => {
  const lines = formatLogEnd(badInputs(), '/results');
  expect(lines[1]).toMatch(/^❌ Invalid inputs: retries, timeout · /);
  expect(lines.slice(lines.indexOf('What happened:'), -2)).toEqual([
    'What happened:',
    '• Invalid `retries` "x": expected a number',
    '• Invalid `timeout` "<y>": expected a time',
    'Next: Correct the inputs. Nothing was created.'
  ]);
});

test('results that could not be written are nowhere', () =>
  expect(formatLogEnd(passed(), '').at(-1)).toBe('Results: not written'));

test('no foreign text makes a line of its own, or a command', () => {
  const run = hostileRun();
  const message = '::error::a\n##[error]b\n::c::d';
  const lines = [
    ...formatLogEnd(run, '::d::e'),
    ...formatLogEnd({...run, failure: run.failure && {...run.failure, message}}, '\n::d::e')
  ];
  for (const text of lines) {
    expect(text).toMatch(/^$|^(✅|❌|√|×|–|•) |^[A-Z][a-z ]+:/u);
    expect(text).not.toMatch(/[^\P{Cc}]|##\[/u);
  }
});

import {expect, test} from '@jest/globals';
import {buildAnnotations} from '../src/reports/annotations.ts';
import {
  badInputs,
  changed,
  error,
  failed,
  flaky,
  hostileRun,
  many,
  passed
} from './sample-results.ts';

test('a run that passed says nothing', () => {
  expect(buildAnnotations(passed())).toEqual([]);
});

test('a failure comes first, with message, hint, consequences and the command', () => {
  const [first, ...others] = buildAnnotations(failed());
  expect(others).toEqual([]);
  expect(first?.level).toBe('error');
  expect(first?.title).toBe(
    'IPv6 between pods is dead · Istio v1.30.3 · Kubernetes v1.34.4 · 4 of 58 checks failed in 38 s'
  );
  expect(first?.message.split('\n')).toEqual([
    expect.stringMatching(/^Client and server without any sidecar: no answer/),
    expect.stringMatching(/^The fault is below Istio: look at/),
    'Consequences: 3 failed checks.',
    'To reproduce it on a cluster that `bash reproduce.sh` creates (KEEP=1 keeps it):',
    expect.stringMatching(/^kubectl exec -n sleep deploy\/sleep/)
  ]);
});

test('an error without a check is told as well', () => {
  expect(buildAnnotations(error())).toEqual([
    {
      level: 'error',
      title:
        'Cluster could not be created: the Docker network `kind` has no IPv6 subnet · Istio v1.30.3 · Kubernetes v1.34.4 · only 4 checks ran in 6.4 s',
      message:
        'the Docker network `kind` has no IPv6 subnet.\nRemove it (`docker network rm kind`); kind makes it anew with both families.'
    }
  ]);
});

test('several bad inputs have a line each', () => {
  const [first] = buildAnnotations(badInputs());
  expect(first?.title).toMatch(/^Invalid inputs: retries, timeout · /);
  expect(first?.message.split('\n')).toEqual([
    '• Invalid `retries` "x": expected a number',
    '• Invalid `timeout` "<y>": expected a time',
    'Correct the inputs. Nothing was created.'
  ]);
});

test('a rehearsal says so in the title', () => {
  const [first] = buildAnnotations(failed({rehearsal: {recording: 'no-ipv6'}}));
  expect(first?.title).toMatch(/^Rehearsal: IPv6 between pods is dead/);
});

test('flaky checks are one warning', () => {
  const more = {'echo/ipv4/name': {verdict: 'flaky' as const}};
  expect(buildAnnotations(changed(flaky(), more))).toEqual([
    {
      level: 'warning',
      title: '2 checks passed only after a retry',
      message: 'echo/dual-stack/name: nothing at 28.1 s\necho/ipv4/name: hello ipv4 at 28.1 s'
    }
  ]);
});

test('what does not fit together is a warning, also of a run that passed', () => {
  const warnings = ['Kubernetes 1.37 is outside of what Istio 1.30 supports.'];
  expect(buildAnnotations(passed({warnings}))).toEqual([
    {level: 'warning', title: 'Versions', message: warnings[0]}
  ]);
});

test('other failures of their own follow, what follows from them does not', () => {
  const more = {'runner/disk/free': {verdict: 'failed' as const, reason: 'too little'}};
  expect(buildAnnotations(changed(failed(), more)).slice(1)).toEqual([
    {
      level: 'error',
      title: 'runner/disk/free failed',
      message: 'Expected: as it should be\nObserved: 14 GiB free\ntoo little'
    }
  ]);
});

test.each([
  [9, 9, '8'],
  [11, 10, '2 more checks failed'],
  [4000, 10, '3991 more checks failed']
])('of %i failures at most ten annotations are made', (failures, made, last) => {
  const results = many(1000, {verdict: 'failed'});
  const all = buildAnnotations({...results, checks: results.checks.slice(0, failures)});
  expect(all).toHaveLength(made);
  expect(all.at(-1)?.title).toContain(failures > 10 ? last : 'failed');
});

test('foreign text is plain and short', () => {
  for (const {title, message} of buildAnnotations(hostileRun())) {
    expect(title).not.toMatch(/\p{Cc}/u);
    expect(title.length).toBeLessThanOrEqual(250);
    expect(message).not.toMatch(/[^\P{Cc}\n\t]|\u202e/u);
    expect(message.length).toBeLessThanOrEqual(8000);
  }
});

import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {layerAttributions} from '../src/checks/catalogue.ts';
import {buildResults, getRehearsal} from '../src/run/build-results.ts';
import {diagnose} from '../src/run/diagnose.ts';
import {createRunContext, type RunContext, required} from '../src/run/run-context.ts';
import {eachOnRunner, fakeSh, give} from './fake.ts';
import {chart, inputsOf, planOf} from './planned.ts';
import {check, phase} from './sample-results.ts';

eachOnRunner();
const about = JSON.parse(
  fs.readFileSync(path.join(import.meta.dirname, '..', 'package.json'), 'utf8')
) as {version: string};
const nothing = diagnose({
  ending: 'done',
  errors: [],
  phases: [],
  checks: [],
  failOnFlaky: false,
  existing: false,
  lostNode: null,
  attributions: layerAttributions
});

/** A run that knows this, 1.23456 s old. */
const run = (more: Partial<RunContext> = {}): RunContext => ({
  ...createRunContext(fakeSh({}), () => {}),
  clock: () => 1.23456,
  started: new Date('2026-11-20T08:30:00Z'),
  ...more
});

describe('a Kubernetes that Istio does not support', () => {
  const asked = {'kubernetes-version': '1.37'};
  const told = [expect.stringMatching(/^Kubernetes 1.37 is outside of what Istio 1.30 supports/)];
  test.each<[string, Partial<RunContext>, unknown[]]>([
    ['planned', {plan: planOf(asked)}, told],
    ['found', {plan: planOf(asked), kubernetes: 'v1.36.1'}, []],
    [
      'found behind an image that tells nothing',
      {plan: planOf({'node-image': 'x/y'}), kubernetes: 'v1.37.0'},
      told
    ],
    ['installed in the end', {plan: planOf(asked, {istioReleases: []}), istio: 'v1.30.3'}, told],
    ['never planned', {}, []]
  ])('is told: %s', (_, known, warnings) => {
    expect(buildResults(run(known), nothing).warnings).toEqual(warnings);
  });
});

describe('gather', () => {
  test('of a run that came to nothing', () => {
    expect(buildResults(run(), nothing)).toEqual({
      schema: 1,
      result: 'passed',
      failure: null,
      run: {id: null, attempt: null, url: null, sha: null},
      rehearsal: null,
      versions: {
        action: {asked: null, found: `v${about.version}`},
        kind: {asked: null, found: null},
        kubernetes: {asked: null, found: null},
        kubectl: {asked: null, found: null},
        helm: {asked: null, found: null},
        operator: {asked: null, found: null},
        istio: {asked: null, found: null}
      },
      warnings: [],
      inputs: {},
      cluster: null,
      started: '2026-11-20T08:30:00.000Z',
      seconds: 1.235,
      phases: [],
      checks: []
    });
  });

  test.each<[string, Record<string, string>, {asked: string; found: string | null}]>([
    ['the chart names them', {}, {asked: 'docker.io/istio', found: 'registry.example'}],
    ['the chart keeps them', {'istio-hub': 'chart'}, {asked: 'chart', found: 'registry.example'}],
    [
      '`istio-values` set them',
      {'istio-values': 'global: {hub: mine}'},
      {asked: 'docker.io/istio', found: null}
    ]
  ])('the source of Istio’s images, if %s', (_, given, hub) => {
    give(given);
    const known = run({inputs: inputsOf(given), plan: planOf(given), chart});
    expect(buildResults(known, nothing).versions.hub).toEqual(hub);
  });

  test('of a whole run', () => {
    const given = {
      'istio-version': '1.30',
      'helm-version': 'path',
      'istio-values': 'token: hunter2'
    };
    give(given);
    const known = run({
      inputs: inputsOf(given),
      plan: planOf(given),
      chart,
      tools: {helm: {directory: '/x', version: 'v3.19.5'}},
      kubernetes: 'v1.34.4',
      istio: 'v1.30.3'
    });
    const results = buildResults(known, nothing);
    expect(results).toMatchObject({
      versions: {
        helm: {asked: 'path', found: 'v3.19.5'},
        kubernetes: {found: 'v1.34.4'},
        operator: {found: '1.30.3'},
        istio: {asked: '1.30', found: 'v1.30.3'}
      },
      cluster: {
        kind: 'kind',
        name: 'istio-ds',
        context: 'kind-istio-ds',
        ipFamilies: ['ipv4', 'ipv6']
      },
      inputs: {'istio-version': '1.30', 'helm-version': 'path'}
    });
    expect(JSON.stringify(results)).not.toContain('hunter2');
  });

  test('a chart of one’s own has no version that was asked for', () => {
    const inputs = inputsOf({'operator-chart': 'https://charts.example/x.tgz'});
    expect(buildResults(run({inputs, chart}), nothing).versions.operator).toEqual({
      asked: null,
      found: '1.30.3'
    });
  });

  test('knows the run where GitHub tells', () => {
    Object.assign(process.env, {
      GITHUB_SERVER_URL: 'https://github.example',
      GITHUB_REPOSITORY: 'example/mesh',
      GITHUB_RUN_ID: '4711',
      GITHUB_RUN_ATTEMPT: '2',
      GITHUB_SHA: '0123'
    });
    expect(buildResults(run(), nothing).run).toEqual({
      id: '4711',
      attempt: '2',
      url: 'https://github.example/example/mesh/actions/runs/4711',
      sha: '0123'
    });
  });

  test('says that it was rehearsed', () => {
    expect(getRehearsal()).toBeNull();
    process.env.DUAL_STACK_REHEARSAL = 'healthy';
    expect(buildResults(run(), nothing).rehearsal).toEqual({recording: 'healthy'});
  });

  test.each<[string, boolean, string | null, string | null]>([
    ['helm install x /tmp/private/x.tgz', true, 'bash reproduce.sh', 'x.tgz is broken, says .'],
    ['helm install x /tmp/private/x.tgz', false, null, 'x.tgz is broken, says .'],
    ['kubectl get nodes', true, 'kubectl get nodes', 'x.tgz is broken, says .']
  ])(
    'names nothing of the private directory, which is gone by then: %s',
    (reproduce, planned, shown, said) => {
      const known = run({directory: '/tmp/private', ...(planned && {plan: planOf()})});
      const message = '/tmp/private/x.tgz is broken, says /tmp/private';
      const failure = {
        class: 'operator',
        layer: null,
        check: null,
        message,
        hint: '',
        reproduce
      } as const;
      const checks = [check('echo/ipv4/name', {reason: message, observed: message, reproduce})];
      const results = buildResults(known, {result: 'failed', failure, checks});
      expect(results.failure).toMatchObject({message: said, reproduce: shown});
      expect(results.checks[0]).toMatchObject({reason: said, observed: said, reproduce: shown});
    }
  );

  test('times are to the millisecond', () => {
    const known = run();
    known.schedule.phases.push(
      phase('a', [], 0.12345, 1.98765, {waits: [{for: 'x', seconds: 0.00049}]}),
      phase('b', [], null, 0)
    );
    const checks = [
      check('echo/ipv4/name', {attempts: [{at: 1.11111, seconds: 0.0049, observed: 'x'}]})
    ];
    const results = buildResults(known, {...nothing, checks});
    expect(results.phases.map(({at, seconds, waits}) => ({at, seconds, waits}))).toEqual([
      {at: 0.123, seconds: 1.988, waits: [{for: 'x', seconds: 0}]},
      {at: null, seconds: 0, waits: []}
    ]);
    expect(results.checks[0]?.attempts).toEqual([{at: 1.111, seconds: 0.005, observed: 'x'}]);
  });
});

test('what is not known is a bug that says so', () => {
  expect(required('x', 'the chart')).toBe('x');
  expect(() => required(undefined, 'the chart')).toThrow(
    'the chart is not set yet: a phase lacks a need'
  );
});

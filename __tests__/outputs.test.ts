import * as fs from 'node:fs';
import * as path from 'node:path';
import * as core from '@actions/core';
import {describe, expect, test} from '@jest/globals';
import {parse} from 'yaml';
import {buildOutputs} from '../src/reports/outputs.ts';
import type {Results} from '../src/results/results.ts';
import {eachOnRunner} from './fake.ts';
import {planOf} from './planned.ts';
import {error, failed, passed} from './sample-results.ts';

const runner = eachOnRunner();
const action = parse(fs.readFileSync(path.join(import.meta.dirname, '..', 'action.yml'), 'utf8'));

describe('outputs', () => {
  test('of a run that passed', () => {
    expect(buildOutputs(passed(), planOf(), '/results')).toEqual({
      result: 'passed',
      'failure-class': '',
      'failed-layer': '',
      'failed-checks': '[]',
      'cluster-name': 'istio-ds',
      kubeconfig: '/work/kubeconfig',
      context: 'kind-istio-ds',
      'kubernetes-version': 'v1.34.4',
      'operator-version': '1.30.3',
      'istio-version': 'v1.30.3',
      'results-dir': '/results',
      results: '/results/results.json',
      junit: '/results/junit.xml',
      report: '/results/report.html',
      seconds: '31.2'
    });
  });

  test('of a run that failed', () => {
    expect(buildOutputs(failed(), planOf(), '/results')).toMatchObject({
      result: 'failed',
      'failure-class': 'infrastructure',
      'failed-layer': 'cluster',
      'failed-checks':
        '["cluster/plain/ipv6","echo/ipv6/name","echo/ipv6/ipv6","path/dual-stack/ipv6"]'
    });
  });

  test.each([
    ['passed', passed(), planOf()],
    ['failed', failed(), planOf()],
    ['error', error({class: 'input', layer: null}, {cluster: null, checks: [], versions: {}}), null]
  ])('are those of action.yml, whatever the result: %s', (_, results, plan) => {
    const set = buildOutputs(results, plan, '');
    expect(Object.keys(set).sort()).toEqual(Object.keys(action.outputs).sort());
    for (const value of Object.values(set)) expect(typeof value).toBe('string');
  });

  test('of a run that came to nothing are empty, where nothing was written', () => {
    const results = error({class: 'input', layer: null}, {cluster: null, checks: [], versions: {}});
    expect(buildOutputs(results, null, '')).toMatchObject({
      result: 'error',
      'failure-class': 'input',
      'failed-layer': '',
      'failed-checks': '[]',
      'cluster-name': '',
      kubeconfig: '',
      'kubernetes-version': '',
      'results-dir': '',
      results: '',
      report: ''
    });
  });

  test.each<[string, Results['versions']]>([
    ['not known yet', {}],
    ['asked for', {kubernetes: {asked: '1.34', found: null}}]
  ])('name no kubeconfig while Kubernetes’ version is %s: it is not written yet', (_, versions) => {
    const set = buildOutputs(error({}, {versions}), planOf(), '/results');
    expect([set.kubeconfig, set['kubernetes-version']]).toEqual(['', '']);
  });

  test('reach the next step as they are, whatever they hold', () => {
    const hostile =
      'a\nEOF\nresult<<EOF\npassed\nEOF\n::set-output name=result::passed\n##[error]b';
    const set = buildOutputs(
      passed({versions: {istio: {asked: null, found: hostile}}}),
      null,
      '/results'
    );
    for (const [name, value] of Object.entries(set)) core.setOutput(name, value);
    expect(runner.written('OUTPUT')).toEqual(set);
  });
});

test.each(['1.30.3$(id)', 'v1.30.3"; id', 'v1.30.3\n::error::x', '`id`'])(
  'a version that is more than one goes into no output: %j',
  found => {
    const results = passed();
    for (const name of ['kubernetes', 'operator', 'istio'])
      results.versions[name] = {asked: null, found};
    expect(buildOutputs(results, null, '')).toMatchObject({
      'kubernetes-version': '',
      'operator-version': '',
      'istio-version': ''
    });
  }
);

import {describe, expect, test} from '@jest/globals';
import {countCells, groupCauses, stripResults} from '../src/reports/merge-results.ts';
import {buildMatrixCells} from '../src/reports/merged-cells.ts';
import {buildMergedOutputs} from '../src/reports/merged-outputs.ts';
import {cellClasses} from '../src/results/merged.ts';
import type {Results} from '../src/results/results.ts';
import {planCells} from '../src/versions/cells.ts';
import {allFound, cell, found, matrix, mixed, planned, unread} from './merged-cells-table.ts';
import {cancelled, changed, error, failed, flaky, hostile, passed} from './sample-results.ts';
import {validator} from './schema.ts';

const again = (value: unknown) => JSON.parse(JSON.stringify(value));
const named = (all: {name: string}[]) => all.map(({name}) => name);
const of = (changes: Record<string, Results | null>, name: RegExp) =>
  matrix(allFound(changes)).cells.find(cell => name.test(cell.name));

describe('cells', () => {
  test('have a name each, the newest Istio first', () => {
    expect(named(matrix(allFound()).cells)).toEqual([
      'Istio 1.30.3, Kubernetes 1.34.4, IPv4 first, sidecar',
      'Istio 1.30.3, Kubernetes 1.34.4, IPv6 first, sidecar',
      'Istio 1.29.6, Kubernetes 1.34.4, IPv4 first, sidecar',
      'Istio 1.29.6, Kubernetes 1.34.4, IPv6 first, sidecar',
      'Istio 1.28.8, Kubernetes 1.34.4, IPv4 first, sidecar',
      'Istio 1.28.8, Kubernetes 1.34.4, IPv6 first, sidecar'
    ]);
  });

  test('1.9 is older than 1.10, and a pre-release than its release', () => {
    const all = ['v1.9.0', 'v1.10.0-rc.1', 'v1.10.0', 'v1.10'].map(version =>
      found(version, cell(passed(), {'istio-version': version}))
    );
    expect(buildMatrixCells(all, [], []).map(({istio}) => istio)).toEqual([
      '1.10',
      '1.10.0',
      '1.10.0-rc.1',
      '1.9.0'
    ]);
  });

  test('two alike are told apart by the operator, or by their directories', () => {
    const one = cell(passed(), {'istio-version': 'v1.30.3'});
    const other = {...one, versions: {...one.versions, operator: {asked: null, found: '1.29.6'}}};
    expect(named(buildMatrixCells([found('a', one), found('b', other)], [], []))).toEqual([
      'Istio 1.30.3, Kubernetes 1.34.4, IPv4 first, sidecar, operator 1.30.3',
      'Istio 1.30.3, Kubernetes 1.34.4, IPv4 first, sidecar, operator 1.29.6'
    ]);
    expect(named(buildMatrixCells([found('a', one), found('b"$(x)', one)], [], []))).toEqual([
      'Istio 1.30.3, Kubernetes 1.34.4, IPv4 first, sidecar, a',
      'Istio 1.30.3, Kubernetes 1.34.4, IPv4 first, sidecar, b_x_'
    ]);
  });

  test('a version that is none is not taken', () => {
    const one = {...passed(), versions: {istio: {asked: '1.30.3$(id)', found: hostile}}};
    expect(named(buildMatrixCells([found('a', one)], [], []))).toEqual([
      'Istio, IPv4 first, sidecar'
    ]);
  });

  test.each<[string, Results | null, object]>([
    ['passed', passed(), {outcome: 'passed', class: null, counts: false}],
    [
      'failed',
      failed(),
      {
        outcome: 'failed',
        class: 'infrastructure',
        layer: 'cluster',
        check: 'cluster/plain/ipv6',
        counts: true
      }
    ],
    [
      'error',
      error(),
      {outcome: 'error', class: 'infrastructure', layer: 'network', check: null, counts: true}
    ],
    ['cancelled', cancelled(), {outcome: 'error', class: 'cancelled', layer: null}],
    ['missing', null, {outcome: 'missing', class: 'missing', directory: null, counts: true}],
    [
      'passed with a failed check',
      {...failed(), result: 'passed', failure: null},
      {
        outcome: 'missing',
        class: 'missing',
        message:
          'dual-stack-v1.30.3-ipv4-ipv6 contradicts itself: the result is passed, but the file has 4 failed checks.'
      }
    ]
  ])('one that is %s', (_, results, expected) => {
    expect(of({'v1.30.3-ipv4-ipv6': results}, /1\.30\.3.*IPv4 first/)).toMatchObject(expected);
  });

  test('one that cannot be read is told, beside its planned place', () => {
    const all = [
      ...allFound({'v1.30.3-ipv4-ipv6': null}),
      unread('dual-stack-v1.30.3-ipv4-ipv6', 'it has schema 2')
    ];
    const {cells} = matrix(all);
    expect(cells).toHaveLength(6);
    expect(cells.filter(({outcome}) => outcome !== 'passed')).toMatchObject([
      {
        istio: '1.30.3',
        outcome: 'missing',
        message: 'dual-stack-v1.30.3-ipv4-ipv6 cannot be read: it has schema 2.'
      }
    ]);
  });

  test('one that was not planned is a cell all the same', () => {
    const {cells} = matrix([
      ...allFound(),
      found('other', cell(failed(), {'istio-version': 'v1.27.1'}))
    ]);
    expect(cells.at(-1)).toMatchObject({istio: '1.27.1', outcome: 'failed'});
    expect(cells).toHaveLength(7);
  });

  test('of a job that was run again the last attempt counts, and nothing else is dropped', () => {
    const inputs = {'istio-version': 'v1.30.3', 'ip-families': 'ipv4,ipv6'};
    const attempt = (number: string, started: string, results: Results) =>
      found(number, {...cell(results, inputs), started, run: {...passed().run, attempt: number}});
    const plan = planned.slice(0, 1);
    const first = attempt('1', '2026-11-20T08:30:00.000Z', failed());
    const second = attempt('2', '2026-11-20T09:30:00.000Z', passed());
    expect(matrix([first, second], {plan}).cells).toMatchObject([
      {directory: '2', outcome: 'passed'}
    ]);
    const other = {...first, results: {...cell(failed(), inputs), run: {...passed().run, id: '1'}}};
    expect(matrix([other, second], {plan}).cells).toHaveLength(2);
  });

  test('an input that was not given is its default', () => {
    const plan = [
      {'istio-version': '1.30.3', 'ip-families': 'ipv4,ipv6', 'dataplane-mode': 'sidecar'}
    ];
    const all = [found('a', cell(passed(), {'istio-version': 'v1.30.3'}))];
    expect(matrix(all, {plan}).result).toBe('passed');
    const other = [{...plan[0], 'dataplane-mode': 'ambient'}];
    expect(matrix(all, {plan: other}).cells).toMatchObject([
      {outcome: 'passed'},
      {outcome: 'missing', dataplane: 'ambient'}
    ]);
  });

  test('the matrix action’s own words are understood', () => {
    const {cells: plan} = planCells({
      operator: '1.30.3',
      installable: ['v1.30.3', 'v1.29.6'],
      istio: 'all',
      kubernetes: 'newest',
      families: [
        ['ipv4', 'ipv6'],
        ['ipv6', 'ipv4']
      ],
      modes: ['sidecar'],
      max: 256
    });
    expect(plan).toHaveLength(4);
    const all = plan.slice(1).map(({name, istio, kubernetes, 'ip-families': families}) =>
      found(
        name,
        cell(passed(), {
          'istio-version': istio,
          'kubernetes-version': kubernetes,
          'ip-families': families
        })
      )
    );
    const {cells} = matrix(all, {plan: plan.map(one => ({...one}))});
    expect(cells.map(({outcome}) => outcome)).toEqual(['missing', 'passed', 'passed', 'passed']);
    expect(cells[0]?.istio).toBe(plan[0]?.istio.slice(1));
  });

  test('a matrix of names alone goes by directories', () => {
    const plan = [{name: 'old'}, {name: 'very-old'}];
    const {cells} = matrix([found('x-very-old', cell(passed(), {})), unread('x-old')], {plan});
    expect(cells).toMatchObject([{outcome: 'passed'}, {outcome: 'missing', directory: 'x-old'}]);
  });
});

describe('families and layers', () => {
  test('a family is proven by mutual TLS, and broken by the layer that its failures follow from', () => {
    expect(of({'v1.30.3-ipv4-ipv6': failed()}, /1\.30\.3.*IPv4 first/)?.families).toEqual({
      ipv4: {state: 'proven', layer: null},
      ipv6: {state: 'failed', layer: 'cluster'}
    });
    const plaintext = changed(passed(), {'path/dual-stack/ipv6': {verdict: 'skipped'}});
    expect(of({'v1.30.3-ipv4-ipv6': plaintext}, /1\.30\.3.*IPv4 first/)?.families.ipv6).toEqual({
      state: 'unproven',
      layer: null
    });
    expect(of({'v1.30.3-ipv4-ipv6': error()}, /1\.30\.3.*IPv4 first/)?.families).toEqual({
      ipv4: null,
      ipv6: null
    });
  });

  test('what fails because of the other family is not held against a family', () => {
    const follows = {verdict: 'failed', because: 'cluster/plain/ipv6'} as const;
    const results = changed(failed(), {'failover/dual-stack/ipv4': follows});
    expect(of({'v1.30.3-ipv4-ipv6': results}, /1\.30\.3.*IPv4 first/)?.families).toEqual({
      ipv4: {state: 'proven', layer: null},
      ipv6: {state: 'failed', layer: 'cluster'}
    });
  });

  test('a layer breaks by itself or follows', () => {
    const layers = of({'v1.30.3-ipv4-ipv6': failed()}, /1\.30\.3.*IPv4 first/)?.layers;
    expect(layers).toMatchObject({
      cluster: {state: 'failed', family: 'ipv6'},
      path: {state: 'follows'},
      dns: {state: 'passed'},
      uninstall: {state: 'skipped'}
    });
    expect(of({'v1.30.3-ipv4-ipv6': flaky()}, /1\.30\.3.*IPv4 first/)?.layers.echo?.state).toBe(
      'flaky'
    );
  });
});

describe('the verdict', () => {
  const infra = {'v1.29.6-ipv6-ipv4': failed()};
  const others = cellClasses.filter(name => name !== 'infrastructure');
  test.each([
    ['all passed', allFound(), [...cellClasses], 'passed'],
    ['a failed check', allFound(infra), [...cellClasses], 'failed'],
    ['an error', allFound({'v1.30.3-ipv4-ipv6': error()}), [...cellClasses], 'error'],
    ['a missing cell', allFound({'v1.30.3-ipv4-ipv6': null}), [...cellClasses], 'error'],
    ['a class left out', allFound(infra), others, 'tolerated'],
    [
      'a class left out, and another',
      allFound({...infra, 'v1.30.3-ipv4-ipv6': null}),
      others,
      'error'
    ],
    ['no cell', [], [...cellClasses], 'error']
  ])('%s', (name, all, failOn, result) => {
    expect(matrix(all, {failOn, plan: name === 'no cell' ? [] : planned}).result).toBe(result);
  });

  test('counts', () => {
    expect(countCells(mixed(['missing']).cells)).toEqual({
      cells: 6,
      passed: 3,
      failed: 1,
      error: 1,
      missing: 1,
      tolerated: 2
    });
  });
});

describe('the run before', () => {
  const changes = (now: Parameters<typeof matrix>[0], before: Parameters<typeof matrix>[0]) =>
    matrix(now, {before: matrix(before)});

  test('tells what broke, what was mended, what is still red', () => {
    const both = failed();
    const {cells} = changes(
      allFound({'v1.30.3-ipv4-ipv6': both, 'v1.28.8-ipv4-ipv6': both}),
      allFound({'v1.30.3-ipv4-ipv6': both, 'v1.29.6-ipv4-ipv6': null})
    );
    expect(cells.map(({change}) => change)).toEqual([
      'same',
      'same',
      'mended',
      'same',
      'broke',
      'same'
    ]);
  });

  test('follows a version to its next patch, and names what is gone', () => {
    const one = (version: string) => [found('x', cell(passed(), {'istio-version': version}))];
    const at = (now: string, before: string) =>
      matrix(one(now), {plan: [], before: matrix(one(before), {plan: []})});
    expect(at('v1.30.4', 'v1.30.3')).toMatchObject({cells: [{change: 'same'}], gone: []});
    const other = (version: string) => [found(version, cell(passed(), {'istio-version': version}))];
    expect(
      matrix(other('v1.31.0'), {plan: [], before: matrix(other('v1.30.3'), {plan: []})})
    ).toMatchObject({
      cells: [{change: 'new'}],
      gone: ['Istio 1.30.3, Kubernetes 1.34.4, IPv4 first, sidecar']
    });
  });

  test('without one nothing is compared', () => {
    expect(matrix(allFound()).cells.every(({change}) => change === null)).toBe(true);
  });
});

test('red cells with the same cause are told once, those that count first', () => {
  const twice = failed();
  const all = allFound({
    'v1.30.3-ipv4-ipv6': null,
    'v1.29.6-ipv4-ipv6': twice,
    'v1.28.8-ipv6-ipv4': twice
  });
  expect(
    groupCauses(matrix(all).cells).map(({cells, first}) => [cells.length, first.check])
  ).toEqual([
    [2, 'cluster/plain/ipv6'],
    [1, null]
  ]);
  expect(groupCauses(matrix(all, {failOn: ['missing']}).cells).map(({counts}) => counts)).toEqual([
    true,
    false
  ]);
});

test('one image that is nowhere is one cause, whatever the pods are called', () => {
  const lacking = (pod: string): Results => {
    const one = error();
    const message = `Pod istio-system/${pod}: ErrImagePull: pilot:1.28.8: not found`;
    return {...one, failure: one.failure && {...one.failure, check: null, message}};
  };
  const cells = allFound({
    'v1.28.8-ipv4-ipv6': lacking('istiod-bb4684477-clwkg'),
    'v1.28.8-ipv6-ipv4': lacking('istiod-bb4684477-5rxc7')
  });
  expect(groupCauses(matrix(cells).cells).map(({cells}) => cells.length)).toEqual([2]);
});

describe('what is written', () => {
  test.each([mixed(), matrix(allFound()), matrix([], {plan: []})])(
    'is as the published schema has it (%#)',
    one => {
      expect(validator('report').errors(again(stripResults(one)))).toBeNull();
    }
  );

  test('the schema names every class and layer', () => {
    const {published} = validator('report');
    expect(published.$defs.class.enum).toEqual(cellClasses);
    expect(published.$defs.layer).toEqual(validator('results').published.$defs.layer);
  });

  test('the outputs are names and numbers', () => {
    const outputs = buildMergedOutputs(mixed(['missing']), '/results');
    expect(JSON.parse(outputs['failed-cells'] ?? '')).toHaveLength(3);
    expect(outputs).toMatchObject({
      result: 'error',
      counts: '{"cells":6,"passed":3,"failed":1,"error":1,"missing":1,"tolerated":2}',
      mended: '["Istio 1.30.3, Kubernetes 1.34.4, IPv4 first, sidecar"]',
      results: '/results/results.json',
      summary: '/results/summary.md'
    });
    expect(buildMergedOutputs(mixed(), '')).toMatchObject({
      'results-dir': '',
      junit: '',
      report: ''
    });
  });
});

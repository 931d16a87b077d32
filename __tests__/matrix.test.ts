import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {parse} from 'yaml';
import {inputNames} from '../src/inputs/inputs.ts';
import {matrixDefaults, matrixInputNames, readMatrixInputs} from '../src/inputs/matrix-inputs.ts';
import {runMatrix} from '../src/matrix.ts';
import {renderMatrixSummary} from '../src/reports/matrix-summary.ts';
import {type Cell, type MatrixRequest, planCells} from '../src/versions/cells.ts';
import {operatorReleases} from '../src/versions/istio-versions.ts';
import {defaultOperatorVersion} from '../src/versions/pins.ts';
import {eachOnRunner, fakePrograms, fakeSh, give} from './fake.ts';
import {published} from './planned.ts';

const runner = eachOnRunner();
const usual: MatrixRequest = {
  operator: '1.30.3',
  installable: operatorReleases['1.30.3'] ?? [],
  istio: 'latest-patches',
  kubernetes: 'newest',
  families: [['ipv4', 'ipv6']],
  modes: ['sidecar'],
  max: 256
};
const both: MatrixRequest['families'] = [
  ['ipv4', 'ipv6'],
  ['ipv6', 'ipv4']
];
const short = ({istio, kubernetes}: Cell) => `${istio} on ${kubernetes}`;
const cellsOf = (more: Partial<MatrixRequest>) => planCells({...usual, ...more}).cells.map(short);

describe('planCells', () => {
  test('the newest patch of each minor, on the newest Kubernetes that it supports', () => {
    expect(planCells(usual)).toEqual({
      cells: [
        ['v1.30.3', '1.36.4'],
        ['v1.29.6', '1.35.8'],
        ['v1.28.10', '1.34.11']
      ].map(([istio = '', kubernetes]) => ({
        name: `istio-${istio.slice(1)}-kubernetes-${kubernetes}-ipv4-ipv6-sidecar`,
        istio,
        kubernetes,
        'ip-families': 'ipv4,ipv6',
        'dataplane-mode': 'sidecar',
        operator: '1.30.3'
      })),
      leftOut: []
    });
  });

  test.each<[Partial<MatrixRequest>, string[]]>([
    [{istio: '~1.29.4'}, ['v1.29.6 on 1.35.8', 'v1.29.5 on 1.35.8', 'v1.29.4 on 1.35.8']],
    [{istio: '1.28.0 || 1.30.1'}, ['v1.30.1 on 1.36.4', 'v1.28.0 on 1.34.11']],
    [
      {istio: '1.29.6', kubernetes: 'all'},
      ['1.35.8', '1.34.11', '1.33.12', '1.32.11', '1.31.14'].map(one => `v1.29.6 on ${one}`)
    ],
    [{istio: '1.29.6', kubernetes: '>=1.34'}, ['v1.29.6 on 1.35.8', 'v1.29.6 on 1.34.11']],
    // asked for by its version: as it is
    [{istio: '1.29.6', kubernetes: '1.37, 1.34.11'}, ['v1.29.6 on 1.37.0', 'v1.29.6 on 1.34.11']]
  ])('%j', (more, expected) => expect(cellsOf(more)).toEqual(expected));

  test('all is every version that can be installed', () => {
    expect(cellsOf({istio: 'all'})).toHaveLength(22);
  });

  test('a cap leaves out the second Kubernetes and the second order first', () => {
    const all = {kubernetes: 'all', families: both};
    const {cells, leftOut} = planCells({...usual, ...all, max: 4});
    expect(cells.map(short)).toEqual([
      'v1.30.3 on 1.36.4',
      'v1.29.6 on 1.35.8',
      'v1.28.10 on 1.34.11',
      'v1.30.3 on 1.35.8'
    ]);
    expect(leftOut).toHaveLength(30 - 4);
    expect(leftOut.at(-1)).toEqual({
      name: 'istio-1.28.10-kubernetes-1.30.13-ipv6-ipv4-sidecar',
      reason: 'over the limit `max: 4`'
    });
  });

  test('names are unique, and what an artifact may be called', () => {
    const {cells} = planCells({...usual, istio: 'all', kubernetes: 'all', families: both});
    expect(new Set(cells.map(({name}) => name)).size).toBe(cells.length);
    for (const {name} of cells) expect(name).toMatch(/^[\w.-]+$/);
  });

  test('256 cells are a fraction of what GitHub takes as an output, 1 MiB', () => {
    const {cells, leftOut} = planCells({
      ...usual,
      installable: Object.values(operatorReleases).flat(),
      istio: 'all',
      kubernetes: 'all',
      families: both
    });
    expect(cells).toHaveLength(256);
    expect(leftOut.length).toBeGreaterThan(1000);
    expect(JSON.stringify({include: cells}).length).toBeLessThan(64 * 1024);
    expect(JSON.stringify(leftOut).length).toBeLessThan(512 * 1024);
  });

  test('an Istio version without a Kubernetes is left out, with the reason', () => {
    const {cells, leftOut} = planCells({...usual, kubernetes: '>=1.36'});
    expect(cells.map(short)).toEqual(['v1.30.3 on 1.36.4']);
    expect(leftOut.map(({name}) => name)).toEqual(['istio-1.29.6', 'istio-1.28.10']);
    expect(leftOut[0]?.reason).toContain(
      'supports Kubernetes 1.31 to 1.35, but `>=1.36` matches no node image in that range'
    );
  });

  test('ambient comes after sidecars, and is left out where the operator has no ZTunnel', () => {
    const wanted = {...usual, istio: '>=1.28', modes: ['sidecar', 'ambient']};
    const names = (more: Partial<MatrixRequest>) =>
      planCells({...wanted, ...more}).cells.map(({name}) => name.split('-').at(-1));
    expect(new Set(names({}))).toEqual(new Set(['sidecar', 'ambient']));
    expect(names({})[0]).toBe('sidecar');
    const old = {operator: '1.27.3', installable: operatorReleases['1.27.3'] ?? [], istio: 'all'};
    expect(new Set(names(old))).toEqual(new Set(['sidecar']));
    expect(planCells({...wanted, ...old}).leftOut).toContainEqual({
      name: 'ambient',
      reason: expect.stringMatching(/^the Sail Operator 1.27.3 has no ZTunnel resource/)
    });
  });

  test.each<[Partial<MatrixRequest>, RegExp]>([
    [
      {operator: '1.27.3', modes: ['ambient']},
      /^Invalid `dataplane-modes` "ambient": expected .*, because the Sail Operator 1.27.3 has no ZTunnel/
    ],
    [{istio: '>=2'}, /^Invalid `istio-versions` ">=2": expected .* v1.30.3, /],
    [
      {kubernetes: '>=2'},
      /^Invalid `kubernetes-versions` ">=2": expected versions that leave at least one cell: Istio v1.30.3 supports/
    ],
    [
      {kubernetes: '1.20'},
      /^Invalid `kubernetes-versions` "1.20": expected a version with a node image of kind/
    ]
  ])('%j leaves nothing, and says so', (more, message) => {
    expect(() => planCells({...usual, ...more})).toThrow(message);
  });
});

describe('the inputs', () => {
  const action = parse(
    fs.readFileSync(path.join(import.meta.dirname, '..', 'matrix', 'action.yml'), 'utf8')
  );

  test('are those of matrix/action.yml, with its defaults', () => {
    expect(Object.keys(action.inputs)).toEqual(matrixInputNames);
    const written = Object.entries(action.inputs as Record<string, {default?: string}>).flatMap(
      ([name, {default: value}]) => (value === undefined ? [] : [[name, value]])
    );
    expect(Object.fromEntries(written)).toEqual(matrixDefaults);
    expect(action.runs).toEqual({using: 'node24', main: '../dist/matrix.js'});
  });

  test('of the same name mean the same as in the main action', () => {
    const main = parse(fs.readFileSync(path.join(import.meta.dirname, '..', 'action.yml'), 'utf8'));
    for (const name of ['operator-version', 'mirror'])
      expect(action.inputs[name].description).toBe(main.inputs[name].description);
    expect(inputNames).toEqual(expect.arrayContaining(['ip-families', 'helm-version']));
  });

  test.each([
    ['istio-versions', 'newest'],
    ['istio-versions', '*'],
    ['kubernetes-versions', 'latest'],
    ['ip-families', 'ipv4,ipv6 ipv4'],
    ['dataplane-modes', 'sidecar mesh'],
    ['max', '0'],
    ['max', '257'],
    ['max', 'many']
  ])('%s: %s is refused', (name, value) => {
    give({[name]: value});
    expect(readMatrixInputs).toThrow(`Invalid \`${name}\` "${value}": expected `);
  });

  test('all bad ones are named at once', () => {
    give({max: '0', 'istio-versions': '?'});
    expect(readMatrixInputs).toThrow(/^Invalid `istio-versions` .*\nInvalid `max` /);
  });

  test('several orders, each once', () => {
    give({'ip-families': 'ipv6,ipv4\nipv4,ipv6 ipv6,ipv4'});
    expect(readMatrixInputs()['ip-families']).toEqual([
      ['ipv6', 'ipv4'],
      ['ipv4', 'ipv6']
    ]);
  });
});

describe('the action', () => {
  /** Without a summary: core writes those of one process to one file. */
  const quietly = async (sh = fakeSh({})) => {
    delete process.env.GITHUB_STEP_SUMMARY;
    await runMatrix(sh);
  };

  test('with nothing given tells the pinned operator’s, and fetches nothing', async () => {
    await quietly();
    const {matrix: text = '', count, ...rest} = runner.written('OUTPUT');
    expect(JSON.parse(text).include.map(short)).toEqual(
      planCells({
        ...usual,
        operator: defaultOperatorVersion,
        installable: operatorReleases[defaultOperatorVersion] ?? []
      }).cells.map(short)
    );
    expect([count, rest]).toEqual(['3', {'left-out': '[]'}]);
  });

  test('what is left out is told in log, summary and output', async () => {
    give({max: '1'});
    await runMatrix(fakeSh({}));
    const {count, 'left-out': gone = ''} = runner.written('OUTPUT');
    expect(count).toBe('1');
    expect(JSON.parse(gone)).toHaveLength(2);
    expect(runner.log()).toContain(
      'left out: istio-1.28.10-kubernetes-1.34.11-ipv4-ipv6-sidecar: over the limit `max: 1`'
    );
    expect(runner.log()).toContain('::notice::1 cell with the Sail Operator');
    expect(runner.text('STEP_SUMMARY')).toContain(
      '- `istio-1.28.10-kubernetes-1.34.11-ipv4-ipv6-sidecar`: over the limit `max: 1`'
    );
  });

  test('a checkout goes by its versions.yaml, pre-releases included', async () => {
    const {about = '', values = '', versions = ''} = published.main ?? {};
    fs.mkdirSync(path.join(runner.directory, 'chart'));
    fs.mkdirSync(path.join(runner.directory, 'pkg', 'istioversion'), {recursive: true});
    fs.writeFileSync(path.join(runner.directory, 'pkg', 'istioversion', 'versions.yaml'), versions);
    give({'operator-chart': 'chart', 'helm-version': 'path'});
    fs.writeFileSync(path.join(runner.directory, 'helm'), '', {mode: 0o755});
    process.env.PATH = `${runner.directory}:${process.env.PATH}`;
    await quietly(
      fakeSh(([, verb, what]) =>
        verb === 'version' ? 'v3.22.0' : what === 'chart' ? about : what === 'values' ? values : ''
      )
    );
    expect(JSON.parse(runner.written('OUTPUT').matrix ?? '').include.map(short)).toEqual([
      'v1.31.0-beta.1 on 1.36.4',
      'v1.30.3 on 1.36.4',
      'v1.29.6 on 1.35.8',
      'v1.32.0-alpha.527f8d6c on 1.36.4'
    ]);
    expect(fs.existsSync(path.join(runner.directory, 'dual-stack-matrix.private'))).toBe(false);
  });

  test.each([
    'https://host.example/chart.tgz?X-Amz-Signature=hunter2hunter2hunter2',
    'https://host.example/chart.tar.gz?sig=hunter2hunter2hunter2',
    'https://user:hunter2/hunter2@host.example/chart.tgz'
  ])('a chart’s URL is told without what is secret in it: %s', async chart => {
    give({'operator-chart': chart, 'helm-version': 'path'});
    process.env.PATH = fakePrograms(runner.directory, {helm: []}).PATH;
    const said = `curl: (22) ${chart}: The requested URL returned error: 403\n::error::x`;
    await quietly(
      fakeSh(([program]) => (program === 'helm' ? 'v3.19.5' : {code: 22, stderr: said}))
    );
    expect(process.exitCode).toBe(1);
    process.exitCode = 0;
    expect(runner.log()).toContain('::error::');
    expect(runner.log().replace(/^::add-mask::.*$/gm, '')).not.toContain('hunter2');
  });

  test('an invalid input fails the step with the expected value, and sets no output', async () => {
    give({'istio-versions': '>=9'});
    await quietly();
    expect(process.exitCode).toBe(1);
    process.exitCode = 0;
    expect(runner.log()).toContain(
      '::error::Invalid `istio-versions` ">=9": expected `latest-patches`'
    );
    expect(runner.text('OUTPUT')).toBe('');
  });
});

test('the summary of a matrix holds no markup of others', () => {
  const cell = {...(planCells(usual).cells[0] as Cell), istio: 'v1|<b>`x`'};
  expect(renderMatrixSummary('1.30.3', [cell], [])).toContain('| `` v1\\|<b>`x` `` | 1.36.4 |');
});

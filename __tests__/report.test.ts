import {execFileSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as core from '@actions/core';
import {afterEach, describe, expect, test} from '@jest/globals';
import {reportDefaults, reportInputNames} from '../src/inputs/report-inputs.ts';
import {runReport} from '../src/report.ts';
import type {Results} from '../src/results/results.ts';
import {eachOnRunner, give} from './fake.ts';
import {cell, folderOf, planned} from './merged-cells-table.ts';
import {failed, passed} from './sample-results.ts';
import {validator} from './schema.ts';

const runner = eachOnRunner();
afterEach(() => {
  process.exitCode = 0;
  Object.assign(core.summary, {_filePath: undefined}); // it remembers the file of the first test
});

function put(folder: string, contents: unknown, root = 'cells'): string {
  const file = path.join(runner.directory, root, folder, 'results.json');
  fs.mkdirSync(path.dirname(file), {recursive: true});
  fs.writeFileSync(file, typeof contents === 'string' ? contents : JSON.stringify(contents));
  return file;
}

/** All planned cells as artifacts, changed by name; null: there is none. */
function putAll(changes: Record<string, Results | null> = {}, root = 'cells') {
  for (const plan of planned) {
    const {name = '', ...inputs} = plan;
    const results = Object.hasOwn(changes, name) ? changes[name] : passed();
    if (results) put(folderOf(plan), cell(results, inputs), root);
  }
}

const matrix = JSON.stringify({include: planned});
const outputs = () => runner.written('OUTPUT');
const written = (name: string) =>
  fs.readFileSync(path.join(runner.directory, 'dual-stack-report', name), 'utf8');

describe('the report action', () => {
  test('passes when every cell did', async () => {
    putAll();
    give({matrix});
    await runReport();
    expect(outputs()).toMatchObject({result: 'passed', 'failed-cells': '[]', broke: '[]'});
    expect(JSON.parse(outputs().counts ?? '')).toMatchObject({cells: 6, passed: 6});
    expect(process.exitCode ?? 0).toBe(0);
    expect(runner.text('STEP_SUMMARY')).toBe(`${written('summary.md')}\n`);
    expect(validator('report').errors(JSON.parse(written('results.json')))).toBeNull();
    expect(written('junit.xml')).toContain(
      '<testsuites name="dual-stack" tests="354" failures="0"'
    );
    expect(written('report.html')).toContain('Dual-stack works in all 6 cells');
    expect(runner.log()).not.toContain('::error');
  });

  test('writes into no file and no directory that a link leads to', async () => {
    putAll();
    const victim = path.join(runner.directory, 'victim');
    fs.mkdirSync(victim);
    fs.writeFileSync(path.join(victim, 'file'), 'whole');
    const directory = path.join(runner.directory, 'dual-stack-report');
    fs.mkdirSync(directory);
    fs.symlinkSync(path.join(victim, 'file'), path.join(directory, 'report.html'));
    await runReport();
    expect(fs.readFileSync(path.join(victim, 'file'), 'utf8')).toBe('whole');
    expect(written('report.html')).toContain('<html');
    fs.rmSync(directory, {recursive: true});
    fs.symlinkSync(victim, directory);
    await runReport();
    expect(fs.readdirSync(victim)).toEqual(['file']);
    expect(outputs()).toMatchObject({'results-dir': '', report: ''});
  });

  test('a cell of the matrix without results is an error', async () => {
    putAll({'v1.29.6-ipv4-ipv6': null});
    give({matrix});
    await runReport();
    expect(outputs()).toMatchObject({
      result: 'error',
      'failed-cells': '["Istio 1.29.6, IPv4 first, sidecar"]'
    });
    expect(process.exitCode).toBe(1);
    expect(runner.log()).toContain(
      '::error title=1 cell%3A class missing::The matrix has this cell'
    );
  });

  test('all cells are missing when nothing was downloaded', async () => {
    give({matrix});
    await runReport();
    expect(JSON.parse(outputs().counts ?? '')).toMatchObject({cells: 6, missing: 6});
    expect(process.exitCode).toBe(1);
  });

  test('an empty directory proves nothing', async () => {
    fs.mkdirSync(path.join(runner.directory, 'cells'));
    await runReport();
    expect(outputs()).toMatchObject({result: 'error'});
    expect(process.exitCode).toBe(1);
  });

  test('a class that is left out does not fail the step', async () => {
    putAll({'v1.29.6-ipv4-ipv6': failed()});
    give({matrix, 'fail-on': '!infrastructure'});
    await runReport();
    expect(outputs()).toMatchObject({result: 'tolerated'});
    expect(process.exitCode ?? 0).toBe(0);
    expect(runner.log()).toContain('::warning title=1 cell%3A cluster/plain/ipv6%2C not counted::');
  });

  test('the run before is its cells, or its report', async () => {
    putAll({'v1.29.6-ipv4-ipv6': failed()}, 'before');
    putAll({'v1.30.3-ipv4-ipv6': failed()});
    const expected = {
      broke: '["Istio 1.30.3, Kubernetes 1.34.4, IPv4 first, sidecar"]',
      mended: '["Istio 1.29.6, Kubernetes 1.34.4, IPv4 first, sidecar"]'
    };
    give({matrix, previous: 'before'});
    await runReport();
    expect(outputs()).toMatchObject(expected);
    give({directory: 'before', previous: '', 'results-dir': 'old'});
    await runReport();
    give({directory: 'cells', previous: 'old', 'results-dir': ''});
    await runReport();
    expect(outputs()).toMatchObject(expected);
    give({previous: 'nowhere'});
    await runReport();
    expect(outputs()).toMatchObject({broke: '[]', mended: '[]'});
  });

  test('results that nobody should read are told, and read by nobody', async () => {
    const secret = path.join(runner.directory, 'secret');
    fs.writeFileSync(secret, JSON.stringify(passed()));
    put('schema', {...passed(), schema: 7});
    put('no-json', '{');
    put('large', ' '.repeat(16 * 1024 * 1024 + 1));
    fs.mkdirSync(path.join(runner.directory, 'cells', 'link'));
    fs.symlinkSync(secret, path.join(runner.directory, 'cells', 'link', 'results.json'));
    fs.symlinkSync(runner.directory, path.join(runner.directory, 'cells', 'loop'));
    fs.mkdirSync(path.join(runner.directory, 'cells', 'pipe'));
    execFileSync('mkfifo', [path.join(runner.directory, 'cells', 'pipe', 'results.json')]);
    put(path.join('good', 'diagnostics'), passed());
    put('good', passed());
    await runReport();
    const {cells} = JSON.parse(written('results.json'));
    expect(
      Object.fromEntries(
        cells.map((one: {directory: string; message: string}) => [one.directory, one.message])
      )
    ).toEqual({
      good: '',
      large: 'large cannot be read: it is longer than 16 MiB.',
      link: 'link cannot be read: it is a link.',
      'no-json': 'no-json cannot be read: it is not valid JSON.',
      pipe: 'pipe cannot be read: it is not a regular file.',
      schema:
        'schema cannot be read: it has schema 7, but this release reads schema 1; use the release that wrote it, or a newer one.'
    });
  });

  test('a single artifact lies in the directory itself', async () => {
    put('.', passed());
    await runReport();
    expect(outputs()).toMatchObject({result: 'passed'});
  });
});

describe('bad inputs', () => {
  test.each<[string, Record<string, string>, string]>([
    ['a directory that is missing, without a matrix', {}, 'Invalid `directory` '],
    [
      'a matrix that is no JSON',
      {matrix: 'x'},
      'Invalid `matrix` "x": expected the JSON of a matrix'
    ],
    ['a matrix of lists', {matrix: '{"include":[[]]}'}, 'Invalid `matrix` '],
    ['a matrix of nothing', {matrix: '{"include":[{}]}'}, 'Invalid `matrix` '],
    ['a matrix by columns', {matrix: '{"istio":["1.30"]}'}, 'Invalid `matrix` '],
    [
      'a class that is none',
      {'fail-on': 'istio,flaky'},
      'Invalid `fail-on` "istio,flaky": expected `all`, `none`'
    ],
    [
      'results among the cells',
      {matrix, 'results-dir': 'cells/out'},
      'expected a directory outside `directory` and `previous`'
    ],
    [
      'results over those before',
      {matrix, previous: 'old', 'results-dir': 'old'},
      'expected a directory outside'
    ]
  ])('%s', async (_, inputs, message) => {
    give(inputs);
    await runReport();
    expect(runner.log()).toContain(message);
    expect(outputs()).toEqual({result: 'error'});
    expect(process.exitCode).toBe(1);
    expect(fs.existsSync(path.join(runner.directory, 'dual-stack-report'))).toBe(false);
  });

  test('names every one', async () => {
    give({matrix: '1', 'fail-on': 'x'});
    await runReport();
    expect(runner.log()).toMatch(/Invalid `matrix` .*Invalid `fail-on` /);
  });

  test('the defaults are of inputs that are there', () => {
    for (const name of Object.keys(reportDefaults)) expect(reportInputNames).toContain(name);
  });
});

test('a matrix touches no prototype', async () => {
  put('a', passed());
  give({matrix: '{"include":[{"__proto__":{"polluted":1},"name":"a","constructor":"x"}]}'});
  await runReport();
  expect(({} as {polluted?: unknown}).polluted).toBeUndefined();
});

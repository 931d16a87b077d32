import * as fs from 'node:fs';
import * as path from 'node:path';
import {afterEach, beforeEach, describe, expect, jest, test} from '@jest/globals';
import {layerAttributions} from '../src/checks/catalogue.ts';
import {buildResultsSafely, run} from '../src/run/run.ts';
import {createRunContext} from '../src/run/run-context.ts';
import {eachOnRunner, fakeSh, give} from './fake.ts';

const runner = eachOnRunner();
beforeEach(() => {
  delete process.env.GITHUB_STEP_SUMMARY; // @actions/core goes on writing to the first one that it has seen
});
afterEach(() => {
  process.exitCode = undefined;
  for (const name of ['SIGINT', 'SIGTERM', 'unhandledRejection', 'uncaughtException'])
    process.removeAllListeners(name);
});

const resultsIn = (directory: string) =>
  JSON.parse(fs.readFileSync(path.join(directory, 'results.json'), 'utf8'));

describe('bad inputs', () => {
  test('are told one by one, at the end of the log and in the results-dir that was given', async () => {
    give({retries: 'many', timeout: 'soon', 'results-dir': 'mine'});
    await run(fakeSh({}));
    const {result, failure} = resultsIn(path.join(runner.directory, 'mine'));
    expect(result).toBe('error');
    expect(failure.message.split('\n')).toEqual([
      expect.stringMatching(/^Invalid `retries` "many": expected /),
      expect.stringMatching(/^Invalid `timeout` "soon": expected /)
    ]);
    const lines = runner.log().trimEnd().split('\n');
    expect(lines.slice(-6)).toEqual([
      'What happened:',
      `• ${failure.message.split('\n')[0]}`,
      `• ${failure.message.split('\n')[1]}`,
      'Next: Correct the inputs. The run created nothing.',
      '',
      `Results: ${runner.directory}/mine`
    ]);
    expect(lines).toContainEqual(
      expect.stringMatching(
        /^::error title=.*::• Invalid `retries` "many":.*%0A• Invalid `timeout` "soon"/
      )
    );
    expect(process.exitCode).toBe(1);
  });

  test('a results-dir that is bad itself is not written to', async () => {
    const file = path.join(runner.directory, 'theirs', 'file');
    fs.mkdirSync(path.dirname(file));
    fs.writeFileSync(file, '');
    give({'results-dir': 'theirs'});
    await run(fakeSh({}));
    expect(fs.readdirSync(path.dirname(file))).toEqual(['file']);
    expect(resultsIn(path.join(runner.directory, 'dual-stack-results')).failure.message).toMatch(
      /^Invalid `results-dir` "/
    );
  });
});

test('signals are waited for before the first line: one that comes with it has its report', async () => {
  const waiting: number[] = [];
  jest.spyOn(process.stdout, 'write').mockImplementation(() => {
    waiting.push(Math.min(...['SIGINT', 'SIGTERM'].map(name => process.listenerCount(name))));
    return true;
  });
  const before = process.listenerCount('SIGINT');
  process.env.DUAL_STACK_REHEARSAL = 'x';
  give({retries: 'many'});
  await run(fakeSh({}));
  expect(waiting.length).toBeGreaterThan(3);
  expect(Math.min(...waiting)).toBeGreaterThan(before);
});

test('where what was found is too odd for results, they say so, and nothing is lost', () => {
  const known = createRunContext(fakeSh({}), () => {});
  const odd = {
    ...known,
    get plan(): never {
      throw new TypeError('Invalid Version: master');
    }
  };
  const results = buildResultsSafely(odd, {
    ...{
      ending: 'done',
      errors: [],
      phases: [],
      checks: [],
      attributions: layerAttributions,
      failOnFlaky: false
    },
    ...{existing: false, lostNode: null}
  });
  expect(results).toMatchObject({
    result: 'error',
    failure: {class: 'internal', message: expect.stringContaining('Invalid Version: master')}
  });
});

describe('a dry run', () => {
  const markers = {
    'istio-values': 'global: {key: hunter2-istio}',
    'operator-values': 'secret: hunter2-operator',
    'kind-config': 'nodes: [{role: control-plane, labels: {key: hunter2-kind}}]'
  };
  const sh = fakeSh(([program = '', , what = '']) =>
    program === 'helm' && what === 'chart'
      ? 'name: sail-operator\nversion: 1.30.3'
      : program === 'helm' && what === 'values'
        ? 'image: registry.example/sail-operator:1.30.3'
        : 'v1.2.3'
  );

  test('prints the plan and the script, and nothing of the YAML that was given', async () => {
    const bin = path.join(runner.directory, 'bin');
    fs.mkdirSync(bin);
    fs.mkdirSync(path.join(runner.directory, 'chart'));
    for (const name of ['kind', 'kubectl', 'helm'])
      fs.writeFileSync(path.join(bin, name), '', {mode: 0o755});
    process.env.PATH = `${bin}:${process.env.PATH}`;
    give({
      ...markers,
      'operator-chart': 'chart',
      'kind-version': 'path',
      'kubectl-version': 'path',
      'helm-version': 'path',
      'dry-run': 'true'
    });
    await run(sh);
    const log = runner.log().replace(/^::add-mask::.*$/gm, ''); // for the runner, which shows them to nobody
    expect(log).toContain('"operator-values.yaml"');
    expect(log).toMatch(/^given istio-values ISTIO_VALUES [0-9a-f]{16}$/m);
    expect(log).not.toContain('hunter2');
    expect(runner.written('OUTPUT')).toMatchObject({result: '', 'failure-class': ''});
  });
});

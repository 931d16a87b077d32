import {spawnSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import {expect, test} from '@jest/globals';
import {parse} from 'yaml';
import {eachOnRunner} from './fake.ts';

const runner = eachOnRunner();
const root = path.join(import.meta.dirname, '..');

/** The other actions: a folder with an action.yml each. */
const others = fs
  .readdirSync(root)
  .filter(name => fs.existsSync(path.join(root, name, 'action.yml')));

test.each(others)('%s runs the one bundle, by the name of its file', name => {
  const {runs} = parse(fs.readFileSync(path.join(root, name, 'action.yml'), 'utf8'));
  expect(runs).toEqual({using: 'node24', main: `../dist/${name}.js`});
  expect(fs.readFileSync(path.join(root, 'dist', `${name}.js`), 'utf8')).toMatch(
    /^\/\/ .*\nimport '\.\/index\.js';\n$/
  );
});

test('main is main whatever a job has in its environment, and post is post by the name of its file', () => {
  const state = JSON.stringify({work: path.join(runner.directory, 'precious'), cleanup: 'always'});
  const env = {...process.env, STATE_run: state, INPUT_TIMEOUT: 'never'};
  const start = (file: string) =>
    spawnSync(process.execPath, [path.join(root, 'dist', file)], {encoding: 'utf8', env});
  fs.mkdirSync(path.join(runner.directory, 'precious'));
  const main = start('index.js');
  expect(main.stdout).toContain('Invalid `timeout` "never"');
  expect(main.status).toBe(1);
  expect(fs.existsSync(path.join(runner.directory, 'precious'))).toBe(true);
  expect(start('post.js').status).toBe(0);
  expect(fs.existsSync(path.join(runner.directory, 'precious'))).toBe(false);
});

test('the matrix action tells what to test', () => {
  const {status, stdout} = spawnSync(process.execPath, [path.join(root, 'dist', 'matrix.js')], {
    encoding: 'utf8',
    env: {...process.env, 'INPUT_OPERATOR-VERSION': '1.29.2', INPUT_MAX: '2'}
  });
  expect(stdout).toContain('2 cells with the Sail Operator 1.29.2, 1 left out');
  expect(status).toBe(0);
  const {include} = JSON.parse(runner.written('OUTPUT').matrix ?? '');
  expect(include.map(({istio}: {istio: string}) => istio)).toEqual(['v1.29.2', 'v1.28.6']);
});

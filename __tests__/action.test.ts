import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {parse} from 'yaml';
import {inputDefaults, inputNames, readInputs} from '../src/inputs/inputs.ts';
import {buildOutputs} from '../src/reports/outputs.ts';
import {failureClasses, layers} from '../src/results/results.ts';
import {eachOnRunner, give} from './fake.ts';
import {passed} from './sample-results.ts';

eachOnRunner();
const root = path.join(import.meta.dirname, '..');
const read = (name: string) => fs.readFileSync(path.join(root, name), 'utf8');

interface Described {
  description: string;
  default?: string;
}
const action = parse(read('action.yml')) as {
  inputs: Record<string, Described>;
  outputs: Record<string, Described>;
  runs: Record<string, string>;
};
const about = JSON.parse(read('package.json')) as {type: string; version: string};
/** The README's rows about one name, without their first cell. A `|` inside a cell is written `\|`. */
const rowsOf = (name: string): string[][] =>
  read('README.md')
    .split('\n')
    .filter(line => line.startsWith(`| \`${name}\` |`))
    .map(line =>
      line
        .split(/(?<!\\)\|/)
        .slice(2, -1)
        .map(cell => cell.trim())
    );

describe('the inputs of action.yml', () => {
  test('are those that the code reads', () => {
    expect(Object.keys(action.inputs).sort()).toEqual(inputNames.toSorted());
  });

  test('have the defaults that the code takes for nothing', () => {
    const written = Object.entries(action.inputs).flatMap(([name, {default: value}]) =>
      value === undefined ? [] : [[name, value]]
    );
    expect(Object.fromEntries(written)).toEqual(inputDefaults);
  });

  test('are all optional, and their defaults are good', () => {
    for (const input of Object.values(action.inputs)) expect(input).not.toHaveProperty('required');
    give(
      Object.fromEntries(
        Object.entries(action.inputs).map(([name, {default: value}]) => [name, value ?? ''])
      )
    );
    expect(readInputs).not.toThrow();
  });

  test.each(Object.entries(action.inputs))(
    '%s is in the README, with its default',
    (name, {description, default: value}) => {
      expect(description).toMatch(/^.{20,}\.$/);
      const [row] = rowsOf(name).filter(cells => cells.length === 2);
      expect(row?.[0]).toBe(value === undefined ? '' : `\`${value}\``);
      expect(row?.[1]?.length).toBeGreaterThan(20);
    }
  );
});

describe('the outputs of action.yml', () => {
  test('are those that the code sets', () => {
    expect(Object.keys(action.outputs).sort()).toEqual(
      Object.keys(buildOutputs(passed(), null, '')).sort()
    );
  });

  test.each(Object.entries(action.outputs))('%s is in the README', (name, {description}) => {
    expect(description).toMatch(/^.{10,}\.$/);
    const [row] = rowsOf(name).filter(cells => cells.length === 1);
    expect(row?.[0]?.length).toBeGreaterThan(10);
  });

  test('tell every class of failure', () => {
    const {description = ''} = action.outputs['failure-class'] ?? {};
    for (const one of failureClasses) expect(description).toContain(`\`${one}\``);
  });
});

describe('the README', () => {
  test('names no input or output that is not there', () => {
    const lines = read('README.md').split('\n');
    const namesUnder = (title: RegExp) => {
      const start = lines.findIndex(line => title.test(line));
      expect(start).toBeGreaterThan(-1);
      const table = lines.slice(start + 2);
      const end = table.findIndex(line => !line.startsWith('|'));
      return table.slice(0, end).map(line => /^\| `([^`]+)` \|/.exec(line)?.[1]);
    };
    expect(namesUnder(/^\| input \| default \|/i).sort()).toEqual(inputNames.toSorted());
    expect(namesUnder(/^\| output \|/i).sort()).toEqual(Object.keys(action.outputs).sort());
  });

  test('tells all layers once, in their order', () => {
    const told = [...read('README.md').matchAll(/^The layers, .*$/gm)];
    expect(told).toHaveLength(1);
    const named = [...`${told[0]}`.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name);
    const inOrder = layers.filter(layer => layer !== 'uninstall' && layer !== 'docs');
    expect(named.slice(0, inOrder.length)).toEqual(inOrder);
    expect(named).toEqual(expect.arrayContaining([...layers]));
  });
});

describe('the action', () => {
  test('runs one bundle for main and post, and post always', () => {
    expect(action.runs).toEqual({using: 'node24', main: 'dist/index.js', post: 'dist/post.js'});
  });

  test('runs on the Node that its package says', () => {
    expect(about.type).toBe('module'); // without it the bundle dies at start
    expect(about.version).toMatch(/^\d+\.\d+\.\d+$/);
  });
});

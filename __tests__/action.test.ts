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
/** A table's row, as Markdown has it. */
const rowText = (...cells: string[]): string =>
  `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`;

/** The lines of a page in docs that are about the main action. */
const mainSection = (page: string): string[] =>
  (read(`docs/${page}`).split('\n## Matrix action\n')[0] ?? '').split('\n');

/** The rows of every table whose head begins or matches so. */
function tablesIn(lines: string[], head: string | RegExp): string[] {
  const isHead = (line: string) =>
    typeof head === 'string' ? line.startsWith(head) : head.test(line);
  return lines.flatMap((line, at) => {
    if (!isHead(line)) return [];
    const rows = lines.slice(at + 2);
    const end = rows.findIndex(row => !row.startsWith('|'));
    return end < 0 ? rows : rows.slice(0, end);
  });
}

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
    '%s is in docs/inputs.md, with its default',
    (name, {description, default: value}) => {
      expect(description).toMatch(/^.{20,}\.$/);
      const shown = value === undefined ? '' : `\`${value}\``;
      const row = rowText(`\`${name}\``, shown, description);
      expect(mainSection('inputs.md').filter(line => line === row)).toHaveLength(1);
    }
  );
});

describe('the outputs of action.yml', () => {
  test('are those that the code sets', () => {
    expect(Object.keys(action.outputs).sort()).toEqual(
      Object.keys(buildOutputs(passed(), null, '')).sort()
    );
  });

  test.each(Object.entries(action.outputs))('%s is in docs/outputs.md', (name, {description}) => {
    expect(description).toMatch(/^.{10,}\.$/);
    const row = rowText(`\`${name}\``, description);
    expect(mainSection('outputs.md').filter(line => line === row)).toHaveLength(1);
  });

  test('name every failure class', () => {
    const {description = ''} = action.outputs['failure-class'] ?? {};
    for (const one of failureClasses) expect(description).toContain(`\`${one}\``);
  });
});

describe('the documentation', () => {
  test('names no input or output that does not exist', () => {
    const namesIn = (page: string, head: string) =>
      tablesIn(mainSection(page), head).map(line => /^\| `([^`]+)` \|/.exec(line)?.[1]);
    expect(namesIn('inputs.md', '| input | default |').sort()).toEqual(inputNames.toSorted());
    expect(namesIn('outputs.md', '| output |').sort()).toEqual(Object.keys(action.outputs).sort());
  });

  test('lists all layers once, in their order', () => {
    const [, page = ''] = read('docs/troubleshooting.md').split('\n## Layers\n');
    const rows = tablesIn((page.split('\n## ')[0] ?? '').split('\n'), '| layer |');
    expect(rows.map(line => /^\| `([^`]+)` \|/.exec(line)?.[1])).toEqual([...layers]);
  });

  test('has every failure class in the README and in docs/troubleshooting.md', () => {
    for (const name of ['README.md', 'docs/troubleshooting.md']) {
      const rows = tablesIn(read(name).split('\n'), /^\| (failure )?class \|/);
      const named = rows.flatMap(line => [...line.matchAll(/`([a-z]+)`/g)].map(([, one]) => one));
      for (const one of failureClasses) expect(named).toContain(one);
    }
  });

  test('names in the README only inputs and outputs that exist, with their defaults', () => {
    const lines = read('README.md').split('\n');
    const inputs = tablesIn(lines, '| input | default |').map(line => line.split(' | '));
    const outputs = tablesIn(lines, '| output |').map(line => line.split(' | '));
    expect(inputs).toHaveLength(10);
    expect(outputs).toHaveLength(5);
    for (const [name = '', shown = ''] of inputs) {
      const input = action.inputs[name.replace(/[`| ]/g, '')];
      expect(input).toBeDefined();
      if (shown.startsWith('`') && name !== '| `checks`')
        expect(shown).toBe(`\`${input?.default}\``);
    }
    for (const [name = ''] of outputs)
      expect(Object.keys(action.outputs)).toContain(name.replace(/[`| ]/g, ''));
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

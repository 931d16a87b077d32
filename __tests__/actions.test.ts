import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {parse} from 'yaml';
import {reportDefaults, reportInputNames} from '../src/inputs/report-inputs.ts';
import {buildMergedOutputs} from '../src/reports/merged-outputs.ts';
import {mixed} from './merged-cells-table.ts';

/** The actions beside the main one: their action.yml, the code and the README's tables say the same. */

const root = path.join(import.meta.dirname, '..');
const read = (name: string) => fs.readFileSync(path.join(root, name), 'utf8');

interface Described {
  description: string;
  default?: string;
  required?: boolean;
}

const actions = [
  {
    name: 'report',
    inputNames: reportInputNames as string[],
    defaults: reportDefaults as Record<string, string>,
    outputNames: Object.keys(buildMergedOutputs(mixed(), ''))
  }
];

describe.each(actions)('the $name action', ({name, inputNames, defaults, outputNames}) => {
  const {inputs, outputs, runs} = parse(read(`${name}/action.yml`)) as {
    inputs: Record<string, Described>;
    outputs: Record<string, Described>;
    runs: Record<string, string>;
  };
  const [, section = ''] = read('README.md').split(`## The ${name} action\n`);
  const lines = (section.split('\n## ')[0] ?? '').split('\n');
  const names = (cells: number) =>
    lines
      .filter(line => line.split(/(?<!\\)\|/).length === cells + 3)
      .flatMap(line => /^\| `([^`]+)` \|/.exec(line)?.[1] ?? []);

  test('has the inputs that the code reads, with its defaults', () => {
    expect(Object.keys(inputs)).toEqual(inputNames);
    const written = Object.entries(inputs).flatMap(([input, {default: value}]) =>
      value === undefined ? [] : [[input, value]]
    );
    expect(Object.fromEntries(written)).toEqual(defaults);
  });

  test('has the outputs that the code sets', () => {
    expect(Object.keys(outputs)).toEqual(outputNames);
  });

  test('has both in the README, and no other there', () => {
    expect(names(2)).toEqual(inputNames);
    expect(names(1)).toEqual(outputNames);
  });

  test.each(Object.entries(inputs))('says what %s is', (input, {description, default: value}) => {
    expect(description).toMatch(/^.{20,}\.$/);
    const shown = value === undefined ? '' : `\`${value}\``;
    expect(lines).toContain(`| \`${input}\` | ${shown} | ${description.replaceAll('|', '\\|')} |`);
  });

  test.each(Object.entries(outputs))('says what %s tells', (output, {description}) => {
    expect(description).toMatch(/^.{10,}\.$/);
    expect(lines).toContain(`| \`${output}\` | ${description.replaceAll('|', '\\|')} |`);
  });

  test('runs the one bundle, on the same Node', () => {
    expect(runs).toEqual({using: 'node24', main: `../dist/${name}.js`});
  });
});

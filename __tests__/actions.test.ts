import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {parse} from 'yaml';
import {matrixDefaults, matrixInputNames} from '../src/inputs/matrix-inputs.ts';
import {reportDefaults, reportInputNames} from '../src/inputs/report-inputs.ts';
import {buildMergedOutputs} from '../src/reports/merged-outputs.ts';
import {mixed} from './merged-cells-table.ts';

/** The actions beside the main one: their action.yml, the code and the tables in docs agree. */

const root = path.join(import.meta.dirname, '..');
const read = (name: string) => fs.readFileSync(path.join(root, name), 'utf8');

interface Described {
  description: string;
  default?: string;
  required?: boolean;
}

const actions = [
  {
    name: 'matrix',
    inputNames: matrixInputNames as string[],
    defaults: matrixDefaults as Record<string, string>,
    outputNames: ['matrix', 'count', 'left-out']
  },
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
  const title = `${name.charAt(0).toUpperCase()}${name.slice(1)} action`;
  const linesIn = (page: string): string[] => {
    const [, section = ''] = read(`docs/${page}`).split(`\n## ${title}\n`);
    return (section.split('\n## ')[0] ?? '').split('\n');
  };
  const namesIn = (page: string) =>
    linesIn(page).flatMap(line => /^\| `([^`]+)` \|/.exec(line)?.[1] ?? []);

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

  test('has both in docs, and no other there', () => {
    expect(namesIn('inputs.md')).toEqual(inputNames);
    expect(namesIn('outputs.md')).toEqual(outputNames);
  });

  test.each(Object.entries(inputs))(
    '%s is in docs, with its description',
    (input, {description, default: value}) => {
      expect(description).toMatch(/^.{20,}\.$/);
      const shown = value === undefined ? '' : `\`${value}\``;
      expect(linesIn('inputs.md')).toContain(
        `| \`${input}\` | ${shown} | ${description.replaceAll('|', '\\|')} |`
      );
    }
  );

  test.each(Object.entries(outputs))(
    '%s is in docs, with its description',
    (output, {description}) => {
      expect(description).toMatch(/^.{10,}\.$/);
      expect(linesIn('outputs.md')).toContain(
        `| \`${output}\` | ${description.replaceAll('|', '\\|')} |`
      );
    }
  );

  test('runs the one bundle, on the same Node', () => {
    expect(runs).toEqual({using: 'node24', main: `../dist/${name}.js`});
  });
});

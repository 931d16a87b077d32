import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {parse} from 'yaml';
import {matrixDefaults} from '../src/inputs/matrix-inputs.ts';
import {made, tables} from './versions-docs.ts';

const root = path.join(import.meta.dirname, '..');
const documents = ['README.md', 'docs/versions.md'];

describe.each(documents)('%s', name => {
  const file = path.join(root, name);

  test('says what the Action goes by; `npm run versions` makes it so', () => {
    const text = fs.readFileSync(file, 'utf8');
    if (process.env.MAKE_DOCUMENTS) fs.writeFileSync(file, made(text));
    expect(fs.readFileSync(file, 'utf8')).toBe(made(text));
    expect(text).toMatch(/<!-- made: [a-z ]+ -->/);
  });
});

test('every table stands somewhere', () => {
  const text = documents.map(name => fs.readFileSync(path.join(root, name), 'utf8')).join('\n');
  for (const name of Object.keys(tables)) expect(text).toContain(`<!-- made: ${name} -->`);
});

describe('docs/versions.md', () => {
  const text = fs.readFileSync(path.join(root, 'docs', 'versions.md'), 'utf8');
  const action = parse(fs.readFileSync(path.join(root, 'matrix', 'action.yml'), 'utf8'));

  test('has every input of the matrix action, with its default', () => {
    for (const name of Object.keys(action.inputs)) {
      const value = matrixDefaults[name as keyof typeof matrixDefaults];
      expect(text).toContain(`| \`${name}\` | ${value === undefined ? '' : `\`${value}\``} |`);
    }
  });

  test('has every output of it', () => {
    for (const name of Object.keys(action.outputs)) expect(text).toContain(`\`${name}\``);
  });
});

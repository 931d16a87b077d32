import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {made, tables} from './versions-docs.ts';

const root = path.join(import.meta.dirname, '..');
const documents = ['docs/versions.md'];

describe.each(documents)('%s', name => {
  const file = path.join(root, name);

  test('has tables of current data; `npm run versions` generates them', () => {
    const text = fs.readFileSync(file, 'utf8');
    if (process.env.MAKE_DOCUMENTS) fs.writeFileSync(file, made(text));
    expect(fs.readFileSync(file, 'utf8')).toBe(made(text));
    expect(text).toMatch(/<!-- made: [a-z ]+ -->/);
  });
});

test('every table is in a document', () => {
  const text = documents.map(name => fs.readFileSync(path.join(root, name), 'utf8')).join('\n');
  for (const name of Object.keys(tables)) expect(text).toContain(`<!-- made: ${name} -->`);
});

/** The user documentation: generated pages, links, sizes, and the tests that docs/security.md names. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {pages, renderChecksPage} from '../scripts/make-docs.mjs';
import {catalogue, layerAttributions} from '../src/checks/catalogue.ts';
import {layers} from '../src/results/results.ts';

const root = path.join(import.meta.dirname, '..');
const read = (name: string) => fs.readFileSync(path.join(root, name), 'utf8');
const documents = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md'],
  ...(fs.readdirSync(path.join(root, 'docs'), {recursive: true}) as string[])
    .filter(name => name.endsWith('.md'))
    .map(name => `docs/${name}`)
];

test.each(Object.entries(pages()))('docs/%s is what `npm run docs` generates', (name, text) => {
  expect(read(`docs/${name}`)).toBe(text);
});

describe('docs/checks.md', () => {
  const page = renderChecksPage(layers, catalogue, layerAttributions);
  const file = path.join(root, 'docs', 'checks.md');

  test('is what `npm run docs` generates', () => {
    if (process.env.MAKE_DOCUMENTS) fs.writeFileSync(file, page);
    expect(fs.readFileSync(file, 'utf8')).toBe(page);
  });

  test('has an anchor for each layer, in order', () => {
    expect(anchorsIn(page).slice(1)).toEqual(layers);
  });

  test('has each check once, below its layer', () => {
    const sections = page.split(/^## /m).slice(1);
    for (const [index, layer] of layers.entries()) {
      const ids = [...(sections[index] ?? '').matchAll(/^\| `([^`]+)` \|/gm)].map(([, id]) => id);
      const expected = catalogue.filter(check => check.layer === layer).map(({id}) => id);
      expect(ids).toEqual(expected);
    }
  });
});

/** A heading as GitHub makes an anchor of it. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-');

const anchorsIn = (text: string): string[] =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchor(heading));

/** Relative links of a document that lead nowhere. */
function deadLinks(name: string): string[] {
  const text = read(name).replace(/```[\s\S]*?```/g, '');
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
  return links.filter(link => {
    if (/^https?:/.test(link)) return false;
    const [file = '', target] = link.split('#');
    const to = file === '' ? name : path.join(path.dirname(name), file);
    if (!fs.existsSync(path.join(root, to))) return true;
    return target !== undefined && !anchorsIn(read(to)).includes(target);
  });
}

test.each(documents)('%s has no dead link', name => {
  expect(deadLinks(name)).toEqual([]);
});

test('docs/README.md lists every page', () => {
  const index = read('docs/README.md');
  const pagesHere = documents.filter(name => name.startsWith('docs/') && name !== 'docs/README.md');
  for (const name of pagesHere) expect(index).toContain(`](${path.relative('docs', name)})`);
});

test('the README has at most 9,000 bytes', () => {
  expect(Buffer.byteLength(read('README.md'))).toBeLessThanOrEqual(9000);
});

describe('docs/security.md', () => {
  const rows = read('docs/security.md')
    .split('\n')
    .filter(line => line.startsWith('|'))
    .slice(2);

  test('names only tests that exist', () => {
    const named = rows.flatMap(line =>
      [...(line.split('|').at(-2) ?? '').matchAll(/`([^`]+)`/g)].map(([, name]) => name)
    );
    expect(named.length).toBeGreaterThan(20);
    const missing = named.filter(
      name => !fs.existsSync(path.join(root, '__tests__', `${name}.test.ts`))
    );
    expect(missing).toEqual([]);
  });
});

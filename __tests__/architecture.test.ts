import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';

const source = path.join(import.meta.dirname, '..', 'src');

/** Each room of src may know those in its list, and no other. Entry points, which are loose in src, may know all. */
const knows: Record<string, string[]> = {
  results: [],
  base: ['results'],
  versions: ['base', 'results'],
  inputs: ['versions', 'base', 'results'],
  manifests: ['inputs', 'versions', 'base', 'results'],
  plan: ['manifests', 'inputs', 'versions', 'base', 'results'],
  phases: ['plan', 'manifests', 'inputs', 'versions', 'base', 'results'],
  checks: ['plan', 'manifests', 'inputs', 'versions', 'base', 'results'],
  reports: ['checks', 'phases', 'plan', 'manifests', 'inputs', 'versions', 'base', 'results'],
  run: ['reports', 'checks', 'phases', 'plan', 'manifests', 'inputs', 'versions', 'base', 'results']
};

const files = fs
  .readdirSync(source, {recursive: true, encoding: 'utf8'})
  .filter(file => file.endsWith('.ts'));

const imports = new Map(
  files.map(file => [
    file,
    [...fs.readFileSync(path.join(source, file), 'utf8').matchAll(/ from '(\.[^']+\.ts)'/g)].map(
      ([, to = '']) => path.join(path.dirname(file), to)
    )
  ])
);

const room = (file: string) => (file.includes('/') ? path.dirname(file) : '');

describe('data walks one way', () => {
  test.each(Object.entries(knows))('%s knows only %j', (name, allowed) => {
    const strangers = [...imports]
      .filter(([file]) => room(file) === name)
      .flatMap(([file, to]) => to.map(other => [file, other] as const))
      .filter(([, other]) => room(other) !== name && !allowed.includes(room(other)));
    expect(strangers).toEqual([]);
  });

  test('every folder of src has its line here', () => {
    const rooms = new Set(files.map(room).filter(name => name !== ''));
    expect([...rooms].sort()).toEqual(Object.keys(knows).sort());
  });

  test('no file imports itself by way of others', () => {
    const done = new Set<string>();
    const circle = (file: string, way: string[]): string[] => {
      if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
      if (done.has(file)) return [];
      const found = (imports.get(file) ?? []).map(next => circle(next, [...way, file]));
      done.add(file);
      return found.find(one => one.length > 0) ?? [];
    };
    expect(files.map(file => circle(file, [])).find(one => one.length > 0)).toBeUndefined();
  });
});

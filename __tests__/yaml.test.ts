import * as fs from 'node:fs';
import * as path from 'node:path';
import {afterEach, beforeEach, describe, expect, jest, test} from '@jest/globals';
import {runWithTimeLimit, TimeLimitError} from '../src/base/bounded.ts';
import {readYaml, readYamlDocuments, YamlError} from '../src/base/yaml.ts';

describe('bounded', () => {
  test('gives what the work gives, and throws what it throws', () => {
    expect(runWithTimeLimit(() => ({a: 1}))).toEqual({a: 1});
    expect(() =>
      runWithTimeLimit(() => {
        throw new RangeError('x');
      })
    ).toThrow(RangeError);
  });

  test.each([
    [
      'a loop',
      () => {
        for (;;);
      }
    ],
    ['an expression', () => /^(a+)+$/.test(`${'a'.repeat(60)}b`)]
  ])('ends %s', (_, work) => {
    expect(() => runWithTimeLimit(work as () => unknown, 0.2)).toThrow(TimeLimitError);
  });
});

describe('readYaml', () => {
  test.each([
    ['a: 1\nb: [x, {c: null}]', {a: 1, b: ['x', {c: null}]}],
    ['', null],
    ['text', 'text'],
    ['a: &x {b: 1}\nc: *x', {a: {b: 1}, c: {b: 1}}],
    ['1: a\n"1x": b', {1: 'a', '1x': 'b'}],
    ['toString: 1', {toString: 1}]
  ])('%j', (text, value) => expect(readYaml(text)).toEqual(value));

  const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${[...'bcdefgh']
    .map((key, at) => `${key}: &${key} [${Array(9).fill(`*${'abcdefg'[at]}`)}]`)
    .join('\n')}`;
  test.each([
    ['an unfinished text', 'hunter2: [', /at line 1, column/],
    ['an alias to nothing', 'a: *hunter2', /alias has no anchor/],
    ['a key twice', 'hunter2: 1\nb: 2\nhunter2: 3', /a key twice/],
    ['a tag that is none', '!<hunter2 x', /at line/],
    ['a bomb of aliases', bomb, /aliases/],
    [
      'many aliases',
      `a: &a x\n${Array.from({length: 5000}, (_, at) => `k${at}: *a`).join('\n')}`,
      /100 aliases/
    ],
    ['what hangs the parser', '? '.repeat(600), /./],
    ['depth', '['.repeat(5000), /./],
    [
      'depth in lines',
      Array.from({length: 150}, (_, at) => `${' '.repeat(at)}a:`).join('\n'),
      /too deep/
    ],
    ['more than is read', 'x'.repeat((1 << 20) + 1), /1048576 characters/]
  ])(
    '%s is refused soon, by words that repeat nothing of it',
    (_, text, words) => {
      const start = performance.now();
      let error: unknown;
      try {
        readYaml(text);
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(YamlError);
      expect((error as Error).message).toMatch(words);
      expect((error as Error).message).not.toContain('hunter2');
      expect(performance.now() - start).toBeLessThan(10_000);
    },
    30_000
  );

  test('nor is a document with such an alias read to be written again', () => {
    expect(() => readYamlDocuments('a: 1\n---\n<<: *b')).toThrow(YamlError);
  });

  test('a long and honest text is read in time', () => {
    const text = Array.from({length: 20_000}, (_, at) => `key${at}: value`).join('\n');
    expect(Object.keys(readYaml(text) as object)).toHaveLength(20_000);
  });

  test.each([
    '__proto__: {polluted: 1}',
    'a: {constructor: {prototype: {polluted: 1}}}',
    '[{prototype: 1}]'
  ])('no prototype is touched, nor what is merged lost: %s', text => {
    expect(() => readYaml(text)).toThrow(/has a reserved key/);
    expect(({} as {polluted?: number}).polluted).toBeUndefined();
  });
});

describe('on standard error, where the runner would read commands', () => {
  const said: unknown[] = [];
  beforeEach(() => {
    said.length = 0;
    jest.spyOn(process, 'emitWarning').mockImplementation(text => void said.push(text));
    jest.spyOn(console, 'warn').mockImplementation(text => void said.push(text));
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  test.each(['::stop-commands::x: !x y', '? {a: b}\n: ::error::x', '%FOO bar\n---\na: 1'])(
    'nothing is said of %j',
    text => {
      readYaml(text);
      readYamlDocuments(text);
      expect(said).toEqual([]);
    }
  );

  test('there is no other door for YAML', () => {
    const source = path.join(import.meta.dirname, '..', 'src');
    const others = fs
      .readdirSync(source, {recursive: true, encoding: 'utf8'})
      .filter(file => file.endsWith('.ts') && file !== path.join('base', 'yaml.ts'))
      .filter(file =>
        /import \{[^}]*\bparse\w*[^}]*\} from 'yaml'/.test(
          fs.readFileSync(path.join(source, file), 'utf8')
        )
      );
    expect(others).toEqual([]);
  });
});

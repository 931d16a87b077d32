import {describe, expect, test} from '@jest/globals';
import {parseCommands} from '../src/base/shell.ts';

const words = (script: string) => parseCommands(script).map(({words}) => words);

describe('commands', () => {
  test.each<[string, string, string[][]]>([
    ['a line each', 'a b\nc\n', [['a', 'b'], ['c']]],
    ['lists and pipes', 'a || b && c; d | e & f', [['a'], ['b'], ['c'], ['d'], ['e'], ['f']]],
    ['quotes', `a 'b c' "d \\"e" f\\ g h'i'"j"`, [['a', 'b c', 'd "e', 'f g', 'hij']]],
    ['operators in quotes', `a "b | c; d" 'e && f'`, [['a', 'b | c; d', 'e && f']]],
    ['an empty word', `a '' b`, [['a', '', 'b']]],
    ['a line that goes on', 'a \\\n  b', [['a', 'b']]],
    ['comments', 'a # b\n# c\nd e#f', [['a'], ['d', 'e#f']]],
    ['redirections', 'a >b 2>/dev/null c 2>&1 <d >>e f', [['a', 'c', 'f']]],
    ['a substitution', 'x=$(a "b)" | c) d', [['x=$(a "b)" | c)', 'd']]],
    ['one in quotes', `a "$(b -l 'c)' "d e")" f`, [['a', `$(b -l 'c)' "d e")`, 'f']]],
    ['nothing', '\n # only a comment\n', []]
  ])('%s', (_, script, expected) => {
    expect(words(script)).toEqual(expected);
  });

  test('here-documents are their input', () => {
    const script = "a -f - <<EOF\none: #1\nEOF\nb <<'END' || c\ntwo\nEND\nd <<-E\n\tthree\n\tE\ne";
    expect(parseCommands(script)).toEqual([
      {words: ['a', '-f', '-'], input: 'one: #1'},
      {words: ['b'], input: 'two'},
      {words: ['c'], input: null},
      {words: ['d'], input: 'three'},
      {words: ['e'], input: null}
    ]);
  });

  test.each([
    ['quotes', `a "b`],
    ['others', "a 'b"],
    ['a substitution', 'a $(b "c'],
    ['a here-document', 'a <<EOF\nb'],
    ['its word', 'a <<'],
    ['a backslash', 'a \\'],
    ['a redirection', 'a >']
  ])('end with the text where %s does not', (_, script) => {
    expect(words(script)[0]?.[0]).toBe('a');
  });

  test('substitutions in each other fill no stack', () => {
    expect(words(`a ${'$('.repeat(100_000)}`)).toHaveLength(1);
  });
});

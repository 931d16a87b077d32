import {describe, expect, test} from '@jest/globals';
import {countWords, readMarkdown, readSource, splitSentences} from '../scripts/prose.mjs';

describe('a text is split into sentences', () => {
  test.each([
    ['One. Two! Three?', ['One.', 'Two!', 'Three?']],
    ['He asks "why?" Then he goes.', ['He asks "why?"', 'Then he goes.']],
    ['See `a. B` and [c d](e.f). Next.', ['See Code and c d.', 'Next.']],
    ['One. `two` is code. docs/a.md has more.', ['One.', 'Code is code.', 'docs/a.md has more.']],
    ['Use a tool, e.g. Docker. Or not.', ['Use a tool, e.g. Docker.', 'Or not.']],
    ['Istio 1.30.3 on v1.36. It works', ['Istio 1.30.3 on v1.36.', 'It works']],
    ['a file is read. it goes on', ['a file is read. it goes on']],
    ['', []]
  ])('%j', (text, sentences) => {
    expect(splitSentences(text)).toEqual(sentences);
  });
});

test('a word contains a letter or a digit', () => {
  expect(countWords('The 3 checks – and → IPv6: done.')).toBe(6);
});

test('Markdown is read by paragraph, list item and cell, without code', () => {
  const text =
    '# Title\nA line\ngoes on.\n\n- item\n\n| a | b |\n| --- | --- |\n\n```\ncode\n```\n';
  expect(readMarkdown(text)).toEqual([
    {line: 1, text: 'Title'},
    {line: 2, text: 'A line goes on.'},
    {line: 5, text: 'item'},
    {line: 7, text: 'a'},
    {line: 7, text: 'b'}
  ]);
});

test('of a source, comments and strings are read; comments that follow each other are one', () => {
  const text =
    "// first\n// second\nconst a = 'told'; // third\n// fourth\nconst b = `one $" + '{a} two`;\n';
  const found = readSource(text).map(({line, text}) => [line, text]);
  expect(found.sort()).toEqual([
    [1, 'first second'],
    [3, 'third'],
    [3, 'told'],
    [4, 'fourth'],
    [5, 'one X two']
  ]);
});

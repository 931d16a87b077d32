import {describe, expect, test} from '@jest/globals';
import {group, oneLine, say} from '../src/log.ts';
import {eachOnRunner} from './fake.ts';

const runner = eachOnRunner();

describe('oneLine', () => {
  test.each([
    ['a\nb', 'a b'],
    ['a\r\n\tb ', 'a b'],
    ['a\u2028b\u2029c\u0085d', 'a b c d'],
    ['\u001b[31mred\u001b[0m', 'red'],
    ['\u0000\u0007bell', 'bell'],
    ['x ##[error]y', 'x # #[error]y'],
    ['#\u001b[0m#[error]', '# #[error]'],
    ['##\u001b[1m[error]', '# #[error]'],
    ['grüß', 'grüß']
  ])('%j', (text, expected) => expect(oneLine(text)).toBe(expected));
});

describe('say', () => {
  test('is one line with the time, which no foreign text can turn into a command', () => {
    say(3.14, 'mesh', '::set-output name=a::b\n::error::c');
    expect(runner.log()).toBe('   3.1s  mesh             ::set-output name=a::b ::error::c\n');
    expect(runner.log()).not.toMatch(/^\s*::/m);
  });
});

describe('group', () => {
  test('prints foreign text whole, with commands switched off', () => {
    group('The log\n::error::x', '::error::a\n  ::add-mask::b\nx ##[command]c\n');
    const lines = runner.log().trimEnd().split('\n');
    const [, token = ''] = /^::stop-commands::(.+)$/.exec(lines[1] ?? '') ?? [];
    expect(token).toMatch(/^[0-9a-f-]{36}$/);
    expect(lines).toEqual([
      '::group::The log ::error::x',
      `::stop-commands::${token}`,
      '::error::a',
      '  ::add-mask::b',
      'x # #[command]c',
      `::${token}::`,
      '::endgroup::'
    ]);
  });

  test('has another token each time', () => {
    group('a', 'a');
    group('b', 'b');
    const tokens = [...runner.log().matchAll(/stop-commands::(.+)/g)].map(([, token]) => token);
    expect(new Set(tokens).size).toBe(2);
  });
});

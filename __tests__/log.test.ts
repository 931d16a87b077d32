import {describe, expect, test} from '@jest/globals';
import {group, oneLine, redact, say} from '../src/base/log.ts';
import {eachOnRunner} from './fake.ts';

const runner = eachOnRunner();

describe('redact', () => {
  const key = '-----BEGIN RSA PRIVATE KEY-----\nhunter2\nhunter2\n-----END RSA PRIVATE KEY-----';
  test.each([
    ['a key', `before ${key} after`, 'before [private key] after'],
    ['a key cut off', '-----BEGIN PRIVATE KEY-----\nhunter2', '[private key]'],
    ['a token', 'Bearer eyJhbGciOiJSUzI1NiIs.eyJzdWIiOiJhYmMi.hunter2_-', 'Bearer [token]'],
    [
      'a field of YAML',
      'client-key-data: hunter2\nserver: x',
      'client-key-data: [removed]\nserver: x'
    ],
    ['a field of JSON', '{"token":"hunter2","a":1}', '{"token":"[removed]","a":1}'],
    ['Envoy’s own', '"inline_bytes": "hunter2"', '"inline_bytes": "[removed]"'],
    ['a password', 'password = hunter2', 'password = [removed]'],
    ['a URL', 'helm pull https://me:hunter2@x.example/y.tgz', 'helm pull https://x.example/y.tgz'],
    ['two', 'http://a@x/ https://b:c@y/', 'http://x/ https://y/'],
    ['a token for a user', '(https://hunter2@x.example)', '(https://x.example)'],
    ['no credentials', 'https://x.example/a@b', 'https://x.example/a@b'],
    ['an address', 'http://[fd00::1]:80/', 'http://[fd00::1]:80/'],
    ['nothing', 'tcp-echo.ipv4 9000', 'tcp-echo.ipv4 9000']
  ])('%s', (_, text, expected) => expect(redact(text)).toBe(expected));

  // Ten minutes and more each where an expression is tried anew from within its own match.
  test.each(['x', 'https://', '//', 'eyJ-', 'eyJ-.', '-----BEGIN PRIVATE KEY-----', 'token: '])(
    'a megabyte of %s',
    part => expect(redact(part.repeat(1_000_000 / part.length)).length).toBeGreaterThan(0)
  );
});

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
    ['grüß', 'grüß'],
    ['password: hunter2', 'password: [removed]']
  ])('%j', (text, expected) => expect(oneLine(text)).toBe(expected));
});

describe('say', () => {
  test('is one line with the time, which no foreign text can turn into a command', () => {
    say(3.14, 'mesh', '::set-output name=a::b\n::error::c');
    expect(runner.log()).toBe('   3.1s  mesh                 ::set-output name=a::b ::error::c\n');
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

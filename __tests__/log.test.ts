import {afterEach, describe, expect, test} from '@jest/globals';
import {logGroup, logLine, redact, setHiddenTexts, toSingleLine} from '../src/base/log.ts';
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
    ['a key of an API', 'apiKey: hunter2', 'apiKey: [removed]'],
    ['another', 'X_API_KEY=hunter2 next', 'X_API_KEY=[removed] next'],
    ['a secret', 'clientSecret: hunter2', 'clientSecret: [removed]'],
    ['a header', 'Authorization: Basic aHVudGVyMg==', 'Authorization: Basic [removed]'],
    ['a bearer', '-H "x: Bearer hunter2hunter2"', '-H "x: Bearer [token]"'],
    ['a registry’s', '{"auth":"aHVudGVyMg=="}', '{"auth":"[removed]"}'],
    ['a runner’s', 'ghs_hunter2hunter2hunter2', '[token]'],
    ['a passwd', 'passwd=hunter2', 'passwd=[removed]'],
    ['a phrase in quotes', 'passphrase: "hunter2 and hunter2"', 'passphrase: "[removed]"'],
    ['a phrase with quotes', 'password: "hunter2 \\" hunter2"', 'password: "[removed]"'],
    ['a phrase', 'password: hunter2 and hunter2\nb: c', 'password: [removed]\nb: c'],
    [
      'lines',
      'a:\n  password: |\n    hunter2\n\n    hunter2\n  b: c',
      'a:\n  password: [removed]\n  b: c'
    ],
    ['JSON in JSON', '{\\"token\\":\\"hunter2\\"}', '{\\"token\\":\\"[removed]\\"}'],
    [
      'an environment',
      '- name: DB_PASSWORD\n  value: hunter2',
      '- name: DB_PASSWORD\n  value: [removed]'
    ],
    [
      'one of JSON',
      '{"name":"A_TOKEN","value":"hunter2"}',
      '{"name":"A_TOKEN","value":"[removed]"}'
    ],
    ['what only sounds so', 'author: a, secretName: b', 'author: a, secretName: b'],
    ['a URL', 'helm pull https://me:hunter2@x.example/y.tgz', 'helm pull https://x.example/y.tgz'],
    ['two', 'http://a@x/ https://b:c@y/', 'http://x/ https://y/'],
    ['a token for a user', '(https://hunter2@x.example)', '(https://x.example)'],
    ['no credentials', 'https://x.example/a@b', 'https://x.example/a@b'],
    ['an address', 'http://[fd00::1]:80/', 'http://[fd00::1]:80/'],
    ['nothing', 'tcp-echo.ipv4 9000', 'tcp-echo.ipv4 9000']
  ])('%s', (_, text, expected) => expect(redact(text)).toBe(expected));

  // Ten minutes and more each where an expression is tried anew from within its own match.
  test.each([
    ...['x', 'https://', '//', 'eyJ-', 'eyJ-.', '-----BEGIN PRIVATE KEY-----', 'token: ', 'token'],
    ...[
      'token: "',
      "token: '",
      'token: "\\',
      'password ',
      'password: \n',
      'name: ',
      'name: token '
    ],
    ...[
      'bearer ',
      'bearer',
      'gh_',
      '\u001b]',
      '\u001b[',
      '\u001b]0',
      '\u009d',
      '\u001b',
      '\u001b[0;',
      ' ',
      '\n'
    ],
    ...['password: |\n', '    ', '::', '##[', '\\']
  ])('a megabyte of %j takes no time', part => {
    const start = performance.now();
    expect(toSingleLine(redact(part.repeat(1_000_000 / part.length)))).toBeDefined();
    expect(performance.now() - start).toBeLessThan(3000);
  });

  test('what it was told to hide, as it is and as JSON writes it', () => {
    setHiddenTexts(['hunter2 "here"', 'two\nhunter2 lines', 'of']);
    expect(redact('a hunter2 "here" b, {"c":"hunter2 \\"here\\""}, hunter2 lines of d')).toBe(
      'a [removed] b, {"c":"[removed]"}, [removed] of d'
    );
    setHiddenTexts([]);
  });
});

describe('what is hidden', () => {
  afterEach(() => setHiddenTexts([]));

  test.each<[string, string[]]>([
    ['one text of 60 KB', ['a+b/'.repeat(15_000)]],
    [
      '1,000 lines of base64',
      [Array.from({length: 1000}, (_, at) => `${at}/+${'x'.repeat(60)}`).join('\n')]
    ],
    ['40,000 short ones', Array.from({length: 40_000}, (_, at) => `value-${at}.`)]
  ])('may be %s', (_, texts) => {
    setHiddenTexts([...texts, 'hunter+2/secret']);
    const last = texts.at(-1)?.split('\n').at(-1) ?? '';
    const start = performance.now();
    expect(redact(`a ${last} b hunter+2/secret c`)).toBe('a [removed] b [removed] c');
    expect(performance.now() - start).toBeLessThan(3000);
  });
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
    ['password: hunter2', 'password: [removed]'],
    ['\u001b[36mpassword\u001b[0m=hunter2', 'password=[removed]'],
    ['a\u202eb\u2066c\u200fd', 'abcd'],
    ['\u001b\u202e[31mred', 'red'],
    ['\u001b\u001bA[31mred', '[31mred']
  ])('%j', (text, expected) => expect(toSingleLine(text)).toBe(expected));
});

describe('say', () => {
  test('is one line with the time, which no foreign text can turn into a command', () => {
    logLine(3.14, 'mesh', '::set-output name=a::b\n::error::c');
    expect(runner.log()).toBe('   3.1s  mesh                 ::set-output name=a::b ::error::c\n');
    expect(runner.log()).not.toMatch(/^\s*::/m);
  });
});

describe('group', () => {
  test('prints foreign text whole, with commands switched off', () => {
    logGroup('The log\n::error::x', '::error::a\n  ::add-mask::b\nx ##[command]c\n');
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

  test.each([
    ['\u001b\u202e[31mred', 'red'],
    ['\u001b\u001bA[31mred', '[31mred'],
    ['red\u001b', 'red']
  ])('leaves nothing that a terminal acts on: %j', (text, expected) => {
    logGroup('a', text);
    expect(runner.log().split('\n')[2]).toBe(expected);
  });

  test('has another token each time', () => {
    logGroup('a', 'a');
    logGroup('b', 'b');
    const tokens = [...runner.log().matchAll(/stop-commands::(.+)/g)].map(([, token]) => token);
    expect(new Set(tokens).size).toBe(2);
  });
});

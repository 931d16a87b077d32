import {spawnSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {
  buildClientCommand,
  meshClient,
  parseAnswers,
  parsePeer,
  plainClient,
  reproduceProbe,
  sendProbes,
  toAttempts
} from '../src/checks/probe.ts';
import {eachOnRunner, fakeClients, fakePrograms, fakeSh, fakeWork} from './fake.ts';

const runner = eachOnRunner();
const work = fakeWork();

const probe = {word: 'echo/ipv6/name', address: 'fd00:10:96::8', port: 9000};

describe('parsePeer', () => {
  test.each([
    // words of four bytes, each in host order, as /proc/net/tcp and tcp6 have them
    ['0600F40A:2328', '10.244.0.6'],
    ['0100007F:2329', '127.0.0.1'],
    ['FFFFFFFF:FFFF', '255.255.255.255'],
    ['100000FD000044020000000006000000:2328', 'fd00:10:244::6'],
    ['0000000000000000FFFF00000600F40A:2328', '10.244.0.6'],
    ['0000000000000000ffff00000100007f:2328', '127.0.0.1'],
    ['00000000000000000000000001000000:0050', '::1']
  ])('%s is %s', (text, address) => expect(parsePeer(text)).toBe(address));

  test.each(['fd00:10:244::6', 'fe80::1', '2001:db8:0:1:1:1:1:1', 'fd00:10:96::d025'])(
    'reads %s back as everybody writes it',
    address => {
      const groups = address.split('::').map(half => half.split(':').filter(Boolean));
      const [head = [], tail] = groups;
      const zeros = Array<string>(8 - head.length - (tail?.length ?? 0)).fill('0');
      const bytes = [...head, ...zeros, ...(tail ?? [])]
        .map(group => group.padStart(4, '0'))
        .join('');
      const little = (bytes.match(/.{8}/g) ?? []).map(word =>
        (word.match(/../g) ?? []).reverse().join('')
      );
      expect(parsePeer(`${little.join('').toUpperCase()}:2328`)).toBe(address);
    }
  );
});

describe('parseAnswers', () => {
  test.each([
    ['0 10.00 10.12 0600F40A:2328, hello ipv4', 0, 'hello ipv4', 0.12, ['10.244.0.6']],
    [
      '7 10.00 10.01 0600F40A:2328,0700600A:2328, hello a b',
      7,
      'hello a b',
      0.01,
      ['10.244.0.6', '10.96.0.7']
    ],
    ['10 99.99 100.30  hello dualstack', 10, 'hello dualstack', 0.31, []],
    ['0 10.00 13.00  ', 0, '', 3, []],
    ['0 10.00 13.00 ', 0, '', 3, []],
    ['0 1.00 1.00 0600F40A:2328, ', 0, '', 0, ['10.244.0.6']],
    ['0 1.00 1.00  ::error::x', 0, '::error::x', 0, []]
  ])('%j', (line, row, text, seconds, peers) => {
    expect(parseAnswers(line, 20)).toEqual([{row, text, at: 20 - seconds, seconds, peers}]);
  });

  test.each([
    '::error::0 1.00 1.00  x',
    '0 1 1  x',
    '0 ::x:: 1.00  x',
    '0 1.00 1e999  x',
    '0 1.0.0 1.00  x'
  ])('%j is no answer', line => {
    expect(parseAnswers(`${line}\n0 1.00 1.00  hello ipv4`, 20)).toEqual([
      {row: 0, text: 'hello ipv4', at: 20, seconds: 0, peers: []}
    ]);
  });

  test('a clock that goes backwards has taken no time', () => {
    expect(parseAnswers('0 2.00 1.00  hello ipv4', 20)[0]?.seconds).toBe(0);
  });
});

describe('ask', () => {
  test('asks all addresses in one call, each as often as it should', async () => {
    const sh = fakeClients(({word}) => `hello ${word}`);
    const probes = [probe, {word: 'other', address: '10.96.0.8', port: 9001}];
    const answers = await sendProbes({sh, work}, meshClient, probes, 3, 2.5);
    expect(sh.rounds).toEqual([{namespace: 'sleep', probes}]);
    expect(answers.map(some => some.map(({text}) => text))).toEqual([
      Array(3).fill('hello echo/ipv6/name'),
      Array(3).fill('hello other')
    ]);
  });

  test('a probe that fails once has failed, and the next one has its turn', async () => {
    const sh = fakeClients(({word}, _, attempt) =>
      word === 'x' && attempt === 1 ? 'no' : `hello ${word}`
    );
    const answers = await sendProbes({sh, work}, meshClient, [{...probe, word: 'x'}, probe], 3, 1);
    expect(answers.map(some => some.map(({text}) => text))).toEqual([
      ['hello x', 'no'],
      Array(3).fill('hello echo/ipv6/name')
    ]);
  });

  test('interpolates nothing into the shell', async () => {
    const commands: string[][] = [];
    const limits: (number | undefined)[] = [];
    const hostile = {word: '$(id)', address: '; rm -rf /', port: 9000};
    await sendProbes(
      {
        work,
        sh: async (command, options) => {
          commands.push(command);
          limits.push(options?.seconds);
          return {code: 0, stdout: '0 1.00 1.00  x\n', stderr: '', timedOut: false};
        }
      },
      plainClient,
      [hostile],
      2,
      2.1
    );
    const [command = []] = commands;
    expect(command.slice(0, 10)).toEqual([
      ...['kubectl', 'exec', '--namespace', 'plain', 'deployment/sleep'],
      ...['--container', 'sleep', '--', 'sh', '-c']
    ]);
    expect(command.slice(0, 10)).toEqual(buildClientCommand(plainClient));
    expect(command[10]).not.toContain('$(id)');
    expect(command.slice(11)).toEqual(['probe', '3', '2', '$(id)', '; rm -rf /', '9000']);
    expect(limits).toEqual([38]); // two probes of at most 3 s, and some room
  });

  test.each([
    ['nothing', '', 1],
    ['the answer to another one', '1 1 1  hello\n', 0],
    ['no line of ours', 'sh: nc: not found\n', 0]
  ])('%s is not an answer', async (_, stdout, code) => {
    const sh = fakeSh(() => ({code, stdout, stderr: 'no such pod'}));
    await expect(sendProbes({sh, work}, meshClient, [probe], 2, 1)).rejects.toMatchObject({
      name: 'CommandError',
      message: expect.stringContaining('no such pod')
    });
  });

  test('a client that is cut off in the middle has not answered', async () => {
    const stdout = `0 1 1  hello ${probe.word}\n0 1 1  hello ${probe.word}\n`;
    const sh = fakeSh(() => ({code: 137, stdout, stderr: 'unexpected EOF'}));
    await expect(sendProbes({sh, work}, meshClient, [probe], 5, 1)).rejects.toMatchObject({
      name: 'CommandError'
    });
  });

  test('its script is one that sh can read', async () => {
    let script = '';
    const sh = fakeSh(command => {
      script = command[10] ?? '';
      return '0 1.00 1.00  x\n';
    });
    await sendProbes({sh, work}, meshClient, [probe], 1, 1);
    expect(spawnSync('sh', ['-n'], {input: script}).status).toBe(0);
    expect(script).toContain('nc "$address" $port');
  });

  test('holds standard input until the table of connections is read', async () => {
    const log = path.join(runner.directory, 'log');
    const env = fakePrograms(runner.directory, {
      nc: ['read -r word; echo "hello $word"', 'while read -r; do :; done', `echo closed >>${log}`],
      grep: ['sleep 0.3', `echo read >>${log}`, 'echo 0: 0100007F:1F90 0600F40A:2328 01']
    });
    const sh = fakeSh(command => {
      const [program = '', ...rest] = command.slice(command.indexOf('--') + 1);
      return spawnSync(program, rest, {env, encoding: 'utf8', timeout: 20_000}).stdout;
    });
    const [[answer] = []] = await sendProbes({sh, work}, meshClient, [probe], 1, 3);
    expect(answer).toMatchObject({text: `hello ${probe.word}`, peers: ['10.244.0.6']});
    expect(fs.readFileSync(log, 'utf8')).toBe('read\nclosed\n');
  });
});

test('attempts are told at the time they were made, by the clock of the run', () => {
  const lines = ['0 1.00 1.25  a', '0 1.50 2.00  b', '1 2.00 3.00  c'];
  expect(toAttempts(parseAnswers(lines.join('\n'), 13))).toEqual([
    {at: 11, seconds: 0.25, observed: 'a'},
    {at: 11.5, seconds: 0.5, observed: 'b'},
    {at: 12, seconds: 1, observed: 'c'}
  ]);
});

test('the command to see it by hand holds standard input open', () => {
  expect(reproduceProbe(meshClient, probe)).toBe(
    "kubectl exec -n sleep deploy/sleep -c sleep -- sh -c '(echo echo/ipv6/name; sleep 1) | timeout 3 nc fd00:10:96::8 9000'"
  );
});

test.each(['zzzzzzzz:0', 'a', ':', 'xyxyxyxyxyxyxyxyxyxyxyxyxyxyxyxy:1'])(
  'what is no peer is text, and no bug: %s',
  text => expect(typeof parsePeer(text)).toBe('string')
);

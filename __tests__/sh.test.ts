import {spawnSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {
  CommandError,
  type CommandOutput,
  detectParentDeathSignal,
  limitTime,
  runJson,
  runOrThrow,
  runUntilComplete,
  type Sh,
  sh
} from '../src/base/sh.ts';
import {eachOnRunner, fakeSh} from './fake.ts';

eachOnRunner();

const linux = process.platform === 'linux' ? test : test.skip; // elsewhere there is no time limit: it rehearses only

describe('sh', () => {
  test('gives what a command wrote, and how it ended', async () => {
    expect(await sh(['bash', '-c', 'echo out; echo error >&2; exit 3'])).toEqual({
      code: 3,
      stdout: 'out\n',
      stderr: 'error\n',
      timedOut: false
    });
  });

  test.each([['$(id)'], ['a b'], ['*'], ['-n'], ["'"], ['; ls'], ['a\nb']])(
    'passes %j as it is',
    async argument => {
      const {stdout} = await sh(['printf', '[%s]', argument]);
      expect(stdout).toBe(`[${argument}]`);
    }
  );

  test('pipes into a second command, and reads nothing of the two as shell', async () => {
    const {stdout} = await sh(['printf', '%s', '$HOME | x'], {pipeTo: ['sed', 's/x/$(id)/']});
    expect(stdout).toBe('$HOME | $(id)');
  });

  test.each([
    ['first', ['bash', '-c', 'exit 7'], ['cat'], 7],
    ['second', ['echo'], ['bash', '-c', 'cat; exit 8'], 8]
  ])('a pipe fails with its %s command', async (_, from, into, code) => {
    expect((await sh(from, {pipeTo: into})).code).toBe(code);
  });

  linux('ends a command whose time is over, with all that it started', async () => {
    const {code, timedOut, stdout} = await sh(['bash', '-c', 'echo $$; sleep 100 & sleep 100'], {
      seconds: 0.3
    });
    expect({code, timedOut}).toEqual({code: 124, timedOut: true});
    const {stdout: left} = await sh(['ps', '-o', 'pid=', '-g', stdout.trim()]);
    expect(left).toBe('');
  });

  linux(
    'kills a command that does not want to end, and says that it was late',
    async () => {
      const stubborn = ['bash', '-c', 'trap "" TERM; for i in 1 2 3 4 5 6 7 8 9; do sleep 1; done'];
      const {code, timedOut} = await sh(stubborn, {seconds: 2});
      expect(code).toBe(137);
      expect(timedOut).toBe(true);
    },
    20_000
  );

  linux(
    'of an answer without end it keeps a part, and calls it a failure',
    async () => {
      const {code, timedOut, stdout, stderr} = await sh(['yes', 'x'.repeat(1000)], {seconds: 2});
      expect({code, timedOut}).toEqual({code: 125, timedOut: true});
      expect(stdout.length).toBeLessThanOrEqual(32 << 20);
      expect(stderr).toMatch(/more than 33554432 bytes$/);
    },
    20_000
  );

  linux(
    'an answer without an end of a line takes no longer',
    async () => {
      const start = performance.now();
      const {code, stdout} = await sh(['head', '-c', '30000000', '/dev/zero']);
      expect({code, length: stdout.length}).toEqual({code: 0, length: 30_000_000});
      expect(performance.now() - start).toBeLessThan(4000); // it was 9 s, and four times that for twice as much
    },
    60_000
  );

  linux(
    'a program that leaves somebody behind with its output open is not waited for',
    async () => {
      const start = performance.now();
      const {code, stdout} = await sh(['bash', '-c', 'sleep 20 & echo $!'], {seconds: 30});
      expect(code).toBe(0);
      expect(performance.now() - start).toBeLessThan(5000);
      process.kill(Number(stdout));
    }
  );

  test('what the runner tells this Action is not told to others', async () => {
    Object.assign(process.env, {
      INPUT_MIRROR: 'hunter2',
      'INPUT_ISTIO-VALUES': 'hunter2',
      STATE_run: 'hunter2',
      ACTIONS_RUNTIME_TOKEN: 'hunter2',
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'hunter2',
      GITHUB_TOKEN: 'hunter2',
      GITHUB_ENV: '/hunter2',
      GITHUB_STEP_SUMMARY: '/hunter2',
      HTTPS_PROXY: 'http://proxy.example',
      GITHUB_WORKSPACE: '/workspace'
    });
    const {stdout} = await sh(['env']);
    expect(stdout).not.toContain('hunter2');
    expect(stdout).toContain('HTTPS_PROXY=http://proxy.example\n');
    expect(stdout).toContain('GITHUB_WORKSPACE=/workspace\n');
  });

  linux('a command that fills more memory than it may is ended, and any other is not', async () => {
    const fill = ['bash', '-c', 'all=x; for (( ; ; )); do all+=$all; done']; // Node 24 reserves more than that
    const {code, stderr} = await sh(fill, {memory: 1e8, seconds: 60});
    expect(code).not.toBe(0);
    expect(code).not.toBe(124);
    expect(stderr).toMatch(/cannot allocate/);
    expect((await sh(['bash', '-c', 'true'], {memory: 1e8})).code).toBe(0);
  });

  linux('a command that writes a larger file than it may is ended', async () => {
    const file = path.join(os.tmpdir(), `dual-stack-test-${process.pid}`);
    const write = ['cp', '/dev/zero', file];
    const start = performance.now();
    const {code, stderr} = await sh(write, {file: 100_000, seconds: 60});
    expect({ended: code !== 0, stderr, size: fs.statSync(file).size}).toEqual({
      ended: true,
      stderr: '',
      size: 100_000
    });
    expect(performance.now() - start).toBeLessThan(20_000);
    fs.rmSync(file);
  });

  linux('a program that is not there is an exit code', async () => {
    expect((await sh(['no-such-program-here'])).code).toBe(127);
  });
});

describe('a machine whose setpriv', () => {
  const command = ['kubectl', 'get', 'pods'];
  const timed = ['timeout', '-k', '2', '5', ...command];

  linux.each([
    ['is old', 'echo "setpriv: unrecognized option \'--pdeathsig\'" >&2; exit 1', false],
    ['is BusyBox’s', 'echo "Usage: setpriv [OPTIONS] PROG" >&2; exit 1', false],
    ['is as it should be', '[ "$1 $2" = "--pdeathsig TERM" ] && shift 2 && exec "$@"', true]
  ])('%s', (_, body, can) => {
    const bin = fs.mkdtempSync(path.join(os.tmpdir(), 'setpriv-'));
    const before = process.env.PATH;
    fs.writeFileSync(path.join(bin, 'setpriv'), `#!/bin/sh\n${body}\n`, {mode: 0o755});
    try {
      process.env.PATH = `${bin}:${before}`;
      expect(detectParentDeathSignal()).toBe(can);
    } finally {
      process.env.PATH = before;
      fs.rmSync(bin, {recursive: true});
    }
  });

  linux('is not there', () => {
    const before = process.env.PATH;
    try {
      process.env.PATH = '/nowhere';
      expect(detectParentDeathSignal()).toBe(false);
    } finally {
      process.env.PATH = before;
    }
  });

  linux('does without it has its commands bounded all the same', () => {
    expect(limitTime(command, 5, false)).toEqual(timed);
    expect(limitTime(command, 5, true)).toEqual(['setpriv', '--pdeathsig', 'TERM', ...timed]);
    const [program = '', ...rest] = limitTime(['sleep', '60'], 0.3, false);
    expect(spawnSync(program, rest).status).toBe(124);
  });
});

describe('must', () => {
  test('gives the standard output', async () => {
    expect(await runOrThrow(fakeSh({'kind version': 'v1'}), ['kind', 'version'])).toBe('v1');
  });

  test.each([
    [
      {code: 2, stderr: 'no such file\n'},
      '`kubectl get pods` ended with exit code 2: no such file'
    ],
    [{code: 2, stdout: 'told here'}, '`kubectl get pods` ended with exit code 2: told here'],
    [{code: 2}, '`kubectl get pods` ended with exit code 2: no output'],
    [{code: 124, timedOut: true}, '`kubectl get pods` did not end in time: no output']
  ])('throws what was said: %j', async (answer, message) => {
    const sh = fakeSh({'kubectl get pods -A': answer});
    const failed = runOrThrow(sh, ['kubectl', 'get', 'pods', '-A']);
    await expect(failed).rejects.toBeInstanceOf(CommandError);
    await expect(failed).rejects.toMatchObject({name: 'CommandError', message});
  });

  test('throws only the end of what was long', async () => {
    const sh = fakeSh({x: {code: 1, stderr: `${'a'.repeat(5000)}end`}});
    const error = await runOrThrow(sh, ['x']).catch((error: Error) => error.message);
    expect(error).toMatch(/a{1000}end$/);
    expect(error.length).toBeLessThan(2100);
  });
});

describe('mustJson', () => {
  test('gives what it says', async () => {
    expect(await runJson(fakeSh({'docker info': '{"a": 1}'}), ['docker', 'info'])).toEqual({a: 1});
  });

  test.each(['', '<html>Sign in</html>', '{"a": 1'])('%j is none', async text => {
    await expect(runJson(fakeSh({'docker info': text}), ['docker', 'info'])).rejects.toMatchObject({
      name: 'CommandError',
      message: expect.stringContaining(`invalid JSON: ${text}`.trim())
    });
  });

  test('what ended well and has written nothing is asked again', async () => {
    let turn = 0;
    const said = fakeSh(() => (turn++ === 0 ? '' : '{"a": 1}'));
    expect(await runJson(said, ['kubectl', 'exec'])).toEqual({a: 1});
    expect(said.calls).toHaveLength(2);
  });

  test('what failed is not', async () => {
    const said = fakeSh(() => ({code: 1, stderr: 'no pod'}));
    await expect(runJson(said, ['kubectl', 'exec'])).rejects.toThrow('no pod');
    expect(said.calls).toHaveLength(1);
  });
});

describe('wholeAnswer', () => {
  const two = ({stdout}: CommandOutput) => (stdout.split('\n').length < 2 ? null : stdout);

  test('asks until the answer is whole', async () => {
    const answers = ['a', '', 'a\nb'];
    const said = fakeSh(() => answers.shift());
    expect(await runUntilComplete(said, ['kubectl', 'exec'], two)).toBe('a\nb');
  });

  test('is the command’s failure where it never is', async () => {
    const said = fakeSh(() => ({code: 0, stderr: 'unexpected EOF'}));
    await expect(runUntilComplete(said, ['kubectl', 'exec'], two)).rejects.toThrow(
      'unexpected EOF'
    );
    expect(said.calls).toHaveLength(3);
  });

  test.each([
    ['wholeAnswer', (late: Sh) => runUntilComplete(late, ['kubectl', 'exec'], two)],
    ['mustJson', (late: Sh) => runJson(late, ['kubectl', 'exec'])]
  ])('%s asks once more what did not end in time', async (_, ask) => {
    const calls: string[][] = [];
    const late: Sh = async command => {
      calls.push(command);
      return {code: 124, stdout: '', stderr: '', timedOut: true};
    };
    await expect(ask(late)).rejects.toMatchObject({
      message: expect.stringContaining('in time'),
      timedOut: true
    });
    expect(calls).toHaveLength(2);
  });
});

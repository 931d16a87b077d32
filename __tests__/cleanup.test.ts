import * as fs from 'node:fs';
import * as path from 'node:path';
import {afterAll, describe, expect, test} from '@jest/globals';
import type {PostState} from '../src/plan/state.ts';
import {type Answer, eachOnRunner, fakeSh} from './fake.ts';
import {hurry} from './hostile-places.ts';

afterAll(hurry(100)); // before what waits is imported
const {cleanUp} = await import('../src/phases/cleanup.ts');

const runner = eachOnRunner();
const listing = 'docker ps --all --no-trunc --quiet --filter label=io.x-k8s.kind.cluster=mine';
const untouched: PostState = {
  cluster: null,
  made: false,
  nodes: 1,
  containers: null,
  claim: null,
  work: null,
  kind: null,
  existing: null,
  undo: [],
  cleanup: 'always',
  result: 'error'
};

/** Cleans up after a main that saved this; what was run, and whether the private directory is left. */
async function cleaned(state: Partial<PostState>, answer: Answer = '') {
  const work = path.join(runner.directory, 'private');
  fs.mkdirSync(work);
  fs.writeFileSync(path.join(work, 'kubeconfig'), 'secret');
  const sh = fakeSh(() => answer);
  await cleanUp({...untouched, cluster: 'mine', made: true, work, result: 'passed', ...state}, sh);
  return {calls: sh.calls, left: fs.existsSync(work), work};
}

describe('cleanUp', () => {
  test.each([
    // cleanup, result, deletes
    ['always', 'passed', true],
    ['always', 'failed', true],
    ['always', 'error', true],
    ['on-success', 'passed', true],
    ['on-success', 'failed', false],
    ['on-success', 'error', false],
    ['never', 'passed', false],
    ['never', 'error', false]
  ])('%s, after %s: deletes %s', async (cleanup, result, deletes) => {
    const {calls, left, work} = await cleaned({cleanup, result});
    const command = `kind delete cluster --name mine --kubeconfig ${path.join(work, 'kubeconfig')}`;
    expect(calls).toEqual(deletes ? [listing, command] : []);
    expect(left).toBe(!deletes); // with the cluster its kubeconfig is kept
    expect(runner.log()).toBe(
      deletes
        ? 'The cluster mine is deleted.\n'
        : `The cluster mine is kept (cleanup: ${cleanup}); kind delete cluster --name mine deletes it.\n`
    );
  });

  test.each([
    ['was deleted', 'always'],
    ['is kept', 'never']
  ] as const)('a rehearsal does not claim that a cluster %s', async (end, cleanup) => {
    process.env.DUAL_STACK_REHEARSAL = 'healthy';
    try {
      await cleaned({cleanup});
    } finally {
      delete process.env.DUAL_STACK_REHEARSAL;
    }
    expect(runner.log()).toBe(`Rehearsal: no cluster mine existed, and none ${end}.\n`);
  });

  test('a cluster that is kept has nothing of a check left in it', async () => {
    const undo = [
      ['docker', 'exec', 'mine-control-plane', 'iptables', '-D'],
      ['docker', 'exec', 'mine-worker', 'iptables', '-D']
    ];
    const lines = undo.map(command => command.join(' '));
    expect((await cleaned({undo, cleanup: 'never'})).calls).toEqual(lines);
  });

  test('a cluster that is deleted needs no mending', async () => {
    const {calls} = await cleaned({undo: [['docker', 'exec', 'mine-control-plane']]});
    expect(calls).toEqual([listing, expect.stringMatching(/^kind delete cluster /)]);
  });

  test('without a cluster of this run only its own directory goes', async () => {
    const {calls, left} = await cleaned({cluster: null, cleanup: 'never'});
    expect({calls, left}).toEqual({calls: [], left: false});
  });

  test('uses the kind that made the cluster', async () => {
    await cleaned({kind: '/tools/kind/0.33.0/x64'});
    expect(process.env.PATH?.split(path.delimiter)[0]).toBe('/tools/kind/0.33.0/x64');
  });

  describe('a cluster that was still being made', () => {
    /** What was run where Docker has these containers, one look after the other. */
    const calls = async (nodes: number, ...looks: string[]) => {
      let look = 0;
      const sh = fakeSh(([, verb]) => (verb === 'ps' ? (looks[look++] ?? '') : ''));
      const work = path.join(runner.directory, 'private');
      fs.mkdirSync(work);
      await cleanUp({...untouched, cluster: 'mine', made: false, nodes, work}, sh);
      expect(fs.existsSync(work)).toBe(false);
      return sh.calls.map(line => line.split(' ').slice(0, 2).join(' '));
    };
    const [ps, inspect, deletion] = ['docker ps', 'docker inspect', 'kind delete'];

    test('is deleted, and once more, since kind may have been at work meanwhile', async () => {
      expect(await calls(1, 'a1\n')).toEqual([...[ps, inspect, deletion], ...[ps, deletion]]);
    });

    test('may have a container that Docker lists, and cannot remove yet', async () => {
      expect(await calls(1, 'a1\n', 'a1\n')).toEqual([
        ...[ps, inspect, deletion],
        ...[ps, inspect, deletion],
        ...[ps, deletion]
      ]);
    });

    test('may grow a container after who asked for it has gone', async () => {
      expect(await calls(1, '', '', 'a1\n')).toEqual([
        ...[ps, ps, ps, inspect, deletion],
        ...[ps, deletion]
      ]);
    });

    test('may grow more of them', async () => {
      expect(await calls(2, '', 'a1\n', '', 'b2\n')).toEqual([
        ...[ps, ps, inspect, deletion],
        ...[ps, ps, inspect, deletion],
        ...[ps, deletion]
      ]);
    });

    test('is not waited for where none was asked for', async () => {
      expect(await calls(0)).toEqual([ps, deletion]);
    });
  });

  describe('told by the containers', () => {
    const deletion = `kind delete cluster --name mine --kubeconfig `;
    const containers = ['a1', 'b2'];
    const calls = async (there: Answer) => {
      const sh = fakeSh(([, verb]) => (verb === 'ps' ? there : ''));
      await cleanUp({...untouched, cluster: 'mine', made: true, containers}, sh);
      return sh.calls;
    };

    test.each<[string, Answer, string[]]>([
      ['all that it made', 'a1\nb2\n', ['a1 b2']],
      ['some of it', 'b2\n', ['b2']],
      ['nothing', '', []],
      ['what Docker does not tell', {code: 1, stderr: 'permission denied'}, []]
    ])('%s is deleted', async (_, there, inspected) => {
      expect(await calls(there)).toEqual([
        listing,
        ...inspected.map(ids => expect.stringMatching(`^docker inspect .* ${ids}$`)),
        expect.stringContaining(deletion)
      ]);
    });

    test.each([['c3\n'], ['a1\nc3\n']])(
      'another’s cluster of that name is left: %j',
      async there => {
        expect(await calls(there)).toEqual([listing]);
        expect(runner.log()).toMatch(
          /^::warning::The cluster mine is kept: this run did not create it\./
        );
      }
    );
  });

  test('of a cluster that kind could not make, one of that name which came later is left', async () => {
    const sh = fakeSh(([, verb]) => (verb === 'ps' ? 'c3\n' : ''));
    await cleanUp({...untouched, cluster: 'mine', made: true, containers: []}, sh);
    expect(sh.calls).toEqual([listing]);
  });

  const claim = {name: 'mine', token: 'ours'};

  describe('a Docker that is restarted', () => {
    const containers = ['a1', 'b2'];
    const answers = ([program, verb]: string[]): Answer =>
      program === 'docker' && verb === 'ps'
        ? 'a1\nb2\n'
        : verb === 'inspect'
          ? 'first\nsecond\n\n'
          : '';

    test('while it removes the containers forgets their volumes, which are removed then', async () => {
      const sh = fakeSh(answers);
      await cleanUp({...untouched, cluster: 'mine', made: true, containers}, sh);
      expect(sh.calls).toEqual([
        listing,
        expect.stringMatching(/^docker inspect --format .*Mounts.* a1 b2$/),
        expect.stringMatching(/^kind delete cluster /),
        'docker volume rm --force first second'
      ]);
    });

    test('is waited for', async () => {
      const gone = {code: 1, stderr: 'ERROR: Cannot connect to the Docker daemon at unix://'};
      let turn = 0;
      const sh = fakeSh(command => (turn++ === 0 ? gone : answers(command)));
      await cleanUp({...untouched, cluster: 'mine', made: true, containers}, sh);
      expect(sh.calls.slice(0, 2)).toEqual([listing, listing]);
      expect(runner.log()).toBe('The cluster mine is deleted.\n');
    });

    test.each([
      ['made', true, 31],
      ['still being made', false, 60] // a second apart when the minute is over
    ])('and stays away is waited for a minute, then told: a cluster %s', async (_, made, asked) => {
      const before = process.exitCode;
      const sh = fakeSh(() => ({
        code: 1,
        stderr: 'Cannot connect to the Docker daemon at unix://'
      }));
      const work = path.join(runner.directory, 'private');
      fs.mkdirSync(work);
      try {
        await cleanUp({...untouched, cluster: 'mine', made, containers, work, claim}, sh);
        expect(process.exitCode).toBe(1);
      } finally {
        process.exitCode = before;
      }
      expect(sh.calls.filter(line => line === listing)).toHaveLength(asked);
      expect(fs.existsSync(work)).toBe(false);
      expect(runner.log()).toBe(
        '::error::The cluster mine could not be deleted: Cannot connect to the Docker daemon at unix://. To delete it by hand: kind delete cluster --name mine\n'
      );
    });
  });

  describe('a claim that is left', () => {
    const inspect =
      'docker volume inspect --format {{index .Labels "dual-stack-check.claim"}} mine.dual-stack-check-claim';
    const remove = 'docker volume rm mine.dual-stack-check-claim';
    const released = async (state: Partial<PostState>, owner: Answer) => {
      const sh = fakeSh(command => (command.join(' ') === inspect ? owner : ''));
      await cleanUp({...untouched, made: true, claim, ...state}, sh);
      return sh.calls;
    };

    test.each<[string, Partial<PostState>]>([
      ['before anything was made', {}],
      ['with a cluster', {cluster: 'mine'}],
      ['with a cluster that is kept', {cluster: 'mine', cleanup: 'never'}]
    ])('is given back, last of all: %s', async (_, state) => {
      expect((await released(state, 'ours\n')).slice(-2)).toEqual([inspect, remove]);
    });

    test.each<[string, Answer]>([
      ['somebody else’s', 'theirs\n'],
      ['gone', {code: 1, stderr: 'no such volume'}]
    ])('that is %s stays so', async (_, owner) => {
      expect(await released({}, owner)).toEqual([inspect]);
    });
  });

  test('says what could not be deleted, as one line, and fails', async () => {
    const before = process.exitCode;
    try {
      await cleaned({}, {code: 1, stderr: 'no\n::set-output name=a::b'});
      expect(process.exitCode).toBe(1);
    } finally {
      process.exitCode = before;
    }
    expect(runner.log()).toBe(
      '::error::The cluster mine could not be deleted: no ::set-output name=a::b. To delete it by hand: kind delete cluster --name mine\n'
    );
  });

  test('a main that was cut off at once leaves nothing to do', async () => {
    const sh = fakeSh({});
    await cleanUp(untouched, sh);
    expect(sh.calls).toEqual([]);
  });
});

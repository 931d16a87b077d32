import {describe, expect, test} from '@jest/globals';
import {Fault, RunStopped} from '../src/base/fault.ts';
import {CommandError} from '../src/base/sh.ts';
import {type PollResult, pollForAtMost, pollUntil} from '../src/base/wait.ts';
import {fakeWork} from './fake.ts';

const fault = new Fault('the pod crashes', {class: 'istio', hint: 'see it'});
const waiting: PollResult<string> = {is: 'waiting', for: 'the pod'};
const bad: PollResult<string> = {is: 'bad', for: 'the pod: CrashLoopBackOff', fault};
const done: PollResult<string> = {is: 'done', value: 'it'};

/** Finds these one after the other, a second apart; the last one again and again. */
function looks(...found: PollResult<string>[]) {
  let count = 0;
  const work = fakeWork(() => count);
  return {
    work,
    count: () => count,
    look: async () => found[Math.min(count++, found.length - 1)] ?? done
  };
}

describe('until', () => {
  test('looks until it is done, and says what it waits for', async () => {
    const {look, work, count} = looks(waiting, waiting, done);
    expect(await pollUntil(work, look, {every: 0})).toBe('it');
    expect(count()).toBe(3);
    expect(work.waits).toEqual(['the pod', 'the pod', null]);
  });

  test('throws at once what cannot heal', async () => {
    const {look, work, count} = looks({is: 'lost', fault}, done);
    await expect(pollUntil(work, look, {every: 0})).rejects.toBe(fault);
    expect(count()).toBe(1);
  });

  test('throws a bad state that holds', async () => {
    const {look, work, count} = looks(bad);
    await expect(pollUntil(work, look, {every: 0, patience: 5})).rejects.toBe(fault);
    expect(count()).toBe(6); // 5 s after the first one
  });

  test('has the patience that a bad state asks for', async () => {
    const {look, work, count} = looks({...bad, patience: 9});
    await expect(pollUntil(work, look, {every: 0, patience: 5})).rejects.toBe(fault);
    expect(count()).toBe(10);
  });

  test('one that needs less patience has not been bad for as long as another', async () => {
    const pull: PollResult<string> = {...bad, patience: 90};
    const {look, work} = looks(...Array<PollResult<string>>(20).fill(pull), bad, pull, done);
    expect(await pollUntil(work, look, {every: 0, patience: 5})).toBe('it');
  });

  test.each([
    ['heals', [bad, bad, bad, done]],
    ['is gone in between', [bad, bad, bad, waiting, bad, bad, bad, done]]
  ])('outlasts a bad state that %s', async (_, found) => {
    const {look, work} = looks(...found);
    expect(await pollUntil(work, look, {every: 0, patience: 4})).toBe('it');
  });

  test('is stopped in the middle of a pause', async () => {
    const {look, work, count} = looks(waiting);
    const end = pollUntil(work, look, {every: 3600});
    setTimeout(work.stop, 20);
    await expect(end).rejects.toBeInstanceOf(RunStopped);
    expect(count()).toBe(1);
  });

  test('does not look when the run is over', async () => {
    const {look, work, count} = looks(done);
    work.stop();
    await expect(pollUntil(work, look)).rejects.toBeInstanceOf(RunStopped);
    expect(count()).toBe(0);
  });

  test('what the look throws is thrown, where no command failed', async () => {
    const look = () => Promise.reject(new Error('a bug'));
    await expect(pollUntil(fakeWork(), look)).rejects.toThrow('a bug');
  });

  describe('a command that fails', () => {
    const command = ['kubectl', 'get', 'pods'];
    /** Each look takes some seconds; those of these numbers fail. */
    const failing = (seconds: number, fails: (number: number) => boolean, end = 100) => {
      let count = 0;
      const work = fakeWork(() => count * seconds);
      const look = async (): Promise<PollResult<string>> => {
        if (fails(++count))
          throw new CommandError(command, {
            code: 1,
            stdout: '',
            stderr: 'refused',
            timedOut: false
          });
        return count < end ? waiting : done;
      };
      const ended = pollUntil(work, look, {every: 0});
      return ended.then(
        value => ({value, count, waits: work.waits}),
        error => ({value: error as Error, count, waits: work.waits})
      );
    };

    test.each<[string, number, (number: number) => boolean]>([
      ['once', 1, number => number === 3],
      ['once, for the 20 s that it may take', 20, number => number === 3],
      ['twice in a row, 20 s each', 20, number => number === 3 || number === 4],
      ['often, within a moment', 0.01, number => number < 90],
      ['every other time', 20, number => number % 2 === 1]
    ])('%s does not end a wait', async (_, seconds, fails) => {
      expect(await failing(seconds, fails)).toMatchObject({value: 'it', count: 100});
    });

    test.each([
      ['1 s', 1, 11],
      ['20 s', 20, 3]
    ])('again and again, %s each, is thrown', async (_, seconds, looked) => {
      const {value, count} = await failing(seconds, () => true);
      expect(value).toMatchObject({
        name: 'CommandError',
        message: expect.stringMatching(/refused/)
      });
      expect(count).toBe(looked);
    });

    test('is told while it is waited for', async () => {
      const {waits} = await failing(1, number => number === 1, 3);
      expect(waits).toEqual([
        'a retry after: `kubectl get pods` ended with exit code 1: refused',
        'the pod',
        null
      ]);
    });
  });
});

describe('waitAtMost', () => {
  /** Finds 1, 2, 3 and so on, a second apart. */
  const counting = (enough: number) => {
    let count = 0;
    const work = fakeWork(() => count);
    const limit = {seconds: 5, for: (found: number) => `${enough - found} more`, every: 0};
    const found = pollForAtMost(
      work,
      limit,
      async () => ++count,
      count => count >= enough
    );
    return {work, found};
  };

  test('looks until it is enough, and says by what it found what it waits for', async () => {
    const {work, found} = counting(3);
    expect(await found).toBe(3);
    expect(work.waits).toEqual(['2 more', '1 more', null]);
  });

  test('gives what is there when the time is over', async () => {
    expect(await counting(1000).found).toBe(6);
  });
});

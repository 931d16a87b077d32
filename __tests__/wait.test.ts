import {describe, expect, test} from '@jest/globals';
import {Fault, Stopped} from '../src/base/fault.ts';
import {type Look, until} from '../src/base/wait.ts';
import {fakeWork} from './fake.ts';

const fault = new Fault('the pod crashes', {class: 'istio', hint: 'see it'});
const waiting: Look<string> = {is: 'waiting', for: 'the pod'};
const bad: Look<string> = {is: 'bad', for: 'the pod: CrashLoopBackOff', fault};
const done: Look<string> = {is: 'done', value: 'it'};

/** Finds these one after the other, a second apart; the last one again and again. */
function looks(...found: Look<string>[]) {
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
    expect(await until(work, look, {every: 0})).toBe('it');
    expect(count()).toBe(3);
    expect(work.waits).toEqual(['the pod', 'the pod', null]);
  });

  test('throws at once what cannot heal', async () => {
    const {look, work, count} = looks({is: 'lost', fault}, done);
    await expect(until(work, look, {every: 0})).rejects.toBe(fault);
    expect(count()).toBe(1);
  });

  test('throws a bad state that holds', async () => {
    const {look, work, count} = looks(bad);
    await expect(until(work, look, {every: 0, patience: 5})).rejects.toBe(fault);
    expect(count()).toBe(6); // 5 s after the first one
  });

  test.each([
    ['heals', [bad, bad, bad, done]],
    ['is gone in between', [bad, bad, bad, waiting, bad, bad, bad, done]]
  ])('outlasts a bad state that %s', async (_, found) => {
    const {look, work} = looks(...found);
    expect(await until(work, look, {every: 0, patience: 4})).toBe('it');
  });

  test('outlasts a bad state while something under way may heal it', async () => {
    const {look, work, count} = looks(...Array<Look<string>>(20).fill(bad), done);
    expect(await until(work, look, {every: 0, patience: 4, busy: () => count() < 18})).toBe('it');
  });

  test('is stopped in the middle of a pause', async () => {
    const {look, work, count} = looks(waiting);
    const end = until(work, look, {every: 3600});
    setTimeout(work.stop, 20);
    await expect(end).rejects.toBeInstanceOf(Stopped);
    expect(count()).toBe(1);
  });

  test('does not look when the run is over', async () => {
    const {look, work, count} = looks(done);
    work.stop();
    await expect(until(work, look)).rejects.toBeInstanceOf(Stopped);
    expect(count()).toBe(0);
  });

  test('what the look throws is thrown', async () => {
    const look = () => Promise.reject(new Error('no kubectl'));
    await expect(until(fakeWork(), look)).rejects.toThrow('no kubectl');
  });
});

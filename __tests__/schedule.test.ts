import {setTimeout as sleep} from 'node:timers/promises';
import {describe, expect, test} from '@jest/globals';
import {RunStopped} from '../src/base/fault.ts';
import {type Phase, type PhaseContext, Schedule} from '../src/base/schedule.ts';
import {eachOnRunner} from './fake.ts';

const runner = eachOnRunner();

/** Phases that write down when they start and end; the clock counts its readings. */
function scene() {
  const log: string[] = [];
  let now = 0;
  const schedule = new Schedule(() => now);
  const phase = (
    name: string,
    needs: string[] = [],
    run = async (_: PhaseContext) => {}
  ): Phase => ({
    name,
    needs,
    run: async work => {
      log.push(`${name} starts`);
      await run(work);
      log.push(`${name} ends`);
    }
  });
  const statuses = () =>
    Object.fromEntries(schedule.phases.map(({name, status}) => [name, status]));
  return {
    log,
    schedule,
    phase,
    statuses,
    later: (seconds: number) => {
      now += seconds;
    }
  };
}
const broken = () => Promise.reject(new Error('no'));
const untilStopped = async ({signal}: PhaseContext) => {
  await sleep(10_000, undefined, {signal}).catch(() => {});
  throw new RunStopped();
};

describe('Schedule', () => {
  test('runs phases side by side, and each after what it needs', async () => {
    const {log, schedule, phase} = scene();
    const tick = () => sleep(5);
    await schedule.run([phase('a', [], tick), phase('b', [], tick), phase('c', ['a', 'b'])]);
    expect(log).toEqual(['a starts', 'b starts', 'a ends', 'b ends', 'c starts', 'c ends']);
  });

  test('starts a phase at once when what it needs is done, whatever else runs', async () => {
    const {log, schedule, phase} = scene();
    await schedule.run([phase('slow', [], () => sleep(30)), phase('a'), phase('b', ['a'])]);
    expect(log.indexOf('b ends')).toBeLessThan(log.indexOf('slow ends'));
  });

  test('a later set of phases may need those of an earlier one', async () => {
    const {schedule, phase, statuses} = scene();
    await schedule.run([phase('a')]);
    await schedule.run([phase('b', ['a'])]);
    expect(statuses()).toEqual({a: 'passed', b: 'passed'});
  });

  test('a failure stops what runs, and starts nothing more', async () => {
    const {schedule, phase, statuses, log} = scene();
    await schedule.run([
      phase('a', [], () => sleep(5).then(broken)),
      phase('b', [], untilStopped),
      phase('c', ['a']),
      phase('d', ['b'])
    ]);
    expect(statuses()).toEqual({a: 'failed', b: 'cancelled', c: 'skipped', d: 'skipped'});
    expect(log).not.toContain('d starts');
    expect(schedule.failed).toBe(true);
    expect(schedule.errors).toEqual([{phase: 'a', error: new Error('no')}]);
  });

  test('the first error comes first', async () => {
    const {schedule, phase} = scene();
    await schedule.run([
      phase('late', [], () => sleep(20).then(broken)),
      phase('early', [], () => sleep(1).then(broken))
    ]);
    expect(schedule.errors.map(({phase}) => phase)).toEqual(['early', 'late']);
  });

  test.each([
    ['is not there', [['a', ['b']]]],
    [
      'comes later',
      [
        ['a', ['b']],
        ['b', []]
      ]
    ],
    ['is the phase itself', [['a', ['a']]]]
  ] as [string, [string, string[]][]][])(
    'refuses a need that %s, and runs nothing',
    async (_, phases) => {
      const {schedule, phase, log} = scene();
      await expect(schedule.run(phases.map(([name, needs]) => phase(name, needs)))).rejects.toThrow(
        /^a needs [ab], which is not listed before it$/
      );
      expect(log).toEqual([]);
    }
  );

  test('keeps account of starts, lengths and waits', async () => {
    const {schedule, phase, later} = scene();
    later(2);
    await schedule.run([
      phase('a', [], async ({reportWait}) => {
        reportWait('the pod');
        later(3);
        reportWait('the pod'); // still
        later(1);
        reportWait('the node');
        later(5);
        reportWait('the pod'); // again
        later(10);
      })
    ]);
    expect(schedule.phases).toEqual([
      {
        name: 'a',
        status: 'passed',
        needs: [],
        at: 2,
        seconds: 19,
        waits: [
          {for: 'the pod', seconds: 14},
          {for: 'the node', seconds: 5}
        ]
      }
    ]);
  });

  test('one line when a phase starts, waits or ends, with the time', async () => {
    const {schedule, phase, later} = scene();
    await schedule.run([
      phase('a', [], async ({reportWait}) => {
        later(1);
        reportWait('the pod\n::error::x');
        reportWait('the pod\n::error::x');
        reportWait(null);
      })
    ]);
    expect(
      runner
        .log()
        .trimEnd()
        .split('\n')
        .map(line => line.replace(/ +/g, ' '))
    ).toEqual([
      ' 0.0s a started',
      ' 1.0s a waits for the pod ::error::x',
      ' 1.0s a passed after 1.0 s'
    ]);
  });

  test('what still runs when all is over is cancelled, with its time', async () => {
    const {schedule, phase, later, statuses} = scene();
    const end = schedule.run([phase('a', [], untilStopped), phase('b', ['a'])]);
    await sleep(5);
    expect(statuses()).toEqual({a: 'cancelled', b: 'skipped'}); // true at any moment
    later(4);
    schedule.stop();
    expect(schedule.phases[0]).toMatchObject({status: 'cancelled', at: 0, seconds: 4});
    await end;
    expect(schedule.failed).toBe(false);
  });
});

import {describe, expect, test} from '@jest/globals';
import {RunStopped} from '../src/base/fault.ts';
import {compare, defineCheck, type MeshCheckInput, type Outcome} from '../src/checks/definition.ts';
import {settle, settleSeconds} from '../src/checks/settle.ts';
import {fakeWork} from './fake.ts';
import {planOf} from './planned.ts';

const question = (id: string) => ({check: defineCheck('http', id, id, 'closed')});

/** Asks until it is settled; `seconds` pass each time. What was asked, and what was told. */
async function settled(
  ids: string[],
  observed: (id: string, round: number) => string,
  seconds: number,
  isStopped = false
) {
  const asked: string[][] = [];
  const told: [string, Outcome['verdict']][] = [];
  const work = fakeWork(() => asked.length * seconds);
  if (isStopped) work.stop();
  const input: MeshCheckInput = {
    ...{work, plan: planOf(), nodes: 1, snapshot: [], preloaded: new Map(), mirror: null},
    sh: () => Promise.reject(new Error('nothing is run here')),
    report: (id, {verdict}) => told.push([id, verdict]),
    undo: () => {}
  };
  await settle(input, ids.map(question), async open => {
    asked.push(open.map(({check}) => check.id));
    return open.map(question => ({
      question,
      outcome: compare('closed', observed(question.check.id, asked.length))
    }));
  });
  return {asked, told};
}

describe('settle', () => {
  test('asks again of what is red alone, and tells each when it is green', async () => {
    const closes: Record<string, number> = {a: 1, b: 3};
    const observed = (id: string, round: number) => (round < (closes[id] ?? 0) ? 'open' : 'closed');
    expect(await settled(['a', 'b'], observed, 1)).toEqual({
      asked: [['a', 'b'], ['b'], ['b']],
      told: [
        ['a', 'passed'],
        ['b', 'passed']
      ]
    });
  });

  test('tells what is still red once the time is over, and no sooner', async () => {
    const {asked, told} = await settled(['a'], () => 'open', settleSeconds / 2);
    expect(told).toEqual([['a', 'failed']]);
    expect(asked).toHaveLength(3); // after 5, 10 and 15 s
  });

  test('gives each row its own time', async () => {
    const asked: string[][] = [];
    const input = {
      work: fakeWork(() => asked.length),
      report: () => {}
    } as unknown as MeshCheckInput;
    await settle(
      input,
      ['slow', 'quick'].map(question),
      async open => {
        asked.push(open.map(({check}) => check.id));
        return open.map(one => ({question: one, outcome: compare('closed', 'open')}));
      },
      ({id}) => (id === 'slow' ? 3 : 0)
    );
    expect(asked).toEqual([['slow', 'quick'], ['slow'], ['slow'], ['slow']]); // after 1, 2, 3 and 4 s
  });

  test('asks nobody where there is no question', async () => {
    expect(await settled([], () => 'open', 1)).toEqual({asked: [], told: []});
  });

  test('is stopped, and tells nothing', async () => {
    await expect(settled(['a'], () => 'closed', 1, true)).rejects.toBeInstanceOf(RunStopped);
  });
});

import {describe, expect, test} from '@jest/globals';
import {openState, readState} from '../src/plan/state.ts';
import {eachOnRunner} from './fake.ts';

const runner = eachOnRunner();
/** As the runner hands the state on. */
const handOn = () => {
  for (const [name, value] of Object.entries(runner.written('STATE')))
    process.env[`STATE_${name}`] = value;
};

describe('the state', () => {
  test('there is none where main has said nothing', () => expect(readState()).toBeNull());

  test('is there as soon as it is opened', () => {
    openState();
    handOn();
    expect(readState()).toEqual({
      cluster: null,
      made: false,
      nodes: 0,
      containers: null,
      existing: null,
      claim: null,
      work: null,
      kind: null,
      undo: [],
      cleanup: 'always',
      result: 'error'
    });
  });

  test('has what was saved last of each', () => {
    const save = openState();
    save({cluster: 'mine', work: '/private'});
    save({result: 'passed'});
    save({cluster: null});
    handOn();
    expect(readState()).toMatchObject({cluster: null, work: '/private', result: 'passed'});
  });

  test('of one run is not that of another', () => {
    openState()({cluster: 'mine'});
    openState();
    handOn();
    expect(readState()?.cluster).toBeNull();
  });

  test('of an older version lacks nothing', () => {
    process.env.STATE_run = '{"cluster": "mine"}';
    expect(readState()).toEqual({
      cluster: 'mine',
      made: false,
      nodes: 0,
      containers: null,
      existing: null,
      claim: null,
      work: null,
      kind: null,
      undo: [],
      cleanup: 'always',
      result: 'error'
    });
  });
});

import {describe, expect, test} from '@jest/globals';
import {compare, defineCheck, skip} from '../src/checks/definition.ts';
import {Ledger} from '../src/checks/ledger.ts';

const rows = [
  defineCheck('service', 'service/ipv4/policy', 'The policy', 'SingleStack'),
  defineCheck('echo', 'echo/ipv4/ipv4', 'It answers', 'hello', {family: 'ipv4'}),
  defineCheck('echo', 'echo/ipv6/ipv6', 'It answers', 'hello', {family: 'ipv6'})
];
const ledger = () => {
  const ledger = new Ledger();
  ledger.selected = rows;
  return ledger;
};

describe('Ledger', () => {
  test('a row that nothing was told of was not reached', () => {
    expect(ledger().getEvaluatedChecks()[1]).toEqual({
      id: 'echo/ipv4/ipv4',
      layer: 'echo',
      title: 'It answers',
      family: 'ipv4',
      from: null,
      to: null,
      target: 'ipv4',
      expected: 'hello',
      stage: 'install',
      address: null,
      upstream: null,
      because: null,
      reproduce: null,
      attempts: [],
      observed: '',
      verdict: 'skipped',
      reason: 'not reached'
    });
  });

  test('has what was told, in the order of the rows', () => {
    const told = ledger();
    told.report('echo/ipv6/ipv6', compare('hello', 'hello', {address: 'fd00::8'}));
    told.report('service/ipv4/policy', compare('SingleStack', 'PreferDualStack'));
    told.report('echo/ipv4/ipv4', skip('not wanted'));
    expect(
      told
        .getEvaluatedChecks()
        .map(({id, verdict, reason, address}) => ({id, verdict, reason, address}))
    ).toEqual([
      {
        id: 'service/ipv4/policy',
        verdict: 'failed',
        reason: 'PreferDualStack instead of SingleStack',
        address: null
      },
      {id: 'echo/ipv4/ipv4', verdict: 'skipped', reason: 'not wanted', address: null},
      {id: 'echo/ipv6/ipv6', verdict: 'passed', reason: null, address: 'fd00::8'}
    ]);
  });

  test('what was told of a row that was not asked for is left out', () => {
    const told = ledger();
    told.report('dns/ipv4/a', compare('a', 'b'));
    expect(told.getEvaluatedChecks().map(({id}) => id)).toEqual(rows.map(({id}) => id));
    expect(told.findFailedIn('dns')).toBeUndefined();
  });

  test('knows the rows of a layer, and the first that failed', () => {
    const told = ledger();
    expect(told.getSelected('echo').map(({id}) => id)).toEqual([
      'echo/ipv4/ipv4',
      'echo/ipv6/ipv6'
    ]);
    expect(told.findFailedIn('echo')).toBeUndefined();
    told.report('echo/ipv6/ipv6', compare('a', 'b'));
    expect(told.findFailedIn('echo')?.id).toBe('echo/ipv6/ipv6');
    expect(told.findFailedIn('service')).toBeUndefined();
  });

  test('of a row told twice the last stands', () => {
    const told = ledger();
    told.report('service/ipv4/policy', compare('a', 'b'));
    told.report('service/ipv4/policy', compare('a', 'a'));
    expect(told.getEvaluatedChecks()[0]?.verdict).toBe('passed');
  });
});

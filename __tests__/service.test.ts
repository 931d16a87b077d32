import {describe, expect, test} from '@jest/globals';
import {service as checks} from '../src/checks/service.ts';
import {failures, healthyBut, isOf, look, service} from './things.ts';

const withService = (namespace: string, clusterIPs: string[], policy?: string) =>
  healthyBut(isOf('Service', namespace, 'tcp-echo'), service(namespace, clusterIPs, policy));

describe('service', () => {
  test('holds on a healthy cluster', async () => {
    const found = await look(checks);
    expect(
      Object.fromEntries(Object.entries(found).map(([id, {observed}]) => [id, observed]))
    ).toMatchObject({
      'service/dual-stack/policy': 'RequireDualStack',
      'service/ipv4/policy': 'SingleStack',
      'service/ipv6/policy': 'SingleStack',
      'service/dual-stack/families': 'ipv4, ipv6',
      'service/ipv4/families': 'ipv4',
      'service/ipv6/families': 'ipv6'
    });
    expect(failures(found)).toEqual({});
  });

  test.each([
    [
      'a policy that falls back',
      withService('dual-stack', ['10.96.0.6', 'fd00:10:96::6'], 'PreferDualStack'),
      {'service/dual-stack/policy': 'PreferDualStack'}
    ],
    [
      'one family too few',
      withService('dual-stack', ['10.96.0.6'], 'RequireDualStack'),
      {'service/dual-stack/families': 'ipv4'}
    ],
    [
      'one family too many',
      withService('ipv6', ['fd00:10:96::8', '10.96.0.8'], 'SingleStack'),
      {'service/ipv6/families': 'ipv4, ipv6'}
    ],
    ['the other family', withService('ipv4', ['fd00:10:96::7']), {'service/ipv4/families': 'ipv6'}],
    ['no ClusterIP', withService('ipv4', [], 'SingleStack'), {'service/ipv4/families': 'none'}],
    [
      'no Service',
      healthyBut(isOf('Service', 'ipv6')),
      {'service/ipv6/policy': 'no such Service', 'service/ipv6/families': 'no such Service'}
    ]
  ])('%s', async (_, snapshot, expected) => {
    expect(failures(await look(checks, {snapshot}))).toEqual(expected);
  });

  test('tells only what is asked for', async () => {
    const selected = checks.definitions.filter(({id}) => id === 'service/dual-stack/policy');
    expect(await look(checks, {asked: selected})).toEqual({
      'service/dual-stack/policy': {
        observed: 'RequireDualStack',
        verdict: 'passed',
        reason: null,
        reproduce: 'kubectl get service tcp-echo -n dual-stack -o yaml'
      }
    });
  });
});

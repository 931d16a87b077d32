import {describe, expect, test} from '@jest/globals';
import type {KubeObject} from '../src/base/kube.ts';
import {endpoints} from '../src/checks/endpoints.ts';
import {fakeSh, fakeWork} from './fake.ts';
import {both, failures, healthy, healthyBut, isOf, look as lookAt, pod, slice} from './things.ts';

/** Runs the checks on a snapshot that stays the same, or changes to `later`. */
function look(
  checks: typeof endpoints,
  {
    things: snapshot = healthy(),
    later = snapshot
  }: {things?: KubeObject[]; later?: KubeObject[]} = {}
) {
  let now = 0;
  return lookAt(checks, {
    snapshot,
    work: fakeWork(() => (now += 6)),
    sh: fakeSh({'kubectl get pods,endpointslices -A -o json': JSON.stringify({items: later})})
  });
}

const exactly = 'exactly the ready pods';
const second = pod('dual-stack', 'tcp-echo', {name: 'tcp-echo-2', ips: both('66')});
const withSlices = (...slices: ReturnType<typeof slice>[]) =>
  healthyBut(isOf('EndpointSlice', 'dual-stack'), ...slices);

describe('endpoints', () => {
  test('hold on a healthy cluster', async () => {
    const found = await look(endpoints);
    expect(
      Object.fromEntries(Object.entries(found).map(([id, {observed}]) => [id, observed]))
    ).toEqual({
      'endpoints/dual-stack/ipv4': exactly,
      'endpoints/dual-stack/ipv6': exactly,
      'endpoints/ipv4/ipv4': exactly,
      'endpoints/ipv4/ipv6': 'none',
      'endpoints/ipv6/ipv4': 'none',
      'endpoints/ipv6/ipv6': exactly
    });
    expect(failures(found)).toEqual({});
  });

  test('two slices of one family may share the pods', async () => {
    const snapshot = [
      ...withSlices(
        slice('dual-stack', 'IPv4', ['10.244.0.66']),
        slice('dual-stack', 'IPv4', ['10.244.0.6']),
        slice('dual-stack', 'IPv6', both('66').slice(1).concat(both('6').slice(1)))
      ),
      second
    ];
    expect(failures(await look(endpoints, {things: snapshot}))).toEqual({});
  });

  test.each([
    [
      'the IPv6 slice is gone',
      withSlices(slice('dual-stack', 'IPv4', ['10.244.0.6'])),
      {'endpoints/dual-stack/ipv6': 'none'}
    ],
    [
      'an address is stale',
      withSlices(
        slice('dual-stack', 'IPv4', ['10.244.0.6', '10.244.0.99']),
        slice('dual-stack', 'IPv6', ['fd00:10:244::6'])
      ),
      {'endpoints/dual-stack/ipv4': '10.244.0.6, 10.244.0.99'}
    ],
    [
      'a pod is missing',
      [...healthyBut(() => false), second],
      {'endpoints/dual-stack/ipv4': '10.244.0.6', 'endpoints/dual-stack/ipv6': 'fd00:10:244::6'}
    ],
    [
      'an endpoint is not ready',
      withSlices(
        slice('dual-stack', 'IPv4', ['10.244.0.6'], false),
        slice('dual-stack', 'IPv6', ['fd00:10:244::6'])
      ),
      {'endpoints/dual-stack/ipv4': 'an empty slice'}
    ],
    [
      'a family is too many',
      [...healthyBut(() => false), slice('ipv4', 'IPv6', ['fd00:10:244::7'])],
      {'endpoints/ipv4/ipv6': exactly}
    ],
    [
      'slices are of another Service',
      withSlices(
        slice('dual-stack', 'IPv4', ['10.244.0.6'], true, 'tcp-echo-ipv4'),
        slice('dual-stack', 'IPv6', ['fd00:10:244::6'], true, 'tcp-echo-ipv6')
      ),
      {'endpoints/dual-stack/ipv4': 'none', 'endpoints/dual-stack/ipv6': 'none'}
    ]
  ])('%s', async (_, snapshot, expected) => {
    expect(failures(await look(endpoints, {things: snapshot}))).toEqual(expected);
  });

  test('a slice that comes a moment after its pod was ready', async () => {
    const snapshot = withSlices(slice('dual-stack', 'IPv4', ['10.244.0.6'], false));
    expect(failures(await look(endpoints, {things: snapshot, later: healthy()}))).toEqual({});
  });

  test('pods that are not ready, or on their way out, are not expected', async () => {
    const snapshot = [
      ...healthyBut(() => false),
      pod('ipv4', 'tcp-echo', {name: 'a', ips: both('77'), ready: false}),
      pod('ipv4', 'tcp-echo', {name: 'b', ips: both('78'), terminating: true})
    ];
    expect(failures(await look(endpoints, {things: snapshot}))).toEqual({});
  });

  test.each<[string, KubeObject[], string, string]>([
    [
      'no slice of a family',
      withSlices(slice('dual-stack', 'IPv4', ['10.244.0.6'])),
      'endpoints/dual-stack/ipv6',
      'Service dual-stack/tcp-echo has no IPv6 EndpointSlice'
    ],
    [
      'a slice without a ready address',
      withSlices(slice('dual-stack', 'IPv4', ['10.244.0.6'], false)),
      'endpoints/dual-stack/ipv4',
      'the IPv4 EndpointSlice of Service dual-stack/tcp-echo has no ready address'
    ],
    [
      'another address',
      withSlices(slice('dual-stack', 'IPv4', ['10.244.0.99'])),
      'endpoints/dual-stack/ipv4',
      'the IPv4 EndpointSlices of Service dual-stack/tcp-echo list 10.244.0.99, expected exactly the ready pods'
    ],
    [
      'a slice of a family that the Service lacks',
      [...healthyBut(() => false), slice('ipv4', 'IPv6', ['fd00:10:244::7'])],
      'endpoints/ipv4/ipv6',
      'Service ipv4/tcp-echo has an unexpected IPv6 EndpointSlice'
    ]
  ])('the reason names the Service and the family: %s', async (_, snapshot, id, reason) => {
    const found = await look(endpoints, {things: snapshot});
    expect(found[id]?.reason).toBe(reason);
    expect(found['endpoints/ipv6/ipv6']?.reason).toBeNull();
  });

  test('an empty slice of the other family is one too many', async () => {
    const snapshot = [...healthyBut(() => false), slice('ipv4', 'IPv6', [])];
    expect(failures(await look(endpoints, {things: snapshot}))).toEqual({
      'endpoints/ipv4/ipv6': 'an empty slice'
    });
  });
});

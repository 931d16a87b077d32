import {describe, expect, test} from '@jest/globals';
import {proxy} from '../src/checks/proxy.ts';
import {fakeSh} from './fake.ts';
import {planOf} from './planned.ts';
import {failures, look} from './things.ts';

const alike = 'the same rules for IPv4 and IPv6';
const selected = proxy.definitions.filter(({id}) => id.endsWith('/iptables'));
const ofIpv6 = selected.filter(({target}) => target === 'ipv6');

// as the lab's node printed it, for each pod; fewer rules
const iptables = [
  '-A PREROUTING -p tcp -j ISTIO_INBOUND',
  '-A OUTPUT -j ISTIO_OUTPUT',
  '-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006',
  '-A ISTIO_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN',
  '-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m tcp ! --dport 15008 -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT',
  '-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN',
  '-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001'
];
const ip6tables = [
  '-A PREROUTING -p tcp -j ISTIO_INBOUND',
  '-A OUTPUT -j ISTIO_OUTPUT',
  '-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006',
  '-A ISTIO_OUTPUT -s ::6/128 -o lo -j RETURN',
  '-A ISTIO_OUTPUT ! -d ::1/128 -o lo -p tcp -m tcp ! --dport 15008 -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT',
  '-A ISTIO_OUTPUT -d ::1/128 -j RETURN',
  '-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001'
];
const sandbox = (namespace: string, ipv4 = iptables, ipv6 = ip6tables, id = 'dd94b4069d03') =>
  [
    `${namespace} ${id} pod`,
    ...ipv4.map(rule => `${namespace} ${id} iptables ${rule}`),
    ...ipv6.map(rule => `${namespace} ${id} ip6tables ${rule}`),
    ''
  ].join('\n');
const node = (...pods: string[]) => fakeSh(() => pods.join(''));
const others = ['dual-stack', 'ipv4', 'sleep'].map(namespace => sandbox(namespace));

describe('proxy: the rules in pods', () => {
  test('are the same for both families on a healthy mesh, and each node is asked once', async () => {
    const sh = node(...others, sandbox('ipv6'));
    const plan = planOf({'kind-config': 'nodes: [{role: control-plane}, {role: worker}]'});
    const found = await look(proxy, {sh, asked: selected, plan});
    expect(failures(found)).toEqual({});
    expect(sh.calls.map(call => call.split(' ').slice(0, 3).join(' '))).toEqual([
      'docker exec istio-ds-control-plane',
      'docker exec istio-ds-worker'
    ]);
    for (const call of sh.calls)
      expect(call).toMatch(
        / iptables dual-stack tcp-echo ipv4 tcp-echo ipv6 tcp-echo sleep sleep$/
      );
  });

  // each as the lab told it of rules that were taken away, or replaced
  test.each([
    [
      'inbound IPv6 is not redirected',
      sandbox('ipv6', iptables, ip6tables.slice(1)),
      'only for IPv4: -A PREROUTING -p tcp -j ISTIO_INBOUND'
    ],
    [
      'outbound IPv6 goes to another port',
      sandbox('ipv6', iptables, [
        ...ip6tables.slice(0, -1),
        '-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15002'
      ]),
      'only for IPv4: -A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001; only for IPv6: -A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15002'
    ],
    [
      'no rules of one family (istio/istio#46625)',
      sandbox('ipv6', iptables, []),
      'no Istio rules for IPv6'
    ],
    [
      'no rules of the other (istio/istio#56587)',
      sandbox('ipv6', [], ip6tables),
      'no Istio rules for IPv4'
    ],
    ['no rules at all', sandbox('ipv6', [], []), 'no Istio rules'],
    [
      'the same rules in another order',
      sandbox('ipv6', iptables, ip6tables.toReversed()),
      'the same rules in another order'
    ],
    ['no pod', '', 'no pod'],
    [
      'one pod of two',
      sandbox('ipv6') + sandbox('ipv6', iptables, [], 'c6cad2f45cff'),
      'no Istio rules for IPv6'
    ]
  ])('%s', async (_, pods, observed) => {
    const found = await look(proxy, {sh: node(...others, pods), asked: selected});
    expect(failures(found)).toEqual({'proxy/ipv6/iptables': observed});
    expect(found['proxy/ipv6/iptables']?.reason).toBe(`${observed} instead of ${alike}`);
  });

  test('a node that cannot be asked is not a failed check', async () => {
    const sh = fakeSh(() => ({code: 1, stderr: 'No such container'}));
    await expect(look(proxy, {sh, asked: ofIpv6})).rejects.toThrow('No such container');
  });
});

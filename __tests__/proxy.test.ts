import {describe, expect, test} from '@jest/globals';
import type {KubeObject} from '../src/base/kube.ts';
import {proxy} from '../src/checks/proxy.ts';
import {fakeSh} from './fake.ts';
import {both, failures, healthy, isOf, look as lookAt, pod, service} from './things.ts';

/** What is asked of the proxies; the rules in the pods have a test of their own. */
const rows = proxy.definitions.filter(({id}) => !id.endsWith('/iptables'));
const look: typeof lookAt = (checks, given) => lookAt(checks, {asked: rows, ...given});

/** `address:port` as Envoy writes it. */
const socket = (text: string) => {
  const [, address, port] = /^\[?(.+?)\]?:(\d+)$/.exec(text) ?? [];
  return {socket_address: {address, port_value: Number(port)}};
};
const listener = (first: string, ...others: string[]) => ({
  name: first,
  local_address: socket(first),
  additional_local_addresses: others.map(socket)
});
const wildcards = [
  listener('0.0.0.0:15001', '[::]:15001'),
  listener('0.0.0.0:15006', '[::]:15006'),
  listener('0.0.0.0:15021', '[::]:15021'),
  listener('0.0.0.0:15090', '[::]:15090')
];
const outbound = [
  listener('10.96.0.6:9000', '[fd00:10:96::6]:9000'),
  listener('10.96.0.6:9001', '[fd00:10:96::6]:9001'),
  listener('10.96.0.16:9000'),
  listener('[fd00:10:96::16]:9000'),
  listener('10.96.0.7:9000'),
  listener('[fd00:10:96::8]:9000'),
  listener('10.96.0.4:9000', '[fd00:10:96::4]:9000'),
  listener('10.96.0.10:53')
];
const endpoint = (target: string, ...pods: string[][]) => ({
  endpoint_config: {
    cluster_name: `outbound|9000||tcp-echo.${target}.svc.cluster.local`,
    endpoints: [
      {
        lb_endpoints: pods.map(([first = '', ...more]) => ({
          endpoint: {
            address: socket(`${first}:9000`),
            additional_addresses: more.map(address => ({address: socket(`${address}:9000`)}))
          }
        }))
      }
    ]
  }
});
const known = [
  endpoint('dual-stack', both('6')),
  endpoint('ipv4', ['10.244.0.7']),
  endpoint('ipv6', ['fd00:10:244::8'])
];

interface Envoy {
  listeners?: object[];
  /** Of one server's proxy. */
  server?: object[];
  endpoints?: object[];
}

/** Proxies that say this. */
const proxies = ({
  listeners = [...wildcards, ...outbound],
  server = wildcards,
  endpoints = known
}: Envoy = {}) =>
  fakeSh(command => {
    expect(command.slice(5, 11)).toEqual([
      '--container',
      'istio-proxy',
      '--',
      'pilot-agent',
      'request',
      'GET'
    ]);
    const query = command.at(-1) ?? '';
    if (query.startsWith('config_dump?include_eds')) return JSON.stringify({configs: endpoints});
    const said = command[3] === 'sleep' ? listeners : command[3] === 'ipv6' ? server : wildcards;
    return JSON.stringify({listener_statuses: said});
  });
const without = (list: {name: string}[], name: string) => list.filter(one => one.name !== name);

describe('proxy', () => {
  test('holds on a healthy mesh', async () => {
    const found = await look(proxy, {sh: proxies()});
    expect(failures(found)).toEqual({});
    expect(Object.keys(found).sort()).toEqual(rows.map(({id}) => id).sort());
  });

  test.each<[string, Envoy, Record<string, string>]>([
    [
      'a proxy without ISTIO_DUAL_STACK lacks :: on its health port',
      {
        server: [
          ...wildcards.filter(({name}) => name !== '0.0.0.0:15021'),
          listener('0.0.0.0:15021')
        ]
      },
      {'proxy/ipv6/listeners': 'not on [::]:15021'}
    ],
    [
      'a proxy of one family',
      {server: wildcards.map(({name}) => listener(name))},
      {'proxy/ipv6/listeners': 'not on [::]:15001, [::]:15006, [::]:15021, [::]:15090'}
    ],
    [
      'metrics on one family only',
      {
        server: [
          ...wildcards.filter(({name}) => name !== '0.0.0.0:15090'),
          listener('0.0.0.0:15090')
        ]
      },
      {'proxy/ipv6/listeners': 'not on [::]:15090'}
    ],
    [
      'a proxy that knows nothing',
      {server: []},
      {'proxy/ipv6/listeners': expect.stringMatching(/^not on 0\.0\.0\.0:15001/) as never}
    ],
    [
      'no listener on the other ClusterIP',
      {
        listeners: [
          ...wildcards,
          ...without(outbound, '10.96.0.6:9000'),
          listener('10.96.0.6:9000')
        ]
      },
      {'proxy/dual-stack/cluster-ips': 'no listener on [fd00:10:96::6]:9000'}
    ],
    [
      'no listener on a Service of one family',
      {listeners: [...wildcards, ...without(outbound, '[fd00:10:96::8]:9000')]},
      {'proxy/ipv6/cluster-ips': 'no listener on [fd00:10:96::8]:9000'}
    ],
    [
      'a listener on an address that is gone',
      {listeners: [...wildcards, ...outbound, listener('10.96.9.9:9000')]},
      Object.fromEntries(
        ['dual-stack', 'ipv4', 'ipv6'].map(target => [
          `proxy/${target}/cluster-ips`,
          'an unexpected listener on 10.96.9.9:9000, which is not a ClusterIP'
        ])
      )
    ]
  ])('%s', async (_, envoy, expected) => {
    expect(failures(await look(proxy, {sh: proxies(envoy)}))).toEqual(expected);
  });

  test.each([
    [
      'two endpoints for one pod, as without ISTIO_DUAL_STACK in pilot',
      [endpoint('dual-stack', ['10.244.0.6'], ['fd00:10:244::6']), ...known.slice(1)],
      'dual-stack',
      '10.244.0.6, fd00:10:244::6',
      '10.244.0.6+fd00:10:244::6'
    ],
    [
      'the second address is missing',
      [endpoint('dual-stack', ['10.244.0.6']), ...known.slice(1)],
      'dual-stack',
      '10.244.0.6',
      '10.244.0.6+fd00:10:244::6'
    ],
    [
      'a stale endpoint',
      [...known.slice(0, 2), endpoint('ipv6', ['fd00:10:244::8'], ['fd00:10:244::99'])],
      'ipv6',
      'fd00:10:244::8, fd00:10:244::99',
      'fd00:10:244::8'
    ],
    [
      'the wrong family',
      [known[0] ?? {}, endpoint('ipv4', ['fd00:10:244::7']), known[2] ?? {}],
      'ipv4',
      'fd00:10:244::7',
      '10.244.0.7'
    ],
    ['no endpoints at all', known.slice(0, 2), 'ipv6', 'none', 'fd00:10:244::8']
  ])('%s', async (_, endpoints, target, observed, wanted) => {
    const found = await look(proxy, {sh: proxies({endpoints})});
    const id = `proxy/${target}/endpoints`;
    expect(failures(found)).toEqual({[id]: observed});
    expect(found[id]?.reason).toBe(`endpoints: ${observed}; expected ${wanted}`);
  });

  test('pods come in the order of their own addresses', async () => {
    const ips = both('6').reverse();
    const snapshot: KubeObject[] = [
      ...healthy().filter(object => !isOf('Pod', 'dual-stack')(object)),
      pod('dual-stack', 'tcp-echo', {ips})
    ];
    const found = await look(proxy, {
      snapshot,
      sh: proxies({endpoints: [endpoint('dual-stack', ips), ...known.slice(1)]})
    });
    expect(failures(found)).toEqual({});
  });

  test('a listener that is gone is found beside a ClusterIP that it begins with', async () => {
    const sh = proxies({listeners: [...wildcards, ...outbound, listener('10.96.0.77:9000')]});
    const snapshot = [...healthy(), service('other', ['10.96.0.7'])];
    const found = await look(proxy, {sh, snapshot});
    expect(found['proxy/dual-stack/cluster-ips']?.observed).toBe(
      'an unexpected listener on 10.96.0.77:9000, which is not a ClusterIP'
    );
  });

  test('the client is asked once, and not at all where nothing of it is wanted', async () => {
    const sh = proxies();
    await look(proxy, {sh, asked: proxy.definitions.filter(({id}) => id.includes('/endpoints'))});
    expect(sh.calls).toHaveLength(2);
    const other = proxies();
    await look(proxy, {
      sh: other,
      asked: proxy.definitions.filter(({id}) => id === 'proxy/ipv6/listeners')
    });
    expect(other.calls).toHaveLength(1);
    expect(other.calls[0]).toMatch(/^kubectl exec --namespace ipv6 deployment\/tcp-echo /);
  });

  test('a proxy that cannot be asked is not a failed check', async () => {
    const sh = fakeSh(() => ({code: 1, stderr: 'no such container'}));
    await expect(look(proxy, {sh})).rejects.toThrow('no such container');
  });
});

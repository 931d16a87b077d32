import {describe, expect, test} from '@jest/globals';
import type {KubeObject} from '../src/base/kube.ts';
import {ambient} from '../src/checks/ambient.ts';
import {collectSamples} from '../src/checks/catalogue.ts';
import type {Probe} from '../src/checks/probe.ts';
import {listRanges, waypointDefinitions} from '../src/checks/waypoint.ts';
import {
  waypointEntry,
  waypointNamespace,
  waypointSample
} from '../src/manifests/waypoint-sample.ts';
import {type Answer, fakeClients, fakeSh, fakeWork} from './fake.ts';
import {planOf} from './planned.ts';
import {both, failures, healthy, look, pod, service} from './things.ts';

const plan = planOf({'dataplane-mode': 'ambient'});
const layer = {...ambient, samples: [], definitions: waypointDefinitions};
const targets = ['waypoint-echo', 'waypoint-echo-ipv6-first', 'waypoint-entry', 'waypoint-pod'];
const families = ['ipv4', 'ipv6'] as const;
type Family = (typeof families)[number];

const things = (): KubeObject[] => [
  ...healthy(),
  pod(waypointNamespace, 'echo', {ips: both('30'), sidecar: 'none'}),
  service(waypointNamespace, ['10.96.0.30', 'fd00:10:96::30'], 'RequireDualStack', 'echo'),
  service(
    waypointNamespace,
    ['fd00:10:96::31', '10.96.0.31'],
    'RequireDualStack',
    'echo-ipv6-first'
  )
];

const addresses: Record<string, Record<Family, string>> = {
  'waypoint-echo': {ipv4: '10.96.0.30', ipv6: 'fd00:10:96::30'},
  'waypoint-echo-ipv6-first': {ipv4: '10.96.0.31', ipv6: 'fd00:10:96::31'},
  'waypoint-entry': {ipv4: '240.240.0.3', ipv6: '2001:2::3'},
  'waypoint-pod': {ipv4: '10.244.0.30', ipv6: 'fd00:10:244::30'}
};
const services: Record<string, string> = {
  'waypoint-echo': `echo.${waypointNamespace}.svc.cluster.local`,
  'waypoint-echo-ipv6-first': `echo-ipv6-first.${waypointNamespace}.svc.cluster.local`,
  'waypoint-entry': waypointEntry.host
};

/** What istiod makes of the Gateway. */
const made = {
  pod: pod(waypointNamespace, 'waypoint', {ips: both('40'), sidecar: 'none'}),
  service: service(
    waypointNamespace,
    ['10.96.0.40', 'fd00:10:96::40'],
    'PreferDualStack',
    'waypoint'
  )
};

// as the lab's waypoint printed it
const socket = (address: string, port_value: number) => ({socket_address: {address, port_value}});
const internal = (port: number, more: object = {}) => ({
  endpoint: {
    address: {
      envoy_internal_address: {
        server_listener_name: 'connect_originate',
        endpoint_id: `10.244.0.30:${port}`
      }
    },
    ...more
  }
});
const endpoints = (more: object = {}, left = Object.values(services)) => ({
  configs: [
    {
      endpoint_config: {
        cluster_name: 'connect_originate', // whose endpoints are addresses
        endpoints: [{lb_endpoints: [{endpoint: {address: socket('10.244.0.30', 15008)}}]}]
      }
    },
    ...left.flatMap(host =>
      [9000, 9001].map(port => ({
        endpoint_config: {
          cluster_name: `inbound-vip|${port}|tcp|${host}`,
          endpoints: [{lb_endpoints: [internal(port, more)]}]
        }
      }))
    )
  ]
});
const listeners = (known: (target: string) => string[], additional = [socket('::', 15008)]) => ({
  configs: [
    {
      name: 'connect_terminate',
      active_state: {
        listener: {
          address: socket('0.0.0.0', 15008),
          additional_addresses: additional.map(address => ({address}))
        }
      }
    },
    {
      name: 'main_internal',
      active_state: {
        listener: {
          filter_chain_matcher: {
            matcher_tree: {
              custom_match: {
                typed_config: {
                  range_matchers: Object.entries(services).map(([target, host]) => ({
                    ranges: known(target).map(address_prefix => ({address_prefix})),
                    on_match: {
                      matcher: {
                        matcher_tree: {
                          exact_match_map: {
                            map: {9000: {action: {name: `inbound-vip|9000|tcp|${host}`}}}
                          }
                        }
                      }
                    }
                  }))
                }
              }
            }
          }
        }
      }
    }
  ]
});
const allOf = (target: string) => Object.values(addresses[target] ?? {});

const written = (address = '', port = 0) =>
  `${address.includes(':') ? `[${address}]` : address}:${port}`;
const identity = (namespace: string, account: string) =>
  `spiffe://cluster.local/ns/${namespace}/sa/${account}`;

/** One connection as ztunnel logs it, from the client; `to` is where it went. */
const outbound = (
  target: string,
  family: Family,
  to = written({ipv4: '10.244.0.40', ipv6: 'fd00:10:244::40'}[family], 15008),
  account = 'waypoint',
  more = ''
) =>
  [
    '2026-11-24T18:30:00.000000Z\tinfo\taccess\tconnection complete\tsrc.addr=10.244.0.9:4000',
    `src.workload="sleep-1" src.namespace="sleep" src.identity="${identity('sleep', 'default')}"`,
    `dst.addr=${to} dst.hbone_addr=${written(addresses[target]?.[family], 9000)}`,
    ...(services[target] === undefined ? [] : [`dst.service="${services[target]}"`]),
    `dst.namespace="${waypointNamespace}" dst.identity="${identity(waypointNamespace, account)}"`,
    `direction="outbound" bytes_sent=20 bytes_recv=14 duration="3ms"${more}`
  ].join(' ');
const inbound = (family: Family, account = 'waypoint') => {
  const ip = {ipv4: '10.244.0.30', ipv6: 'fd00:10:244::30'}[family];
  return [
    '2026-11-24T18:30:00.000000Z\tinfo\taccess\tconnection complete\tsrc.addr=10.244.0.40:4000',
    `src.namespace="${waypointNamespace}" src.identity="${identity(waypointNamespace, account)}"`,
    `dst.addr=${written(ip, 15008)} dst.hbone_addr=${written(ip, 9000)}`,
    'dst.service="waypoint.ambient.example.test" direction="inbound" duration="3ms"' // of the pod's it names one
  ].join(' ');
};
const log = (): string[] => [
  ...targets.flatMap(target => families.map(family => outbound(target, family))),
  ...families.map(family => inbound(family))
];

interface Faults {
  answer?: (probe: Probe) => string;
  made?: KubeObject[];
  records?: Partial<Record<'a' | 'aaaa', string>>;
  listeners?: unknown;
  endpoints?: unknown;
  log?: string[];
}

function mesh(faults: Faults = {}) {
  const records = {a: '240.240.0.3', aaaa: '2001:2::3', ...faults.records};
  const old = log().join('\n').replaceAll('18:30:00', '18:20:00');
  let read = 0;
  const other = fakeSh((command): Answer | undefined => {
    const last = command.at(-1) ?? '';
    if (command[1] === 'get') return JSON.stringify({items: faults.made ?? Object.values(made)});
    if (command[1] === 'logs')
      return read++ === 0 ? old : [old, ...(faults.log ?? log())].join('\n');
    if (command.includes('dns'))
      return (['a', 'aaaa'] as const)
        .map(type => `${type} ${waypointEntry.host}. ${records[type]}`)
        .join('\n');
    if (last.includes('include_eds')) return JSON.stringify(faults.endpoints ?? endpoints());
    if (last.includes('dynamic_listeners'))
      return JSON.stringify(faults.listeners ?? listeners(allOf));
    return undefined;
  });
  return fakeClients(faults.answer ?? answers, other);
}

/** What is denied is not answered; all else is. */
const answers = ({word, port}: Probe): string => (port === 9001 ? '' : `hello ${word}`);

const asked = (faults: Faults = {}, own = things()) => {
  let now = 0;
  const work = fakeWork(() => (now += 25)); // so that nothing is waited for long
  return look(layer, {sh: mesh(faults), snapshot: own, plan, work});
};

const each = (aspect: string, observed: string, own = targets) =>
  Object.fromEntries(
    own.flatMap(target =>
      families.map(family => [`ambient/${target}/${family}${aspect}`, observed])
    )
  );

describe('a waypoint', () => {
  test('holds on a healthy mesh, and is asked for by each address once', async () => {
    const sh = mesh();
    const found = await look(layer, {sh, snapshot: things(), plan});
    expect(failures(found)).toEqual({});
    expect(Object.keys(found).sort()).toEqual(waypointDefinitions.map(({id}) => id).sort());
    const probes = sh.rounds.flatMap(({namespace, probes}) =>
      probes.map(({word, address, port}) => [word, namespace, address, port].join(' '))
    );
    expect(probes.sort()).toEqual(
      [
        ...targets.flatMap(target =>
          families.flatMap(family => [
            `ambient/${target}/${family} sleep ${addresses[target]?.[family]} 9000`,
            `ambient/${target}/${family}-denied sleep ${addresses[target]?.[family]} 9001`
          ])
        ),
        ...families.map(
          family =>
            `ambient/waypoint-client/${family} ${waypointNamespace} ${addresses['waypoint-echo-ipv6-first']?.[family]} 9000`
        )
      ].sort()
    );
  });

  test.each<[string, Faults, Record<string, string>]>([
    [
      'that does not listen on IPv6',
      {listeners: listeners(allOf, [])},
      {'ambient/waypoint/listeners': 'not on [::]:15008'}
    ],
    [
      'that knows one address of a host',
      {
        listeners: listeners(target => allOf(target).slice(0, target === 'waypoint-entry' ? 1 : 2)),
        answer: probe => (probe.word === 'ambient/waypoint-entry/ipv6' ? '' : answers(probe))
      },
      {'ambient/waypoint-entry/vips': '240.240.0.3', 'ambient/waypoint-entry/ipv6': 'no answer'}
    ],
    [
      'that knows another address too',
      {listeners: listeners(target => [...allOf(target), '10.96.0.99'])},
      Object.fromEntries(
        targets
          .slice(0, 3)
          .map(target => [`ambient/${target}/vips`, [...allOf(target), '10.96.0.99'].join(', ')])
      )
    ],
    [
      'that is told an address beside its internal listener',
      {endpoints: endpoints({additional_addresses: [{address: socket('fd00:10:244::30', 9000)}]})},
      {'ambient/waypoint/endpoints': '[fd00:10:244::30]:9000'}
    ],
    [
      'that has no endpoint',
      {endpoints: endpoints({}, [])},
      {'ambient/waypoint/endpoints': 'no endpoint'}
    ],
    [
      'that is dialled over one family',
      {
        log: [
          ...targets.flatMap(target =>
            families.map(family => outbound(target, family, '10.244.0.40:15008'))
          ),
          ...families.map(family => inbound(family))
        ]
      },
      Object.fromEntries(
        targets.map(target => [`ambient/${target}/ipv6-carried`, 'only to 10.244.0.40:15008'])
      )
    ],
    [
      'that cannot be reached',
      {
        log: targets.flatMap(target =>
          families.map(family =>
            outbound(target, family, undefined, 'waypoint', ' error="connection timed out"')
          )
        )
      },
      each('-carried', 'connection timed out')
    ],
    [
      'that resets what comes',
      {log: log().map(line => line.replace('bytes_recv=14', 'bytes_recv=0'))},
      each('-carried', 'the waypoint returned no data')
    ],
    [
      'that carries nothing on',
      {
        log: [
          ...targets.flatMap(target => families.map(family => outbound(target, family))),
          ...families.map(family => inbound(family, 'default'))
        ]
      },
      each('-carried', 'no log of the arrival at the server')
    ],
    [
      'whose Services are not bound to it',
      {
        answer: ({word}) => `hello ${word}`,
        log: targets.flatMap(target =>
          families.map(family => outbound(target, family, '10.244.0.30:15008', 'default'))
        )
      },
      {
        ...each('-carried', 'bypassed the waypoint, to 10.244.0.30:15008'),
        ...Object.fromEntries(Object.keys(each('-denied', '')).map(id => [id, `hello ${id}`]))
      }
    ],
    ['of which nothing is logged', {log: []}, each('-carried', 'no log of the connection')],
    [
      'whose Service has one family',
      {made: [made.pod, service(waypointNamespace, ['10.96.0.40'], 'SingleStack', 'waypoint')]},
      {'ambient/waypoint/service': 'SingleStack, 10.96.0.40'}
    ],
    [
      'behind whose clients nothing answers',
      {answer: probe => (probe.word.includes('/waypoint-client/') ? '' : answers(probe))},
      each('', 'no answer', ['waypoint-client'])
    ]
  ])('%s', async (_, faults, expected) => {
    expect(failures(await asked(faults))).toEqual(expected);
  });

  test('that istiod has not made says so in what is looked at in it', async () => {
    const found = failures(await asked({made: []}));
    expect(found['ambient/waypoint/service']).toBe('no Service');
    for (const id of ['waypoint/listeners', 'waypoint/endpoints', 'waypoint-echo/vips'])
      expect(found[`ambient/${id}`]).toBe('no ready pod');
    expect(found).toMatchObject(each('-carried', 'no ready waypoint'));
  });

  test('what has no address is told so in each row that asks for it', async () => {
    const found = await asked({records: {aaaa: ''}}, [
      ...healthy(),
      service(waypointNamespace, ['10.96.0.30'], 'SingleStack', 'echo')
    ]);
    expect(found['ambient/waypoint-entry/ipv6']).toMatchObject({
      observed: 'no address',
      reason: `ztunnel returned no ipv6 address for ${waypointEntry.host}`,
      reproduce: expect.stringContaining(`nslookup -type=aaaa ${waypointEntry.host}.`)
    });
    expect(found['ambient/waypoint-echo/ipv6-denied']?.reason).toBe(
      `Service ${waypointNamespace}/echo has no ipv6 ClusterIP`
    );
    expect(found['ambient/waypoint-pod/ipv4']?.reason).toBe(
      `no pod of ${waypointNamespace}/echo has an ipv4 address`
    );
    expect(found['ambient/waypoint-entry/vips']?.observed).toBe('240.240.0.3, 2001:2::3');
  });

  test('is waited for until its policy is in force', async () => {
    let round = 0;
    const sh = mesh({
      answer: probe =>
        probe.word === 'ambient/waypoint-pod/ipv6-denied' && round++ === 0
          ? `hello ${probe.word}`
          : answers(probe)
    });
    const found = await look(layer, {sh, snapshot: things(), plan});
    expect(failures(found)).toEqual({});
    expect(sh.rounds.slice(0, 2).map(({probes}) => probes.length)).toEqual([8, 1]);
  });
});

test('the ranges of a host are found wherever a matcher has them', () => {
  const known = listeners(allOf);
  const nested = {matcher_tree: {exact_match_map: {}}, on_no_match: {on_match: {matcher: known}}};
  for (const dump of [known, nested])
    expect(listRanges(dump, `echo.${waypointNamespace}.svc.`)).toEqual(allOf('waypoint-echo'));
  expect(listRanges(null, 'echo')).toEqual([]);
});

describe('is made', () => {
  const rowsOf = (pattern: RegExp) => ambient.definitions.filter(({id}) => pattern.test(id));

  test('where one of its checks is asked for, with the CRDs and the image that it takes', () => {
    expect(collectSamples(rowsOf(/waypoint-pod/))).toContain(waypointSample);
    const {gatewayApi, images, proxy, files} = planOf({'dataplane-mode': 'ambient'}, {}, null, [
      waypointSample
    ]);
    expect(gatewayApi).toBe(true);
    expect(images.samples.at(-1)).toBe(proxy);
    expect(files['more-samples.yaml']).toContain('gatewayClassName: istio-waypoint');
  });

  test('where none is, with nothing of that', () => {
    expect(collectSamples(rowsOf(/^(?!.*waypoint)/))).not.toContain(waypointSample);
    const {gatewayApi, images, proxy} = planOf({'dataplane-mode': 'ambient'});
    expect(gatewayApi).toBe(false);
    expect(images.samples).not.toContain(proxy);
  });
});

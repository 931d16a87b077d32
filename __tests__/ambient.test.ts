import {describe, expect, test} from '@jest/globals';
import type {KubeObject, Pod} from '../src/base/kube.ts';
import {ambient} from '../src/checks/ambient.ts';
import {catalogue} from '../src/checks/catalogue.ts';
import {filterByMode} from '../src/checks/dataplane.ts';
import type {Probe} from '../src/checks/probe.ts';
import {waypointDefinitions} from '../src/checks/waypoint.ts';
import {parseAccessLog} from '../src/checks/ztunnel.ts';
import {ambientNamespace, crossFamilyHosts} from '../src/manifests/ambient-sample.ts';
import {type Answer, fakeClients, fakeSh, fakeWork} from './fake.ts';
import {planOf} from './planned.ts';
import {both, failures, healthy, isOf, look, node, pod, service} from './things.ts';

const plan = planOf({'dataplane-mode': 'ambient'});

/** The layer without its waypoint, of which waypoint.test.ts is. */
const layer = {
  ...ambient,
  samples: [],
  definitions: ambient.definitions.filter(({id}) => waypointDefinitions.every(row => row.id !== id))
};

const enrolledPod = (thing: Pod): Pod => ({
  ...thing,
  metadata: {...thing.metadata, annotations: {'ambient.istio.io/redirection': 'enabled'}}
});
const isAmbient = ({metadata}: KubeObject) => metadata.namespace !== 'plain';
const things = (): KubeObject[] => [
  ...healthy().map(object =>
    object.kind === 'Pod' && isAmbient(object) ? enrolledPod(object) : object
  ),
  enrolledPod(pod(ambientNamespace, 'echo', {ips: both('20'), sidecar: 'none'})),
  {
    ...pod('ztunnel', 'ztunnel', {sidecar: 'none'}),
    spec: {nodeName: 'istio-ds-control-plane', containers: []}
  },
  node('istio-ds-control-plane', []),
  service(ambientNamespace, ['10.96.0.20', 'fd00:10:96::20'], 'RequireDualStack', 'echo'),
  service(ambientNamespace, ['fd00:10:96::21', '10.96.0.21'], 'RequireDualStack', 'echo-ipv6-first')
];
const thingsBut = (
  without: (object: KubeObject) => boolean,
  ...instead: KubeObject[]
): KubeObject[] => [...things().filter(object => !without(object)), ...instead];

// as the lab's node printed them of a pod in ambient; fewer rules
const rules = {
  iptables: [
    '-A OUTPUT -j ISTIO_OUTPUT',
    '-A ISTIO_OUTPUT -d 169.254.7.127/32 -p tcp -m tcp -j ACCEPT',
    '-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -p tcp -m mark ! --mark 0x539/0xfff -j REDIRECT --to-ports 15001',
    '-A ISTIO_PRERT -s 169.254.7.127/32 -p tcp -m tcp -j ACCEPT'
  ],
  ip6tables: [
    '-A OUTPUT -j ISTIO_OUTPUT',
    '-A ISTIO_OUTPUT -d fd16:9254:7127:1337:ffff:ffff:ffff:ffff/128 -p tcp -m tcp -j ACCEPT',
    '-A ISTIO_OUTPUT ! -d ::1/128 -p tcp -m mark ! --mark 0x539/0xfff -j REDIRECT --to-ports 15001',
    '-A ISTIO_PRERT -s fd16:9254:7127:1337:ffff:ffff:ffff:ffff/128 -p tcp -m tcp -j ACCEPT'
  ]
};
const sandboxes = (places: string[]): string =>
  places
    .filter((_, at) => at % 2 === 0)
    .flatMap(namespace => [
      `${namespace} 1f pod`,
      ...Object.entries(rules).flatMap(([tool, own]) =>
        own.map(rule => `${namespace} 1f ${tool} ${rule}`)
      )
    ])
    .join('\n');

const told = (name: string, namespace: string, last: string) => ({
  name,
  namespace,
  workloadIps: both(last),
  protocol: 'HBONE'
});
const dump = () => ({
  config: {
    inboundAddr: '[::]:15008',
    inboundPlaintextAddr: '[::]:15006',
    outboundAddr: '[::]:15001'
  },
  workloads: [
    told('tcp-echo-1', 'dual-stack', '6'),
    told('tcp-echo-1', 'ipv4', '7'),
    told('tcp-echo-1', 'ipv6', '8'),
    told('sleep-1', 'sleep', '9'),
    told('echo-1', ambientNamespace, '20')
  ],
  services: [
    {name: 'tcp-echo', namespace: 'dual-stack', vips: ['/10.96.0.6', '/fd00:10:96::6']},
    {name: 'echo', namespace: ambientNamespace, vips: ['/10.96.0.20', '/fd00:10:96::20']},
    {name: 'echo-ipv6-first', namespace: ambientNamespace, vips: ['/10.96.0.21', '/fd00:10:96::21']}
  ]
});

const sides = (family: 'ipv4' | 'ipv6') =>
  family === 'ipv4'
    ? {from: '10.244.0.9:4000', to: '10.244.0.20'}
    : {from: '[fd00:10:244::9]:4000', to: '[fd00:10:244::20]'};
const identity = (namespace: string) => `spiffe://cluster.local/ns/${namespace}/sa/default`;
const ends = `src.workload="sleep-1" src.namespace="sleep" src.identity="${identity('sleep')}"`;
const line = (direction: string, family: 'ipv4' | 'ipv6', service: string | null, more = '') =>
  [
    `2026-11-24T15:00:00.000000Z\tinfo\taccess\tconnection complete\tsrc.addr=${sides(family).from}`,
    ends,
    `dst.addr=${sides(family).to}:15008 dst.hbone_addr=${sides(family).to}:9001`,
    ...(service === null ? [] : [`dst.service="${service}.${ambientNamespace}.svc.cluster.local"`]),
    `dst.workload="echo-1" dst.namespace="${ambientNamespace}" dst.identity="${identity(ambientNamespace)}"`,
    `direction="${direction}" bytes_sent=20 bytes_recv=14 duration="3ms"${more}`
  ].join(' ');
const log = (): string[] =>
  (['ipv4', 'ipv6'] as const).flatMap(family => [
    ...['echo', 'echo-ipv6-first', null].map(name => line('outbound', family, name)),
    line('inbound', family, 'echo')
  ]);

const records: Record<string, string> = {
  'a tcp-echo.dual-stack.svc.cluster.local.': '10.96.0.6',
  'aaaa tcp-echo.dual-stack.svc.cluster.local.': 'fd00:10:96::6',
  'a tcp-echo.ipv4.svc.cluster.local.': '10.96.0.7',
  'aaaa tcp-echo.ipv6.svc.cluster.local.': 'fd00:10:96::8',
  [`a headless-ipv4.${ambientNamespace}.svc.cluster.local.`]: '10.244.0.20',
  [`aaaa headless-ipv6.${ambientNamespace}.svc.cluster.local.`]: 'fd00:10:244::20',
  [`aaaa ${crossFamilyHosts.ipv4.host}.`]: '2001:2::1',
  [`a ${crossFamilyHosts.ipv6.host}.`]: '240.240.0.2'
};

/** The STRICT port of the pod refuses the client outside of the mesh; all else answers. */
const answers = ({word}: Probe): string => (word.endsWith('-refused') ? '' : `hello ${word}`);

interface Faults {
  answer?: (probe: Probe) => string;
  records?: Record<string, string>;
  /** The answers of the listeners, by DNS server. */
  listener?: (server: string) => string;
  dump?: unknown;
  log?: string[];
  places?: (places: string[]) => string;
  probe?: (address: string) => string;
}

function mesh(faults: Faults = {}) {
  const known = {...records, ...faults.records};
  // connections in the log from before the probe prove nothing
  const old = log().join('\n').replaceAll('15:00:00', '14:00:00');
  let read = 0;
  const other = fakeSh((command): Answer | undefined => {
    const after = (name: string) => command.slice(command.lastIndexOf(name) + 1);
    if (command[1] === 'logs')
      return read++ === 0 ? old : [old, ...(faults.log ?? log())].join('\n');
    if (command.includes('iptables')) return (faults.places ?? sandboxes)(after('iptables'));
    if (command.at(-2) === 'ztunnel') return JSON.stringify(faults.dump ?? dump());
    if (command.includes('probe'))
      return after('probe')
        .slice(1)
        .flatMap((address, at, words) =>
          at % 3 === 0
            ? [`${words[at + 2]} ${faults.probe?.(address) ?? `hello ${words[at + 2]}`}`]
            : []
        )
        .join('\n');
    if (command.includes('listeners'))
      return after('listeners')
        .flatMap((id, at, words) =>
          at % 3 === 0 ? [`${id} ${faults.listener?.(words[at + 2] ?? '') ?? '240.240.0.1'} `] : []
        )
        .join('\n');
    if (command.includes('dns'))
      return after('dns')
        .flatMap((type, at, words) =>
          at % 2 === 0
            ? [`${type} ${words[at + 1]} ${known[`${type} ${words[at + 1]}`] ?? ''} `]
            : []
        )
        .join('\n');
    return undefined;
  });
  const clients = fakeClients(faults.answer ?? answers, other);
  // the node asks as the kubelet does: that is no client's probe
  const sh: typeof clients = Object.assign(
    (...[command, options]: Parameters<typeof clients>) =>
      command[0] === 'docker' ? other(command, options) : clients(command, options),
    {rounds: clients.rounds}
  );
  return sh;
}

const made = (faults: Faults = {}, own = things()) => {
  let now = 0;
  const work = fakeWork(() => (now += 2)); // so that nothing is waited for long
  return look(layer, {sh: mesh(faults), snapshot: own, plan, work});
};

describe('ambient', () => {
  test('holds on a healthy mesh, and asks each address once', async () => {
    const sh = mesh();
    const found = await look(layer, {sh, snapshot: things(), plan});
    expect(failures(found)).toEqual({});
    expect(Object.keys(found).sort()).toEqual(layer.definitions.map(({id}) => id).sort());
    const asked = sh.rounds.flatMap(({namespace, probes}) =>
      probes.map(({word, address, port}) => [word, namespace, address, port].join(' '))
    );
    expect(asked.sort()).toEqual([
      'ambient/crossed-ipv4/ipv6 sleep 2001:2::1 9000',
      'ambient/crossed-ipv6/ipv4 sleep 240.240.0.2 9000',
      'ambient/echo-ipv6-first/ipv4 sleep 10.96.0.21 9001',
      'ambient/echo-ipv6-first/ipv6 sleep fd00:10:96::21 9001',
      'ambient/echo-pod/ipv4 sleep 10.244.0.20 9001',
      'ambient/echo-pod/ipv6 sleep fd00:10:244::20 9001',
      'ambient/echo/ipv4 sleep 10.96.0.20 9001',
      'ambient/echo/ipv4-control plain 10.244.0.20 9000',
      'ambient/echo/ipv4-refused plain 10.244.0.20 9001',
      'ambient/echo/ipv6 sleep fd00:10:96::20 9001',
      'ambient/echo/ipv6-control plain fd00:10:244::20 9000',
      'ambient/echo/ipv6-refused plain fd00:10:244::20 9001'
    ]);
  });

  test.each<[string, Faults, Record<string, string>]>([
    [
      'there are no IPv6 rules in the pods (istio/istio#50162)',
      {places: places => sandboxes(places).replaceAll(/^.* ip6tables .*$/gm, '')},
      Object.fromEntries(
        ['dual-stack', 'ipv4', 'ipv6', 'sleep', ambientNamespace].map(name => [
          `ambient/${name}/redirection`,
          'no Istio rules for IPv6'
        ])
      )
    ],
    [
      'probes do not come from Istio’s IPv6 address (istio/istio#51221)',
      {probe: address => (address.includes(':') ? '' : 'hello ambient/echo/ipv4-probe')},
      {'ambient/echo/ipv6-probe': 'no answer'}
    ],
    [
      'ztunnel answers both families (istio/ztunnel#1152)',
      {
        records: {[`aaaa headless-ipv4.${ambientNamespace}.svc.cluster.local.`]: 'fd00:10:244::20'}
      },
      {'ambient/headless-ipv4/aaaa': 'its pod'}
    ],
    [
      'DNS listens on one family (istio/ztunnel#1154)',
      {listener: server => (server.includes(':') ? '' : '240.240.0.1')},
      {'ambient/dns/ipv6': 'no answer'}
    ],
    [
      'what goes out has a source of the wrong family (istio/ztunnel#1143)',
      {answer: probe => (probe.word.startsWith('ambient/crossed') ? '' : answers(probe))},
      {'ambient/crossed-ipv4/ipv6': 'no answer', 'ambient/crossed-ipv6/ipv4': 'no answer'}
    ],
    [
      'a pod is known by one of its addresses',
      {
        dump: {
          ...dump(),
          workloads: dump().workloads.map(one => ({...one, workloadIps: [one.workloadIps[0]]}))
        }
      },
      Object.fromEntries(
        Object.entries({'dual-stack': 6, ipv4: 7, ipv6: 8, sleep: 9, [ambientNamespace]: 20}).map(
          ([name, last]) => [`ambient/${name}/workload`, `only 10.244.0.${last}`]
        )
      )
    ],
    [
      'a Service is known by one of its addresses',
      {
        dump: {
          ...dump(),
          services: dump().services.map(one => ({...one, vips: one.vips.slice(0, 1)}))
        }
      },
      {
        'ambient/dual-stack/vips': '10.96.0.6',
        'ambient/echo/vips': '10.96.0.20',
        'ambient/echo-ipv6-first/vips': '10.96.0.21'
      }
    ],
    [
      'ztunnel is told to leave IPv6 alone',
      {
        dump: {
          ...dump(),
          config: {
            inboundAddr: '0.0.0.0:15008',
            inboundPlaintextAddr: '0.0.0.0:15006',
            outboundAddr: '0.0.0.0:15001'
          }
        }
      },
      {'ambient/ztunnel/listeners': 'on 0.0.0.0:15008, 0.0.0.0:15006, 0.0.0.0:15001'}
    ],
    [
      'an answer came as plaintext',
      {log: log().map(text => text.replace(/ dst\.hbone_addr=\S+/, '').replace(':15008', ':9001'))},
      Object.fromEntries(
        ['echo', 'echo-ipv6-first', 'echo-pod'].flatMap(target => [
          [`ambient/${target}/ipv4-hbone`, 'only to 10.244.0.20:9001, [fd00:10:244::20]:9001'],
          [`ambient/${target}/ipv6-hbone`, 'only to 10.244.0.20:9001, [fd00:10:244::20]:9001']
        ])
      )
    ],
    [
      'an IPv6 address was asked for, and IPv4 carried it',
      {
        log: log().map(text =>
          text.includes('service="echo.')
            ? text.replaceAll('[fd00:10:244::20]', '10.244.0.20')
            : text
        )
      },
      {
        'ambient/echo/ipv6-hbone': 'only to 10.244.0.20:15008',
        'ambient/echo-ipv6-first/ipv6-hbone': 'no line in the log of the receiving ztunnel',
        'ambient/echo-pod/ipv6-hbone': 'no line in the log of the receiving ztunnel'
      }
    ],
    [
      'the other end is somebody else',
      {log: log().map(text => text.replaceAll(identity(ambientNamespace), identity('default')))},
      Object.fromEntries(
        ['echo', 'echo-ipv6-first', 'echo-pod'].flatMap(target =>
          ['ipv4', 'ipv6'].map(family => [
            `ambient/${target}/${family}-hbone`,
            'not the identities of both ends'
          ])
        )
      )
    ],
    [
      'ztunnel has logged nothing since',
      {log: []},
      Object.fromEntries(
        ['echo', 'echo-ipv6-first', 'echo-pod'].flatMap(target =>
          ['ipv4', 'ipv6'].map(family => [
            `ambient/${target}/${family}-hbone`,
            'no line in the log'
          ])
        )
      )
    ]
  ])('%s', async (_, faults, expected) => {
    expect(failures(await made(faults))).toEqual(expected);
  });

  test('port 15008 is dropped over IPv6: no answer, and the error in ztunnel’s log', async () => {
    const failed = log().flatMap(text =>
      !text.includes('[fd00')
        ? [text]
        : text.includes('outbound')
          ? [`${text} error="connection timed out"`]
          : []
    );
    const found = await made({
      log: failed,
      answer: probe =>
        /^ambient\/echo(-pod|-ipv6-first)?\/ipv6$/.test(probe.word) ? '' : answers(probe)
    });
    expect(failures(found)).toEqual({
      ...Object.fromEntries(
        ['echo', 'echo-ipv6-first', 'echo-pod'].flatMap(target => [
          [`ambient/${target}/ipv6`, 'no answer'],
          [`ambient/${target}/ipv6-hbone`, 'connection timed out']
        ])
      )
    });
  });

  test('plaintext that passes', async () => {
    const found = await made({answer: ({word}) => `hello ${word}`});
    expect(Object.keys(failures(found))).toEqual([
      'ambient/echo/ipv4-refused',
      'ambient/echo/ipv6-refused'
    ]);
  });

  test('the snapshot shows pods that are not enrolled, restarted, no ztunnel on a node', async () => {
    const flapping = enrolledPod(
      pod(ambientNamespace, 'echo', {
        ips: both('20'),
        sidecar: 'none',
        statuses: [{name: 'echo', ready: true, restartCount: 3, state: {}}]
      })
    );
    const own = thingsBut(
      object => isOf('Pod', ambientNamespace)(object) || isOf('Pod', 'sleep')(object),
      flapping,
      pod('sleep', 'sleep', {ips: both('9')}),
      node('istio-ds-worker', [])
    );
    expect(failures(await made({}, own))).toEqual({
      'ambient/ztunnel/ready': 'not Ready on istio-ds-worker',
      'ambient/sleep/enrolled': 'no annotation',
      'ambient/echo/probed': 'Ready, restarted 3 times'
    });
  });

  test('addresses that are not there', async () => {
    const own = thingsBut(
      ({kind, metadata}) =>
        metadata.namespace === ambientNamespace && (kind === 'Pod' || metadata.name === 'echo')
    );
    const found = await made({}, own);
    expect(found['ambient/echo-pod/ipv6']?.reason).toBe(
      `no pod of ${ambientNamespace}/echo has an ipv6 address`
    );
    expect(found['ambient/echo/ipv6']?.reason).toBe(
      `Service ${ambientNamespace}/echo has no ipv6 ClusterIP`
    );
    expect(found['ambient/echo/ipv6-probe']?.observed).toBe('no pod IP');
    expect(Object.keys(found).sort()).toEqual(layer.definitions.map(({id}) => id).sort());
  });

  test('an invalid dump fails each check that needs it', async () => {
    const found = await made({dump: {}});
    expect(Object.keys(failures(found)).every(id => /\/(workload|vips|listeners)$/.test(id))).toBe(
      true
    );
    expect(found[`ambient/${ambientNamespace}/workload`]?.observed).toBe('no entry for echo-1');
  });
});

test('a line of the access log is read by its names', () => {
  expect(parseAccessLog([line('outbound', 'ipv6', 'echo'), '2026 info xds other a=b'])).toEqual([
    expect.objectContaining({
      'src.addr': '[fd00:10:244::9]:4000',
      'dst.hbone_addr': '[fd00:10:244::20]:9001',
      'dst.service': `echo.${ambientNamespace}.svc.cluster.local`,
      direction: 'outbound',
      duration: '3ms'
    })
  ]);
});

test('a long line of the access log takes no time', () => {
  const long = `2026 info access connection complete ${'a'.repeat(300_000)} b=c`;
  expect(parseAccessLog([long])).toEqual([{}]);
});

describe('the checks of a data plane mode', () => {
  const layersOf = (mode: 'sidecar' | 'ambient') => [
    ...new Set(filterByMode(mode, catalogue).map(({layer}) => layer))
  ];

  test('of ambient: nothing that needs a sidecar', () => {
    expect(layersOf('ambient')).toEqual([
      ...['runner', 'network', 'node', 'operator', 'control-plane', 'workload', 'service'],
      ...['endpoints', 'dns', 'cluster', 'ambient', 'echo']
    ]);
    expect(
      filterByMode('ambient', catalogue).flatMap(({id}) => (id.endsWith('/sidecar') ? [id] : []))
    ).toEqual(['workload/plain-tcp-echo/sidecar', 'workload/plain-sleep/sidecar']);
  });

  test('of sidecars: all but ambient', () => {
    expect(layersOf('sidecar')).toEqual(
      [...new Set(catalogue.map(({layer}) => layer))].filter(layer => layer !== 'ambient')
    );
  });
});

import {describe, expect, test} from '@jest/globals';
import {parseAllDocuments} from 'yaml';
import type {Thing} from '../src/base/kube.ts';
import {gateway} from '../src/checks/gateway.ts';
import type {Probe} from '../src/checks/probe.ts';
import {gatewayYaml} from '../src/manifests/gateway.ts';
import {fakeClients, fakeSh} from './fake.ts';
import {fakePages} from './pages.ts';
import {both, failures, healthy, look, pod, service} from './things.ts';

/** A listener as `listeners?format=json` has it. */
const listener = (port: number, addresses = ['0.0.0.0', '::']) => {
  const [first, ...others] = addresses.map(address => ({
    socket_address: {address, port_value: port}
  }));
  return {name: `0.0.0.0_${port}`, local_address: first, additional_local_addresses: others};
};
const things = (ips = ['10.96.251.78', 'fd00:10:96::b6a8']): Thing[] => [
  ...healthy(),
  service('gateway', ips, 'RequireDualStack', 'gateway'),
  pod('gateway', 'gateway', {ips: both('14')})
];

interface World {
  listeners?: object[];
  /** What an echo probe is answered. */
  answer?: (probe: Probe) => string;
  status?: (url: string) => string;
}

/** A gateway that opens 9000 and 8080. */
const gatewayOf = ({
  listeners = [listener(15090), listener(15021), listener(9000), listener(8080)],
  answer = open,
  status = () => '200'
}: World = {}) => {
  const admin = fakeSh({
    'kubectl exec --namespace gateway deployment/gateway --container istio-proxy -- pilot-agent request GET listeners?format=json':
      JSON.stringify({listener_statuses: listeners})
  });
  const pages = fakePages(status, admin);
  const clients = fakeClients(answer, pages);
  return Object.assign(clients, {pages, admin});
};
const open = ({word, port}: Probe) => (port === 9000 ? `hello ${word}` : '');

describe('gateway', () => {
  test('holds on a healthy mesh, asked by a client without a sidecar', async () => {
    const sh = gatewayOf();
    const found = await look(gateway, {sh, things: things()});
    expect(failures(found)).toEqual({});
    expect(Object.keys(found).sort()).toEqual(gateway.rows.map(({id}) => id).sort());
    const asked = sh.rounds.flatMap(({namespace, probes}) =>
      probes.map(({word, address, port}) => [word, namespace, address, port].join(' '))
    );
    expect(asked.sort()).toEqual([
      'gateway/classic/ipv4 plain 10.96.251.78 9000',
      'gateway/classic/ipv4-closed plain 10.96.251.78 9002',
      'gateway/classic/ipv4-pod plain 10.244.0.14 9000',
      'gateway/classic/ipv6 plain fd00:10:96::b6a8 9000',
      'gateway/classic/ipv6-closed plain fd00:10:96::b6a8 9002',
      'gateway/classic/ipv6-pod plain fd00:10:244::14 9000'
    ]);
    expect(sh.pages.asked).toEqual([
      'plain http://10.96.251.78:8080/',
      'plain http://10.244.0.14:15021/healthz/ready',
      'plain http://[fd00:10:96::b6a8]:8080/',
      'plain http://[fd00:10:244::14]:15021/healthz/ready'
    ]);
    expect(sh.rounds.length + sh.admin.calls.length + 1).toBe(4); // each call costs a tenth of a second
  });

  // the first three as the lab told them: with ISTIO_DUAL_STACK off in it, with `bind` of one server, without its Gateway
  test.each<[string, World, Record<string, string>]>([
    [
      'a gateway without ISTIO_DUAL_STACK lacks :: on its own ports',
      {
        listeners: [
          listener(15090, ['0.0.0.0']),
          listener(15021, ['0.0.0.0']),
          listener(8080),
          listener(9000)
        ],
        status: url => (/\[.*15021/.test(url) ? '000' : '200')
      },
      {'gateway/classic/ipv6-ready': 'no answer'}
    ],
    [
      'one port of its Gateway on 0.0.0.0 alone',
      {
        listeners: [listener(15021), listener(9000, ['0.0.0.0']), listener(8080)],
        answer: probe => (probe.address.includes(':') ? '' : open(probe))
      },
      {
        'gateway/classic/listeners': 'not on [::]:9000',
        'gateway/classic/ipv6': 'no answer',
        'gateway/classic/ipv6-pod': 'no answer'
      }
    ],
    [
      'nothing listens',
      {
        listeners: [listener(15090), listener(15021)],
        answer: () => '',
        status: url => (url.endsWith(':8080/') ? '000' : '200')
      },
      {
        'gateway/classic/listeners': 'not on 0.0.0.0:9000, [::]:9000, 0.0.0.0:8080, [::]:8080',
        ...Object.fromEntries(
          ['ipv4', 'ipv6'].flatMap(family =>
            ['', '-pod', '-http'].map(aspect => [`gateway/classic/${family}${aspect}`, 'no answer'])
          )
        )
      }
    ],
    [
      'something answers on every port',
      {answer: ({word}) => `hello ${word}`},
      {
        'gateway/classic/ipv4-closed': 'hello gateway/classic/ipv4-closed',
        'gateway/classic/ipv6-closed': 'hello gateway/classic/ipv6-closed'
      }
    ],
    [
      'HTTP is answered otherwise',
      {status: url => (url.endsWith(':8080/') ? '404' : '200')},
      {'gateway/classic/ipv4-http': '404', 'gateway/classic/ipv6-http': '404'}
    ]
  ])('%s', async (_, world, expected) => {
    expect(failures(await look(gateway, {sh: gatewayOf(world), things: things()}))).toEqual(
      expected
    );
  });

  test('a Service of one family (istio/istio#53245, #46679)', async () => {
    const found = await look(gateway, {sh: gatewayOf(), things: things(['10.96.251.78'])});
    expect(failures(found)).toEqual({
      'gateway/classic/ipv6': 'no ClusterIP',
      'gateway/classic/ipv6-http': 'no ClusterIP',
      'gateway/classic/ipv6-closed': 'no ClusterIP'
    });
  });

  test('what is not asked for is not looked at', async () => {
    const asked = gateway.rows.filter(({id}) => id === 'gateway/classic/ipv6-pod');
    const sh = gatewayOf();
    expect(failures(await look(gateway, {sh, things: things(), asked}))).toEqual({});
    expect(sh.rounds).toHaveLength(1);
    expect([...sh.pages.asked, ...sh.admin.calls]).toEqual([]);
  });
});

test('the gateway goes to the STRICT port of the dual-stack pods, and asks for little', () => {
  const [offered, deployment, , routes] = parseAllDocuments(gatewayYaml()).map(document =>
    document.toJS()
  );
  expect(offered.spec.ipFamilyPolicy).toBe('RequireDualStack');
  expect(deployment.spec.template.metadata.annotations).toEqual({
    'inject.istio.io/templates': 'gateway'
  });
  expect(deployment.spec.template.spec.containers).toEqual([
    {
      name: 'istio-proxy',
      image: 'auto',
      resources: {requests: {cpu: '5m', memory: '64Mi'}}
    }
  ]);
  expect(routes.spec.tcp[0].route[0].destination).toEqual({
    host: 'tcp-echo.dual-stack.svc.cluster.local',
    port: {number: 9001}
  });
});

import {describe, expect, test} from '@jest/globals';
import {parse, parseAllDocuments} from 'yaml';
import type {KubeObject} from '../src/base/kube.ts';
import {gateway} from '../src/checks/gateway.ts';
import type {Probe} from '../src/checks/probe.ts';
import {apiGatewaySample} from '../src/manifests/gateway-api-sample.ts';
import {renderGatewayYaml} from '../src/manifests/gateway-sample.ts';
import {fakeClients, fakeSh, fakeWork} from './fake.ts';
import {fakePages} from './pages.ts';
import {both, failures, healthy, look, pod, service} from './things.ts';

/** A listener as `listeners?format=json` has it. */
const listener = (port: number, addresses = ['0.0.0.0', '::']) => {
  const [first, ...others] = addresses.map(address => ({
    socket_address: {address, port_value: port}
  }));
  return {name: `0.0.0.0_${port}`, local_address: first, additional_local_addresses: others};
};
const things = (ips = ['10.96.251.78', 'fd00:10:96::b6a8']): KubeObject[] => [
  ...healthy(),
  service('gateway', ips, 'RequireDualStack', 'gateway'),
  pod('gateway', 'gateway', {ips: both('14')})
];

interface World {
  listeners?: object[];
  /** The answer to an echo probe. */
  answer?: (probe: Probe) => string;
  status?: (url: string) => string;
  /** The same for the Gateway of the Gateway API, and the objects that istiod creates for it. */
  api?: {made?: KubeObject[]; listeners?: object[]; status?: (url: string) => string};
}

const label = {'gateway.networking.k8s.io/gateway-name': 'gateway-api'};
/** The objects that istiod creates for a Gateway of the Gateway API. */
const made = (ips = ['10.96.65.84', 'fd00:10:96::704f'], ready = true): KubeObject[] => {
  const own = pod('gateway', 'gateway-api-istio', {ips: both('24'), ready});
  return [
    service('gateway', ips, 'PreferDualStack', 'gateway-api-istio'),
    {...own, metadata: {...own.metadata, labels: label}}
  ];
};
const answered = (url: string) => (isApi(url) ? '302' : '200');
const isApi = (url: string) => /10\.96\.65\.84|:704f\]|0\.24:|:24\]/.test(url);

/** A gateway that opens 9000 and 8080, and one of the Gateway API that opens 8080. */
const gatewayOf = ({
  listeners = [listener(15090), listener(15021), listener(9000), listener(8080)],
  answer = open,
  status = () => '200',
  api = {}
}: World = {}) => {
  const admin = fakeSh({
    'kubectl get services,pods -n gateway -l gateway.networking.k8s.io/gateway-name=gateway-api -o json':
      JSON.stringify({items: api.made ?? made()}),
    'kubectl exec --namespace gateway deployment/gateway-api-istio --container istio-proxy -- pilot-agent request GET listeners?format=json':
      JSON.stringify({listener_statuses: api.listeners ?? [listener(8080)]}),
    'kubectl exec --namespace gateway deployment/gateway --container istio-proxy -- pilot-agent request GET listeners?format=json':
      JSON.stringify({listener_statuses: listeners})
  });
  const pages = fakePages(url => (isApi(url) ? (api.status ?? answered)(url) : status(url)), admin);
  const clients = fakeClients(answer, pages);
  return Object.assign(clients, {pages, admin});
};
const open = ({word, port}: Probe) => (port === 9000 ? `hello ${word}` : '');

describe('gateway', () => {
  test('holds on a healthy mesh, from a client without a sidecar', async () => {
    const sh = gatewayOf();
    const found = await look(gateway, {sh, snapshot: things()});
    expect(failures(found)).toEqual({});
    expect(Object.keys(found).sort()).toEqual(gateway.definitions.map(({id}) => id).sort());
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
    const [api, classic] = [true, false].map(of => sh.pages.asked.filter(url => isApi(url) === of));
    expect(api).toEqual([
      'plain http://10.96.65.84:8080/',
      'plain http://10.244.0.24:8080/',
      'plain http://[fd00:10:96::704f]:8080/',
      'plain http://[fd00:10:244::24]:8080/'
    ]);
    expect(classic).toEqual([
      'plain http://10.96.251.78:8080/',
      'plain http://10.244.0.14:15021/healthz/ready',
      'plain http://[fd00:10:96::b6a8]:8080/',
      'plain http://[fd00:10:244::14]:15021/healthz/ready'
    ]);
    expect(sh.rounds.length + sh.admin.calls.length + 2).toBe(7); // each call costs a tenth of a second
  });

  // the first three were recorded in the lab: with ISTIO_DUAL_STACK off in it, with `bind` of one server, without its Gateway
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
    expect(failures(await look(gateway, {sh: gatewayOf(world), snapshot: things()}))).toEqual(
      expected
    );
  });

  test('a Service of one family (istio/istio#53245, #46679)', async () => {
    const found = await look(gateway, {sh: gatewayOf(), snapshot: things(['10.96.251.78'])});
    expect(failures(found)).toEqual({
      'gateway/classic/ipv6': 'no ClusterIP',
      'gateway/classic/ipv6-http': 'no ClusterIP',
      'gateway/classic/ipv6-closed': 'no ClusterIP'
    });
    expect(found['gateway/classic/ipv6']).toMatchObject({
      reason: 'Service gateway/gateway has only IPv4',
      attribution: {
        headline: 'The Service of the ingress gateway has no IPv6 ClusterIP',
        hint: expect.stringMatching(
          /^Set `ipFamilyPolicy: RequireDualStack` in Service gateway\/gateway/
        )
      }
    });
  });

  const single = made(['10.96.65.84']);
  test.each<[string, NonNullable<World['api']>, Record<string, string>]>([
    [
      'a Service of one family (istio/istio#53245)',
      {made: single},
      {'gateway/api/service': 'PreferDualStack, 10.96.65.84', 'gateway/api/ipv6': 'no ClusterIP'}
    ],
    [
      'a listener on 0.0.0.0 alone (istio/istio#54100)',
      {
        listeners: [listener(8080, ['0.0.0.0'])],
        status: url => (url.includes('[') ? '000' : '302')
      },
      {
        'gateway/api/listeners': 'not on [::]:8080',
        'gateway/api/ipv6': 'no answer',
        'gateway/api/ipv6-pod': 'no answer'
      }
    ],
    [
      'no route',
      {status: () => '404'},
      Object.fromEntries(
        ['ipv4', 'ipv4-pod', 'ipv6', 'ipv6-pod'].map(aspect => [`gateway/api/${aspect}`, '404'])
      )
    ]
  ])('of the Gateway API, %s', async (_, api, expected) => {
    const sh = gatewayOf({api});
    let now = 0;
    const work = fakeWork(() => (now += 6));
    expect(failures(await look(gateway, {sh, snapshot: things(), work}))).toEqual(expected);
  });

  test('of the Gateway API, a Service of one family names the release that fixed it', async () => {
    let now = 0;
    const work = fakeWork(() => (now += 6));
    const sh = gatewayOf({api: {made: single}});
    const found = await look(gateway, {sh, snapshot: things(), work});
    const hint = expect.stringContaining('istio/istio#53245, fixed in 1.24.0');
    expect(found['gateway/api/ipv6']?.attribution).toEqual({hint});
    expect(gateway.definitions.find(({id}) => id === 'gateway/api/service')).toMatchObject({
      attribution: {hint}
    });
  });

  test('of the Gateway API, a ClusterIP that kube-proxy does not have yet is probed again', async () => {
    let asked = 0;
    const sh = gatewayOf({api: {status: () => (asked++ < 4 ? '000' : '302')}});
    expect(failures(await look(gateway, {sh, snapshot: things()}))).toEqual({});
  });

  test.each<[string, KubeObject[], string, string]>([
    ['nothing', [], 'no Service', 'no ClusterIP'],
    ['no pod that gets ready', made(undefined, false), '', '']
  ])(
    'istiod creates %s for a Gateway, and the wait has a limit',
    async (_, items, observed, address) => {
      let now = 0;
      const work = fakeWork(() => (now += 25));
      const sh = gatewayOf({api: {made: items}});
      const selected = gateway.definitions.filter(({id}) => id.startsWith('gateway/api/'));
      const of = (aspect: string, text: string) =>
        text === '' ? {} : {[`gateway/api/${aspect}`]: text};
      expect(
        failures(await look(gateway, {sh, snapshot: things(), work, asked: selected}))
      ).toEqual({
        ...of('service', observed),
        ...of('ipv4', address),
        ...of('ipv6', address),
        ...of('ipv4-pod', 'no pod IP'),
        ...of('ipv6-pod', 'no pod IP'),
        ...of('listeners', 'no pod that is ready')
      });
      expect(sh.admin.calls.length).toBeGreaterThan(1);
    }
  );

  test('only selected checks run', async () => {
    const selected = gateway.definitions.filter(({id}) => id === 'gateway/classic/ipv6-pod');
    const sh = gatewayOf();
    expect(failures(await look(gateway, {sh, snapshot: things(), asked: selected}))).toEqual({});
    expect(sh.rounds).toHaveLength(1);
    expect([...sh.pages.asked, ...sh.admin.calls]).toEqual([]);
  });
});

test('the gateway goes to the STRICT port of the dual-stack pods, and asks for little', () => {
  const [offered, deployment, , routes] = parseAllDocuments(renderGatewayYaml()).map(document =>
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
      resources: {requests: {cpu: '5m', memory: '64Mi'}},
      startupProbe: expect.objectContaining({periodSeconds: 1}) // the template asks every 15 s
    }
  ]);
  expect(routes.spec.tcp[0].route[0].destination).toEqual({
    host: 'tcp-echo.dual-stack.svc.cluster.local',
    port: {number: 9001}
  });
});

test('the Gateway of the Gateway API is nobody’s load balancer, and asks for little', () => {
  const [map, own, route] = parseAllDocuments(
    apiGatewaySample.manifests({echo: '', client: '', proxy: null})
  ).map(document => document.toJS());
  expect(parse(map.data.deployment).spec.template.spec.containers).toEqual([
    {name: 'istio-proxy', resources: {requests: {cpu: '5m', memory: '64Mi'}}}
  ]);
  expect(own.spec.infrastructure.parametersRef.name).toBe(map.metadata.name);
  expect(own.metadata.annotations).toEqual({'networking.istio.io/service-type': 'ClusterIP'});
  expect(route.spec.parentRefs).toEqual([{name: own.metadata.name}]);
});

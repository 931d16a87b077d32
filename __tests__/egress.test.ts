import {describe, expect, test} from '@jest/globals';
import {parseAllDocuments} from 'yaml';
import type {Node} from '../src/base/kube.ts';
import {buildPatchCommand, egress} from '../src/checks/egress.ts';
import type {Probe} from '../src/checks/probe.ts';
import {renderEgressStaticYaml, renderEgressYaml} from '../src/manifests/egress-sample.ts';
import {fakeClients, fakeSh, fakeWork} from './fake.ts';
import {fakePages} from './pages.ts';
import {failures, healthy, healthyBut, isOf, look, node} from './things.ts';

const taken = {ipv4: '10.96.0.7', ipv6: 'fd00:10:96::8'};
const ofTarget = (...targets: string[]) =>
  egress.definitions.filter(({target}) => targets.includes(target));

/** What nobody but a ServiceEntry names: the pods' own addresses. */
const isPod = ({address}: Probe) => /^(10\.244\.|fd00:10:244:)/.test(address);
const registryOnly = (probe: Probe) => (isPod(probe) ? '' : `hello ${probe.word}`);

/** Statuses recorded in the lab: the API server denies access, and one address of the HTTP host is routed. */
const usual = (url: string) =>
  url.startsWith('https:') ? '403' : url.includes('2001:db8::20') ? '200' : '502';

interface World {
  answer?: (probe: Probe, round: number) => string | {text: string; peers: string};
  status?: (url: string, via: string) => string;
  /** The proxy's cluster of its tracer, one text for each call. */
  tracer?: string | string[];
}

const clusters =
  'kubectl exec --namespace egress deployment/egress --container istio-proxy -- pilot-agent request GET clusters?filter=datadog_agent';
/** Recorded from a proxy in the lab. */
const clusterOf = (address: string) =>
  `datadog_agent::observability_name::datadog_agent;\ndatadog_agent::default_priority::max_connections::1024\ndatadog_agent::added_via_api::false\n${['cx_active', 'cx_total', 'rq_total'].map(name => `datadog_agent::${address}::${name}::0\n`).join('')}datadog_agent::${address}::health_flags::healthy\n`;
const atNode = clusterOf('172.18.0.3:8126');
const nodeThing: Node = {
  ...node('kind-control-plane', []),
  status: {
    nodeInfo: {kubeletVersion: 'v1.37.0'},
    addresses: ['172.18.0.3', 'fc00:f853:ccd:e793::3'].map(address => ({
      type: 'InternalIP',
      address
    }))
  }
};
const withNode = {snapshot: [...healthy(), nodeThing]};

const world = ({answer = registryOnly, status = usual, tracer = atNode}: World = {}) => {
  const kubectl = fakeSh({
    [buildPatchCommand(taken).join(' ')]: 'serviceentry patched\n',
    [clusters]: tracer
  });
  const pages = fakePages(status, kubectl);
  return Object.assign(fakeClients(answer, pages), {pages, kubectl});
};

describe('egress', () => {
  test('holds on a healthy mesh, and reports the known limitation', async () => {
    const sh = world();
    const found = await look(egress, {sh, ...withNode});
    expect(failures(found)).toEqual({});
    expect(Object.keys(found).sort()).toEqual(egress.definitions.map(({id}) => id).sort());
    expect(found['egress/http/addresses']).toMatchObject({
      verdict: 'skipped',
      reason:
        'Istio does not support two addresses of an HTTP host (istio/istio#56783): 192.0.2.20: 502; 2001:db8::20: 200'
    });
    const asked = sh.rounds.flatMap(({namespace, probes}) =>
      probes.map(({word, address, port}) => [word, namespace, address, port].join(' '))
    );
    expect(asked.sort()).toEqual([
      'egress/dns-a/ipv4 egress 192.0.2.1 9011',
      'egress/dns-a/ipv6 egress 2001:db8::1 9011',
      'egress/dns-aaaa/ipv4 egress 192.0.2.1 9012',
      'egress/dns-aaaa/ipv6 egress 2001:db8::1 9012',
      'egress/none/ipv4 egress 10.244.0.4 9000',
      'egress/none/ipv6 egress fd00:10:244::4 9000',
      'egress/overlap/ipv4 egress 192.0.2.31 9000',
      'egress/overlap/ipv4-cluster-ip egress 10.96.0.7 9000',
      'egress/overlap/ipv6 egress 2001:db8::31 9000',
      'egress/overlap/ipv6-cluster-ip egress fd00:10:96::8 9000',
      'egress/ranges/ipv4-first egress 192.0.2.65 9001',
      'egress/ranges/ipv4-second egress 192.0.2.81 9001',
      'egress/ranges/ipv6-first egress 2001:db8::65 9001',
      'egress/ranges/ipv6-second egress 2001:db8::81 9001',
      'egress/several/ipv4-first egress 192.0.2.50 9015',
      'egress/several/ipv4-second egress 192.0.2.51 9015',
      'egress/several/ipv6-first egress 2001:db8::50 9015',
      'egress/several/ipv6-second egress 2001:db8::51 9015',
      'egress/static/ipv4 egress 192.0.2.10 9002',
      'egress/static/ipv6 egress 2001:db8::10 9002'
    ]);
    expect(sh.pages.asked).toEqual([
      'egress https://one.example.test:8443/ 192.0.2.1:8443',
      'egress https://one.example.test:8443/ [2001:db8::1]:8443',
      'egress https://two.example.test:8443/ 192.0.2.1:8443',
      'egress https://two.example.test:8443/ [2001:db8::1]:8443',
      'egress http://192.0.2.20:9014/',
      'egress http://[2001:db8::20]:9014/'
    ]);
  });

  // recorded in the lab
  test.each<[string, World, Record<string, string>]>([
    [
      'a client of IPv4 alone (ISTIO_DUAL_STACK off in it): IPv6 passes it by',
      {
        answer: probe =>
          probe.address.includes(':') === isPod(probe) ? `hello ${probe.word}` : '',
        status: (url, via) =>
          url.includes('[') || via.includes('[') ? '000' : url.startsWith('https:') ? '403' : '502'
      },
      {
        'egress/none/ipv6': 'hello egress/none/ipv6',
        'egress/tls/one-ipv6': 'no answer',
        'egress/tls/two-ipv6': 'no answer',
        'egress/http/addresses': '192.0.2.20: 502; 2001:db8::20: no answer',
        'egress/dns-a/ipv6': 'no answer',
        'egress/dns-aaaa/ipv6': 'no answer',
        'egress/static/ipv6': 'no answer'
      }
    ],
    [
      'ALLOW_ANY',
      {answer: ({word}) => `hello ${word}`},
      {
        'egress/none/ipv4': 'hello egress/none/ipv4',
        'egress/none/ipv6': 'hello egress/none/ipv6'
      }
    ],
    [
      'the second TLS host is not let through (istio/istio#47406)',
      {status: url => (url.includes('two.') ? '000' : usual(url))},
      {'egress/tls/two-ipv4': 'no answer', 'egress/tls/two-ipv6': 'no answer'}
    ]
  ])('%s', async (_, given, expected) => {
    const selected = ofTarget('tls', 'dns-a', 'dns-aaaa', 'static', 'http', 'none');
    expect(failures(await look(egress, {sh: world(given), asked: selected}))).toEqual(expected);
  });

  test('a ServiceEntry’s second and later addresses are not listened on (istio/istio#51747)', async () => {
    const sh = world({
      answer: probe => (/(?:51|81)$/.test(probe.address) ? '' : registryOnly(probe))
    });
    expect(failures(await look(egress, {sh, asked: ofTarget('several', 'ranges')}))).toEqual(
      Object.fromEntries(
        ['several', 'ranges'].flatMap(target =>
          ['ipv4', 'ipv6'].map(family => [`egress/${target}/${family}-second`, 'no answer'])
        )
      )
    );
  });

  test('each of several addresses gets ten probes, and all must be answered (istio/istio#53530)', async () => {
    let turn = 0;
    const sh = world({answer: probe => (++turn === 38 ? '' : registryOnly(probe))});
    const found = await look(egress, {sh, asked: ofTarget('several')});
    expect(failures(found)).toEqual({'egress/several/ipv6-second': 'no answer'});
    expect(found['egress/several/ipv4-first']?.attempts).toHaveLength(10);
  });

  test.each([
    ['of the node’s IPv6 address', clusterOf('[fc00:f853:ccd:e793::3]:8126'), {}],
    [
      'without brackets (istio/istio#54267)',
      clusterOf('fc00:f853:ccd:e793::3:8126'),
      {'egress/tracer/address': 'fc00:f853:ccd:e793::3:8126'}
    ],
    [
      'of somebody else',
      clusterOf('172.18.0.9:8126'),
      {'egress/tracer/address': '172.18.0.9:8126'}
    ],
    ['that is told the third time', ['', '', atNode], {}],
    ['that is not there', '', {'egress/tracer/address': 'no tracer'}]
  ])('a tracer’s address %s', async (_, tracer, expected) => {
    const sh = world({tracer});
    const found = await look(egress, {sh, asked: ofTarget('tracer'), ...withNode});
    expect(failures(found)).toEqual(expected);
  });

  test('names of one family: the cluster looks up only the other (istio/istio#42097)', async () => {
    const sh = world({answer: probe => (probe.port === 9012 ? '' : registryOnly(probe))});
    expect(failures(await look(egress, {sh, ...withNode}))).toEqual({
      'egress/dns-aaaa/ipv4': 'no answer',
      'egress/dns-aaaa/ipv6': 'no answer'
    });
  });

  test.each([
    ['both are routed', '200', '200'],
    ['none is', '502', '502']
  ])('what is known of two HTTP addresses has changed: %s', async (_, ipv4, ipv6) => {
    const sh = world({status: url => (url.includes('[') ? ipv6 : ipv4)});
    const selected = ofTarget('http');
    expect(failures(await look(egress, {sh, asked: selected}))).toEqual({
      'egress/http/addresses': `192.0.2.20: ${ipv4}; 2001:db8::20: ${ipv6}`
    });
  });

  test('either one of the two is as known', async () => {
    const sh = world({status: url => (url.includes('[') ? '502' : '200')});
    const found = await look(egress, {sh, asked: ofTarget('http')});
    expect(found['egress/http/addresses']?.verdict).toBe('skipped');
  });

  test('reports the pod of a connection', async () => {
    const sh = world({
      answer: probe => ({text: registryOnly(probe), peers: '0400F40A:232A,'})
    });
    const found = await look(egress, {sh, asked: ofTarget('static', 'overlap')});
    expect(found['egress/static/ipv6']?.upstream).toBe('10.244.0.4');
    expect(found['egress/overlap/ipv6']?.upstream).toBe('10.244.0.4');
  });
});

describe('egress: a ServiceEntry that takes the ClusterIPs of others', () => {
  const selected = ofTarget('overlap');

  test('is probed until it is in force', async () => {
    const sh = world({answer: (probe, round) => (round < 1 ? '' : registryOnly(probe))});
    expect(failures(await look(egress, {sh, asked: selected}))).toEqual({});
    expect(sh.rounds).toHaveLength(2);
    expect(sh.kubectl.calls).toHaveLength(1);
  });

  test('which the client does not take (istio/istio#52847), or loses what it had', async () => {
    let now = 0;
    const found = await look(egress, {
      sh: world({
        answer: probe => (/31$|^fd00:10:96::8$/.test(probe.address) ? '' : registryOnly(probe))
      }),
      work: fakeWork(() => (now += 6)),
      asked: selected
    });
    expect(failures(found)).toEqual({
      'egress/overlap/ipv4': 'no answer',
      'egress/overlap/ipv6': 'no answer',
      'egress/overlap/ipv6-cluster-ip': 'no answer'
    });
    expect(found['egress/overlap/ipv4']?.reason).toBe(
      '192.0.2.31 port 9000 returned no answer 10 s after it was added to the ServiceEntry'
    );
    expect(found['egress/overlap/ipv6-cluster-ip']?.reproduce).toContain(
      `"$(kubectl get service tcp-echo -n ipv6 -o jsonpath='{.spec.clusterIPs[0]}')"`
    );
  });

  test('a run that is over accuses nobody', async () => {
    const work = fakeWork();
    work.stop();
    const found = await look(egress, {sh: world({answer: () => ''}), work, asked: selected}).catch(
      () => ({})
    );
    expect(failures(found)).toEqual({});
  });

  test('without a ClusterIP there is nothing to take', async () => {
    const snapshot = healthyBut(isOf('Service', 'ipv6', 'tcp-echo'));
    const sh = fakeClients(
      registryOnly,
      fakeSh({
        [buildPatchCommand({ipv4: '10.96.0.7'}).join(' ')]: ''
      })
    );
    expect(failures(await look(egress, {sh, snapshot, asked: selected}))).toEqual({
      'egress/overlap/ipv6-cluster-ip': 'no ClusterIP'
    });
  });
});

test('the ClusterIPs are taken each beside an address that nobody had', () => {
  expect(buildPatchCommand(taken)).toEqual([
    ...['kubectl', 'patch', 'serviceentry', 'overlap', '--namespace', 'plain'],
    ...['--type', 'merge', '--patch'],
    '{"spec":{"addresses":["10.96.0.7","192.0.2.31","fd00:10:96::8","2001:db8::31"]}}'
  ]);
});

describe('the ServiceEntries', () => {
  const all = [renderEgressYaml('mine/curl:1'), renderEgressStaticYaml()].flatMap(text =>
    parseAllDocuments(text).map(document => document.toJS())
  );
  const entries = all.filter(({kind}) => kind === 'ServiceEntry');

  test('are seen by no other client', () => {
    for (const {metadata, spec} of entries)
      expect([metadata.name, spec.exportTo]).toEqual([
        metadata.name,
        [['static', 'overlap', 'ranges'].includes(metadata.name) ? 'egress' : '.']
      ]);
  });

  test('their client reaches nothing else, and asks for little', () => {
    const [client, sidecar] = all;
    expect(sidecar.spec).toEqual({outboundTrafficPolicy: {mode: 'REGISTRY_ONLY'}});
    expect(client.spec.template.metadata.annotations).toEqual({
      'proxy.istio.io/config': 'tracing:\n  datadog:\n    address: $(HOST_IP):8126\n',
      'sidecar.istio.io/proxyCPU': '5m',
      'sidecar.istio.io/proxyMemory': '64Mi'
    });
  });

  test('name addresses that are nobody’s', () => {
    for (const {spec} of entries)
      for (const address of spec.addresses ?? [])
        expect(address).toMatch(/^(192\.0\.2\.|2001:db8::)\d+(\/28|\/124)?$/);
  });
});

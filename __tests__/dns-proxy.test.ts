import {describe, expect, test} from '@jest/globals';
import {parseAllDocuments} from 'yaml';
import {dnsProxy} from '../src/checks/dns-proxy.ts';
import type {Probe} from '../src/checks/probe.ts';
import {renderDnsProxyYaml} from '../src/manifests/dns-proxy-sample.ts';
import {fakeClients, fakeSh} from './fake.ts';
import {planOf} from './planned.ts';
import {both, failures, healthy as healthyThings, look, pod} from './things.ts';

const name = (target: string) => `tcp-echo.${target}.svc.cluster.local.`;
const host = 'allocated.example.test.';
const replica = 'echo-1.echo.headless.svc.cluster.local.';
const healthy: Record<string, string> = {
  [`a ${name('dual-stack')}`]: '10.96.0.6',
  [`aaaa ${name('dual-stack')}`]: 'fd00:10:96::6',
  [`a ${name('ipv4')}`]: '10.96.0.7',
  [`aaaa ${name('ipv6')}`]: 'fd00:10:96::8',
  [`a ${replica}`]: '10.244.0.15',
  [`aaaa ${replica}`]: 'fd00:10:244::15',
  [`a ${host}`]: '240.240.0.5',
  [`aaaa ${host}`]: '2001:2::5'
};
const good = ({word}: Probe) => `hello ${word}`;

/** A client whose sidecar answers so; the other one uses the cluster's DNS, which resolves only `outside`. */
const world = (
  answers: Record<string, string> = healthy,
  answer = good,
  outside: Record<string, string> = {}
) => {
  const dns = fakeSh(command => {
    const known = command[3] === 'dns-proxy' ? answers : outside;
    const words = command.slice(command.indexOf('dns') + 1);
    return words
      .flatMap((word, at) => (at % 2 === 0 ? [`${word} ${words[at + 1]}`] : []))
      .map(question => `${question} ${known[question] ?? ''} \n`)
      .join('');
  });
  return Object.assign(fakeClients(answer, dns), {dns});
};

/** With the pods of a StatefulSet; the checks use the last. */
const see = (sh: ReturnType<typeof world>, selected = dnsProxy.definitions, more = {}) =>
  look(dnsProxy, {
    sh,
    asked: selected,
    ...more,
    snapshot: [
      ...healthyThings(),
      pod('headless', 'echo', {name: 'echo-0', ips: both('14')}),
      pod('headless', 'echo', {name: 'echo-1', ips: both('15')})
    ]
  });

describe('dns-proxy', () => {
  test.each([
    ['v1.24.6', 'skipped'],
    ['v1.25.0', 'passed']
  ])('Istio %s: what istiod allocates is %s', async (expected, verdict) => {
    const plan = planOf();
    const older = {...plan, istio: {...plan.istio, expected}};
    const found = await see(world(), dnsProxy.definitions, {plan: older});
    expect(found['dns-proxy/allocated/a']).toMatchObject({verdict});
    expect(found['dns-proxy/allocated/ipv6']).toMatchObject({verdict});
    expect(found['dns-proxy/dual-stack/a']).toMatchObject({verdict: 'passed'});
  });

  test('holds on a healthy mesh, and dials what was answered', async () => {
    const sh = world();
    const found = await see(sh);
    expect(failures(found)).toEqual({});
    expect(Object.keys(found).sort()).toEqual(dnsProxy.definitions.map(({id}) => id).sort());
    expect(found['dns-proxy/allocated/aaaa']).toMatchObject({
      observed: 'one address',
      address: '2001:2::5'
    });
    expect(found['dns-proxy/ipv4/aaaa']?.observed).toBe('none');
    const asked = sh.rounds.flatMap(({namespace, probes}) =>
      probes.map(({word, address, port}) => [word, namespace, address, port].join(' '))
    );
    expect(asked).toEqual([
      'dns-proxy/allocated/ipv4 dns-proxy 240.240.0.5 9000',
      'dns-proxy/allocated/ipv6 dns-proxy 2001:2::5 9000'
    ]);
    expect(sh.dns.calls).toHaveLength(2);
  });

  test.each<[string, Record<string, string>, Record<string, string>]>([
    [
      'DNS is not captured: the cluster’s does not know the host',
      {...healthy, [`a ${host}`]: '', [`aaaa ${host}`]: ''},
      {
        'dns-proxy/allocated/a': 'none',
        'dns-proxy/allocated/aaaa': 'none',
        'dns-proxy/allocated/ipv4': 'no address',
        'dns-proxy/allocated/ipv6': 'no address'
      }
    ],
    [
      'one family of what istiod allocates is missing',
      {...healthy, [`aaaa ${host}`]: ''},
      {'dns-proxy/allocated/aaaa': 'none', 'dns-proxy/allocated/ipv6': 'no address'}
    ],
    [
      'a dual-stack Service has one record only (istio/istio#51608)',
      {...healthy, [`aaaa ${name('dual-stack')}`]: ''},
      {'dns-proxy/dual-stack/aaaa': 'none'}
    ],
    [
      'one address of two of a StatefulSet’s pod (istio/istio#58397)',
      {...healthy, [`a ${replica}`]: ''},
      {'dns-proxy/stateful/a': 'none'}
    ],
    [
      'another pod’s address',
      {...healthy, [`aaaa ${replica}`]: 'fd00:10:244::14'},
      {'dns-proxy/stateful/aaaa': 'fd00:10:244::14'}
    ],
    [
      'a record of a family that the Service has not',
      {...healthy, [`aaaa ${name('ipv4')}`]: 'fd00:10:96::7'},
      {'dns-proxy/ipv4/aaaa': 'fd00:10:96::7'}
    ],
    [
      'two addresses where one is due',
      {...healthy, [`a ${host}`]: '240.240.0.5 240.240.0.6'},
      {'dns-proxy/allocated/a': '240.240.0.5 240.240.0.6'}
    ]
  ])('%s', async (_, answers, expected) => {
    expect(failures(await see(world(answers)))).toEqual(expected);
  });

  test('an address that nobody listens on', async () => {
    const sh = world(healthy, probe => (probe.address === '2001:2::5' ? '' : good(probe)));
    expect(failures(await see(sh))).toEqual({'dns-proxy/allocated/ipv6': 'no answer'});
  });

  test('where the cluster’s DNS knows the host, nothing is proven', async () => {
    const sh = world(healthy, good, {[`a ${host}`]: '198.51.100.7'});
    expect(failures(await see(sh))).toEqual({
      'dns-proxy/allocated/uncaptured': '198.51.100.7'
    });
  });

  test('only selected checks run', async () => {
    const sh = world();
    const selected = dnsProxy.definitions.filter(({id}) => id === 'dns-proxy/allocated/ipv6');
    expect(failures(await see(sh, selected))).toEqual({});
    expect(sh.dns.calls).toHaveLength(1);
    expect(sh.rounds).toHaveLength(1);
  });
});

test('its client has DNS capture, and asks for little', () => {
  const [client, entry] = parseAllDocuments(renderDnsProxyYaml('mine/curl:1')).map(document =>
    document.toJS()
  );
  expect(client.spec.template.metadata.annotations).toEqual({
    'sidecar.istio.io/proxyCPU': '5m',
    'sidecar.istio.io/proxyMemory': '64Mi',
    'proxy.istio.io/config': 'proxyMetadata:\n  ISTIO_META_DNS_CAPTURE: "true"\n'
  });
  expect(client.spec.template.spec.containers[0].image).toBe('mine/curl:1');
  expect(entry.spec.addresses).toBeUndefined(); // istiod allocates them
  expect(entry.spec.exportTo).toEqual(['.']);
});

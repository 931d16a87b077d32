import {describe, expect, test} from '@jest/globals';
import type {KubeObject, Pod} from '../src/base/kube.ts';
import {health} from '../src/checks/health.ts';
import {fakeSh} from './fake.ts';
import {both, failures, healthy, look, pod} from './things.ts';

const prometheus = 'HTTP/1.1 200 OK|Content-Type: text/plain; version=0.0.4; charset=utf-8||';

/** The response of a healthy pod to each URL, as recorded: the number of Envoy metrics, and the head. */
const healthyAnswer = (url: string): string =>
  url.endsWith('/stats/prometheus')
    ? `416 ${prometheus}`
    : url.endsWith('/tcp-echo/livez')
      ? '0 HTTP/1.1 400 Bad Request|Vary: Accept-Encoding|Content-Length: 64||'
      : '0 HTTP/1.1 200 OK|Vary: Accept-Encoding|Content-Length: 0||';

const client = (answer: (url: string) => string | undefined = () => undefined) =>
  fakeSh(command => {
    expect(command[3]).toBe('plain');
    const urls = command.filter(word => word.startsWith('http://'));
    return urls
      .map((url, at) => `${at} 5835.89 5835.98 ${answer(url) ?? healthyAnswer(url)}\n`)
      .reverse() // they come as they are answered
      .join('');
  });

/** The pod of the web server, with probes as the injection leaves them. */
function web(path = (probe: string): string | undefined => `/app-health/${probe}`): Pod {
  const made = pod('http', 'web', {ips: both('13')});
  const httpGet = (probe: string) => {
    const at = path(probe);
    return at === undefined ? {} : {httpGet: {path: at}};
  };
  made.spec.containers = [
    {
      name: 'web',
      image: 'registry.example/proxyv2:1.30.3',
      readinessProbe: httpGet('web/readyz'),
      livenessProbe: httpGet('web/livez'),
      startupProbe: httpGet('web/startupz')
    },
    {
      name: 'tcp-echo',
      image: 'registry.example/tcp-echo:1',
      readinessProbe: httpGet('tcp-echo/readyz')
    }
  ];
  return made;
}
const things = (server = web()): KubeObject[] => [...healthy(), server];

describe('health', () => {
  test('every port answers on each pod IP, and one call sends all requests', async () => {
    const sh = client();
    const found = await look(health, {sh, snapshot: things()});
    expect(failures(found)).toEqual({});
    expect(Object.keys(found).sort()).toEqual(health.definitions.map(({id}) => id).sort());
    expect(sh.calls).toHaveLength(1);
    expect(sh.calls[0]?.match(/http:\/\/\S+/g)?.sort()).toEqual(
      ['10.244.0.6', '[fd00:10:244::6]']
        .flatMap(host => [
          `http://${host}:15020/stats/prometheus`,
          `http://${host}:15021/healthz/ready`,
          `http://${host}:15090/stats/prometheus`
        ])
        .concat(
          ['10.244.0.13', '[fd00:10:244::13]'].flatMap(host => [
            `http://${host}:15020/app-health/tcp-echo/livez`,
            `http://${host}:15020/app-health/tcp-echo/readyz`,
            `http://${host}:15020/app-health/web/livez`,
            `http://${host}:15020/app-health/web/readyz`,
            `http://${host}:15020/app-health/web/startupz`
          ])
        )
        .sort()
    );
  });

  test.each<[string, (url: string) => string | undefined, Record<string, string>]>([
    [
      'metrics on one family only',
      url => (url.startsWith('http://[fd00:10:244::6]:15090') ? '0 ' : undefined),
      {'health/dual-stack/ipv6-metrics': 'no answer'}
    ],
    [
      'an agent that cannot fetch the metrics of its proxy',
      url => (url.includes(':15020/stats') ? `0 ${prometheus}` : undefined),
      {
        'health/dual-stack/ipv4-merged-metrics': '200',
        'health/dual-stack/ipv6-merged-metrics': '200'
      }
    ],
    [
      'a proxy that is not ready over one family',
      url => (url.startsWith('http://10.244.0.6:15021') ? '0 HTTP/1.1 503 x||' : undefined),
      {'health/dual-stack/ipv4-ready': '503'}
    ],
    [
      'an agent that says yes to everything',
      url => (url.includes('app-health') ? '0 HTTP/1.1 200 OK||' : undefined),
      {'health/web/ipv4-unknown': '200', 'health/web/ipv6-unknown': '200'}
    ]
  ])('%s', async (_, answer, expected) => {
    expect(failures(await look(health, {sh: client(answer), snapshot: things()}))).toEqual(
      expected
    );
  });

  test('a failure has its URL, and a command that looks up the address', async () => {
    const sh = client(url => (url.includes('::6]:15090') ? '0 ' : undefined));
    const found = (await look(health, {sh, snapshot: things()}))['health/dual-stack/ipv6-metrics'];
    expect(found?.reason).toBe(
      'http://[fd00:10:244::6]:15090/stats/prometheus returned no answer instead of 200 with metrics of Envoy'
    );
    expect(found?.address).toBe('fd00:10:244::6');
    expect(found?.reproduce).toBe(
      `kubectl exec -n plain deploy/sleep -c sleep -- sh -c 'curl -gsi -m 3 "http://[$0]:15090/stats/prometheus"' "$(kubectl get pods -n dual-stack -l app=tcp-echo -o jsonpath='{.items[0].status.podIPs[1].ip}')"`
    );
  });

  test.each<[string, Pod, string]>([
    ['probes as they were', web(() => '/'), 'a probe of web, web, web, tcp-echo not rewritten'],
    [
      'a tcpSocket probe not rewritten',
      web(probe => (probe.startsWith('tcp') ? undefined : `/app-health/${probe}`)),
      'a probe of tcp-echo not rewritten'
    ],
    ['a pod that is not ready', pod('http', 'web', {ips: both('13'), ready: false}), 'Pending']
  ])('%s', async (_, server, observed) => {
    const found = await look(health, {sh: client(), snapshot: things(server)});
    expect(failures(found)).toEqual({'health/web/rewritten': observed});
  });

  test('a pod without an address of one family', async () => {
    const server = web();
    server.status.podIPs = [{ip: '10.244.0.13'}];
    const found = failures(await look(health, {sh: client(), snapshot: things(server)}));
    expect(Object.keys(found)).toHaveLength(5);
    expect(new Set(Object.values(found))).toEqual(new Set(['no pod IP']));
    expect(Object.keys(found).every(id => id.startsWith('health/web/ipv6-'))).toBe(true);
  });

  test('without a web server its checks are skipped, with the reason', async () => {
    const found = await look(health, {sh: client(), snapshot: healthy()});
    expect(failures(found)).toEqual({});
    const skipped = Object.entries(found).filter(([, {verdict}]) => verdict === 'skipped');
    expect(skipped.map(([id]) => id.split('/')[1])).toEqual(Array(11).fill('web'));
    expect(skipped[0]?.[1].reason).toMatch(/^the chart does not name the proxy's image/);
  });

  test('only selected checks run', async () => {
    const sh = client();
    const selected = health.definitions.filter(({id}) => id === 'health/dual-stack/ipv6-ready');
    const found = await look(health, {sh, asked: selected, snapshot: things()});
    expect(Object.keys(found)).toEqual(['health/dual-stack/ipv6-ready']);
    expect(sh.calls[0]?.match(/http:/g)).toHaveLength(1);
  });
});

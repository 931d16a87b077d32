import {describe, expect, test} from '@jest/globals';
import type {KubeObject} from '../src/base/kube.ts';
import {http} from '../src/checks/http.ts';
import {webSample} from '../src/manifests/web-sample.ts';
import {type Answer, fakeSh, fakeWork} from './fake.ts';
import {both, failures, healthy, look, pod, service} from './things.ts';

const things = (): KubeObject[] => [
  ...healthy(),
  service('http', ['10.96.0.13', 'fd00:10:96::13'], 'RequireDualStack', 'web'),
  pod('http', 'web', {ips: both('13')})
];

/** As the server's sidecar tells who asked. */
const byNamespace = (namespace: string) =>
  `HTTP/1.1 200 OK|x-local-address: 10.244.0.13|x-client: By=spiffe://cluster.local/ns/http/sa/default;Hash=467de6223cebee8d;Subject="";URI=spiffe://cluster.local/ns/${namespace}/sa/default|server: envoy||`;
const byNobody = 'HTTP/1.1 200 OK|x-local-address: 10.244.0.13|server: istio-envoy||';
const denied = 'HTTP/1.1 403 Forbidden|content-length: 19|server: envoy||';
const none = '';

const isPod = (url: string) => /10\.244\.|fd00:10:244:/.test(url);

/** What is seen on a healthy cluster: pods are asked by the client without a sidecar. */
const healthyAnswer = (url: string): string =>
  isPod(url)
    ? url.includes(':8081')
      ? byNobody
      : none
    : url.endsWith('/others')
      ? denied
      : byNamespace('sleep');

const routes = (...domains: string[]) =>
  JSON.stringify({
    configs: [
      {
        route_config: {
          name: '8080',
          virtual_hosts: [
            {name: 'web.http.svc.cluster.local:8080', domains},
            {name: 'allow_any', domains: ['*']}
          ]
        }
      }
    ]
  });
const names = ['web.http.svc.cluster.local', 'web.http', 'web.http.svc'];
const known = routes(...names, '10.96.0.13', '[fd00:10:96::13]');

/** `answer` says what is seen of a URL, in which round of asking it. */
function mesh(
  answer: (url: string, round: number) => string | undefined = () => undefined,
  dumped: Answer = known
) {
  const rounds = new Map<string, number>();
  return fakeSh(command => {
    if (command.at(-1)?.startsWith('config_dump')) return dumped;
    const at = command.indexOf('request');
    const [times = '', ...urls] = command.slice(at + 2);
    return urls
      .flatMap((url, row) => {
        expect(isPod(url)).toBe(command[3] === 'plain');
        const round = rounds.get(url) ?? 0;
        rounds.set(url, round + 1);
        const head = answer(url, round) ?? healthyAnswer(url);
        const turns = head === none ? 1 : Number(times); // as the script does it
        return Array(turns).fill(`${row} 5837.02 5837.07 0 ${head}\n`);
      })
      .join('');
  });
}

describe('http', () => {
  test('by name and by each address over a route, denied and refused where it should be', async () => {
    const sh = mesh();
    const found = await look(http, {sh, snapshot: things()});
    expect(failures(found)).toEqual({});
    expect(Object.keys(found).sort()).toEqual(http.definitions.map(({id}) => id).sort());
    expect(found['http/web/ipv6']?.address).toBe('fd00:10:96::13');
    expect(found['http/web/ipv6']?.upstream).toBe('10.244.0.13');
    expect(found['http/web/ipv6']?.attempts).toHaveLength(5);
    expect(sh.calls.flatMap(line => line.match(/http:\/\/\S+/g) ?? []).sort()).toEqual([
      'http://10.244.0.13:8080/',
      'http://10.244.0.13:8081/',
      'http://10.96.0.13:8080/',
      'http://10.96.0.13:8080/others',
      'http://[fd00:10:244::13]:8080/',
      'http://[fd00:10:244::13]:8081/',
      'http://[fd00:10:96::13]:8080/',
      'http://[fd00:10:96::13]:8080/others',
      'http://web.http:8080/'
    ]);
  });

  test('policies are asked for until they are in force', async () => {
    const sh = mesh((url, round) =>
      round > 0
        ? undefined
        : url.endsWith('/others')
          ? byNamespace('sleep')
          : url.includes('244::13]:8080')
            ? byNobody
            : undefined
    );
    expect(failures(await look(http, {sh, snapshot: things()}))).toEqual({});
    expect(sh.calls.filter(line => line.includes('/others'))).toHaveLength(2);
    expect(sh.calls.filter(line => line.includes('244::13]:8080'))).toHaveLength(2);
  });

  /** A clock that lets nothing be asked for long. */
  const hasty = () => {
    let now = 0;
    return fakeWork(() => (now += 6));
  };

  test.each<[string, ReturnType<typeof mesh>, Record<string, string>]>([
    [
      'the second ClusterIP is not among the domains: passed through, and refused',
      mesh(
        url => (url.startsWith('http://[fd00:10:96::13]') ? none : undefined),
        routes(...names, '10.96.0.13')
      ),
      {
        'http/web/ipv6': 'no answer',
        'http/web/ipv6-denied': 'no answer',
        'http/web/domains': 'no domain for [fd00:10:96::13]'
      }
    ],
    [
      'passed through to a server that takes plaintext',
      mesh(url => (url === 'http://[fd00:10:96::13]:8080/' ? byNobody : undefined)),
      {'http/web/ipv6': '200, no client identity'}
    ],
    [
      'one turn of five',
      mesh(url => (url === 'http://web.http:8080/' ? 'HTTP/1.1 503 Unavailable||' : undefined)),
      {'http/web/name': '503'}
    ],
    [
      'neither STRICT nor a policy',
      mesh(url =>
        url.endsWith('/others')
          ? byNamespace('sleep')
          : /244\S+:8080/.test(url)
            ? byNobody
            : undefined
      ),
      {
        'http/web/ipv4-denied': '200, client identity sleep',
        'http/web/ipv6-denied': '200, client identity sleep',
        'http/web/ipv4-refused': '200, no client identity',
        'http/web/ipv6-refused': '200, no client identity'
      }
    ],
    [
      'a dead path is not taken for a refusal: the control fails',
      mesh(url => (url.includes('fd00:10:244::13') ? none : undefined)),
      {'http/web/ipv6-control': 'no answer'}
    ],
    [
      'a client that does not know the Service',
      mesh(() => undefined, JSON.stringify({configs: []})),
      {'http/web/domains': 'no route for web.http.svc.cluster.local:8080'}
    ]
  ])('%s', async (_, sh, expected) => {
    const found = await look(http, {sh, snapshot: things(), work: hasty()});
    expect(failures(found)).toEqual(expected);
  });

  test('of five turns the wrong one is told, and shown', async () => {
    let turn = 0;
    const sh = fakeSh(command => {
      if (command.at(-1)?.startsWith('config_dump')) return known;
      if (!command.includes('http://web.http:8080/')) throw new Error('not asked for');
      return Array.from({length: 5}, () =>
        ++turn === 3
          ? '0 1.00 1.01 0 HTTP/1.1 503 Service Unavailable||\n'
          : `0 1.00 1.01 0 ${byNamespace('sleep')}\n`
      ).join('');
    });
    const selected = http.definitions.filter(({id}) => id === 'http/web/name');
    const found = await look(http, {sh, asked: selected, snapshot: things()});
    expect(found['http/web/name']).toMatchObject({
      verdict: 'failed',
      observed: '503',
      reason: 'http://web.http:8080/ returned 503, expected 200, client identity sleep',
      reproduce:
        "kubectl exec -n sleep deploy/sleep -c sleep -- sh -c 'curl -gsi -m 3 http://web.http:8080/'"
    });
    expect(found['http/web/name']?.attempts?.map(({observed}) => observed)).toContain('503');
  });

  test('a Service of one family', async () => {
    const one = [
      ...healthy(),
      service('http', ['10.96.0.13'], 'SingleStack', 'web'),
      pod('http', 'web', {ips: both('13')})
    ];
    const sh = mesh(undefined, routes(...names, '10.96.0.13'));
    expect(failures(await look(http, {sh, snapshot: one}))).toEqual({
      'http/web/ipv6': 'no ClusterIP',
      'http/web/ipv6-denied': 'no ClusterIP',
      'http/web/domains': 'a ClusterIP of one family is missing'
    });
  });

  test('a run that is over accuses nobody', async () => {
    const work = fakeWork();
    work.stop();
    await expect(
      look(http, {sh: mesh(() => byNobody), snapshot: things(), work})
    ).rejects.toThrow();
  });
});

describe('the web server', () => {
  const images = {echo: 'echo:1', client: 'curl:1', proxy: 'proxyv2:1'};

  test('is made of the images of the run', () => {
    expect(webSample.manifests(images)).toMatch(/image: proxyv2:1\n[\s\S]*image: echo:1\n/);
  });

  test('is not made where the chart does not tell the image', () => {
    expect(webSample.manifests({...images, proxy: null})).toBe('');
  });
});

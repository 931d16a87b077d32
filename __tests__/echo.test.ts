import {describe, expect, test} from '@jest/globals';
import {cluster} from '../src/checks/cluster.ts';
import {echo} from '../src/checks/echo.ts';
import {path} from '../src/checks/path.ts';
import type {CheckResult} from '../src/results/results.ts';
import {fakeClients} from './fake.ts';
import {check} from './sample-results.ts';
import {failures, healthyBut, isOf, look} from './things.ts';

const good = ({word}: {word: string}) => `hello ${word}`;

describe('echo', () => {
  test('asks as documented by name, then each ClusterIP by its literal address, from a client with a sidecar', async () => {
    const clients = fakeClients(good);
    const found = await look(echo, {sh: clients});
    expect(failures(found)).toEqual({});
    expect(clients.rounds).toEqual([
      {
        namespace: 'sleep',
        probes: [
          {word: 'dualstack', address: 'tcp-echo.dual-stack', port: 9000},
          {word: 'echo/dual-stack/ipv4', address: '10.96.0.6', port: 9000},
          {word: 'echo/dual-stack/ipv6', address: 'fd00:10:96::6', port: 9000}
        ]
      },
      {
        namespace: 'sleep',
        probes: [
          {word: 'ipv4', address: 'tcp-echo.ipv4', port: 9000},
          {word: 'echo/ipv4/ipv4', address: '10.96.0.7', port: 9000}
        ]
      },
      {
        namespace: 'sleep',
        probes: [
          {word: 'ipv6', address: 'tcp-echo.ipv6', port: 9000},
          {word: 'echo/ipv6/ipv6', address: 'fd00:10:96::8', port: 9000}
        ]
      }
    ]);
    expect(found['echo/dual-stack/name']?.observed).toBe('hello dualstack');
    expect(found['echo/ipv6/name']?.observed).toBe('hello ipv6');
  });

  test('its words are long enough for a sidecar that has to guess: 5 bytes with the newline', () => {
    for (const {expected} of echo.definitions)
      expect(`${expected.replace('hello ', '')}\n`.length).toBeGreaterThanOrEqual(5);
  });

  test('a missing address fails without a probe', async () => {
    const clients = fakeClients(good);
    const snapshot = healthyBut(isOf('Service', 'ipv6'));
    const found = await look(echo, {sh: clients, snapshot});
    expect(found['echo/ipv6/ipv6']).toEqual({
      observed: 'no ClusterIP',
      verdict: 'failed',
      reason: 'Service ipv6/tcp-echo has no ipv6 ClusterIP',
      reproduce: 'kubectl get service tcp-echo -n ipv6 -o yaml'
    });
    expect(clients.rounds.flatMap(({probes}) => probes).map(({word}) => word)).not.toContain(
      'echo/ipv6/ipv6'
    );
  });

  test('the answer of another target is not one', async () => {
    const found = await look(echo, {sh: fakeClients(() => 'hello ipv4')});
    expect(Object.keys(failures(found)).sort()).toEqual(
      echo.definitions
        .map(({id}) => id)
        .filter(id => id !== 'echo/ipv4/name')
        .sort()
    );
  });
});

describe('path', () => {
  test('goes through the two Services of one family, on the port that is STRICT', async () => {
    const clients = fakeClients(good);
    expect(failures(await look(path, {sh: clients}))).toEqual({});
    expect(clients.rounds).toEqual([
      {
        namespace: 'sleep',
        probes: [
          {word: 'path/dual-stack/ipv4', address: '10.96.0.16', port: 9001},
          {word: 'path/dual-stack/ipv6', address: 'fd00:10:96::16', port: 9001}
        ]
      }
    ]);
  });

  test('one family between the pods is dead', async () => {
    const sh = fakeClients(probe => (probe.address.includes(':') ? '' : good(probe)));
    expect(failures(await look(path, {sh}))).toEqual({'path/dual-stack/ipv6': 'no answer'});
  });

  test('a Service that is not there', async () => {
    const snapshot = healthyBut(isOf('Service', 'dual-stack', 'tcp-echo-ipv6'));
    const found = await look(path, {sh: fakeClients(good), snapshot});
    expect(failures(found)).toEqual({'path/dual-stack/ipv6': 'no ClusterIP'});
  });
});

describe('cluster', () => {
  test('asks pod and Service, client and server without sidecars', async () => {
    const clients = fakeClients(good);
    expect(failures(await look(cluster, {sh: clients}))).toEqual({});
    expect(clients.rounds).toEqual([
      {
        namespace: 'plain',
        probes: [
          {word: 'cluster/plain/ipv4', address: '10.244.0.4', port: 9000},
          {word: 'cluster/plain/ipv4-service', address: '10.96.0.4', port: 9000},
          {word: 'cluster/plain/ipv6', address: 'fd00:10:244::4', port: 9000},
          {word: 'cluster/plain/ipv6-service', address: 'fd00:10:96::4', port: 9000}
        ]
      }
    ]);
  });

  test('a pod without an address of a family', async () => {
    const snapshot = healthyBut(isOf('Pod', 'plain', 'tcp-echo-1'));
    const found = await look(cluster, {sh: fakeClients(good), snapshot});
    expect(Object.keys(failures(found))).toEqual(['cluster/plain/ipv4', 'cluster/plain/ipv6']);
  });
});

describe('the attribution of a failed echo or path by other checks', () => {
  const failed = (id: string, more: Partial<CheckResult> = {}) =>
    check(id, {verdict: 'failed', observed: 'no answer', expected: 'hello', ...more});
  const controls = (...families: ('ipv4' | 'ipv6')[]) =>
    families.map(family => failed(`mtls/dual-stack/${family}-control`, {family}));
  const toldOf = (
    {attribution: {evidence}}: typeof echo,
    one: CheckResult,
    others: CheckResult[]
  ) => evidence?.(one, [one, ...others]) ?? {};

  test.each([
    ['by name, both dead', echo, 'echo/dual-stack/name', null, controls('ipv4', 'ipv6'), true],
    ['by name, one dead', echo, 'echo/dual-stack/name', null, controls('ipv6'), false],
    ['the family that is dead', path, 'path/dual-stack/ipv6', 'ipv6', controls('ipv6'), true],
    ['the other family', path, 'path/dual-stack/ipv4', 'ipv4', controls('ipv6'), false],
    ['other pods', echo, 'echo/ipv6/ipv6', 'ipv6', controls('ipv6'), false],
    ['no control ran', echo, 'echo/dual-stack/name', null, [], false]
  ] as const)('a client without a sidecar fails too, %s', (_, checks, id, family, others, told) => {
    const {hint, headline} = toldOf(checks, failed(id, {family}), [...others]);
    const dead =
      family === null
        ? 'IPv4 and IPv6 traffic to the pods of dual-stack gets no answer'
        : 'IPv6 traffic to the pods of dual-stack gets no answer';
    if (told) expect(hint).toMatch(/A client without a sidecar gets no answer/i);
    else expect(hint).toBeUndefined();
    expect(headline).toBe(told ? dead : undefined);
  });

  test('an unexpected response is no dead path', () => {
    const one = failed('echo/dual-stack/name', {observed: 'goodbye dualstack'});
    expect(echo.attribution.evidence?.(one, [one, ...controls('ipv4', 'ipv6')])).toMatchObject({
      headline: 'A Service returned an unexpected response',
      hint: expect.stringMatching(/^Check the image and the arguments of the pod/)
    });
  });
});

describe('the command to see it by hand names no address that is gone with the cluster', () => {
  test.each([
    [
      echo,
      'echo/dual-stack/ipv6',
      "kubectl get service tcp-echo -n dual-stack -o jsonpath='{.spec.clusterIPs[0]}'"
    ],
    [
      echo,
      'echo/dual-stack/ipv4',
      "kubectl get service tcp-echo -n dual-stack -o jsonpath='{.spec.clusterIPs[1]}'"
    ],
    [
      path,
      'path/dual-stack/ipv6',
      "kubectl get service tcp-echo-ipv6 -n dual-stack -o jsonpath='{.spec.clusterIPs[0]}'"
    ],
    [
      cluster,
      'cluster/plain/ipv6',
      "kubectl get pods -n plain -l app=tcp-echo -o jsonpath='{.items[0].status.podIPs[1].ip}'"
    ]
  ])('%#: %s', async (checks, id, lookUp) => {
    const found = await look(checks, {sh: fakeClients(good)});
    expect(found[id]?.reproduce).toBe(
      `kubectl exec -n ${id.startsWith('cluster') ? 'plain' : 'sleep'} deploy/sleep -c sleep -- sh -c '(echo ${id}; sleep 1) | timeout 3 nc "$0" ${id.startsWith('path') ? 9001 : 9000}' "$(${lookUp})"`
    );
  });

  test('a name stays what it is', async () => {
    const found = await look(echo, {sh: fakeClients(good)});
    expect(found['echo/ipv4/name']?.reproduce).toContain('nc tcp-echo.ipv4 9000');
  });
});

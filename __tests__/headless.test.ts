import {describe, expect, test} from '@jest/globals';
import type {KubeObject, Pod} from '../src/base/kube.ts';
import {headless} from '../src/checks/headless.ts';
import type {Probe} from '../src/checks/probe.ts';
import {type Answer, fakeClients, fakeSh, fakeWork} from './fake.ts';
import {both, failures, healthy, look, pod} from './things.ts';

const echo = (ordinal: number, last: string): Pod =>
  pod('headless', 'echo', {name: `echo-${ordinal}`, ips: both(last)});
const before = [echo(0, '14'), echo(1, '15')];
/** Once the first was replaced. */
const after = [echo(0, '17'), echo(1, '15')];
/** In the network of its node, which has an address more than pods have. */
const nodeIps = ['172.18.0.3', 'fc00:f853:ccd:e793::3'];
const host = pod('host-network', 'echo-host', {ips: nodeIps, sidecar: 'none'});
const things = (pods: Pod[] = before, onHost = [host]): KubeObject[] => [
  ...healthy(),
  ...pods,
  ...onHost
];

const socket = (address: string, port: number) => ({socket_address: {address, port_value: port}});
/** Listeners in Envoy's format: those of the pods' port, of a ClusterIP on the same port, and one on another port. */
const listeners = (...ips: string[]): string =>
  JSON.stringify({
    listener_statuses: [
      {
        name: 'fd00:10:96::6_9001',
        local_address: socket('fd00:10:96::6', 9001),
        additional_local_addresses: [socket('10.96.0.6', 9001)]
      },
      {name: '10.96.0.7_9000', local_address: socket('10.96.0.7', 9000)},
      ...ips.map(ip => ({name: `${ip}_9001`, local_address: socket(ip, 9001)})),
      ...nodeIps.map(ip => ({name: `${ip}_19001`, local_address: socket(ip, 19001)}))
    ]
  });
const ipsOf = (pods: Pod[]) => pods.flatMap(({status}) => status.podIPs ?? []).map(({ip}) => ip);

interface Seen {
  /** What comes back; null: as on a healthy cluster. */
  answer?: (probe: Probe, namespace: string) => string | null;
  /** What the client listens on before the pod is replaced, and after it. */
  listening?: {before?: string; after?: Answer | Answer[]};
  pods?: Answer[];
}

function mesh({answer = () => null, listening = {}, pods}: Seen = {}) {
  const calls: string[] = [];
  let deleted = false;
  let clients = '';
  const turns = {pods: 0, listeners: 0};
  const turn = (list: Answer[], what: keyof typeof turns): Answer =>
    list[Math.min(turns[what]++, list.length - 1)] ?? '';
  const other = fakeSh(command => {
    calls.push(command.slice(0, 4).join(' '));
    if (command[1] === 'delete') {
      expect(command.slice(2, 6)).toEqual(['pod', 'echo-0', '--namespace', 'headless']);
      deleted = true;
      return 'pod "echo-0" deleted from headless namespace';
    }
    if (command[1] === 'wait') return 'pod/echo-0 condition met';
    if (command[1] === 'get') return turn(pods ?? [JSON.stringify({items: after})], 'pods');
    expect(command.at(-1)).toBe('listeners?format=json');
    if (!deleted) return listening.before ?? listeners(...ipsOf(before));
    return turn([listening.after ?? listeners(...ipsOf(after))].flat(), 'listeners');
  });
  const echoes = fakeClients(probe => {
    const strict = clients === 'plain' && probe.port === 9001;
    return answer(probe, clients) ?? (strict ? '' : `hello ${probe.word}`);
  }, other);
  const sh: typeof other = Object.assign(
    (async (command, options) => {
      clients = command[3] ?? '';
      return echoes(command, options);
    }) as typeof other,
    {calls}
  );
  return {sh, calls, rounds: echoes.rounds};
}

/** A clock that lets nothing be waited for long. */
const hasty = () => {
  let now = 0;
  return fakeWork(() => (now += 6));
};

describe('headless', () => {
  test('by name and by each pod IP, also after a pod was replaced', async () => {
    const {sh, rounds, calls} = mesh();
    const found = await look(headless, {sh, snapshot: things()});
    expect(failures(found)).toEqual({});
    expect(Object.keys(found).sort()).toEqual(headless.definitions.map(({id}) => id).sort());
    const asked = rounds.flatMap(({namespace, probes}) =>
      probes.map(({word, address, port}) =>
        [word.replace('headless/echo/', ''), namespace, address, port].join(' ')
      )
    );
    expect(asked.sort()).toEqual([
      'headless/host-network/ipv4 sleep 172.18.0.3 19001',
      'headless/host-network/ipv6 sleep fc00:f853:ccd:e793::3 19001',
      'ipv4-control plain 10.244.0.14 9000',
      'ipv4-refused plain 10.244.0.14 9001',
      'ipv6-control plain fd00:10:244::14 9000',
      'ipv6-refused plain fd00:10:244::14 9001',
      'pod-0-ipv4 sleep 10.244.0.14 9001',
      'pod-0-ipv6 sleep fd00:10:244::14 9001',
      'pod-0-name sleep echo-0.echo.headless 9001',
      'pod-1-ipv4 sleep 10.244.0.15 9001',
      'pod-1-ipv6 sleep fd00:10:244::15 9001',
      'pod-1-name sleep echo-1.echo.headless 9001',
      'replaced-ipv4 sleep 10.244.0.17 9001',
      'replaced-ipv6 sleep fd00:10:244::17 9001',
      'replaced-name sleep echo-0.echo.headless 9001'
    ]);
    expect(calls.filter(line => line.startsWith('kubectl delete'))).toHaveLength(1);
  });

  test('no pod is replaced where nobody asks for it', async () => {
    const {sh, calls} = mesh();
    const selected = headless.definitions.filter(({id}) => !id.includes('/replaced-'));
    expect(failures(await look(headless, {sh, asked: selected, snapshot: things()}))).toEqual({});
    expect(calls.filter(line => !line.startsWith('kubectl exec'))).toEqual([]);
  });

  test('a pod that is not ready yet, and a client that does not know it yet, are waited for', async () => {
    const starting = pod('headless', 'echo', {name: 'echo-0', ready: false});
    const {sh, calls} = mesh({
      pods: [JSON.stringify({items: [starting, after[1]]}), JSON.stringify({items: after})],
      listening: {after: [listeners(...ipsOf(before)), listeners(...ipsOf(after))]}
    });
    expect(failures(await look(headless, {sh, snapshot: things()}))).toEqual({});
    expect(calls.filter(line => line.startsWith('kubectl get'))).toHaveLength(2);
  });

  test.each<[string, Seen, Record<string, string>]>([
    [
      'a Service of one family',
      {
        answer: ({word, address}, namespace) =>
          namespace === 'sleep' && address.includes(':') && word.includes('/pod-') ? '' : null,
        listening: {before: listeners('10.244.0.14', '10.244.0.15')}
      },
      {
        'headless/echo/pod-0-ipv6': 'no answer',
        'headless/echo/pod-1-ipv6': 'no answer',
        'headless/echo/listeners': 'no listener on fd00:10:244::14; no listener on fd00:10:244::15'
      }
    ],
    [
      'an address that no pod has',
      {listening: {before: listeners(...ipsOf(before), 'fd00:10:244::99')}},
      {
        'headless/echo/listeners':
          'an unexpected listener on fd00:10:244::99, which is not a pod IP'
      }
    ],
    [
      'a client that does not learn of the new pod',
      {listening: {after: listeners(...ipsOf(before))}},
      {
        'headless/echo/replaced-listeners':
          'no listener on 10.244.0.17; no listener on fd00:10:244::17; an unexpected listener on 10.244.0.14, which is not a pod IP; an unexpected listener on fd00:10:244::14, which is not a pod IP'
      }
    ],
    [
      'a replaced pod without one family',
      {answer: ({word}) => (word.endsWith('/replaced-ipv6') ? '' : null)},
      {'headless/echo/replaced-ipv6': 'no answer'}
    ],
    [
      'STRICT that does not hold',
      {answer: ({word, address}) => (address.includes(':') ? `hello ${word}` : null)},
      {'headless/echo/ipv6-refused': 'answered plaintext'}
    ],
    [
      'a dead path is not taken for a refusal: the control fails',
      {answer: ({address}) => (address === 'fd00:10:244::14' ? '' : null)},
      {'headless/echo/pod-0-ipv6': 'no answer', 'headless/echo/ipv6-control': 'no answer'}
    ]
  ])('%s', async (_, seen, expected) => {
    const found = await look(headless, {sh: mesh(seen).sh, snapshot: things(), work: hasty()});
    expect(failures(found)).toEqual(expected);
  });

  test('a name for which the cluster’s DNS still has the old address is waited for', async () => {
    let asked = 0;
    const {sh} = mesh({
      answer: ({word}) => (word.endsWith('/replaced-name') && asked++ < 3 ? '' : null)
    });
    let now = 0;
    const found = await look(headless, {sh, snapshot: things(), work: fakeWork(() => (now += 1))});
    expect(failures(found)).toEqual({});
    expect(found['headless/echo/replaced-name']?.verdict).toBe('passed');
    expect(asked).toBe(8); // five times in the end
  });

  test('a probe by address waits until the client listens on them', async () => {
    const {sh, calls} = mesh({
      listening: {after: [listeners(...ipsOf(before)), listeners(...ipsOf(after))]}
    });
    const selected = headless.definitions.filter(({id}) => id.endsWith('/replaced-ipv6'));
    const found = await look(headless, {sh, asked: selected, snapshot: things()});
    expect(Object.keys(found)).toEqual(['headless/echo/replaced-ipv6']);
    expect(failures(found)).toEqual({});
    expect(calls.filter(line => line.startsWith('kubectl exec'))).toHaveLength(2);
  });

  test('a pod that does not come back', async () => {
    const {sh} = mesh({
      pods: [JSON.stringify({items: [after[1]]})],
      listening: {after: listeners(...ipsOf(after.slice(1)))}
    });
    let now = 0;
    const work = fakeWork(() => (now += 40));
    const found = failures(await look(headless, {sh, snapshot: things(), work}));
    expect(found).toEqual({
      'headless/echo/replaced-listeners': 'pod IPs 10.244.0.15, fd00:10:244::15',
      'headless/echo/replaced-ipv4': 'no pod IP',
      'headless/echo/replaced-ipv6': 'no pod IP'
    });
  });

  test('where a client without a sidecar gets no answer either, the hint says so', async () => {
    const {sh} = mesh({answer: ({address}) => (address === 'fd00:10:244::14' ? '' : null)});
    const found = await look(headless, {sh, snapshot: things(), work: hasty()});
    const all = headless.definitions.map(row => ({...row, ...found[row.id]}) as never);
    const hint = (id: string) => {
      const failed = {...headless.definitions.find(row => row.id === id), ...found[id]} as never;
      return headless.attribution.evidence?.(failed, all).hint;
    };
    expect(found['headless/echo/pod-0-ipv6']?.reproduce).toContain(
      `"$(kubectl get pod echo-0 -n headless -o jsonpath='{.status.podIPs[1].ip}')"`
    );
    expect(hint('headless/echo/pod-0-ipv6')).toMatch(/`headless\/echo\/ipv6-control`/);
    expect(hint('headless/echo/pod-0-ipv4')).toBeUndefined();
    expect(hint('headless/echo/pod-1-ipv6')).toBeUndefined();
  });
});

describe('a headless Service of a pod in its node’s network (istio/istio#43095)', () => {
  const selected = headless.definitions.filter(({target}) => target === 'host-network');

  test('one of its addresses is not listened on, and does not answer', async () => {
    const {sh} = mesh({
      answer: ({address}) => (address === nodeIps[1] ? '' : null),
      listening: {before: listeners().replaceAll(/fc00[^"_]*/g, '::')}
    });
    expect(failures(await look(headless, {sh, asked: selected, snapshot: things()}))).toEqual({
      'headless/host-network/listeners':
        'no listener on fc00:f853:ccd:e793::3; an unexpected listener on ::, which is not a pod IP',
      'headless/host-network/ipv6': 'no answer'
    });
  });

  test('a pod of one family', async () => {
    const single = pod('host-network', 'echo-host', {ips: nodeIps.slice(0, 1), sidecar: 'none'});
    const {sh, calls} = mesh({listening: {before: listeners().replaceAll(/fc00[^"_]*/g, '::')}});
    const found = await look(headless, {sh, asked: selected, snapshot: things(before, [single])});
    expect(failures(found)).toEqual({
      'headless/host-network/listeners': 'an unexpected listener on ::, which is not a pod IP',
      'headless/host-network/ipv6': 'no pod IP'
    });
    expect(calls.filter(line => line.startsWith('kubectl delete'))).toEqual([]);
  });
});

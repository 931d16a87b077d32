import {describe, expect, test} from '@jest/globals';
import {defineCheck, type MeshCheckInput, type Outcome} from '../src/checks/definition.ts';
import {meshClient} from '../src/checks/probe.ts';
import {type Proof, prove} from '../src/checks/prove.ts';
import {fakeClients, fakeSh, fakeWork} from './fake.ts';
import {planOf} from './planned.ts';

const proof = (id: string, pods: string[] = ['10.244.0.6', 'fd00:10:244::6']): Proof => ({
  check: defineCheck('echo', id, id, `hello ${id}`),
  probe: {word: id, address: '10.96.0.6', port: 9000},
  pods
});
const peers = {
  ipv4: '0600F40A:2328,',
  ipv6: '100000FD000044020000000006000000:2328,',
  service: '0600600A:2328,'
};

/** Proves with these clients; what was told, in its order. */
async function proven(
  sh: MeshCheckInput['sh'],
  proofs: Proof[],
  {clock = () => 0, retries = '1'}: {clock?: () => number; retries?: string} = {}
): Promise<{told: [string, Outcome][]; found: Record<string, Outcome>}> {
  const told: [string, Outcome][] = [];
  const input: MeshCheckInput = {
    plan: planOf({retries}),
    sh,
    work: fakeWork(clock),
    snapshot: [],
    preloaded: new Map(),
    mirror: null,
    undo: () => {},
    nodes: 1,
    report: (id, finding) => told.push([id, finding])
  };
  await prove(meshClient, proofs, input, input.plan.probes.retries);
  return {told, found: Object.fromEntries(told)};
}
const good = ({word}: {word: string}) => `hello ${word}`;

describe('prove', () => {
  test('passes what is answered five times', async () => {
    const {found} = await proven(fakeClients(good), [proof('a')]);
    expect(found.a).toEqual({
      observed: 'hello a',
      verdict: 'passed',
      reason: null,
      address: '10.96.0.6',
      upstream: null,
      attempts: Array(5).fill({at: expect.any(Number), seconds: 0.02, observed: 'hello a'}),
      reproduce:
        "kubectl exec -n sleep deploy/sleep -c sleep -- sh -c '(echo a; sleep 1) | timeout 3 nc 10.96.0.6 9000'"
    });
  });

  test.each([
    [peers.ipv4, '10.244.0.6'],
    [peers.ipv6, 'fd00:10:244::6'],
    [peers.service, null], // the client's own connection to the ClusterIP
    [peers.service + peers.ipv6, 'fd00:10:244::6'],
    [peers.ipv4 + peers.ipv6, '10.244.0.6, fd00:10:244::6']
  ])('tells the address that the connection took: %s', async (peers, upstream) => {
    const sh = fakeClients(probe => ({text: good(probe), peers}));
    expect((await proven(sh, [proof('a')])).found.a?.upstream).toBe(upstream);
  });

  test('one answer that is missing at first makes it flaky, while the mesh settles', async () => {
    const sh = fakeClients((probe, round, attempt) =>
      round === 0 && attempt === 2 ? '' : good(probe)
    );
    const {found, told} = await proven(sh, [proof('a'), proof('b')]);
    expect(found.a).toMatchObject({verdict: 'flaky', reason: null, observed: 'hello a'});
    expect(found.a?.attempts?.map(({observed}) => observed)).toEqual([
      ...['hello a', 'hello a', ''],
      ...Array(5).fill('hello a')
    ]);
    expect(told).toHaveLength(2);
  });

  test('only what failed is asked again', async () => {
    const sh = fakeClients((probe, round) =>
      round === 0 && probe.word === 'b' ? '' : good(probe)
    );
    const {found} = await proven(sh, [proof('a'), proof('b')]);
    expect(sh.rounds.map(({probes}) => probes.map(({word}) => word))).toEqual([['a', 'b'], ['b']]);
    expect([found.a?.verdict, found.b?.verdict]).toEqual(['passed', 'flaky']);
  });

  test.each([
    [
      'nothing',
      '',
      'no answer',
      '10.96.0.6 port 9000 returned no answer after 2 expected answers, expected "hello a"'
    ],
    [
      'a word of somebody else',
      'hello b',
      'hello b',
      '10.96.0.6 port 9000 returned "hello b" after 2 expected answers, expected "hello a"'
    ],
    [
      'more than the word',
      'hello aa',
      'hello aa',
      '10.96.0.6 port 9000 returned "hello aa" after 2 expected answers, expected "hello a"'
    ]
  ])('fails with %s', async (_, text, observed, reason) => {
    const sh = fakeClients((probe, _, attempt) => (attempt < 2 ? good(probe) : text));
    const {found} = await proven(sh, [proof('a')]);
    expect(found.a).toMatchObject({verdict: 'failed', observed, reason});
    expect(found.a?.attempts).toHaveLength(6); // three of each round
    expect(sh.rounds).toHaveLength(2);
  });

  test.each([
    ['0', 1],
    ['1', 2],
    ['3', 4]
  ])('retries: %s', async (retries, rounds) => {
    const sh = fakeClients(() => '');
    await proven(sh, [proof('a')], {retries});
    expect(sh.rounds).toHaveLength(rounds);
  });

  test('once the mesh has settled every probe must pass', async () => {
    const sh = fakeClients((probe, round) => (round === 0 ? {text: '', seconds: 6} : good(probe)));
    const {found} = await proven(sh, [proof('a')], {retries: '9'});
    expect(found.a?.verdict).toBe('failed');
    expect(sh.rounds).toHaveLength(1);
  });

  test('what goes to the same pods goes one after the other, in one call; the rest side by side', async () => {
    let running = 0;
    let most = 0;
    const clients = fakeClients(good);
    const sh: MeshCheckInput['sh'] = async (command, options) => {
      most = Math.max(most, ++running);
      await new Promise(resolve => setTimeout(resolve, 10));
      running--;
      return clients(command, options);
    };
    const {found} = await proven(sh, [
      proof('a'),
      proof('b'),
      proof('c', ['10.244.0.7']),
      proof('d')
    ]);
    expect(clients.rounds.map(({probes}) => probes.map(({word}) => word))).toEqual([
      ['a', 'b', 'd'],
      ['c']
    ]);
    expect(most).toBe(2);
    expect(Object.keys(found).sort()).toEqual(['a', 'b', 'c', 'd']);
  });

  test('nothing to prove asks nothing', async () => {
    expect((await proven(fakeSh({}), [])).told).toEqual([]);
  });

  test('a client that cannot be asked is not a failed check', async () => {
    const sh = fakeSh(() => ({code: 1, stderr: 'no such pod'}));
    await expect(proven(sh, [proof('a')])).rejects.toMatchObject({name: 'CommandError'});
  });
});

import {describe, expect, test} from '@jest/globals';
import type {Node} from '../src/base/kube.ts';
import {node as checks} from '../src/checks/node.ts';
import {filterApplicable} from '../src/checks/skip-on-existing.ts';
import {fakeSh, fakeWork} from './fake.ts';
import {planOf} from './planned.ts';
import {failures, look, node} from './things.ts';

const list = (...items: Node[]) => JSON.stringify({items});
const asks = 'kubectl get nodes -o json';
const tables = 'docker exec istio-ds-control-plane ip6tables --table nat --list-rules';
const four = '10.244.0.0/24';
const six = 'fd00:10:244::/64';
let now = 0;
/** A clock on which each reading takes its time. */
const hasty = () => {
  now = 0;
  return fakeWork(() => (now += 30));
};

describe('node', () => {
  test('holds when every node is Ready, with both families in the order asked for', async () => {
    const sh = fakeSh({
      [tables]: '',
      [asks]: list(node('a', [four, six]), node('b', ['10.244.1.0/24', 'fd00:10:244:1::/64']))
    });
    const found = await look(checks, {sh});
    expect(failures(found)).toEqual({});
    expect(found['node/all/pod-cidrs']?.observed).toBe(
      '10.244.0.0/24, fd00:10:244::/64; 10.244.1.0/24, fd00:10:244:1::/64'
    );
  });

  test('waits for a node that is not there yet', async () => {
    const sh = fakeSh({
      [tables]: '',
      [asks]: [list(node('a', [four, six], false)), list(node('a', [four, six]))]
    });
    const work = fakeWork();
    expect(failures(await look(checks, {sh, work}))).toEqual({});
    expect(work.waits).toEqual(['a to be Ready', null]);
  });

  test.each<[string, Record<string, string>, Node[], Record<string, string>]>([
    ['one family', {}, [node('a', [four])], {'node/all/pod-cidrs': four}],
    ['the other order', {}, [node('a', [six, four])], {'node/all/pod-cidrs': `${six}, ${four}`}],
    ['the order asked for', {'ip-families': 'ipv6,ipv4'}, [node('a', [six, four])], {}],
    [
      'one of two',
      {},
      [node('a', [four, six]), node('b', [six])],
      {'node/all/pod-cidrs': `${four}, ${six}; ${six}`}
    ],
    [
      'not Ready for long',
      {},
      [node('a', [four, six]), node('b', [four, six], false)],
      {'node/all/ready': 'not Ready: b'}
    ]
  ])('%s', async (_, inputs, nodes, expected) => {
    const sh = fakeSh({[tables]: '', [asks]: list(...nodes)});
    const found = await look(checks, {sh, plan: planOf(inputs), work: hasty()});
    expect(failures(found)).toEqual(expected);
  });

  test('says which node has what, and what was asked for', async () => {
    const sh = fakeSh({[tables]: '', [asks]: list(node('a', [four]))});
    expect((await look(checks, {sh, work: hasty()}))['node/all/pod-cidrs']?.reason).toBe(
      'a has pod CIDRs 10.244.0.0/24; expected ipv4,ipv6'
    );
  });

  test.each([
    "modprobe: FATAL: Module ip6_tables not found\nip6tables v1.8.7 (legacy): can't initialize ip6tables table `nat': Table does not exist",
    'ip6tables: Failed to initialize nft: Protocol not supported'
  ])('a kernel without the modules of ip6tables: %j', async stderr => {
    const sh = fakeSh(command => {
      if (command[0] === 'kubectl') return list(node('a', [four, six]));
      return command[2] === 'istio-ds-worker' ? {code: 3, stderr} : '-P PREROUTING ACCEPT\n';
    });
    const plan = planOf({'kind-config': 'nodes: [{role: control-plane}, {role: worker}]'});
    const found = await look(checks, {sh, plan});
    expect(Object.keys(failures(found))).toEqual(['node/all/ip6tables']);
    const {reason, reproduce} = found['node/all/ip6tables'] ?? {};
    expect(reason).toMatch(/^istio-ds-worker: .*`modprobe --all ip6_tables ip6table_nat /);
    expect(reproduce).toBe(tables.replace('control-plane', 'worker'));
  });

  test('the tables are not asked for where nobody asks', async () => {
    const sh = fakeSh({[asks]: list(node('a', [four, six]))});
    const selected = filterApplicable(
      {cluster: 'kind', 'operator-chart': null},
      checks.definitions
    ).filter(({id}) => id !== 'node/all/ip6tables');
    expect(Object.keys(await look(checks, {sh, asked: selected}))).toEqual(
      selected.map(({id}) => id)
    );
  });

  test('no node is not healthy', async () => {
    expect(
      failures(await look(checks, {sh: fakeSh({[tables]: '', [asks]: list()}), work: hasty()}))
    ).not.toEqual({});
  });
});

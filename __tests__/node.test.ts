import {describe, expect, test} from '@jest/globals';
import type {Node} from '../src/base/kube.ts';
import {node as checks} from '../src/checks/node.ts';
import {fakeSh, fakeWork} from './fake.ts';
import {planOf} from './planned.ts';
import {failures, look, node} from './things.ts';

const list = (...items: Node[]) => JSON.stringify({items});
const asks = 'kubectl get nodes -o json';
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
    const sh = fakeSh({[asks]: list(...nodes)});
    const found = await look(checks, {sh, plan: planOf(inputs), work: hasty()});
    expect(failures(found)).toEqual(expected);
  });

  test('says which node has what, and what was asked for', async () => {
    const sh = fakeSh({[asks]: list(node('a', [four]))});
    expect((await look(checks, {sh, work: hasty()}))['node/all/pod-cidrs']?.reason).toBe(
      'a has the pod CIDRs 10.244.0.0/24; asked for was ipv4,ipv6'
    );
  });

  test('no node is not healthy', async () => {
    expect(failures(await look(checks, {sh: fakeSh({[asks]: list()}), work: hasty()}))).not.toEqual(
      {}
    );
  });
});

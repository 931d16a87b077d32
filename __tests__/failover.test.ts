import {describe, expect, test} from '@jest/globals';
import type {Sh} from '../src/base/sh.ts';
import {buildCutCommand, failover} from '../src/checks/failover.ts';
import type {Probe} from '../src/checks/probe.ts';
import {type Answer, fakeClients, fakeSh} from './fake.ts';
import {planOf} from './planned.ts';
import {failures, healthyBut, isOf, look} from './things.ts';

const good = ({word}: Probe) => `hello ${word}`;
const rule = (tool: string, verb: string, pod: string, node = 'istio-ds-control-plane') =>
  `docker exec ${node} ${tool} --wait ${verb} FORWARD --destination ${pod} --match comment --comment dual-stack-check --jump DROP`;

/** A node in which rules are set and removed. */
const node = (answer: (line: string) => Answer = () => '') =>
  fakeSh(command => {
    expect(command.slice(0, 2)).toEqual(['docker', 'exec']);
    return answer(command.join(' '));
  });

test.each([
  ['10.244.0.6', 'iptables'],
  ['fd00:10:244::6', 'ip6tables']
])('%s is cut by %s', (pod, tool) => {
  expect(buildCutCommand('n', '-I', pod).slice(0, 4)).toEqual(['docker', 'exec', 'n', tool]);
});

describe('failover', () => {
  test('cuts each family in turn, and mends it before the next', async () => {
    const docker = node();
    const lines: string[] = [];
    const clients = fakeClients(good, docker);
    const sh: Sh = (command, options) => {
      lines.push(command[0] === 'docker' ? command.join(' ') : 'probe');
      return clients(command, options);
    };
    const found = await look(failover, {sh});
    expect(failures(found)).toEqual({});
    expect(lines).toEqual([
      rule('iptables', '-I', '10.244.0.6'),
      'probe',
      rule('iptables', '-D', '10.244.0.6'),
      rule('ip6tables', '-I', 'fd00:10:244::6'),
      'probe',
      rule('ip6tables', '-D', 'fd00:10:244::6')
    ]);
    expect(found['failover/dual-stack/ipv4']).toMatchObject({
      observed: 'an answer after 0.02 s',
      verdict: 'passed',
      address: '10.96.0.6',
      upstream: null
    });
  });

  test('post knows how to mend a family while it is cut, and not after', async () => {
    const told: string[] = [];
    const docker = node(line => {
      told.push(line);
      return '';
    });
    const undo = (commands: string[][]) =>
      told.push(`undo ${commands.map(command => command.join(' '))}`);
    const selected = failover.definitions.slice(0, 1);
    await look(failover, {sh: fakeClients(good, docker), asked: selected, undo});
    const [cut, mend] = ['-I', '-D'].map(verb => rule('iptables', verb, '10.244.0.6'));
    expect(told).toEqual([`undo ${mend}`, cut, mend, 'undo ']);
  });

  test('reports the address of the connection', async () => {
    const sh = fakeClients(
      probe => ({text: good(probe), peers: '100000FD000044020000000006000000:2328,'}),
      node()
    );
    expect((await look(failover, {sh}))['failover/dual-stack/ipv4']?.upstream).toBe(
      'fd00:10:244::6'
    );
  });

  test('an answer from the address that is cut proves nothing', async () => {
    const sh = fakeClients(
      probe => ({text: good(probe), peers: '100000FD000044020000000006000000:2328,'}),
      node()
    );
    const found = await look(failover, {sh});
    expect(failures(found)).toEqual({
      'failover/dual-stack/ipv6': 'an answer from fd00:10:244::6, which was blocked'
    });
    expect(found['failover/dual-stack/ipv6']?.attribution?.class).toBe('infrastructure');
  });

  test('no answer over the other family', async () => {
    const sh = fakeClients(probe => (probe.word.endsWith('ipv4') ? '' : good(probe)), node());
    const found = await look(failover, {sh});
    expect(failures(found)).toEqual({'failover/dual-stack/ipv4': 'no answer'});
    expect(found['failover/dual-stack/ipv4']?.reason).toBe(
      'with ipv4 blocked, 10.96.0.6 returned no answer'
    );
    expect(found['failover/dual-stack/ipv4']?.reproduce).toContain(
      `"$(kubectl get service tcp-echo -n dual-stack -o jsonpath='{.spec.clusterIPs[`
    );
  });

  test('an unexpected answer is reported', async () => {
    const sh = fakeClients(
      probe => (probe.word.endsWith('ipv4') ? 'goodbye' : good(probe)),
      node()
    );
    expect(failures(await look(failover, {sh}))).toEqual({'failover/dual-stack/ipv4': 'goodbye'});
  });

  test('an answer that takes too long', async () => {
    const sh: Sh = async (command, options) => {
      if (command[0] === 'docker') return node()(command, options);
      const word = command.find(argument => argument.startsWith('failover/')) ?? '';
      return {
        code: 0,
        stderr: '',
        timedOut: false,
        stdout: `0 1.00 1.31  hello ${word}\n0 2.00 3.50  hello ${word}\n`
      };
    };
    expect(failures(await look(failover, {sh}))).toEqual({
      'failover/dual-stack/ipv4': 'an answer after 1.5 s',
      'failover/dual-stack/ipv6': 'an answer after 1.5 s'
    });
  });

  test('mends every node, even where cutting failed half-way', async () => {
    const plan = planOf({'kind-config': 'nodes: [{role: control-plane}, {role: worker}]'});
    const docker = node(line =>
      line.includes('worker ip') && line.includes('-I') ? {code: 1, stderr: 'no ip6tables'} : ''
    );
    const selected = failover.definitions.slice(1);
    await expect(look(failover, {sh: docker, plan, asked: selected})).rejects.toThrow(
      'no ip6tables'
    );
    const pod = 'fd00:10:244::6';
    expect(docker.calls).toEqual([
      rule('ip6tables', '-I', pod),
      rule('ip6tables', '-I', pod, 'istio-ds-worker'),
      rule('ip6tables', '-D', pod),
      rule('ip6tables', '-D', pod, 'istio-ds-worker')
    ]);
  });

  test('removes the rules when the client fails', async () => {
    const docker = node();
    const sh: Sh = async (command, options) =>
      command[0] === 'docker'
        ? docker(command, options)
        : {code: 1, stdout: '', stderr: 'gone', timedOut: false};
    await expect(look(failover, {sh})).rejects.toThrow('gone');
    expect(docker.calls.at(-1)).toBe(rule('iptables', '-D', '10.244.0.6'));
  });

  test('without an address nothing is cut', async () => {
    const sh = fakeClients(good, fakeSh({}));
    const found = await look(failover, {sh, snapshot: healthyBut(isOf('Pod', 'dual-stack'))});
    expect(Object.keys(failures(found))).toEqual([
      'failover/dual-stack/ipv4',
      'failover/dual-stack/ipv6'
    ]);
  });
});

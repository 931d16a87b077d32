import {spawnSync} from 'node:child_process';
import {describe, expect, test} from '@jest/globals';
import {dns} from '../src/checks/dns.ts';
import {fakeSh} from './fake.ts';
import {failures, healthyBut, isOf, look} from './things.ts';

const name = (target: string) => `tcp-echo.${target}.svc.cluster.local.`;
const healthy: Record<string, string> = {
  [`a ${name('dual-stack')}`]: '10.96.0.6',
  [`aaaa ${name('dual-stack')}`]: 'fd00:10:96::6',
  [`a ${name('ipv4')}`]: '10.96.0.7',
  [`aaaa ${name('ipv4')}`]: '',
  [`a ${name('ipv6')}`]: '',
  [`aaaa ${name('ipv6')}`]: 'fd00:10:96::8'
};

/** A client whose DNS answers so, in any order, for the questions of the command. */
const answering = (answers: Record<string, string>) =>
  fakeSh(command => {
    const words = command.slice(command.indexOf('dns') + 1);
    const questions = words.flatMap((word, at) =>
      at % 2 === 0 ? [`${word} ${words[at + 1]}`] : []
    );
    return questions
      .reverse()
      .map(question => `${question} ${answers[question]} \n`)
      .join('');
  });

describe('dns', () => {
  test('holds on a healthy cluster', async () => {
    const sh = answering(healthy);
    const found = await look(dns, {sh});
    expect(failures(found)).toEqual({});
    expect(
      Object.fromEntries(Object.entries(found).map(([id, {observed}]) => [id, observed]))
    ).toEqual({
      'dns/dual-stack/a': 'its ClusterIP',
      'dns/dual-stack/aaaa': 'its ClusterIP',
      'dns/ipv4/a': 'its ClusterIP',
      'dns/ipv4/aaaa': 'none',
      'dns/ipv6/a': 'none',
      'dns/ipv6/aaaa': 'its ClusterIP'
    });
    expect(sh.calls).toHaveLength(1);
    expect(sh.calls[0]).toMatch(/^kubectl exec --namespace plain deployment\/sleep /); // without a sidecar
  });

  test.each<[string, Record<string, string>, Record<string, string>]>([
    ['a record is missing', {[`aaaa ${name('dual-stack')}`]: ''}, {'dns/dual-stack/aaaa': 'none'}],
    [
      'a record is too many',
      {[`aaaa ${name('ipv4')}`]: 'fd00:10:96::7'},
      {'dns/ipv4/aaaa': 'fd00:10:96::7'}
    ],
    ['a record is another’s', {[`a ${name('ipv4')}`]: '10.96.0.6'}, {'dns/ipv4/a': '10.96.0.6'}],
    [
      'there are two',
      {[`a ${name('ipv4')}`]: '10.96.0.7 10.96.0.6'},
      {'dns/ipv4/a': '10.96.0.7 10.96.0.6'}
    ]
  ])('%s', async (_, answers, expected) => {
    expect(failures(await look(dns, {sh: answering({...healthy, ...answers})}))).toEqual(expected);
  });

  test('a record without a Service is too many', async () => {
    const snapshot = healthyBut(isOf('Service', 'ipv4'));
    expect(failures(await look(dns, {sh: answering(healthy), snapshot}))).toEqual({
      'dns/ipv4/a': '10.96.0.7'
    });
  });

  test('a client that fails is not a failed check', async () => {
    await expect(look(dns, {sh: fakeSh(() => ({code: 1, stderr: 'no pod'}))})).rejects.toThrow(
      'no pod'
    );
  });

  test('a question that got no line is not answered "none"', async () => {
    const selected = dns.definitions.filter(({id}) => id === 'dns/ipv4/aaaa');
    expect(failures(await look(dns, {sh: fakeSh(() => ''), asked: selected}))).not.toEqual({});
  });

  test('a query without an answer is not "none", and is not repeated', async () => {
    const sh = answering(Object.fromEntries(Object.keys(healthy).map(question => [question, '!'])));
    const found = await look(dns, {sh});
    expect(new Set(Object.values(failures(found)))).toEqual(new Set(['no answer']));
    expect(Object.keys(failures(found))).toHaveLength(dns.definitions.length);
    expect(sh.calls).toHaveLength(1);
  });

  test.each([
    [';; connection timed out; no servers could be reached', 'aaaa x. !\n'],
    ['** server can’t find x.: SERVFAIL', 'aaaa x. !\n'],
    ['** server can’t find x.: NXDOMAIN', 'aaaa x. \n'],
    ['*** Can’t find x.: No answer', 'aaaa x. \n']
  ])('its script tells what BusyBox says of no address: %s', async (said, line) => {
    let script = '';
    const sh = fakeSh(command => {
      script = command[command.indexOf('dns') - 1] ?? '';
      return '';
    });
    await look(dns, {sh});
    const busybox = `busybox() { echo "${said}" >&2; return 1; }`;
    const {stdout} = spawnSync('sh', ['-c', `${busybox}\n${script}`, 'dns', 'aaaa', 'x.']);
    expect(`${stdout}`).toBe(line);
  });

  test('its script is one that sh can read, and reads BusyBox’s answer', async () => {
    let script = '';
    const sh = fakeSh(command => {
      script = command[command.indexOf('dns') - 1] ?? '';
      return '';
    });
    await look(dns, {sh});
    const answer = `printf 'Server:\\t10.96.0.10\\nAddress:\\t10.96.0.10:53\\n\\nName:\\t%s\\nAddress: fd00::8\\n' "$3"`;
    const {stdout} = spawnSync('sh', [
      '-c',
      `busybox() { ${answer}; }\n${script}`,
      'dns',
      'aaaa',
      'x.'
    ]);
    expect(`${stdout}`).toBe('aaaa x. fd00::8 \n');
  });
});

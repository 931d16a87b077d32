import {describe, expect, test} from '@jest/globals';
import {mtls} from '../src/checks/mtls.ts';
import type {Probe} from '../src/checks/probe.ts';
import {fakeClients, fakeWork} from './fake.ts';
import {failures, healthyBut, isOf, look} from './things.ts';

const isPod = (address: string) => /^(10\.244\.|fd00:10:244:)/.test(address);

/** The pod's own port 9001 refuses plaintext; everything else answers. */
const strict = ({word, address, port}: Probe) =>
  port === 9001 && isPod(address) ? '' : `hello ${word}`;

describe('mtls', () => {
  test('with a sidecar answered, without one refused, and the control answered', async () => {
    const clients = fakeClients(strict);
    const found = await look(mtls, {sh: clients});
    expect(failures(found)).toEqual({});
    expect(Object.keys(found).sort()).toEqual(mtls.definitions.map(({id}) => id).sort());
    const asked = clients.rounds.flatMap(({namespace, probes}) =>
      probes.map(({word, address, port}) => [word, namespace, address, port].join(' '))
    );
    expect(asked.sort()).toEqual([
      'mtls/dual-stack/ipv4 sleep 10.96.0.6 9001',
      'mtls/dual-stack/ipv4-control plain 10.244.0.6 9000',
      'mtls/dual-stack/ipv4-refused plain 10.244.0.6 9001',
      'mtls/dual-stack/ipv6 sleep fd00:10:96::6 9001',
      'mtls/dual-stack/ipv6-control plain fd00:10:244::6 9000',
      'mtls/dual-stack/ipv6-refused plain fd00:10:244::6 9001'
    ]);
  });

  test('is asked until it is in force', async () => {
    let asked = 0;
    const sh = fakeClients(probe =>
      strict(probe) === '' && ++asked <= 2 ? `hello ${probe.word}` : strict(probe)
    );
    expect(failures(await look(mtls, {sh}))).toEqual({});
    expect(asked).toBeGreaterThan(2);
  });

  test('one plaintext probe that is lost on a busy machine is no refusal', async () => {
    let now = 0;
    let probes = 0;
    const sh = fakeClients(probe => {
      if (strict(probe) !== '') return strict(probe);
      return probes++ % 3 === 1 ? `hello ${probe.word}` : {text: '', seconds: 1};
    });
    const selected = mtls.definitions.filter(({id}) => id.endsWith('-refused'));
    const found = await look(mtls, {sh, asked: selected, work: fakeWork(() => (now += 6))});
    expect(Object.values(failures(found))).toEqual(Array(2).fill('answered plaintext'));
  });

  test('what gets no answer in time, again and again, is refused', async () => {
    const sh = fakeClients(probe =>
      strict(probe) === '' ? {text: '', seconds: 1} : strict(probe)
    );
    const found = await look(mtls, {sh});
    expect(failures(found)).toEqual({});
    expect(found['mtls/dual-stack/ipv6-refused']?.attempts).toHaveLength(4);
  });

  test('plaintext that is answered all the time', async () => {
    let now = 0;
    const found = await look(mtls, {
      sh: fakeClients(({word}) => `hello ${word}`),
      work: fakeWork(() => (now += 6))
    });
    expect(failures(found)).toEqual({
      'mtls/dual-stack/ipv4-refused': 'answered plaintext',
      'mtls/dual-stack/ipv6-refused': 'answered plaintext'
    });
    expect(found['mtls/dual-stack/ipv6-refused']?.reason).toMatch(
      /^fd00:10:244::6 port 9001 answered plaintext with "hello .*", 10 s after STRICT mutual TLS was set$/
    );
  });

  test('a proxy that is not dual-stack: nothing on IPv6 under mutual TLS', async () => {
    const sh = fakeClients(probe =>
      probe.port === 9001 && probe.address.startsWith('fd00:10:96:') ? '' : strict(probe)
    );
    expect(failures(await look(mtls, {sh}))).toEqual({'mtls/dual-stack/ipv6': 'no answer'});
  });

  test('a path that is dead is not taken for a refusal: the control fails', async () => {
    const sh = fakeClients(probe =>
      probe.address.startsWith('fd00:10:244:') ? '' : strict(probe)
    );
    expect(failures(await look(mtls, {sh}))).toEqual({'mtls/dual-stack/ipv6-control': 'no answer'});
  });

  test('addresses that are not there', async () => {
    const snapshot = healthyBut(
      object =>
        isOf('Pod', 'dual-stack')(object) || isOf('Service', 'dual-stack', 'tcp-echo')(object)
    );
    const found = await look(mtls, {sh: fakeClients(strict), snapshot});
    expect(Object.keys(failures(found)).sort()).toEqual(mtls.definitions.map(({id}) => id).sort());
  });

  test('a run that is over accuses nobody', async () => {
    const work = fakeWork();
    work.stop();
    const found = await look(mtls, {sh: fakeClients(({word}) => `hello ${word}`), work}).catch(
      () => ({})
    );
    expect(failures(found)).toEqual({});
  });
});

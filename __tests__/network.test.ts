import {describe, expect, test} from '@jest/globals';
import {network} from '../src/checks/network.ts';
import {fakeSh} from './fake.ts';
import {look} from './things.ts';

const asks = 'docker network inspect kind';
const subnets = (...list: string[]) =>
  JSON.stringify([{Name: 'kind', IPAM: {Config: list.map(Subnet => ({Subnet}))}}]);
const four = '172.18.0.0/16';
const six = 'fc00:f853:ccd:e793::/64';

describe('network', () => {
  test.each([
    [
      'is absent',
      {code: 1, stdout: '[]\n', stderr: 'Error: No such network: kind'},
      'absent',
      'passed',
      null
    ],
    ['has both families', subnets(four, six), `${four}, ${six}`, 'passed', null],
    ['has both, IPv6 first', subnets(six, four), `${six}, ${four}`, 'passed', null],
    ['has IPv4 only', subnets(four), four, 'failed', `the network \`kind\` has only ${four}`],
    ['has IPv6 only', subnets(six), six, 'failed', `the network \`kind\` has only ${six}`],
    [
      'has no subnet',
      '[{"IPAM": {"Config": null}}]',
      'no subnet',
      'failed',
      'the network `kind` has only no subnet'
    ]
  ])('the network %s', async (_, answer, observed, verdict, reason) => {
    const found = await look(network, {sh: fakeSh({[asks]: answer})});
    expect(found['network/kind/families']).toMatchObject({observed, verdict, reproduce: asks});
    expect(found['network/kind/families']?.reason ?? null).toBe(reason);
  });

  test.each([
    [
      {code: 1, stderr: 'Cannot connect to the Docker daemon'},
      'Cannot connect to the Docker daemon'
    ],
    [{code: 124, timedOut: true}, 'no response in time']
  ])('of which Docker does not tell is not called absent: %j', async (answer, said) => {
    const found = await look(network, {sh: fakeSh({[asks]: answer})});
    expect(found['network/kind/families']).toMatchObject({
      verdict: 'skipped',
      reason: `Docker did not report its networks: ${said}`
    });
  });

  test('is that of another name where kind is told so', async () => {
    process.env.KIND_EXPERIMENTAL_DOCKER_NETWORK = 'ours';
    try {
      const sh = fakeSh({'docker network inspect ours': subnets(four)});
      expect((await look(network, {sh}))['network/kind/families']).toMatchObject({
        verdict: 'failed',
        reason: `the network \`ours\` has only ${four}`
      });
    } finally {
      delete process.env.KIND_EXPERIMENTAL_DOCKER_NETWORK;
    }
  });
});

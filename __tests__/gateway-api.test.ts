import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {createGatewayCrds, fetchGatewayCrds} from '../src/phases/install-gateway-api.ts';
import {gatewayApi} from '../src/versions/pins.ts';
import {eachOnRunner, fakeSh} from './fake.ts';

const runner = eachOnRunner();
const names = Object.entries(gatewayApi.crds);
const from =
  'https://raw.githubusercontent.com/kubernetes-sigs/gateway-api/v1.5.1/config/crd/standard/gateway.networking.k8s.io_';

/** curl and sha256sum, of files that are what was published but for one. */
const world = (other: Record<string, string> = {}, said = {code: 0, stderr: ''}) =>
  fakeSh(command => {
    if (command[0] === 'curl') return said;
    const name = path.basename(command[1] ?? '', '.yaml') as keyof typeof gatewayApi.crds;
    return `${other[name] ?? gatewayApi.crds[name]}  ${command[1]}\n`;
  });

describe('the CRDs of the Gateway API', () => {
  test('are fetched into a directory of the run, and held to their checksums', async () => {
    const {directory} = runner;
    const sh = world();
    await fetchGatewayCrds({directory}, null, sh);
    const fetched = sh.calls.filter(call => call.startsWith('curl '));
    expect(fetched.map(call => call.split(' ').slice(-2))).toEqual(
      names.map(([name]) => [
        path.join(directory, 'gateway-api', `${name}.yaml`),
        `${from}${name}.yaml`
      ])
    );
    expect(sh.calls).toHaveLength(2 * names.length);
    expect(fs.statSync(path.join(directory, 'gateway-api')).mode & 0o777).toBe(0o700);
  });

  test('come from a mirror where there is one, and are held to the same checksums', async () => {
    const sh = world();
    await fetchGatewayCrds(
      {directory: runner.directory},
      'http://mirror.example/all#own-checksums',
      sh
    );
    expect(sh.calls[0]).toContain(
      ' http://mirror.example/all/raw.githubusercontent.com/kubernetes-sigs/gateway-api/v1.5.1/'
    );
  });

  test('one that is another is refused', async () => {
    const sh = world({gateways: '0'.repeat(64)});
    await expect(fetchGatewayCrds({directory: runner.directory}, null, sh)).rejects.toMatchObject({
      attribution: {class: 'infrastructure', layer: 'runner'},
      message: expect.stringContaining(`${from}gateways.yaml has the wrong checksum`)
    });
  });

  test('one that cannot be fetched says what to do without it', async () => {
    const sh = world({}, {code: 22, stderr: 'curl: (22) The requested URL returned error: 404\n'});
    await expect(fetchGatewayCrds({directory: runner.directory}, null, sh)).rejects.toMatchObject({
      attribution: {
        class: 'infrastructure',
        hint: expect.stringContaining('!^(gateway/api|ambient/waypoint)')
      },
      message: expect.stringContaining('The requested URL returned error: 404')
    });
  });

  const there =
    'Error from server (AlreadyExists): error when creating "/x/gateways.yaml": customresourcedefinitions.apiextensions.k8s.io "gateways.gateway.networking.k8s.io" already exists\n';
  test.each([
    ['made', {code: 0, stderr: ''}, true],
    ['there already', {code: 1, stderr: there}, true],
    ['refused', {code: 1, stderr: `${there}Error from server (Forbidden): no\n`}, false]
  ])('are %s', async (_, output, holds) => {
    const made = createGatewayCrds(
      {directory: '/work'},
      fakeSh(() => output)
    );
    await (holds
      ? expect(made).resolves.toBeUndefined()
      : expect(made).rejects.toThrow('Forbidden'));
  });
});

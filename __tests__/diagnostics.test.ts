import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {parse} from 'yaml';
import {collectDiagnostics} from '../src/phases/diagnostics.ts';
import {eachOnRunner, fakeSh} from './fake.ts';
import {planOf} from './planned.ts';

const runner = eachOnRunner();

describe('collectDiagnostics', () => {
  const collect = async (answer: Parameters<typeof fakeSh>[0], plan = planOf()) => {
    const sh = fakeSh(answer);
    const directory = path.join(runner.directory, 'diagnostics');
    await collectDiagnostics(plan, directory, 5, sh);
    return {
      sh,
      read: (name: string) => fs.readFileSync(path.join(directory, name), 'utf8'),
      directory
    };
  };

  test('has events, resources, logs, Envoy’s configuration, and the node’s network', async () => {
    const {sh, directory, read} = await collect(command => command.join(' '));
    const names = fs.readdirSync(directory, {recursive: true}).map(String).sort();
    expect(names).toEqual(
      expect.arrayContaining([
        'events.txt',
        'istio.yaml',
        'operator.log',
        'istiod.log',
        'envoy-client.json',
        'node/addresses.txt',
        'node/routes6.txt',
        'node/ip6tables.txt',
        'proxies/dual-stack.log'
      ])
    );
    expect(read('node/ip6tables.txt')).toBe('docker exec istio-ds-control-plane ip6tables-save');
    for (const line of sh.calls)
      expect(line).toMatch(/^(kubectl (get|describe|logs|exec)|docker exec) /);
  });

  test('in ambient has what ztunnel and IstioCNI say too, and their resources without values', async () => {
    const resources = 'items:\n  - kind: ZTunnel\n    spec: {values: {a: hidden}}\n';
    const {read, sh} = await collect(
      command => (command.includes('yaml') ? resources : command.join(' ')),
      planOf({'dataplane-mode': 'ambient'})
    );
    expect(read('ztunnel.log')).toBe('kubectl logs -n ztunnel -l app=ztunnel --tail=2000');
    expect(read('istio-cni.log')).toContain('istio-cni-node');
    expect(read('data-plane.yaml')).toContain('ZTunnel');
    expect(read('data-plane.yaml')).not.toContain('hidden');
    const sidecars = await collect(command => command.join(' '));
    expect(sidecars.sh.calls.length).toBe(sh.calls.length - 3);
  });

  test('what cannot be had is said in its file', async () => {
    const {read} = await collect(command =>
      command.includes('deployment/sail-operator') ? {code: 1, stderr: 'not found'} : ''
    );
    expect(read('operator.log')).toMatch(/^\nkubectl logs .*: exit code 1\nnot found$/);
    expect(read('istiod.log')).toBe('');
  });

  test('each file is capped, keeps its end, and holds no secrets', async () => {
    const {read, directory} = await collect(
      () => `password: hunter2\n${'x'.repeat(500_000)} token: hunter2`
    );
    expect(read('istiod.log').length).toBeLessThan(400_100);
    expect(read('istiod.log').endsWith('token: [removed]')).toBe(true);
    expect(fs.statSync(path.join(directory, 'istiod.log')).mode & 0o777).toBe(0o600);
  });

  test('what a terminal acts on is left out', async () => {
    const {read} = await collect(() => 'a\u001b[31mred\u001b]0;title\u0007\r\n\tb\u009b2J\0');
    expect(read('istiod.log')).toBe('ared\n\tb');
  });

  test("Istio's resources are told without their values", async () => {
    const istio = {
      apiVersion: 'sailoperator.io/v1',
      kind: 'Istio',
      metadata: {
        name: 'default',
        annotations: {'kubectl.kubernetes.io/last-applied-configuration': '{"a":"hunter2"}'},
        managedFields: [{fieldsV1: {'f:hunter2': {}}}]
      },
      spec: {version: 'v1.30.3', namespace: 'istio-system', values: {a: {b: 'hunter2'}}},
      status: {state: 'Healthy', conditions: [{type: 'Ready', message: 'as it should'}]}
    };
    const list = JSON.stringify({apiVersion: 'v1', kind: 'List', items: [istio]});
    const {read} = await collect(command => (command.includes('yaml') ? list : ''));
    expect(read('istio.yaml')).not.toContain('hunter2');
    expect(parse(read('istio.yaml'))).toMatchObject({
      items: [{spec: {version: 'v1.30.3'}, status: istio.status}]
    });
  });

  test.each(['items:\n- values: hunter2: x', '[hunter2]', 'hunter2', 'items: [null, 5]'])(
    'what is no list of resources is not shown: %j',
    async text => {
      const {read} = await collect(command => (command.includes('yaml') ? text : ''));
      expect(read('istio.yaml')).not.toContain('hunter2');
    }
  );

  test.each([
    ['diagnostics', 'diagnostics'],
    ['a folder in it', 'diagnostics/node']
  ])('%s that is a link is not followed', async (_, name) => {
    const elsewhere = path.join(runner.directory, 'elsewhere');
    fs.mkdirSync(elsewhere);
    fs.mkdirSync(path.join(runner.directory, path.dirname(name)), {recursive: true});
    fs.symlinkSync(elsewhere, path.join(runner.directory, name));
    await expect(collect(() => 'x')).rejects.toThrow(/is a link/);
    expect(fs.readdirSync(elsewhere)).toEqual([]);
  });

  test('a secret that is cut in two is none either', async () => {
    const key = `-----BEGIN PRIVATE KEY-----\n${'hunter2\n'.repeat(100)}-----END PRIVATE KEY-----\n`;
    const {read} = await collect(() => key + 'x'.repeat(400_000 - 200));
    expect(read('istiod.log')).not.toContain('hunter2');
  });
});

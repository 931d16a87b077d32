import * as fs from 'node:fs';
import * as path from 'node:path';
import {afterAll, describe, expect, test} from '@jest/globals';
import type {Sh} from '../src/base/sh.ts';
import {eachOnRunner} from './fake.ts';
import {type Ended, hurry, type More, type Recording, read, rehearsed} from './hostile-places.ts';

/** A marker for each secret that a run meets; after it none is where anybody reads. */

afterAll(hurry(30)); // before what waits is imported
const {run} = await import('../src/run/run.ts');
const {selectDefinitions} = await import('../src/checks/catalogue.ts');
const {filterApplicable} = await import('../src/checks/skip-on-existing.ts');
const rows = filterApplicable({cluster: 'kind', 'operator-chart': null}, selectDefinitions(null));
const runner = eachOnRunner();

/** Each another word, so that the one that is found says whence it came. */
const secret = (name: string): string => `hunter2${name}Zq7x`;
const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** As kind writes it, with keys. */
const kubeconfig = `
apiVersion: v1
clusters:
- cluster: {certificate-authority-data: ${base64(secret('authority'))}, server: https://127.0.0.1:6443}
  name: kind-istio-ds
users:
- name: kind-istio-ds
  user:
    client-certificate-data: ${base64(secret('certificate'))}
    client-key-data: ${base64(secret('key'))}
    token: ${secret('token')}
`;

/** What logs and lists of a cluster say when somebody has been careless. */
const careless = `
2026-11-24T10:00:00Z info fetched https://robot:${secret('log-url')}@registry.example/v2/
2026-11-24T10:00:00Z debug Authorization: Bearer ${secret('log-bearer')}
password: ${secret('log-password')}
{"auths":{"registry.example":{"auth":"${base64(secret('log-auth'))}"}}}
.dockerconfigjson: ${base64(secret('pull-secret'))}
-----BEGIN RSA PRIVATE KEY-----
${base64(secret('log-key'))}
-----END RSA PRIVATE KEY-----
      - name: DB_PASSWORD
        value: ${secret('log-environment')}
token eyJhbGciOiJSUzI1NiJ9.${base64(secret('log-jwt')).replaceAll('=', '')}.c2lnbmF0dXJl
`;

const values = {
  'istio-values': `global: {imagePullSecrets: ["${secret('pull')}"]}\nmeshConfig: {x: "${secret('mesh')}"}\npilot: {env: {API_KEY: "${secret('pilot')}"}}`,
  'operator-values': `extra: {password: "${secret('operator')}", plain: "${secret('plain')}"}`,
  'kind-config': `nodes: [{role: control-plane, labels: {owner: "${secret('kind')}"}}]\ncontainerdConfigPatches: ["auth = '${secret('patch')}'"]`
};
const recorded = read('ipv6-dropped-to-pod');
const chart = recorded.inputs['operator-chart'] ?? '';
const address = `${chart.replace('https://', `https://robot:${secret('chart')}@`)}?sig=${secret('query')}`;

/** The recording with those secrets in what programs answer. */
function seeded(recording: Recording): Recording {
  const calls = recording.calls.map(call => {
    const line = call.argv.join(' ');
    if (line.startsWith('kind get kubeconfig')) return {...call, stdout: kubeconfig};
    if (line.startsWith('helm show values'))
      return {...call, stdout: `${call.stdout}\nadmin: {password: ${secret('chart-values')}}\n`};
    if (/^kubectl (logs|describe|get events)/.test(line))
      return {...call, stdout: `${careless}${call.stdout}`, stderr: careless};
    if (/istiorevisions.* yaml$/.test(line))
      return {
        ...call,
        stdout: `apiVersion: v1\nitems:\n- {apiVersion: a, kind: Istio, metadata: {name: default, annotations: {last: '${secret('mesh')}'}}, spec: {values: {x: ${secret('mesh')}}}}\n`
      };
    return call;
  });
  return {...recording, calls};
}

/** The command as it was recorded, which had neither credentials in the chart's URL nor values for it. */
const asRecorded =
  (sh: Sh): Sh =>
  async (command, options) => {
    // nobody was logged in then; what the nodes are given goes by standard input
    if (options?.pipeTo !== undefined) return {code: 0, stdout: '', stderr: '', timedOut: false};
    const values = command.indexOf('--values');
    const bare = command.filter((_, at) => values < 0 || at < values || at > values + 1);
    return sh(
      bare.map(word => (word === address ? chart : word)),
      options
    );
  };

const env = (home: string) => ({
  HOME: home,
  DOCKER_CONFIG: path.join(home, '.docker'),
  GITHUB_TOKEN: secret('github'),
  ACTIONS_RUNTIME_TOKEN: secret('runtime'),
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: secret('id'),
  HTTPS_PROXY: `http://robot:${secret('proxy')}@proxy.example:3128`
});

/** A home with the credentials of registries. */
function home(): string {
  const directory = fs.mkdtempSync(path.join(runner.directory, 'home-'));
  const file = path.join(directory, '.docker', 'config.json');
  fs.mkdirSync(path.dirname(file));
  fs.writeFileSync(
    file,
    JSON.stringify({
      auths: {'https://index.docker.io/v1/': {auth: base64(`robot:${secret('docker')}`)}},
      HttpHeaders: {Authorization: secret('header')},
      proxies: {default: {httpProxy: `http://robot:${secret('docker-proxy')}@proxy.example`}}
    })
  );
  return directory;
}

/** Everything that a reader, the runner, a later step or an uploaded artifact has: by its name. */
function readable({log, files, directory}: Ended): Record<string, string> {
  const results = path.join(directory, 'dual-stack-istio-ds');
  const kept = fs.existsSync(results)
    ? (fs.readdirSync(results, {recursive: true}) as string[]).filter(name =>
        fs.statSync(path.join(results, name)).isFile()
      )
    : [];
  return {
    log: log.replace(/^::add-mask::.*$/gm, ''), // for the runner, which shows them to nobody
    ...files,
    ...Object.fromEntries(
      kept.map(name => [name, fs.readFileSync(path.join(results, name), 'utf8')])
    )
  };
}

/** The names of secrets that a text holds, as they are, in base64 at any offset, or URL encoded. */
function found(texts: Record<string, string>): string[] {
  return Object.entries(texts).flatMap(([name, text]) => {
    const decoded = (text.match(/[\w+/-]{16,}={0,2}/g) ?? []).map(
      word => `${Buffer.from(word, 'base64')}`
    );
    return [...new Set([text, ...decoded].flatMap(one => one.match(/hunter2.{0,20}/g) ?? []))].map(
      what => `${name}: ${what}`
    );
  });
}

const play = (recording: Recording, more: More) =>
  rehearsed(seeded(recording), {run, rows}, readable, {
    through: asRecorded,
    env: env(home()),
    ...more,
    inputs: {...values, 'operator-chart': address, diagnostics: 'always', ...more.inputs}
  });

test('who searches finds', () => {
  expect(found({log: `a ${secret('x')} b`, file: base64(secret('key'))})).toEqual([
    'log: hunter2xZq7x b',
    'file: hunter2keyZq7x'
  ]);
});

describe('of what is secret nothing is seen', () => {
  let texts: Record<string, string>;

  test('in a run that fails, its reports and its diagnostics', async () => {
    texts = await play(recorded, {});
    expect(Object.keys(texts)).toEqual(
      expect.arrayContaining([
        'log',
        'OUTPUT',
        'STATE',
        'results.json',
        'summary.md',
        'report.html',
        'junit.xml',
        'reproduce.sh',
        'diagnostics/istiod.log',
        'diagnostics/istio.yaml',
        'diagnostics/describe-pods.txt'
      ])
    );
    const {failure} = JSON.parse(texts['results.json'] ?? '');
    expect(failure).toMatchObject({check: 'path/dual-stack/ipv6'}); // it came that far
    expect(texts['diagnostics/istiod.log']).toContain('registry.example');
    expect(found(texts)).toEqual([]);
  });

  test('in a dry run', async () => {
    texts = await play(recorded, {inputs: {'dry-run': 'true'}});
    expect(texts.log).toContain('The same by hand');
    expect(found(texts)).toEqual([]);
  });

  test.each([
    ['curl', `curl: (22) ${address}: The requested URL returned error: 401`],
    [
      'docker info',
      `error during connect: Get "https://robot:${secret('docker-url')}@docker.example:2376/v1.47/info": x`
    ],
    ['kind create', `ERROR: failed to create cluster: ${careless}`],
    ['kubectl apply', `error: ${careless}`],
    ['helm show', `Error: ${careless}`]
  ])('where %s fails and says it', async (start, stderr) => {
    const through =
      (sh: Sh): Sh =>
      async (command, options) =>
        command.join(' ').startsWith(start)
          ? {code: 1, stdout: '', stderr, timedOut: false}
          : asRecorded(sh)(command, options);
    texts = await play(recorded, {through});
    expect(texts.OUTPUT).toContain('result');
    expect(found(texts)).toEqual([]);
  });
});

import * as fs from 'node:fs';
import * as path from 'node:path';
import {beforeEach, describe, expect, test} from '@jest/globals';
import {Fault} from '../src/base/fault.ts';
import {redact} from '../src/base/log.ts';
import {
  collectSetInputs,
  type Inputs,
  inputDefaults,
  inputNames,
  readInputs
} from '../src/inputs/inputs.ts';
import {defaultOperatorVersion, tools} from '../src/versions/pins.ts';
import {eachOnRunner, give} from './fake.ts';
import {inputsOf} from './planned.ts';

const runner = eachOnRunner();

/** The Fault that these inputs make. */
function refusal(inputs: Record<string, string>): Fault {
  try {
    inputsOf(inputs);
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error(`accepted: ${JSON.stringify(inputs)}`);
}

describe('readInputs', () => {
  test('takes the defaults where nothing is given', () => {
    expect(readInputs()).toEqual({
      cluster: 'kind',
      kubeconfig: null,
      context: null,
      'cluster-name': expect.stringMatching(/^istio-ds-[0-9a-f]{8}$/),
      'kubernetes-version': null,
      'node-image': null,
      'kind-config': null,
      'ip-families': ['ipv4', 'ipv6'],
      tuned: true,
      'kind-version': tools.kind.version,
      'kubectl-version': tools.kubectl.version,
      'helm-version': tools.helm.version,
      'operator-version': defaultOperatorVersion,
      'operator-chart': null,
      'operator-image': null,
      'operator-values': null,
      'istio-version': null,
      'istio-values': null,
      'istio-hub': 'docker.io/istio',
      'dataplane-mode': 'sidecar',
      'istio-cni': 'auto',
      'upgrade-from': null,
      'upgrade-strategy': 'InPlace',
      samples: null,
      'echo-image': null,
      'client-image': null,
      checks: null,
      retries: 1,
      'check-timeout': 3,
      'fail-on-flaky': false,
      'injection-label': 'istio-injection=enabled',
      targets: null,
      timeout: 900,
      cleanup: 'always',
      diagnostics: 'on-failure',
      'results-dir': null,
      mirror: null,
      'dry-run': false
    });
  });

  test.each([
    [
      {cluster: 'existing', 'upgrade-from': '1.29.6'},
      'Invalid `upgrade-from` "1.29.6": expected no value with `cluster: existing`; this input needs `cluster: kind`'
    ],
    [
      {'upgrade-strategy': 'RevisionBased'},
      'Invalid `upgrade-strategy` "RevisionBased": expected `upgrade-from` to have a value, or no value here'
    ]
  ])('%j would count for nothing', (given, message) => {
    give(given);
    expect(() => readInputs()).toThrow(message);
  });

  test('the cluster has a name of its own where none is given', () => {
    const names = Array.from({length: 100}, () => readInputs()['cluster-name']);
    expect(new Set(names).size).toBe(100);
  });

  test('an input given as nothing takes its default', () => {
    give(Object.fromEntries(inputNames.map(name => [name, ''])));
    expect(readInputs().timeout).toBe(900);
  });

  test.each<[keyof Inputs, string, unknown]>([
    ['cluster-name', 'a', 'a'],
    ['cluster-name', `a${'b'.repeat(46)}c`, `a${'b'.repeat(46)}c`],
    ['ip-families', 'ipv6,ipv4', ['ipv6', 'ipv4']],
    ['kind-version', '0.32.0', 'v0.32.0'],
    ['kubectl-version', 'v1.34.4', 'v1.34.4'],
    ['helm-version', 'path', 'path'],
    ['helm-version', 'v4.0.0-rc.1', 'v4.0.0-rc.1'],
    ['operator-version', 'v1.30.3', '1.30.3'],
    ['operator-version', '1.30', '1.30'],
    ['istio-version', 'v1.31.0-alpha.0', '1.31.0-alpha.0'],
    ['istio-version', 'v1.30', '1.30'],
    ['istio-version', 'v1.32.0-alpha.527f8d6c', '1.32.0-alpha.527f8d6c'],
    ['istio-version', 'v1.30-latest', 'v1.30-latest'],
    ['istio-version', 'master', 'master'],
    ['kubernetes-version', 'v1.36.4', '1.36.4'],
    ['kubernetes-version', '1.36', '1.36'],
    ['operator-image', 'localhost:5000/sail:pr-1', 'localhost:5000/sail:pr-1'],
    [
      'node-image',
      `kindest/node@sha256:${'a'.repeat(64)}`,
      `kindest/node@sha256:${'a'.repeat(64)}`
    ],
    ['operator-values', 'a: {b: 1}', {a: {b: 1}}],
    ['retries', '0', 0],
    ['check-timeout', '0.5s', 0.5],
    ['timeout', '90s', 90],
    ['timeout', '1h', 3600],
    ['fail-on-flaky', 'true', true],
    ['checks', '^echo/', {matches: /^echo\//, leaveOut: false}],
    ['checks', '!^failover/', {matches: /^failover\//, leaveOut: true}],
    ['checks', 'default', null],
    ['checks', '!default', {matches: /default/, leaveOut: true}],
    ['injection-label', 'istio.io/rev=canary-1', 'istio.io/rev=canary-1'],
    ['mirror', 'https://mirror.example/base//', 'https://mirror.example/base'],
    ['operator-chart', 'https://charts.example/x.tgz', 'https://charts.example/x.tgz'],
    ['samples', 'https://host.example/samples/', 'https://host.example/samples'],
    ['mirror', 'http://127.0.0.1:1/#own-checksums', 'http://127.0.0.1:1#own-checksums'],
    [
      'operator-chart',
      `https://charts.example/x.tgz#sha256:${'a'.repeat(64)}`,
      `https://charts.example/x.tgz#sha256:${'a'.repeat(64)}`
    ]
  ])('%s: %s', (name, given, expected) => {
    expect(inputsOf({[name]: given})[name]).toEqual(expected);
  });

  test('paths are relative to the workspace', () => {
    fs.mkdirSync(path.join(runner.directory, 'chart'));
    fs.writeFileSync(path.join(runner.directory, 'kind.yaml'), 'nodes: [{role: worker}]');
    expect(
      inputsOf({'operator-chart': 'chart', 'results-dir': 'out', 'kind-config': './kind.yaml'})
    ).toMatchObject({
      'operator-chart': path.join(runner.directory, 'chart'),
      'results-dir': path.join(runner.directory, 'out'),
      'kind-config': {nodes: [{role: 'worker'}]}
    });
  });

  test('kind-config is taken as YAML where it is no file', () => {
    expect(inputsOf({'kind-config': 'nodes:\n- role: worker\n'})['kind-config']).toEqual({
      nodes: [{role: 'worker'}]
    });
  });
});

describe('ambient', () => {
  test.each([
    [
      'istio-cni',
      'false',
      /^Invalid `istio-cni` "false": expected `auto` or `true` with `dataplane-mode: ambient`/
    ],
    [
      'injection-label',
      'istio.io/rev=canary',
      /^Invalid `injection-label` "istio.io\/rev=canary": expected no value with `dataplane/
    ],
    [
      'upgrade-from',
      '1.29.6',
      /^Invalid `upgrade-from` "1.29.6": expected no value with `dataplane/
    ],
    [
      'cluster',
      'existing',
      /^Invalid `dataplane-mode` "ambient": expected no value with `cluster: existing`/
    ]
  ])('does not go with %s: %s', (name, value, message) => {
    give({'dataplane-mode': 'ambient', [name]: value});
    expect(readInputs).toThrow(message);
  });

  test('has IstioCNI anyway, and may say so', () => {
    give({'dataplane-mode': 'ambient', 'istio-cni': 'true'});
    expect(readInputs()).toMatchObject({'dataplane-mode': 'ambient', 'istio-cni': 'true'});
  });
});

describe('what is checked out is foreign', () => {
  const at = (...names: string[]) => path.join(runner.directory, ...names);
  beforeEach(() => {
    process.env.GITHUB_WORKSPACE = at('workspace');
    fs.mkdirSync(at('workspace', 'chart'), {recursive: true});
    fs.mkdirSync(at('outside'));
    fs.writeFileSync(at('outside', 'kind.yaml'), 'nodes: [{role: worker}]');
  });

  test('inline YAML is not taken over by a file of that very name', () => {
    fs.writeFileSync(at('workspace', '{nodes: [{role: worker}]}'), 'nodes: []');
    expect(inputsOf({'kind-config': '{nodes: [{role: worker}]}'})['kind-config']).toEqual({
      nodes: [{role: 'worker'}]
    });
  });

  test.each([
    ['kind-config', 'link.yaml', ['outside', 'kind.yaml']],
    ['kind-config', 'link/kind.yaml', ['outside']],
    ['operator-chart', 'link', ['outside']],
    ['samples', 'link', ['outside']],
    ['results-dir', 'link', ['outside']],
    ['results-dir', 'link/new/results', ['outside']],
    ['results-dir', 'link', ['outside', 'not-there']]
  ])('%s: %s that leads to %j is refused', (name, given, to) => {
    const [link = ''] = given.split('/');
    fs.symlinkSync(at(...to), at('workspace', link));
    expect(() => inputsOf({[name]: given})).toThrow(/leads out of the workspace/);
  });

  test('a link that stays inside is none of these, nor a path that the workflow names outside', () => {
    fs.symlinkSync(at('workspace', 'chart'), at('workspace', 'link'));
    expect(inputsOf({'operator-chart': 'link'})['operator-chart']).toBe(at('workspace', 'link'));
    expect(inputsOf({'kind-config': at('outside', 'kind.yaml')})['kind-config']).toBeDefined();
  });

  test('a link in a chart that leads out is refused: Helm would read what it leads to', () => {
    fs.mkdirSync(at('workspace', 'chart', 'crds'));
    fs.symlinkSync(at('outside', 'kind.yaml'), at('workspace', 'chart', 'crds', 'a.yaml'));
    expect(() => inputsOf({'operator-chart': 'chart'})).toThrow(/leads out of the workspace/);
  });

  test.each(['reproduce.sh', 'results.json', 'diagnostics'])(
    'a results directory with a link %s is refused',
    name => {
      fs.mkdirSync(at('workspace', 'results'));
      fs.symlinkSync(at('outside'), at('workspace', 'results', name));
      expect(() => inputsOf({'results-dir': 'results'})).toThrow(`"${name}" in it is a link`);
    }
  );

  test('a file too large to be a configuration is refused unread', () => {
    fs.writeFileSync(at('workspace', 'big.yaml'), 'a: b\n'.repeat(300_000));
    expect(() => inputsOf({'kind-config': 'big.yaml'})).toThrow(/at most 1 MiB/);
  });
});

describe('what the YAML inputs hold', () => {
  test('is hidden from here on, in the log of the runner too', () => {
    inputsOf({
      'istio-values':
        'meshConfig:\n  rootNamespace: istio-system\n  apiKey: h2\n  defaultConfig: {proxyMetadata: {MY_TOKEN: hunter}}\n',
      'operator-values':
        'env: [{name: A, value: hunter2-hunter2}]\nimage: registry.example/a:1\npin: 12345678',
      'kind-config': 'nodes: [{role: worker, image: "kindest/node:v1"}]\n'
    });
    const text = 'hunter hunter2-hunter2 registry.example/a:1 12345678 kindest/node:v1 worker';
    expect(redact(text)).toBe(
      '[removed] [removed] registry.example/a:1 [removed] kindest/node:v1 worker'
    );
    expect(runner.log()).toContain('::add-mask::hunter2-hunter2\n');
    inputsOf();
    expect(redact(text)).toBe(text);
  });
});

const bad: Record<keyof Inputs, string[]> = {
  cluster: ['Kind', 'gke', 'true'],
  kubeconfig: ['missing', '.', '--help'],
  context: ['two words', 'a\n::b'],
  targets: [
    'shop',
    '/cart',
    'shop/',
    'shop/cart/x',
    'Shop/cart',
    '-n/cart',
    'shop/-cart',
    'shop/cart-',
    'shop-/cart',
    '*/cart',
    '*/*',
    'shop/c*',
    'shop.cart',
    'shop/a,--all',
    `${'n'.repeat(64)}/a`,
    ',',
    Array.from({length: 101}, (_, at) => `shop/s${at}`).join()
  ],
  'cluster-name': [
    'Upper',
    '-x',
    '--help',
    'a/b',
    '../x',
    'a;b',
    '$(id)',
    'a'.repeat(49),
    'a.',
    'istio-ds.private'
  ],
  'kubernetes-version': ['latest', '1', '1.x', 'v1.36.4;x', '--image'],
  'node-image': ['--privileged', 'two words', 'x@sha256:1', 'x\n::set-output name=a::b', '../x'],
  'kind-config': ['missing.yaml', '- a', 'a: [', '3'],
  'ip-families': ['ipv4', 'ipv6', 'ipv4, ipv6', 'dual', 'ipv4,ipv4', '-'],
  'kind-version': ['latest', '1.2', '-1.2.3', 'v1.2.3;ls', '1.2.3/../../x', 'PATH'],
  'kubectl-version': ['stable', 'v1.2.3\n--x', '--v=9'],
  'helm-version': ['3', 'v3.19', '%2e%2e'],
  'operator-version': ['latest', '1', '-1.30.3', '1.30.x', '1.30.3\n1.30.0', '1.30.3/../x'],
  'operator-chart': [
    ...[
      'no-such-chart',
      '--repo=https://x',
      'https://',
      'http:///x',
      'http://charts.example/x.tgz'
    ],
    ...['https://charts.example/kubeconfig', 'https://charts.example/x.tgz#sha256:0', 'a\0b']
  ],
  'operator-image': ['-it', 'a b', 'UPPER', 'a,image.tag=b', 'x@sha512:00'],
  'operator-values': ['text', '- a', '3', 'a: b: c', 'null'],
  'istio-version': ['v1', '1.30.3;x', '-v', 'Latest', '1.x', 'v1.30-'],
  'istio-hub': [
    '-x',
    'https://docker.io/istio',
    'docker.io/istio:1.30',
    'a b',
    'Docker.io/x',
    '../x',
    'x//y',
    'x@sha256:1'
  ],
  'istio-values': ['text', '[1]', '"a"', 'a: *missing'],
  'dataplane-mode': ['Ambient', 'none', 'sidecar,ambient'],
  'istio-cni': ['True', 'yes', '--auto'],
  'upgrade-from': ['v1', '1.29.6;x', '-v', 'none of'],
  'upgrade-strategy': ['inplace', 'Canary', 'OnDelete'],
  samples: ['no-such-directory', 'ftp://x/y', '-f', 'http://host.example/samples'],
  'echo-image': [':tag', '--rm', 'a\tb'],
  'client-image': ['/x', '-', '`id`'],
  checks: ['(', '[a', '!*'],
  retries: ['-1', '100', '1.5', 'one', '1e1', '0x1'],
  'check-timeout': ['3', '0s', '-3s', '3 s', '25h', 's', '3ms', 'Infinitys'],
  'fail-on-flaky': ['True', 'yes', '1', 'treu'],
  'injection-label': [
    'istio-injection=disabled',
    'a=b',
    'istio.io/rev=',
    'istio.io/rev=-x',
    '-l',
    'istio.io/rev=a\nb: c'
  ],
  timeout: ['15', 'forever', '0m', '100h', '1m30s', '-1m'],
  cleanup: ['sometimes', 'ALWAYS', '-'],
  diagnostics: ['on-success', '--'],
  'results-dir': ['a-file', 'foreign'],
  mirror: [
    'mirror.example',
    'ftp://mirror.example',
    'file:///x',
    'https://',
    '-https://x',
    '//x/y'
  ],
  tuned: ['yes', '1', 'False '],
  'dry-run': ['maybe', 'TRUE', '0']
};

describe('a bad input', () => {
  const rows = Object.entries(bad).flatMap(([name, values]) => values.map(value => [name, value]));

  test.each(rows)('%s: %j is refused', (name = '', value = '') => {
    fs.writeFileSync(path.join(runner.directory, 'a-file'), '');
    fs.mkdirSync(path.join(runner.directory, 'foreign'));
    fs.writeFileSync(path.join(runner.directory, 'foreign', 'thesis.tex'), '');
    const {attribution, message} = refusal({[name]: value});
    expect(attribution.class).toBe('input');
    expect(message).toMatch(/^Invalid `[a-z-]+` .+: expected .{4,}/);
    // YAML may hold credentials: the message has only its length
    const yaml = name.endsWith('-values') || (name === 'kind-config' && value !== 'missing.yaml');
    const shown = yaml ? `(${value.length} characters): ` : '"';
    expect(message.startsWith(`Invalid \`${name}\` ${shown}`)).toBe(true);
    expect(message).not.toContain('\n'); // nothing of it can start a line, and so be a command
  });

  test('has a line beside all others, each with the expected value', () => {
    const names = inputNames.filter(name => name !== 'results-dir');
    const {message, attribution} = refusal(
      Object.fromEntries(names.map(name => [name, bad[name][0] ?? '']))
    );
    const lines = message.split('\n');
    expect(lines.map(line => /^Invalid `([^`]+)` /.exec(line)?.[1])).toEqual(names);
    for (const line of lines) expect(line).toMatch(/: expected /);
    expect(lines).toContain(
      'Invalid `cleanup` "sometimes": expected one of always, on-success, never'
    );
    expect(lines).toContain('Invalid `retries` "-1": expected a whole number from 0 to 99');
    expect(attribution.hint).toBe('Correct the inputs. The run created nothing.');
  });

  test('is shown in part where it is long', () => {
    expect(refusal({cleanup: 'x'.repeat(1000)}).message.length).toBeLessThan(200);
  });

  test.each([
    ['operator-values', '- password: hunter2'],
    ['istio-values', 'global: {token: hunter2'],
    ['operator-chart', 'https://user:hunter2@'],
    ['cluster-name', 'https://user:hunter2@mirror.example']
  ])('%s may hold credentials, and they are not told', (name, value) =>
    expect(refusal({[name]: value}).message).not.toContain('hunter2')
  );

  // Not yet: only those of http and https are removed.
  test.each([
    ['operator-chart', 'https://host.example/c.tar.gz?sig=hunter2hunter2hunter2'],
    ['samples', 'http://host.example/s?sig=hunter2hunter2hunter2'],
    ['mirror', 'https://host.example/x?token2=hunter2'],
    ['mirror', 'https://user:top/hunter2@host.example/x']
  ])('%s: nor is what signs a URL that is refused: %s', (name, url) => {
    expect(refusal({[name]: url}).message).not.toContain('hunter2');
    give({[name]: url});
    expect(JSON.stringify(collectSetInputs())).not.toContain('hunter2');
  });

  test.each(['mirror', 'samples'])('%s: nor are those of another scheme', name =>
    expect(refusal({[name]: 'ftp://user:hunter2@mirror.example'}).message).not.toContain('hunter2')
  );
});

describe('YAML that is out for harm', () => {
  test('aliases that multiply are refused', () => {
    const levels = Array.from(
      {length: 9},
      (_, level) => `l${level + 1}: &l${level + 1} [${Array(9).fill(`*l${level}`).join(', ')}]`
    );
    const bomb = ['l0: &l0 [lol]', ...levels].join('\n');
    expect(refusal({'istio-values': bomb}).message).toMatch(
      /^Invalid `istio-values` .*expected a YAML mapping/
    );
  });

  test('nesting without an end is refused, or read', () => {
    const deep = `a: ${'['.repeat(20_000)}`;
    expect(refusal({'operator-values': deep}).message).toMatch(/^Invalid `operator-values` /);
  });

  test('__proto__ is refused, and touches nothing', () => {
    const message = 'Invalid `operator-values` (27 characters): expected a YAML mapping';
    expect(refusal({'operator-values': '__proto__: {polluted: true}'}).message).toContain(message);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  test('two documents are refused', () =>
    expect(refusal({'operator-values': 'a: 1\n---\nb: 2'}).message).toMatch(
      /expected a YAML mapping/
    ));
});

describe('results-dir', () => {
  const inside = (name: string) => path.join(runner.directory, 'out', name);

  test.each([
    ['is missing', []],
    ['is empty', ['']],
    [
      'holds results of ours',
      ['results.json', 'junit.xml', 'summary.md', 'report.html', 'reproduce.sh', 'diagnostics']
    ]
  ])('is taken when it %s', (_, names) => {
    if (names.length > 0) fs.mkdirSync(inside(''));
    for (const name of names.filter(Boolean)) fs.writeFileSync(inside(name), '');
    expect(inputsOf({'results-dir': 'out'})['results-dir']).toBe(
      path.join(runner.directory, 'out')
    );
  });

  test('is refused when it holds anything else, which is named', () => {
    fs.mkdirSync(inside(''));
    for (const name of ['results.json', 'thesis.tex']) fs.writeFileSync(inside(name), '');
    expect(refusal({'results-dir': 'out'}).message).toBe(
      'Invalid `results-dir` "out": expected a directory that does not exist, is empty, or holds only results of this Action (it holds "thesis.tex")'
    );
  });

  test('is refused when it is the workspace with a checkout', () => {
    fs.mkdirSync(path.join(runner.directory, '.git'));
    expect(refusal({'results-dir': '.'}).attribution.class).toBe('input');
  });
});

describe('givenInputs', () => {
  test('knows those that differ from their defaults', () => {
    give({...inputDefaults, retries: '2', 'istio-version': '1.30'});
    expect(collectSetInputs()).toEqual({retries: '2', 'istio-version': '1.30'});
  });

  test('shows YAML as a digest, the same for the same', () => {
    give({
      'operator-values': 'password: hunter2',
      'istio-values': 'password: hunter2',
      'kind-config': 'a: hunter2'
    });
    const shown = collectSetInputs();
    expect(JSON.stringify(shown)).not.toContain('hunter2');
    expect(shown['operator-values']).toMatch(/^sha256:[0-9a-f]{16}$/);
    expect(shown['istio-values']).toBe(shown['operator-values']);
    expect(shown['kind-config']).not.toBe(shown['operator-values']);
  });

  test.each([
    ['mirror', 'https://user:hunter2@mirror.example/base', 'https://mirror.example/base'],
    [
      'operator-chart',
      'https://charts.example/x.tgz?token=hunter2#hunter2',
      'https://charts.example/x.tgz'
    ],
    ['samples', 'https://hunter2@samples.example:8443/a', 'https://samples.example:8443/a']
  ])('shows the URL of %s without credentials', (name, value, shown) => {
    give({[name]: value});
    expect(collectSetInputs()).toEqual({[name]: shown});
  });
});

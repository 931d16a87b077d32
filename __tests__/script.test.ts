import {spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import {beforeEach, describe, expect, test} from '@jest/globals';
import {parseAllDocuments} from 'yaml';
import {renderScript} from '../src/reports/script.ts';
import type {CheckResult, Results} from '../src/results/results.ts';
import {eachOnRunner, has} from './fake.ts';
import {planOf} from './planned.ts';
import {check, passed} from './sample-results.ts';

const runner = eachOnRunner();

const digest = (text: string): string =>
  `sha256:${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
/** What results.json says of these inputs. */
const shown = (given: Record<string, string>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(given).map(([name, value]) => [
      name,
      /-values$|^kind-config$/.test(name) ? digest(value) : value
    ])
  );
const textOf = (given: Record<string, string> = {}, more: Partial<Results> = {}): string =>
  renderScript(planOf(given), passed({inputs: shown(given), ...more}));
/** The script of a run in which this check failed. */
const textOfFailed = (broken: CheckResult, given: Record<string, string> = {}): string =>
  textOf(given, {
    result: 'failed',
    checks: [{...broken, verdict: 'failed'}],
    failure: {
      class: 'connectivity',
      layer: broken.layer,
      check: broken.id,
      message: 'Expected: x. Found: y.',
      hint: 'See.',
      reproduce: broken.reproduce
    }
  });

const everything = {
  'cluster-name': 'mine',
  'ip-families': 'ipv6,ipv4',
  'kind-config': 'nodes: [{role: control-plane}, {role: worker, labels: {s: hunter2}}]',
  'operator-image': 'localhost:5000/sail:pr-1',
  'operator-values': 'text: "it\'s $(id) hunter2 `id` $HOME\\nEOF\\nEOF_"',
  'istio-version': '1.29',
  'istio-values': 'a: |\n  EOF hunter2\n  b',
  'istio-cni': 'true',
  'injection-label': 'istio.io/rev=x',
  mirror: 'https://mirror.example'
};
const probe = check('path/dual-stack/ipv6', {
  family: 'ipv6',
  to: {kind: 'Service', namespace: 'dual-stack', name: 'tcp-echo-ipv6'},
  address: 'fd00:10:96::56f',
  expected: 'hello path/dual-stack/ipv6',
  observed: '',
  reproduce: `kubectl exec -n sleep deploy/sleep -c sleep -- sh -c '(echo path/dual-stack/ipv6; sleep 1) | timeout 3 nc "$0" 9001' "$(kubectl get service tcp-echo-ipv6 -n dual-stack -o jsonpath='{.spec.clusterIPs[0]}')"`
});
const cut = check('failover/dual-stack/ipv4', {
  family: 'ipv4',
  to: {kind: 'Service', namespace: 'dual-stack', name: 'tcp-echo'},
  address: '10.96.1.2',
  expected: 'an answer within 1 s',
  reproduce: `kubectl exec -n sleep deploy/sleep -c sleep -- sh -c '(echo failover/dual-stack/ipv4; sleep 1) | timeout 3 nc "$0" 9000' "$(kubectl get service tcp-echo -n dual-stack -o jsonpath='{.spec.clusterIPs[0]}')"`
});
const taken = check('egress/overlap/ipv6', {
  family: 'ipv6',
  to: {kind: 'ServiceEntry', namespace: 'plain', name: 'overlap'},
  address: '2001:db8::31',
  expected: 'hello egress/overlap/ipv6',
  reproduce: `kubectl exec -n egress deploy/egress -c sleep -- sh -c '(echo egress/overlap/ipv6; sleep 1) | timeout 3 nc 2001:db8::31 9000'`
});
const looked = check('control-plane/istiod/dual-stack', {
  expected: 'ISTIO_DUAL_STACK=true',
  observed: "it's $(touch hacked)",
  reproduce: 'kubectl get deployment istiod -n istio-system -o yaml'
});
const scripts: [string, () => string][] = [
  ['as it is', () => textOf()],
  ['with everything', () => textOf(everything)],
  ['of a probe that failed', () => textOfFailed(probe, everything)],
  ['of a failover that failed', () => textOfFailed(cut)],
  ['of a ServiceEntry that overlaps others', () => textOfFailed(taken)],
  ['of a look that failed', () => textOfFailed(looked)]
];
// shellcheck is not on every machine; CI installs it
const withShellcheck = has('shellcheck') ? test : test.skip;

describe.each(scripts)('the script %s', (_, made) => {
  test('is one that bash can read', () => {
    const {status, stderr} = spawnSync('bash', ['-n'], {input: made()});
    expect(`${stderr}`).toBe('');
    expect(status).toBe(0);
  });

  withShellcheck('has nothing that shellcheck minds', () => {
    const {stdout, status} = spawnSync('shellcheck', ['--shell=bash', '-'], {input: made()});
    expect(`${stdout}`).toBe('');
    expect(status).toBe(0);
  });

  test('holds nothing of the YAML that was given', () =>
    expect(made()).not.toMatch(/hunter2|worker/));
});

// ---- The script is run, with programs that write down how they were called ----

/** Answers as a healthy cluster does; FAIL is an expression over command lines that fail. */
const program = `#!/bin/bash
said="\${0##*/} $*"
echo "$said" >>"$CALLS"
[ -n "$FAIL" ] && [[ $said =~ $FAIL ]] && { echo "no: $said" >&2; exit 1; }
case $said in
  'kind get nodes'*) echo mine-control-plane; echo mine-worker;;
  'helm show crds'*) printf 'apiVersion: a\\nkind: CustomResourceDefinition\\n\\napiVersion: b\\nkind: CustomResourceDefinition\\n';;
  'kubectl create'*) cp "\${@: -1}" "$CALLS.crds";;
  'kubectl patch --local'*) cat "\${@: -3:1}"; echo merged;;
  'kubectl apply'*istio.yaml) cat "\${@: -1}" >"$CALLS.istio";;
  *'.spec.ipFamilyPolicy}') echo RequireDualStack;;
  *'get service tcp-echo-ipv6 '*) echo fd00:10:96::7;;
  *'clusterIPs[0]'*) echo 10.96.7.7;;
  *'podIPs[0]'*) echo 10.244.0.7;;
  *'podIPs'*) echo 10.244.0.7 fd00:10:244::7;;
  *'kubectl exec'*) [[ $said =~ echo\\ ([^\\;]+) ]] && echo "hello \${BASH_REMATCH[1]}";;
esac
exit 0
`;

let bin: string;
beforeEach(() => {
  bin = path.join(runner.directory, 'bin');
  fs.mkdirSync(bin);
  for (const name of ['docker', 'kind', 'kubectl', 'helm'])
    fs.writeFileSync(path.join(bin, name), program, {mode: 0o755});
  fs.writeFileSync(path.join(bin, 'sleep'), '#!/bin/bash\n', {mode: 0o755});
});

function play(text: string, env: Record<string, string> = {}, fail = '') {
  const CALLS = path.join(runner.directory, 'calls');
  fs.writeFileSync(CALLS, '');
  const {status, stdout, stderr} = spawnSync('bash', ['-s'], {
    input: text,
    encoding: 'utf8',
    cwd: runner.directory,
    env: {
      PATH: `${bin}:${process.env.PATH}`,
      TMPDIR: runner.directory,
      CALLS,
      FAIL: fail,
      ...env
    }
  });
  const read = fs.readFileSync(CALLS, 'utf8').trimEnd();
  const work = new RegExp(`${runner.directory}/tmp\\.\\w+`, 'g');
  const calls = read.replace(work, 'WORK').split('\n');
  const left = fs.readdirSync(runner.directory).filter(name => name.startsWith('tmp.'));
  return {status, lines: stdout.trimEnd().split('\n'), stderr, calls, left};
}
const passedOrFailed = (lines: string[]) =>
  lines.flatMap(text => {
    const [, ended = '', name = ''] =
      /^(passed|failed|skipped) +(?:\d+ s)? +(.*)$/.exec(text) ?? [];
    return ended === '' ? [] : [[ended, name]];
  });

describe('run by hand', () => {
  test('it does what the run does, in the order of the run, and tells each step', () => {
    const {status, lines, stderr, calls, left} = play(textOf({'istio-cni': 'true'}));
    expect(stderr).toBe('');
    const at = (start: string) => {
      const found = calls.findIndex(call => call.startsWith(start));
      expect([start, found >= 0]).toEqual([start, true]);
      return found;
    };
    const order = [
      'kind create cluster --name istio-ds ',
      'kubectl wait --for=condition=Ready nodes',
      'docker image inspect ',
      'docker save registry.example/pilot',
      'kubectl apply --server-side -f WORK/namespaces.yaml',
      'helm pull https://charts.example/sail-operator-1.30.3.tgz',
      'helm show crds WORK/sail-operator-1.30.3.tgz',
      'kubectl create -f WORK/crds.yaml',
      'helm install sail-operator WORK/sail-operator-1.30.3.tgz ',
      'kubectl apply --server-side -f WORK/istio-cni.yaml',
      'kubectl apply --server-side -f WORK/istio.yaml',
      'kubectl apply --server-side -f WORK/services.yaml',
      'kubectl apply --server-side -f WORK/strict.yaml',
      'kubectl wait --for=jsonpath={.status.state}=Healthy',
      'kubectl wait --for=condition=Ready istiocnis.sailoperator.io/default',
      'kubectl apply --server-side -f WORK/plain.yaml',
      'kubectl apply --server-side -f WORK/samples.yaml',
      'kubectl rollout status deployment/tcp-echo -n dual-stack',
      'kubectl get service tcp-echo -n dual-stack',
      'kubectl exec -n sleep',
      'kind delete cluster --name istio-ds --kubeconfig WORK/kubeconfig'
    ].map(at);
    expect(order).toEqual(order.toSorted((one, other) => one - other));
    expect(passedOrFailed(lines).filter(([ended]) => ended !== 'passed')).toEqual([]);
    expect(
      passedOrFailed(lines)
        .map(([, name]) => name)
        .slice(-4)
    ).toEqual([
      'the Service is RequireDualStack',
      'tcp-echo.dual-stack by name',
      'tcp-echo.ipv4 by name',
      'tcp-echo.ipv6 by name'
    ]);
    expect({status, left}).toEqual({status: 0, left: []});
  });

  test('it says what it leaves out', () => {
    const {lines} = play(textOf({mirror: 'https://mirror.example'}));
    expect(
      lines.slice(
        0,
        lines.findIndex(text => text.startsWith('passed'))
      )
    ).toEqual([
      'Not repeated here:',
      '- all checks except the documented validations',
      "- the copy of Docker's registry logins to the nodes",
      expect.stringMatching(/^- optimizations: /),
      '- diagnostics',
      expect.stringMatching(/^- the mirror/),
      "- the check of the chart's checksum"
    ]);
  });

  test('every file that the run writes is applied', () => {
    const {calls} = play(textOf());
    for (const name of Object.keys(planOf().files))
      expect([name, calls.some(call => call.includes(`WORK/${name}`))]).toEqual([name, true]);
  });

  test('every CRD is a document of its own, which Helm 3 does not see to', () => {
    play(textOf());
    const text = fs.readFileSync(path.join(runner.directory, 'calls.crds'), 'utf8');
    const versions = parseAllDocuments(text).map(document => document.toJS()?.apiVersion);
    expect(versions.filter(Boolean)).toEqual(['a', 'b']);
  });

  test('a step that fails ends what is set up, and says why; the cluster goes all the same', () => {
    const {status, lines, calls} = play(textOf(), {}, '^helm install');
    const said = passedOrFailed(lines);
    expect(said.filter(([ended]) => ended === 'failed')).toEqual([['failed', 'the operator']]);
    expect(lines).toContainEqual(expect.stringMatching(/^ {4}no: helm install sail-operator /));
    expect(said.at(-1)).toEqual(['skipped', 'tcp-echo.ipv6 by name']);
    expect(calls.some(call => call.includes('istio.yaml'))).toBe(false);
    expect(calls.at(-1)).toMatch(/^kind delete cluster/);
    expect(status).toBe(1);
  });

  test('a validation that fails is told, and the others are made', () => {
    const {status, lines} = play(textOf(), {}, 'tcp-echo.ipv4 9000');
    const ends = passedOrFailed(lines)
      .slice(-3)
      .map(([ended]) => ended);
    expect(ends).toEqual(['passed', 'failed', 'passed']);
    expect(lines).toContainEqual(expect.stringContaining(', expected "hello ipv4"'));
    expect(status).toBe(1);
  });

  test('a cluster that another run made is left alone', () => {
    const {status, calls, left} = play(textOf(), {}, '^kind create');
    expect(calls.filter(call => call.startsWith('kind'))).toHaveLength(1);
    expect({status, left}).toEqual({status: 1, left: []});
  });

  test('KEEP=1 keeps the cluster and its kubeconfig', () => {
    const {status, lines, calls, left} = play(textOf(), {KEEP: '1'});
    expect(calls.some(call => call.startsWith('kind delete'))).toBe(false);
    expect(lines.at(-1)).toBe(
      `cluster kept: export KUBECONFIG=${runner.directory}/${left[0]}/kubeconfig`
    );
    expect(status).toBe(0);
  });

  test('a chart that is here already is not pulled, and may lie elsewhere', () => {
    const text = renderScript(
      planOf({}, {url: null, path: "/charts/it's mine"}),
      passed({inputs: {}})
    );
    expect(play(text).calls).toContainEqual(
      expect.stringContaining("helm install sail-operator /charts/it's mine --namespace")
    );
    const {calls} = play(text, {CHART: 'my chart'});
    expect(calls).toContainEqual(expect.stringContaining('helm install sail-operator my chart '));
    expect(calls.some(call => call.startsWith('helm pull'))).toBe(false);
  });
});

describe('what failed in the run', () => {
  const last = (text: string, fail = '') => {
    const {status, lines, calls} = play(text, {}, fail);
    return {
      status,
      lines: lines.slice(lines.findIndex(one => /^Failed in the original run/.test(one))),
      calls
    };
  };

  test('a probe is asked at the address that this cluster has, and judged', () => {
    const {status, lines, calls} = last(textOfFailed(probe));
    expect(lines).toEqual([
      'Failed in the original run: path/dual-stack/ipv6',
      '  expected hello path/dual-stack/ipv6; observed',
      expect.stringMatching(/^passed +\d s {2}dual-stack holds$/)
    ]);
    expect(calls).toContainEqual(expect.stringContaining('nc "$0" 9001 fd00:10:96::7'));
    expect(calls.join('\n')).not.toContain('56f');
    expect(status).toBe(0);
    expect(last(textOfFailed(probe), 'echo path/')).toMatchObject({status: 1});
  });

  test('what must be refused passes when nothing comes back', () => {
    const refused = check('mtls/dual-stack/ipv4-refused', {
      to: {kind: 'Pod', namespace: 'dual-stack', name: 'tcp-echo'},
      address: '10.244.0.6',
      expected: 'no answer',
      reproduce: `kubectl exec -n plain deploy/sleep -- sh -c '(echo x; sleep 1) | nc "$0" 9001' "$(kubectl get pods -n dual-stack -o jsonpath='{.items[0].status.podIPs[0].ip}')"`
    });
    expect(last(textOfFailed(refused), 'nc "\\$0" 9001 10.244.0.7').status).toBe(0);
    expect(last(textOfFailed(refused)).status).toBe(1);
  });

  test('a ServiceEntry takes the ClusterIPs of this cluster before it is asked', () => {
    const {status, calls} = last(textOfFailed(taken));
    const patched = calls.findIndex(call => call.includes('patch serviceentry overlap'));
    expect(calls[patched]).toMatch(
      /\{"spec":\{"addresses":\["[^"$]+","192\.0\.2\.31","[^"$]+","2001:db8::31"\]\}\}/
    );
    expect(patched).toBeLessThan(calls.findIndex(call => call.includes('nc 2001:db8::31 9000')));
    expect(status).toBe(0);
  });

  test('a failover has its cut, on every node, and it is taken back', () => {
    const {status, calls} = last(textOfFailed(cut));
    const rules = calls.filter(call => call.includes('iptables'));
    expect(
      rules.map(call =>
        / (\S+) iptables --wait (-\w) FORWARD --destination (\S+)/.exec(call)?.slice(1)
      )
    ).toEqual([
      ['mine-control-plane', '-I', '10.244.0.7'],
      ['mine-worker', '-I', '10.244.0.7'],
      ['mine-control-plane', '-D', '10.244.0.7'],
      ['mine-worker', '-D', '10.244.0.7']
    ]);
    expect(calls.indexOf(rules[1] ?? '')).toBeLessThan(
      calls.findIndex(call => call.includes('nc "$0" 9000 10.96.7.7'))
    );
    expect(status).toBe(0);
  });

  test('what is for a person to judge is shown, and counts when it cannot be run', () => {
    const {status, lines} = last(textOfFailed(looked));
    expect(lines.slice(0, 3)).toEqual([
      'Failed in the original run: control-plane/istiod/dual-stack',
      "  expected ISTIO_DUAL_STACK=true; observed it's $(touch hacked)",
      '  Judge this output yourself:'
    ]);
    expect(status).toBe(0);
    expect(last(textOfFailed(looked), 'kubectl get deployment istiod').status).toBe(1);
    expect(fs.existsSync(path.join(runner.directory, 'hacked'))).toBe(false);
  });

  test.each<[string, string | null, string | null]>([
    ['pods', 'kubectl describe pods -n istio-system', 'kubectl describe pods -n istio-system'],
    ['a resource', 'kubectl get istio default -o yaml', 'kubectl get istio default -o yaml'],
    ['another cluster', 'kind create cluster --name x --retain', null],
    ['a pipe', 'curl -fsSL https://x.example | sha256sum', null],
    ['a file that is gone', 'kubectl create -f /work/crds', null],
    ['none', null, null]
  ])('of a phase: %s', (_, reproduce, called) => {
    const failure = {
      class: 'istio',
      layer: null,
      check: null,
      message: 'm',
      hint: 'h',
      reproduce
    } as const;
    const {lines, calls} = last(textOf({}, {result: 'error', failure, checks: []}));
    if (called === null) expect(lines[1]).toMatch(/^ {2}No single command/);
    else expect(calls.at(-2)).toBe(called);
    expect(calls.filter(call => call.startsWith('kind create'))).toHaveLength(1);
  });

  test.each([
    "10.96.1.2'; touch hacked; '",
    '10.96.1.2$(touch hacked)',
    '10.96.1.2 9000; touch hacked #'
  ])('an answer of the cluster can never act as shell: %s', address => {
    const hostile = {
      ...cut,
      layer: 'echo' as const,
      address,
      title: `it's $(touch hacked) ${address}`,
      reproduce: `kubectl exec -n sleep deploy/sleep -- sh -c '(echo x; sleep 1) | nc ${address} 9000'`
    };
    last(textOfFailed(hostile));
    last(textOfFailed({...hostile, reproduce: `kubectl get service ${address} \`touch hacked\``}));
    expect(fs.existsSync(path.join(runner.directory, 'hacked'))).toBe(false);
  });
});

describe('the YAML that was given to the run', () => {
  const given = {'istio-values': 'pilot:\n  a: hunter2', 'operator-values': '{b: 1}'};
  const file = (text: string, name = 'values.yaml') => {
    const full = path.join(runner.directory, name);
    fs.writeFileSync(full, text);
    return full;
  };

  test('is taken from files, and merged as the run does it', () => {
    const text = textOf(given);
    const env = {
      ISTIO_VALUES: file(`${given['istio-values']}\n`),
      OPERATOR_VALUES: file(`${given['operator-values']}\n`, 'op.yaml')
    };
    const {status, stderr, calls} = play(text, env);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(calls).toContainEqual(expect.stringContaining(`--values ${env.OPERATOR_VALUES}`));
    const applied = fs.readFileSync(path.join(runner.directory, 'calls.istio'), 'utf8');
    expect(applied).toBe('spec:\n  values:\n    pilot:\n      a: hunter2\nmerged\n');
  });

  test.each<[string, Record<string, string>, RegExp]>([
    ['missing', {}, /Set OPERATOR_VALUES=FILE to the YAML/],
    [
      'of another run',
      {OPERATOR_VALUES: '{b: 2}'},
      /is not the operator-values of the run: sha256 \w{16}, expected \w{16}/
    ]
  ])('%s: nothing is made', (_, texts, said) => {
    const env = Object.fromEntries(
      Object.entries(texts).map(([name, text]) => [name, file(text, name)])
    );
    const {status, stderr, calls, left} = play(textOf(given), env);
    expect(stderr).toMatch(said);
    expect({status, calls, left}).toEqual({status: 1, calls: [''], left: []});
  });

  test('a whole kind configuration takes the place of ours, which is used without one', () => {
    const text = textOf({'kind-config': 'nodes: [{role: control-plane}]'});
    expect(text).toContain('- the input kind-config, unless KIND_CONFIG includes it');
    const config = file('mine', 'kind.yaml');
    const copy = /^.*cp "\$KIND_CONFIG".*$/m.exec(text)?.[0] ?? '';
    const run = (value: string) =>
      spawnSync(
        'bash',
        [
          '-c',
          `work=${bin} KIND_CONFIG=${value}; echo ours >$work/kind.yaml; ${copy}; cat $work/kind.yaml`
        ],
        {encoding: 'utf8'}
      ).stdout;
    expect(run(config)).toBe('mine');
    expect(run('')).toBe('ours\n');
    expect(play(text).status).toBe(0);
  });
});

test('what it writes is what the plan shows', () => {
  const plan = planOf(everything);
  const text = textOf(everything);
  for (const [name, contents] of Object.entries(plan.shownFiles)) {
    const start = `cat >"$work/${name}" <<'EOF'\n`;
    expect(text).toContain(`${start}${contents.trimEnd()}\nEOF\n`);
  }
  expect(parseAllDocuments(plan.shownFiles['istio.yaml'] ?? '')[0]?.toJS()).toMatchObject({
    kind: 'Istio',
    spec: {version: 'v1.29.6', values: {pilot: {ipFamilyPolicy: 'RequireDualStack'}}}
  });
});

test('a file that holds the end of a file is written whole', () => {
  const contents = 'a: |\nEOF\ntouch hacked\nEOF_\nb';
  const text = renderScript({...planOf(), shownFiles: {'kind.yaml': contents}}, passed());
  const [, heredoc = ''] = /^(cat >"\$work\/kind\.yaml"[\s\S]*?)^# the cluster$/m.exec(text) ?? [];
  spawnSync('bash', {input: `work=.\n${heredoc}`, cwd: runner.directory});
  expect(fs.readFileSync(path.join(runner.directory, 'kind.yaml'), 'utf8')).toBe(`${contents}\n`);
  expect(fs.existsSync(path.join(runner.directory, 'hacked'))).toBe(false);
});

test.each([
  'https://charts.example/x.tgz?a=1&b=$(touch hacked)',
  'https://charts.example/$(touch$IFS"hacked").tgz'
])('a URL can never act as shell: %s', url => {
  const {calls} = play(renderScript(planOf({}, {url}), passed({inputs: {}})));
  expect(calls.some(call => call.startsWith('helm pull https://charts.example/'))).toBe(true);
  expect(fs.existsSync(path.join(runner.directory, 'hacked'))).toBe(false);
});

import {spawnSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {parseAllDocuments} from 'yaml';
import {script} from '../src/reports/script.ts';
import {eachOnRunner, has} from './fake.ts';
import {planOf} from './planned.ts';

const runner = eachOnRunner();
const plans: [string, Record<string, string>][] = [
  ['as it is', {}],
  [
    'with everything',
    {
      'cluster-name': 'mine',
      'ip-families': 'ipv6,ipv4',
      'kind-config': 'nodes: [{role: control-plane}, {role: worker}]',
      'operator-image': 'localhost:5000/sail:pr-1',
      'operator-values': 'text: "it\'s $(id) `id` $HOME\\nEOF\\nEOF_"',
      'istio-version': '1.29',
      'istio-values': 'a: |\n  EOF\n  b',
      'istio-cni': 'true',
      'injection-label': 'istio.io/rev=x'
    }
  ]
];
// shellcheck is not on every machine; CI installs it
const withShellcheck = has('shellcheck') ? test : test.skip;

describe.each(plans)('the script of a plan %s', (_, given) => {
  test('is one that bash can read', () => {
    const {status, stderr} = spawnSync('bash', ['-n'], {input: script(planOf(given))});
    expect(`${stderr}`).toBe('');
    expect(status).toBe(0);
  });

  // SC1039 takes an indented EOF in the text of a file for its end, which bash does not
  withShellcheck('has nothing that shellcheck minds', () => {
    const {stdout, status} = spawnSync('shellcheck', ['--shell=bash', '--exclude=SC1039', '-'], {
      input: script(planOf(given))
    });
    expect(`${stdout}`).toBe('');
    expect(status).toBe(0);
  });

  test('writes the files of the plan as they are', () => {
    const plan = planOf(given);
    const [head = ''] = script(plan).split('# the cluster');
    const file = path.join(runner.directory, 'head.sh');
    fs.writeFileSync(file, head.replace('work=$(mktemp -d)', `work=${runner.directory}`));
    expect(spawnSync('bash', [file]).status).toBe(0);
    for (const [name, text] of Object.entries(plan.files))
      expect(fs.readFileSync(path.join(runner.directory, name), 'utf8').trimEnd()).toBe(
        text.trimEnd()
      );
  });

  test('makes the same, in an order that works', () => {
    const lines = script(planOf(given)).split('\n');
    const at = (start: string) => {
      const found = lines.findIndex(line => line.startsWith(start));
      expect([start, found > 0]).toEqual([start, true]);
      return found;
    };
    const order = [
      'kind create cluster ',
      'trap leave EXIT',
      'helm install sail-operator ',
      'kubectl wait --for=jsonpath=',
      'kubectl rollout status ',
      '[ "$(kubectl get service tcp-echo -n dual-stack',
      '[ "$(kubectl exec -n sleep'
    ].map(at);
    expect(order).toEqual(order.toSorted((one, other) => one - other));
  });
});

test('the documented validations are the last', () => {
  const lines = script(planOf()).trimEnd().split('\n').slice(-3);
  expect(lines.map(line => / nc (\S+) 9000.*= '(.*)' \]$/.exec(line)?.slice(1))).toEqual([
    ['tcp-echo.dual-stack', 'hello dualstack'],
    ['tcp-echo.ipv4', 'hello ipv4'],
    ['tcp-echo.ipv6', 'hello ipv6']
  ]);
});

test('a chart that is here already is not pulled', () => {
  const text = script(planOf({}, {url: null, path: "/charts/it's mine"}));
  expect(text).not.toContain('helm pull');
  expect(text).toContain(`helm install sail-operator '/charts/it'"'"'s mine' `);
});

test('a cluster that another run made is left alone: the name is freed only once ours is there', () => {
  const lines = script(planOf()).split('\n');
  expect(lines.indexOf('trap leave EXIT')).toBeGreaterThan(
    lines.findIndex(line => line.startsWith('kind create cluster'))
  );
});

test('what it writes is what the plan says', () => {
  const [, heredoc = ''] =
    /cat >"\$work\/kind\.yaml" <<'EOF'\n([\s\S]*?)\nEOF\n/.exec(script(planOf())) ?? [];
  expect(parseAllDocuments(heredoc)[0]?.toJS()).toMatchObject({networking: {ipFamily: 'dual'}});
});

test('a file that holds the end of a file is written whole', () => {
  const text = 'a: |\nEOF\ntouch hacked\nEOF_\nb';
  const [head = ''] = script({...planOf(), files: {'kind.yaml': text}}).split('# the cluster');
  const made = head.replace('work=$(mktemp -d)', `work=${runner.directory}`);
  spawnSync('bash', {input: made, cwd: runner.directory});
  expect(fs.readFileSync(path.join(runner.directory, 'kind.yaml'), 'utf8')).toBe(`${text}\n`);
  expect(fs.existsSync(path.join(runner.directory, 'hacked'))).toBe(false);
});

test.each([
  'https://charts.example/x.tgz?a=1&b=$(touch hacked)',
  'https://charts.example/$(touch$IFS"hacked").tgz'
])('a URL can never act as shell: %s', url => {
  const text = script(planOf({}, {url}));
  const lines = text
    .split('\n')
    .filter(line => line.includes('charts.example') || line.startsWith('helm install'));
  spawnSync('bash', ['-c', `work=.; helm() { :; }\n${lines.join('\n')}`], {
    cwd: runner.directory
  });
  expect(lines.length).toBe(2);
  expect(fs.existsSync(path.join(runner.directory, 'hacked'))).toBe(false);
});

test('KEEP=1 keeps the kubeconfig of the cluster, too', () => {
  const [leave = ''] = /^leave\(\) \{\n[\s\S]*?^\}$/m.exec(script(planOf())) ?? [];
  const work = path.join(runner.directory, 'work');
  fs.mkdirSync(work);
  const left = (keep: string) => {
    const set = `set -eu; KEEP=${keep} work=${work} KUBECONFIG=${work}/kubeconfig`;
    const lines = [set, 'kind() { echo "kind $*"; }', leave, 'leave'];
    const {status, stdout} = spawnSync('bash', ['-c', lines.join('\n')], {encoding: 'utf8'});
    return {status, stdout, there: fs.existsSync(work)};
  };
  expect(left('1')).toEqual({
    status: 0,
    stdout: `kept; export KUBECONFIG=${work}/kubeconfig\n`,
    there: true
  });
  expect(left('')).toEqual({
    status: 0,
    stdout: `kind delete cluster --name istio-ds --kubeconfig ${work}/kubeconfig\n`,
    there: false
  });
});

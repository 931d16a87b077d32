import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {selectDefinitions} from '../src/checks/catalogue.ts';
import {docs, listDocsChanges} from '../src/checks/docs.ts';
import {filterApplicable} from '../src/checks/skip-on-existing.ts';
import {eachOnRunner} from './fake.ts';
import {inputsOf, planOf} from './planned.ts';
import {failures, look} from './things.ts';

const runner = eachOnRunner();

const tested = (...lines: string[]) => [
  '[source,bash,subs="attributes+",name="dual-stack"]',
  '----',
  ...lines,
  '----'
];
const judged = (command: string, answer: string) => [
  'ifdef::dual-stack[]',
  `response=$(${command})`,
  'echo $response',
  `if [ "$response" = "${answer}" ]; then`,
  '    echo "as expected"',
  'else',
  '    exit 1',
  'fi',
  'endif::[]'
];
const samples = 'https://raw.githubusercontent.com/istio/istio/{istio_release_name}/samples';
const pod = `"$(kubectl get pod -n sleep -l app=sleep -o jsonpath='{.items[0].metadata.name}')"`;

/** A page of our own in the form of upstream's, as short as it can be while it documents all that the Action does. */
const page = [
  ':istio_release_name: release-1.30',
  '. Create the `Istio` resource.',
  '+',
  ...tested(
    'kubectl get ns istio-system || kubectl create namespace istio-system',
    'kubectl apply -f - <<EOF',
    'apiVersion: sailoperator.io/v1',
    'kind: Istio',
    'metadata:',
    '  name: default',
    'spec:',
    '  values:',
    '    meshConfig:',
    '      defaultConfig:',
    '        proxyMetadata:',
    '          ISTIO_DUAL_STACK: "true"',
    '    pilot:',
    '      ipFamilyPolicy: RequireDualStack',
    '      env:',
    '        ISTIO_DUAL_STACK: "true"',
    '  namespace: istio-system',
    'EOF',
    "kubectl wait --for=jsonpath='{.status.revisions.ready}'=1 istios/default --timeout=3m"
  ),
  '. On OpenShift, IstioCNI too.',
  '[source,bash]',
  '----',
  'kubectl apply -f - <<EOF',
  'apiVersion: sailoperator.io/v1',
  'kind: IstioCNI',
  'metadata:',
  '  name: default',
  'spec:',
  '  namespace: istio-cni',
  'EOF',
  '----',
  '. Make the namespaces.',
  ...tested(
    ...['dual-stack', 'ipv4', 'ipv6', 'sleep'].flatMap(name => [
      `kubectl get ns ${name} || kubectl create namespace ${name}`,
      `kubectl label --overwrite namespace ${name} istio-injection=enabled`
    ])
  ),
  '. Deploy.',
  ...tested(
    ...['dual-stack', 'ipv4', 'ipv6'].flatMap(name => [
      `kubectl apply -n ${name} -f ${samples}/tcp-echo/tcp-echo-${name}.yaml`,
      `kubectl wait --for=condition=Ready pod -n ${name} -l app=tcp-echo --timeout=60s`
    ]),
    `kubectl apply -n sleep -f ${samples}/sleep/sleep.yaml`,
    'kubectl wait --for=condition=Ready pod -n sleep -l app=sleep --timeout=60s'
  ),
  '. Validate.',
  ...judged(
    "kubectl get service tcp-echo -n dual-stack -o=jsonpath='{.spec.ipFamilyPolicy}'",
    'RequireDualStack'
  ),
  ...['dual-stack', 'ipv4', 'ipv6'].flatMap(name => {
    const word = name.replace('-', '');
    return judged(
      `kubectl exec -n sleep ${pod} -- sh -c "echo ${word} | nc tcp-echo.${name} 9000"`,
      `hello ${word}`
    );
  }),
  '. Clean up.',
  '[source,bash]',
  '----',
  'kubectl delete istios default',
  '----',
  ''
].join('\n');

/** What is found where the chart of a checkout has this page beside it. */
async function found(text: string | null, file = 'docs/dual-stack/dual-stack.adoc') {
  const checkout = path.join(runner.directory, 'checkout');
  const chart = path.join(checkout, 'chart');
  fs.mkdirSync(path.join(checkout, 'docs', 'dual-stack'), {recursive: true});
  fs.mkdirSync(chart, {recursive: true});
  if (text !== null) fs.writeFileSync(path.join(checkout, file), text);
  return look(docs, {plan: planOf({}, {path: chart, url: null})});
}
type Found = Awaited<ReturnType<typeof found>>;

/** The page with something else in it. */
function changed(from: string | RegExp, to: string): string {
  const other = page.replace(from, to);
  expect(other).not.toBe(page);
  return other;
}

test('a page that documents what the Action does holds, without notes', async () => {
  const all = await found(page);
  expect(docs.definitions.map(({id}) => all[id])).toMatchObject(
    docs.definitions.map(({expected}) => ({verdict: 'passed', observed: expected}))
  );
});

const seed = path.join(import.meta.dirname, '..', '..', 'shared', 'seed', 'dual-stack-support.md');
(fs.existsSync(seed) ? test : test.skip)(
  'the page as it was in Markdown documents the same',
  async () => {
    const all = await found(fs.readFileSync(seed, 'utf8'), 'docs/dual-stack/dual-stack.md');
    expect(docs.definitions.map(({id}) => all[id]?.observed)).toEqual(
      docs.definitions.map(({expected}) => expected)
    );
  }
);

describe('what moved and is red', () => {
  test.each<[string, [string, string], string, RegExp]>([
    [
      'a new step',
      ['endif::[]', `endif::[]\n${tested('kubectl rollout restart deploy -n ipv4').join('\n')}`],
      'docs/page/steps',
      /^this Action does not run `kubectl rollout restart deploy --namespace=ipv4` \("Validate\."\)$/
    ],
    [
      'a new validation',
      ['. Clean up.', judged('kubectl get pods -n ipv4 -o name', 'one').join('\n')],
      'docs/page/steps',
      /^this Action does not run `kubectl get pod --namespace=ipv4 --output=name`/
    ],
    [
      'a wait for something else',
      ["{.status.revisions.ready}'=1", "{.status.state}'=Healthy"],
      'docs/page/steps',
      /^this Action does not run `kubectl wait istios\/default --for=jsonpath={\.status\.state}=Healthy`.*; no longer documented/
    ],
    [
      'another value of the Istio resource, and one more',
      ['ipFamilyPolicy: Require', 'autoscaleEnabled: true\n      ipFamilyPolicy: Prefer'],
      'docs/page/resources',
      /^Istio: spec\.values\.pilot\.autoscaleEnabled is true, in this Action absent .*; Istio: spec\.values\.pilot\.ipFamilyPolicy is "PreferDualStack", in this Action "RequireDualStack" \("Create the `Istio` resource\."\)$/
    ],
    [
      'a value that is gone',
      ['      env:\n        ISTIO_DUAL_STACK: "true"\n', ''],
      'docs/page/resources',
      /^Istio: spec\.values\.pilot\.env\.ISTIO_DUAL_STACK is absent, in this Action "true"/
    ],
    [
      'another version of the API',
      ['sailoperator.io/v1', 'sailoperator.io/v2'],
      'docs/page/resources',
      /^Istio: apiVersion is "sailoperator\.io\/v2", in this Action "sailoperator\.io\/v1"/
    ],
    [
      'another resource',
      ['EOF\nkubectl wait', '---\nkind: Gateway\nEOF\nkubectl wait'],
      'docs/page/resources',
      /^this Action does not apply Gateway/
    ],
    [
      'a resource that cannot be read',
      ['spec:\n  values:', '\tspec: {'],
      'docs/page/resources',
      /^this Action does not apply an object without a kind/
    ],
    [
      'a kind that every object has',
      ['kind: Istio', 'kind: constructor'],
      'docs/page/resources',
      /^this Action does not apply constructor .*; no longer documented: an Istio resource$/
    ],
    [
      'a resource that holds itself',
      ['  namespace: istio-system', '  namespace: &a [*a]'],
      'docs/page/resources',
      /^(Istio: spec\.namespace|this Action does not apply)/
    ],
    [
      'aliases that multiply',
      [
        '  namespace: istio-system',
        `  a: &a [b, b]\n  c: &c [${Array(9).fill('*a').join()}]\n  d: [${Array(80).fill('*c').join()}]`
      ],
      'docs/page/resources',
      /^(Istio: |this Action does not apply)/
    ],
    [
      'a manifest of another place',
      ['https://raw.githubusercontent.com/istio/istio/', 'https://elsewhere.example/'],
      'docs/page/manifests',
      /^this Action does not deploy https:\/\/elsewhere\.example\/release-1\.30\/samples\/tcp-echo\/tcp-echo-dual-stack\.yaml into dual-stack/
    ],
    [
      'a manifest into another namespace',
      ['kubectl apply -n ipv6 -f', 'kubectl apply -n ipv4 -f'],
      'docs/page/manifests',
      /^this Action does not deploy .*tcp-echo-ipv6\.yaml into ipv4.*; no longer documented: `tcp-echo\/tcp-echo-ipv6\.yaml into ipv6`$/
    ],
    [
      'another answer',
      ['= "hello ipv6"', '= "hello there"'],
      'docs/page/answers',
      /echo ipv6 \| nc tcp-echo\.ipv6 9000` must return "hello there", but this Action expects "hello ipv6"/
    ]
  ])('%s', async (_, [from, to], id, said) => {
    const red = failures(await found(changed(from, to)));
    expect(Object.keys(red)).toEqual([id]);
    expect(red[id]).toMatch(said);
  });
});

const warnings = (all: Found) =>
  listDocsChanges(
    docs.definitions.map(row => ({
      ...row,
      observed: '',
      verdict: 'skipped' as const,
      ...all[row.id]
    }))
  );

describe('what moved and is a note', () => {
  test.each<[string, [string, string], string]>([
    [
      'a step that is gone',
      ['kubectl label --overwrite namespace ipv4 istio-injection=enabled\n', ''],
      'The documentation of this checkout differs: no longer documented: `kubectl label namespace ipv4 istio-injection=enabled --overwrite`.'
    ],
    [
      'a resource that is shown, and not tested',
      ['  namespace: istio-cni\nEOF', '  namespace: istio-cni\n  profile: ambient\nEOF'],
      'The documentation of this checkout differs: IstioCNI: spec.profile is "ambient", in this Action absent ("On OpenShift, IstioCNI too.").'
    ],
    [
      'a step that is shown, and not tested',
      ['kubectl delete istios default', 'istioctl x uninstall'],
      'The documentation of this checkout differs: this Action does not run `istioctl x uninstall` ("Clean up.").'
    ]
  ])('%s', async (_, [from, to], expected) => {
    const all = await found(changed(from, to));
    expect(failures(all)).toEqual({});
    expect(warnings(all)).toEqual([expected]);
  });

  test.each<[string, [string | RegExp, string]]>([
    ['how long it waits', ['--timeout=60s', '--timeout=5m']],
    ['the release', ['release-1.30', 'release-1.31']],
    [
      'the order and spelling of flags',
      [
        'pod -n sleep -l app=sleep --timeout',
        'pods --selector app=sleep --namespace=sleep --timeout'
      ]
    ],
    ['how the pod is found', [/"\$\(kubectl get pod[^"]+"/g, 'deploy/sleep -c sleep']],
    ['words', ['as expected', 'well done']]
  ])('%s is nothing to tell', async (_, [from, to]) => {
    const all = await found(changed(from, to));
    expect(failures(all)).toEqual({});
    expect(warnings(all)).toEqual([]);
  });
});

describe('a page that cannot be compared is skipped, with the reason', () => {
  const reasons = (all: Found) => [
    ...new Set(Object.values(all).map(({verdict, reason}) => `${verdict}: ${reason}`))
  ];

  test('a chart that comes from elsewhere', async () => {
    expect(reasons(await look(docs))).toEqual([
      'skipped: the chart is not part of a checkout of the Sail Operator'
    ]);
  });

  test.each<[string, string | null, RegExp]>([
    ['no page', null, /^skipped: the checkout has no docs\/dual-stack\/dual-stack\.adoc$/],
    [
      'no block of that name',
      page
        .replaceAll('name="dual-stack"', 'name="other"')
        .replaceAll('ifdef::dual', 'ifdef::other'),
      /^skipped: no block of .* has the name dual-stack/
    ],
    ['a page that is too long', '\n'.repeat((1 << 20) + 1), /^skipped: .* is larger than 1 MiB/]
  ])('%s', async (_, text, expected) => {
    const said = reasons(await found(text));
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(expected);
  });

  test('a page that is a link out of the workspace', async () => {
    const workspace = path.join(runner.directory, 'checkout');
    const file = path.join(workspace, 'docs', 'dual-stack', 'dual-stack.adoc');
    fs.mkdirSync(path.dirname(file), {recursive: true});
    fs.writeFileSync(path.join(runner.directory, 'page'), page);
    fs.symlinkSync(path.join(runner.directory, 'page'), file);
    process.env.GITHUB_WORKSPACE = workspace;
    expect(reasons(await found(null))).toEqual([
      'skipped: docs/dual-stack/dual-stack.adoc is larger than 1 MiB, or a link to a file outside the workspace'
    ]);
  });
});

test('is selected only if the chart is a path', () => {
  const layersOf = (given: Record<string, string>) =>
    filterApplicable(inputsOf(given), selectDefinitions(null)).map(({layer}) => layer);
  fs.mkdirSync(path.join(runner.directory, 'chart'));
  expect(layersOf({})).not.toContain('docs');
  expect(layersOf({'operator-chart': 'https://charts.example/x-1.tgz'})).not.toContain('docs');
  expect(layersOf({'operator-chart': 'chart'})).toContain('docs');
});

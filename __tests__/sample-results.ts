import {catalogue} from '../src/checks/catalogue.ts';
import {
  type CheckResult,
  type Failure,
  type Family,
  type Layer,
  layers,
  type PhaseResult,
  type Results
} from '../src/results/results.ts';

/** Results for tests of reports: a whole run in a few lines, as DESIGN.md names its checks. */

const client = {kind: 'Deployment', namespace: 'sleep', name: 'sleep'};

const gridOf = (layer: string) => catalogue.find(row => row.layer === layer)?.grid;

/** A check that passed at its first try; its layer and target are read from its id. */
export function check(id: string, more: Partial<CheckResult> = {}): CheckResult {
  const [layer = '', target = ''] = id.split('/');
  const observed = more.observed ?? 'as it should be';
  const grid = gridOf(layer);
  return {
    id,
    layer: layer as Layer,
    title: `${target} holds`,
    family: null,
    stage: 'install',
    from: null,
    to: null,
    target,
    address: null,
    upstream: null,
    expected: 'as it should be',
    observed,
    verdict: 'passed',
    reason: null,
    because: null,
    attempts: [{at: 28.1, seconds: 0.004, observed}],
    reproduce: null,
    ...(grid && {grid}),
    ...more
  };
}

const probe = (
  id: string,
  family: Family | null,
  address: string,
  upstream: string,
  observed: string
): CheckResult =>
  check(id, {
    title: `${id.split('/')[1]} answers ${family === null ? 'by its name' : `on ${address}`}`,
    family,
    from: client,
    to: {kind: 'Service', namespace: 'dual-stack', name: 'tcp-echo'},
    address,
    upstream,
    expected: observed,
    observed,
    reproduce: `kubectl exec -n sleep deploy/sleep -- sh -c '(echo dualstack; sleep 1) | timeout 3 nc ${address} 9000'`
  });

/** What a Service of that family has, and one of the other family has not. */
function hasOrNot(id: string, family: Family, found: string): CheckResult {
  const target = id.split('/')[1] ?? '';
  const observed = target === 'dual-stack' || target === family ? found : 'none';
  return check(id, {family, expected: observed, observed});
}

/** With a family cut. */
function cut(family: Family, upstream: string, observed: string): CheckResult {
  const id = `failover/dual-stack/${family}`;
  return {
    ...probe(id, family, '10.96.69.70', upstream, observed),
    expected: 'an answer within 1 s'
  };
}

const below: CheckResult[] = [
  check('runner/docker/answers', {observed: 'Docker 28.2.2'}),
  check('runner/kernel/ipv6', {family: 'ipv6', observed: 'IPv6 is on'}),
  check('runner/inotify/limits', {observed: 'max_user_instances 1024'}),
  check('runner/disk/free', {observed: '14 GiB free'}),
  check('network/kind/families', {observed: '172.18.0.0/16, fc00:f853:ccd:e793::/64'}),
  check('node/istio-ds-control-plane/ready', {observed: 'Ready'}),
  check('node/istio-ds-control-plane/cidrs', {observed: '10.244.0.0/24, fd00:10:244::/64'}),
  check('operator/sail-operator/available', {observed: '1 of 1 available'}),
  check('operator/sail-operator/image', {
    observed: 'quay.io/sail-dev/sail-operator:1.30.3'
  }),
  check('control-plane/istio/healthy', {observed: 'Healthy'}),
  check('control-plane/istiod/version', {observed: 'v1.30.3'}),
  check('control-plane/istiod/dual-stack', {observed: 'ISTIO_DUAL_STACK=true'}),
  check('control-plane/istiod/service', {observed: '10.96.20.4, fd00:10:96::aa1'}),
  ...['sleep', 'dual-stack', 'ipv4', 'ipv6'].map(target =>
    check(`workload/${target}/ready`, {observed: 'Ready, 10.244.0.6, fd00:10:244::6, sidecar'})
  ),
  ...['dual-stack', 'ipv4', 'ipv6'].flatMap(target => [
    check(`service/${target}/policy`, {
      title: `${target === 'dual-stack' ? 'As documented, ' : ''}the Service's ipFamilyPolicy`,
      observed: target === 'dual-stack' ? 'RequireDualStack' : 'SingleStack'
    }),
    check(`service/${target}/families`, {title: 'ClusterIPs of exactly its families'}),
    hasOrNot(`endpoints/${target}/ipv4`, 'ipv4', 'exactly the ready pods'),
    hasOrNot(`endpoints/${target}/ipv6`, 'ipv6', 'exactly the ready pods'),
    hasOrNot(`dns/${target}/a`, 'ipv4', 'its ClusterIP'),
    hasOrNot(`dns/${target}/aaaa`, 'ipv6', 'its ClusterIP')
  ]),
  probe('cluster/plain/ipv4', 'ipv4', '10.244.0.10', '10.244.0.10:9000', 'hello plain'),
  probe('cluster/plain/ipv6', 'ipv6', 'fd00:10:244::a', '[fd00:10:244::a]:9000', 'hello plain'),
  check('proxy/sleep/listeners', {observed: '0.0.0.0 and ::'}),
  check('proxy/sleep/cluster-ips', {observed: '4 of 4 ClusterIPs'}),
  check('proxy/sleep/endpoints', {observed: 'exactly the 3 ready pods'}),
  check('proxy/dual-stack/listeners', {observed: '0.0.0.0 and ::'})
];

const above: CheckResult[] = [
  probe('echo/dual-stack/name', null, 'tcp-echo.dual-stack', '10.244.0.6:9000', 'hello dualstack'),
  probe('echo/ipv4/name', null, 'tcp-echo.ipv4', '10.244.0.7:9000', 'hello ipv4'),
  probe('echo/ipv6/name', null, 'tcp-echo.ipv6', '[fd00:10:244::8]:9000', 'hello ipv6'),
  probe('echo/dual-stack/ipv4', 'ipv4', '10.96.69.70', '10.244.0.6:9000', 'hello dualstack'),
  probe('echo/dual-stack/ipv6', 'ipv6', 'fd00:10:96::d025', '10.244.0.6:9000', 'hello dualstack'),
  probe('echo/ipv4/ipv4', 'ipv4', '10.96.112.140', '10.244.0.7:9000', 'hello ipv4'),
  probe('echo/ipv6/ipv6', 'ipv6', 'fd00:10:96::3bcf', '[fd00:10:244::8]:9000', 'hello ipv6'),
  probe('path/dual-stack/ipv4', 'ipv4', '10.96.3.1', '10.244.0.6:9000', 'hello dualstack'),
  probe(
    'path/dual-stack/ipv6',
    'ipv6',
    'fd00:10:96::9',
    '[fd00:10:244::6]:9000',
    'hello dualstack'
  ),
  ...(['ipv4', 'ipv6'] as const).flatMap(family => {
    const address = family === 'ipv4' ? '10.96.69.70' : 'fd00:10:96::d025';
    const pod = family === 'ipv4' ? '10.244.0.6' : 'fd00:10:244::6';
    return [
      probe(`mtls/dual-stack/${family}`, family, address, '10.244.0.6', 'hello'),
      probe(`mtls/dual-stack/${family}-refused`, family, pod, pod, 'no answer'),
      probe(`mtls/dual-stack/${family}-control`, family, pod, pod, 'hello')
    ];
  }),
  cut('ipv4', 'fd00:10:244::6', 'an answer after 0.31 s'),
  cut('ipv6', '10.244.0.6', 'an answer after 0.004 s'),
  check('uninstall/istio/empties', {
    verdict: 'skipped',
    observed: '',
    attempts: [],
    reason: 'only on request'
  })
];

export const phase = (
  name: string,
  needs: string[],
  at: number | null,
  seconds: number,
  more: Partial<PhaseResult> = {}
): PhaseResult => ({name, status: 'passed', needs, at, seconds, waits: [], ...more});

const phases: PhaseResult[] = [
  phase('tools', [], 0, 2.1),
  phase('cluster', ['tools'], 2.1, 9.8, {waits: [{for: 'the node to be Ready', seconds: 3.2}]}),
  phase('images', ['tools'], 2.1, 11.4),
  phase('operator', ['cluster'], 11.9, 4.9),
  phase('control plane', ['operator', 'images'], 16.8, 5.4, {
    waits: [{for: 'istiod to be available', seconds: 4.1}]
  }),
  phase('samples', ['control plane', 'images'], 22.2, 5.6),
  phase('checks', ['samples'], 27.8, 3.4)
];

/** A run that passed, changed as asked. */
export const passed = (more: Partial<Results> = {}): Results => ({
  schema: 1,
  result: 'passed',
  failure: null,
  run: {
    id: '4711',
    attempt: '1',
    url: 'https://github.com/example/mesh/actions/runs/4711',
    sha: '0123456789abcdef0123456789abcdef01234567'
  },
  rehearsal: null,
  versions: {
    action: {asked: null, found: '1.0.0'},
    kind: {asked: null, found: 'v0.33.0'},
    kubernetes: {asked: null, found: 'v1.34.4'},
    kubectl: {asked: null, found: 'v1.34.4'},
    helm: {asked: null, found: 'v3.19.5'},
    operator: {asked: '1.30', found: '1.30.3'},
    istio: {asked: 'v1.30.3', found: 'v1.30.3'}
  },
  warnings: [],
  inputs: {'operator-version': '1.30', 'istio-version': 'v1.30.3'},
  cluster: {kind: 'kind', name: 'istio-ds', context: 'kind-istio-ds', ipFamilies: ['ipv4', 'ipv6']},
  started: '2026-11-20T08:30:00.000Z',
  seconds: 31.2,
  phases,
  checks: sorted([...below, ...above]),
  ...more
});

const sorted = (checks: CheckResult[]): CheckResult[] =>
  checks.toSorted((one, other) => layers.indexOf(one.layer) - layers.indexOf(other.layer));

/** The run with some of its checks changed, by id. */
export const changed = (
  results: Results,
  changes: Record<string, Partial<CheckResult>>
): Results => ({
  ...results,
  checks: results.checks.map(one => ({...one, ...changes[one.id]}))
});

const noAnswer = (because: string | null): Partial<CheckResult> => ({
  verdict: 'failed',
  observed: 'no answer',
  upstream: null,
  reason: 'no answer within 3 s',
  because,
  attempts: [
    {at: 28.1, seconds: 3, observed: 'no answer'},
    {at: 31.1, seconds: 3, observed: 'no answer'}
  ]
});

/** IPv6 between pods is dead: the mockup's failure. */
export const failed = (more: Partial<Results> = {}): Results =>
  changed(
    passed({
      result: 'failed',
      seconds: 38.4,
      failure: {
        class: 'infrastructure',
        layer: 'cluster',
        check: 'cluster/plain/ipv6',
        headline: 'IPv6 between pods is dead',
        message:
          'Client and server without any sidecar: no answer from plain/tcp-echo on fd00:10:244::a within 3 s, twice; over IPv4 it answers in 3 ms.',
        hint: 'The fault is below Istio: look at the node’s ip6tables and IPv6 routes (`diagnostics/node/ip6tables.txt`).',
        reproduce:
          "kubectl exec -n sleep deploy/sleep -- sh -c '(echo dualstack; sleep 1) | timeout 3 nc fd00:10:244::a 9000'"
      },
      ...more
    }),
    {
      'cluster/plain/ipv6': noAnswer(null),
      'echo/ipv6/name': noAnswer('cluster/plain/ipv6'),
      'echo/ipv6/ipv6': noAnswer('cluster/plain/ipv6'),
      'path/dual-stack/ipv6': noAnswer('cluster/plain/ipv6')
    }
  );

/** One check needed a second try. */
export const flaky = (more: Partial<Results> = {}): Results =>
  changed(passed(more), {
    'echo/dual-stack/name': {
      verdict: 'flaky',
      attempts: [
        {at: 28.1, seconds: 0.1, observed: ''},
        {at: 28.4, seconds: 0.004, observed: 'hello dualstack'}
      ]
    }
  });

/** The checks were not reached: the cluster could not be made. */
export const error = (failure: Partial<Failure> = {}, more: Partial<Results> = {}): Results =>
  passed({
    result: 'error',
    failure: {
      class: 'infrastructure',
      layer: 'network',
      check: null,
      message: 'the Docker network `kind` has no IPv6 subnet.',
      hint: 'Remove it (`docker network rm kind`); kind makes it anew with both families.',
      ...failure
    },
    seconds: 6.4,
    phases: [
      phase('tools', [], 0, 2.1),
      phase('cluster', ['tools'], 2.1, 4.2, {status: 'failed'}),
      phase('images', ['tools'], 2.1, 4.3, {status: 'cancelled'}),
      phase('operator', ['cluster'], null, 0, {status: 'skipped'}),
      phase('checks', ['operator'], null, 0, {status: 'skipped'})
    ],
    checks: below.slice(0, 4),
    ...more
  });

/** Somebody cancelled the run while the images were on their way. */
export const cancelled = (): Results =>
  error(
    {
      class: 'cancelled',
      layer: null,
      message: 'The run was cancelled from outside (SIGINT).',
      hint: 'Nothing to mend; run it again.'
    },
    {
      seconds: 12.3,
      phases: [
        phase('tools', [], 0, 2.1),
        phase('cluster', ['tools'], 2.1, 9.8),
        phase('images', ['tools'], 2.1, 10.2, {status: 'cancelled'}),
        phase('checks', ['images'], null, 0, {status: 'skipped'})
      ],
      checks: []
    }
  );

/** A run with so many targets, four checks each. */
export const many = (targets: number, more: Partial<CheckResult> = {}): Results =>
  passed({
    checks: Array.from({length: targets}, (_, index) => `shop-${index}`).flatMap(target =>
      [
        probe(`echo/${target}/name`, null, `${target}.shop`, '10.244.0.6:9000', `hello ${target}`),
        probe(`echo/${target}/ipv4`, 'ipv4', '10.96.69.70', '10.244.0.6:9000', `hello ${target}`),
        probe(`echo/${target}/ipv6`, 'ipv6', 'fd00:10:96::d025', '10.244.0.6:9000', 'hello'),
        probe(`path/${target}/ipv6`, 'ipv6', 'fd00:10:96::9', '[fd00:10:244::6]:9000', 'hello')
      ].map(one => ({...one, ...more}))
    )
  });

/** Text that tries to be markup, in every field that holds what others wrote. */
export const hostile = [
  '<img src=x onerror=alert(1)>',
  '@octocat #1 GH-2 https://evil.example www.evil.example a@evil.example :100:',
  '`code` ``two`` ```three``` [a](https://evil.example) ![b](c) **bold** _it_ ~~s~~ $x$',
  'a | b \\| c \\\\| d',
  '</details></script><!-- --> ]]> &lt; &amp; " \'',
  '\u001b[31mred\u001b[0m \u001b]8;;https://evil.example\u0007link \u0000\u0008\u009b \u202e \ufffe \ud800',
  'one\n\n# two\n- three\n1. four\n```\nfive\n::error::six\n##[error]seven'
].join('\n');

/** A failed run in which everything that others wrote is hostile. */
export const hostileRun = (): Results => {
  const text = {title: hostile, expected: hostile, observed: hostile, reason: hostile};
  const foreign: Partial<CheckResult> = {
    ...text,
    address: hostile,
    upstream: hostile,
    reproduce: hostile,
    attempts: [{at: 1, seconds: 1, observed: hostile}]
  };
  const run = failed({
    failure: {
      class: 'infrastructure',
      layer: 'cluster',
      check: 'cluster/plain/ipv6',
      message: hostile,
      hint: hostile
    },
    rehearsal: {recording: hostile},
    warnings: [hostile],
    versions: {[hostile]: {asked: hostile, found: hostile}, istio: {asked: null, found: hostile}},
    inputs: {[hostile]: hostile},
    run: {id: hostile, attempt: null, url: `https://github.com/"><script>${hostile}`, sha: hostile},
    phases: [phase(hostile, [hostile], 0, 1, {waits: [{for: hostile, seconds: 1}]})]
  });
  return {
    ...run,
    checks: run.checks.map((one, index) => ({
      ...one,
      ...foreign,
      target: hostile,
      verdict: index % 5 === 0 ? 'skipped' : index % 7 === 0 ? 'flaky' : one.verdict
    }))
  };
};

/** Two inputs were refused, before anything was made. */
export const badInputs = (): Results => ({
  ...error(),
  cluster: null,
  checks: [],
  phases: [],
  failure: {
    class: 'input',
    layer: null,
    check: null,
    message: 'Invalid `retries` "x": expected a number\nInvalid `timeout` "<y>": expected a time',
    hint: 'Correct the inputs. Nothing was created.'
  }
});

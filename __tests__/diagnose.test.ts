import {describe, expect, test} from '@jest/globals';
import {CheckFailed, createInputFault, Fault} from '../src/base/fault.ts';
import {CommandError} from '../src/base/sh.ts';
import {layerAttributions} from '../src/checks/catalogue.ts';
import type {EvaluatedCheck} from '../src/checks/definition.ts';
import type {CheckResult} from '../src/results/results.ts';
import {diagnose, type Evidence} from '../src/run/diagnose.ts';
import {check, phase} from './sample-results.ts';

const evidence = (more: Partial<Evidence> = {}): Evidence => ({
  ending: 'done',
  errors: [],
  phases: [],
  checks: [],
  attributions: layerAttributions,
  failOnFlaky: false,
  existing: false,
  lostNode: null,
  ...more
});
const broken = (
  id: string,
  {attribution, ...more}: Partial<EvaluatedCheck> = {}
): EvaluatedCheck => ({
  ...check(id, {verdict: 'failed', observed: 'no answer', reason: 'got no answer', ...more}),
  ...(attribution && {attribution})
});
const flaky = (id: string) =>
  check(id, {
    verdict: 'flaky',
    attempts: [
      {at: 0, seconds: 0, observed: ''},
      {at: 1, seconds: 0, observed: 'hello'}
    ]
  });
const command = (stderr: string, ...line: string[]) =>
  new CommandError(line, {code: 1, stdout: '', stderr, timedOut: false});
const pull = new Fault('Pod ipv4/tcp-echo-1: ErrImagePull: x: not found', {
  class: 'istio',
  layer: 'workload',
  hint: 'The image cannot be pulled.'
});
const error = (phase: string, error: unknown) => ({errors: [{phase, error}]});
/** Those named, still running. */
const running = (...names: string[]) =>
  names.map(name =>
    phase(name, [], 0, 1, {status: 'cancelled', waits: [{for: 'the pod', seconds: 1}]})
  );

describe('diagnose', () => {
  describe('a node that was lost', () => {
    const lost = 'The container of a was restarted during the run';
    const told = {class: 'infrastructure', layer: 'node', check: null, message: lost};

    test.each<[string, Partial<Evidence>]>([
      ['a check that failed', {checks: [broken('mtls/ipv4/refused')]}],
      ['a phase that failed', error('samples', command('Forbidden', 'kubectl', 'get', 'pods'))],
      ['a time that is over, with nothing failed', {ending: 'timeout'}],
      [
        'a time that is over',
        {ending: 'timeout', ...error('look', new Fault('x', {class: 'istio', hint: ''}))}
      ]
    ])('is the cause of %s', (_, given) => {
      const {result, failure} = diagnose(evidence({...given, lostNode: lost}));
      expect({result, failure}).toMatchObject({result: 'error', failure: told});
    });

    test('is nobody’s where nothing failed', () =>
      expect(diagnose(evidence({lostNode: lost, checks: [check('echo/ipv4/name')]})).result).toBe(
        'passed'
      ));
  });

  test('all that holds is passed', () => {
    const checks = [
      check('echo/ipv4/name'),
      flaky('echo/ipv6/name'),
      check('dns/ipv4/a', {verdict: 'skipped'})
    ];
    expect(diagnose(evidence({checks}))).toEqual({result: 'passed', failure: null, checks});
  });

  test.each([
    ['runner', 'infrastructure'],
    ['network', 'infrastructure'],
    ['node', 'infrastructure'],
    ['operator', 'operator'],
    ['control-plane', 'istio'],
    ['workload', 'istio'],
    ['service', 'connectivity'],
    ['endpoints', 'infrastructure'],
    ['dns', 'infrastructure'],
    ['cluster', 'infrastructure'],
    ['proxy', 'istio'],
    ['echo', 'connectivity'],
    ['path', 'connectivity'],
    ['mtls', 'istio'],
    ['failover', 'istio'],
    ['uninstall', 'operator'],
    ['docs', 'operator']
  ] as const)('when %s does not hold, it is the fault of %s', (layer, failureClass) => {
    const id = `${layer}/x/y`;
    const {result, failure} = diagnose(evidence({checks: [broken(id)]}));
    expect(result).toBe('failed');
    expect(failure).toMatchObject({
      class: failureClass,
      layer,
      check: id,
      message: 'Expected: x holds. Found: got no answer.'
    });
    expect(failure?.hint).toMatch(/\.$/);
  });

  test.each<[string, [string, Partial<CheckResult>][], string]>([
    ['one family', [['cluster/plain/ipv4', {family: 'ipv4'}]], 'No IPv4 traffic between pods'],
    [
      'both',
      [
        ['cluster/plain/ipv4', {family: 'ipv4'}],
        ['cluster/plain/ipv6', {family: 'ipv6'}]
      ],
      'No traffic between pods'
    ],
    ['none', [['dns/ipv4/a', {}]], 'Names do not resolve correctly'],
    [
      'one and none',
      [
        ['echo/ipv6/name', {observed: 'no answer'}],
        ['echo/ipv6/ipv6', {family: 'ipv6', observed: 'no answer'}]
      ],
      'Services do not answer over IPv6'
    ],
    [
      'one that holds and one that does not',
      [
        ['cluster/plain/ipv4', {family: 'ipv4', verdict: 'passed'}],
        ['cluster/plain/ipv6', {family: 'ipv6'}]
      ],
      'No IPv6 traffic between pods'
    ]
  ])('the headline names the family where it is one: %s', (_, failed, headline) => {
    const checks = failed.map(([id, more]) => broken(id, more));
    expect(diagnose(evidence({checks})).failure?.headline).toBe(headline);
  });

  describe('what is told of a failed check', () => {
    const attribution = {class: 'operator', hint: 'Do this.', headline: 'That is broken'} as const;

    test('is what the check says, before what its layer does', () => {
      const {failure, checks} = diagnose(evidence({checks: [broken('dns/ipv4/a', {attribution})]}));
      expect(failure).toMatchObject(attribution);
      expect(checks[0]).toMatchObject({class: 'operator', hint: 'Do this.'});
      expect(checks[0]).not.toHaveProperty('attribution');
    });

    test('what the others show of it comes before both', () => {
      const layer = {...layerAttributions.dns, evidence: () => ({hint: 'The others say.'})};
      const {failure} = diagnose(
        evidence({
          checks: [broken('dns/ipv4/a', {attribution})],
          attributions: {...layerAttributions, dns: layer}
        })
      );
      expect(failure).toMatchObject({...attribution, hint: 'The others say.'});
    });

    test('is told of each, and of none that holds', () => {
      const {checks} = diagnose(
        evidence({checks: [check('echo/ipv4/name'), broken('endpoints/ipv4/ipv4')]})
      );
      expect(checks.map(({class: told, hint}) => [told, hint])).toEqual([
        [undefined, undefined],
        [layerAttributions.endpoints.class, layerAttributions.endpoints.hint]
      ]);
    });
  });

  test('a node that is gone is told once, and not asked by kubectl', () => {
    const refused = 'The connection to the server 127.0.0.1:36327 was refused';
    const {failure} = diagnose(
      evidence(error('look', command(Array(5).fill(refused).join('\n'), 'kubectl', 'get', 'nodes')))
    );
    expect(failure).toMatchObject({
      message: `\`kubectl get nodes\` ended with exit code 1: ${refused}`,
      headline: 'The cluster no longer responds',
      reproduce: expect.stringMatching(/^docker ps --all/)
    });
  });

  test('an API server that is gone is not looked for in Docker where the cluster was there before', () => {
    const refused = 'Unable to connect to the server: dial tcp: i/o timeout';
    const {failure} = diagnose(
      evidence({existing: true, ...error('look', command(refused, 'kubectl', 'get', 'nodes'))})
    );
    expect(failure?.hint).not.toMatch(/docker|container/i);
    expect(failure?.reproduce).toBe('kubectl get --raw /readyz');
  });

  test('several bad targets have a line each', () => {
    const {failure} = diagnose(
      evidence(error('survey', createInputFault('targets: a\ntargets: b')))
    );
    expect(failure?.message).toBe('targets: a\ntargets: b');
  });

  test('a failure of a phase names the phase', () => {
    const {failure} = diagnose(
      evidence(
        error('kubectl', new Fault('404', {class: 'infrastructure', layer: 'runner', hint: ''}))
      )
    );
    expect(failure?.phase).toBe('kubectl');
  });

  test('the first broken layer is named, whatever the order; what fails above follows from it', () => {
    const {failure, checks} = diagnose(
      evidence({
        checks: [
          broken('path/dual-stack/ipv6'),
          check('echo/ipv4/name'),
          broken('cluster/plain/ipv6'),
          broken('cluster/plain/ipv6-service'),
          broken('dns/ipv6/aaaa'),
          flaky('echo/ipv6/name')
        ]
      })
    );
    expect(failure).toMatchObject({layer: 'dns', check: 'dns/ipv6/aaaa'});
    expect(Object.fromEntries(checks.map(({id, because}) => [id, because]))).toEqual({
      'path/dual-stack/ipv6': 'dns/ipv6/aaaa',
      'echo/ipv4/name': null,
      'cluster/plain/ipv6': 'dns/ipv6/aaaa',
      'cluster/plain/ipv6-service': 'dns/ipv6/aaaa',
      'dns/ipv6/aaaa': null,
      'echo/ipv6/name': null
    });
  });

  test('two that fail in one layer do not follow from one another', () => {
    const {checks} = diagnose(
      evidence({checks: [broken('echo/ipv4/name'), broken('echo/ipv6/name')]})
    );
    expect(checks.map(({because}) => because)).toEqual([null, null]);
  });

  test('what stands apart follows only from its own kind of the same target', () => {
    const apart = (id: string) => broken(id, {independent: true});
    const {failure, checks} = diagnose(
      evidence({
        checks: [
          broken('echo/ipv4/name'),
          apart('service/shop.cart/policy'),
          apart('endpoints/shop.cart/ipv6'),
          apart('endpoints/shop.till/ipv6'),
          apart('docs/page/steps')
        ]
      })
    );
    expect(failure?.check).toBe('service/shop.cart/policy');
    expect(checks.map(({because}) => because)).toEqual([
      'service/shop.cart/policy',
      null,
      'service/shop.cart/policy',
      null,
      null
    ]);
    for (const check of checks) expect(check).not.toHaveProperty('independent');
  });

  test('a retry that was needed fails the run only where it was asked for', () => {
    const checks = [flaky('echo/ipv6/name')];
    expect(diagnose(evidence({checks})).result).toBe('passed');
    const {result, failure} = diagnose(evidence({checks, failOnFlaky: true}));
    expect(result).toBe('failed');
    expect(failure).toMatchObject({
      class: 'connectivity',
      check: 'echo/ipv6/name',
      message:
        'Expected: ipv6 holds. Found: passed only on a retry, and fail-on-flaky is set; at first no response.'
    });
  });

  test.each([
    // ending or error → class, layer, message
    [
      'what a pod tells',
      error('samples', pull),
      'istio',
      'workload',
      'Pod ipv4/tcp-echo-1: ErrImagePull: x: not found'
    ],
    [
      'a fault without a layer',
      error('operator', new Fault('no chart', {class: 'operator', hint: ''})),
      'operator',
      'operator',
      'no chart'
    ],
    [
      'bad inputs',
      error('inputs', new Fault('a: x\nb: y', {class: 'input', hint: ''})),
      'input',
      null,
      'a: x\nb: y'
    ],
    [
      'the first error of many',
      {
        errors: [
          {phase: 'samples', error: pull},
          {phase: 'mesh', error: new Error('later')}
        ]
      },
      'istio',
      'workload',
      pull.message
    ],
    [
      'a command that failed',
      error('operator', command('no room', 'helm', 'install', 'x')),
      'operator',
      'operator',
      '`helm install x` ended with exit code 1: no room'
    ],
    [
      'a command that was not answered in time, on a machine that was too busy',
      error(
        'check mtls',
        new CommandError(['kubectl', 'exec', '-n'], {
          code: 124,
          stdout: '',
          stderr: '',
          timedOut: true
        })
      ),
      'infrastructure',
      'mtls',
      '`kubectl exec -n` did not end in time: no output'
    ],
    [
      'a node that is gone',
      error('check dns', command('Unable to connect to the server: EOF', 'kubectl')),
      'infrastructure',
      'node',
      /Unable to connect/
    ],
    [
      'a command of the tools',
      error('chart', command('no Chart.yaml', 'helm', 'show', 'chart')),
      'infrastructure',
      'runner',
      /no Chart\.yaml/
    ],
    [
      'images that would not go in',
      error('images: istiod', command('no space left', 'docker')),
      'infrastructure',
      'node',
      /no space left/
    ],
    [
      'an archive of images that did not fit',
      error('save: istiod', command('no space left', 'docker')),
      'infrastructure',
      'node',
      /no space left/
    ],
    [
      'any other error',
      error('mesh', new TypeError('x is undefined')),
      'internal',
      null,
      'TypeError: x is undefined'
    ],
    ['something thrown', error('mesh', 'oh'), 'internal', null, 'oh'],
    [
      'a rejection nobody awaited',
      {ending: {bug: new RangeError('deep')}},
      'internal',
      null,
      'RangeError: deep'
    ],
    ['undefined, rejected', {ending: {bug: undefined}}, 'internal', null, 'undefined'],
    [
      'the time is over',
      {ending: 'timeout', phases: running('istiod')},
      'timeout',
      'control-plane',
      '`timeout` expired during istiod (waiting for the pod)'
    ],
    [
      'the time is over in a check',
      {ending: 'timeout', phases: running('samples', 'check node')},
      'timeout',
      'node',
      '`timeout` expired during samples (waiting for the pod), check node (waiting for the pod)'
    ],
    [
      'it was cancelled',
      {ending: 'cancelled', phases: running('cluster')},
      'cancelled',
      'node',
      'The run was cancelled during cluster (waiting for the pod)'
    ],
    [
      'it was cancelled at once',
      {ending: 'cancelled'},
      'cancelled',
      null,
      'The run was cancelled while no phase was running'
    ]
  ] as [string, Partial<Evidence>, string, string | null, string | RegExp][])(
    '%s',
    (_, given, failureClass, layer, message) => {
      const {result, failure} = diagnose(evidence({...given, checks: [check('node/all/ready')]}));
      expect(result).toBe('error');
      expect(failure).toMatchObject({class: failureClass, layer, check: null});
      if (typeof message === 'string') expect(failure?.message).toBe(message);
      else expect(failure?.message).toMatch(message);
      if (failureClass !== 'input') expect(failure?.message).not.toContain('\n'); // those have a line each
    }
  );

  test('a check that ends the run is named, and the others were not reached', () => {
    const checks = [
      broken('runner/kernel/ipv6', {layer: 'runner'}),
      check('echo/ipv4/name', {verdict: 'skipped', reason: 'not reached'})
    ];
    const {result, failure} = diagnose(
      evidence({checks, ...error('check runner', new CheckFailed('runner/kernel/ipv6'))})
    );
    expect(result).toBe('error');
    expect(failure).toMatchObject({
      class: 'infrastructure',
      layer: 'runner',
      check: 'runner/kernel/ipv6'
    });
  });

  test('a reason that is a sentence ends once', () => {
    const checks = [broken('echo/ipv4/name', {reason: 'It said: no such host.'})];
    expect(diagnose(evidence({checks})).failure?.message).toBe(
      'Expected: ipv4 holds. Found: It said: no such host.'
    );
  });

  test('what others wrote is one line, and no command', () => {
    const checks = [broken('echo/ipv4/name', {reason: 'got "\n::error::x ##[error]y"'})];
    expect(diagnose(evidence({checks})).failure?.message).toBe(
      'Expected: ipv4 holds. Found: got " ::error::x # #[error]y".'
    );
  });

  test.each([
    ['below', 'echo/ipv6/name', {class: 'operator', layer: 'operator', check: null}],
    ['of', 'operator/x/y', {class: 'operator', layer: 'operator', check: 'operator/x/y'}],
    ['above', 'node/all/ready', {class: 'infrastructure', layer: 'node', check: 'node/all/ready'}]
  ])('what the evidence shows %s the layer of a failed check: %s', (_, id, expected) => {
    const crash = new Fault('Pod sail-operator/x: CrashLoopBackOff', {
      class: 'operator',
      layer: 'operator',
      hint: ''
    });
    const {result, failure} = diagnose(
      evidence({checks: [broken(id)], ...error('check operator', crash)})
    );
    expect(result).toBe('error');
    expect(failure).toMatchObject(expected);
    if (expected.check === null) expect(failure?.message).toBe(crash.message);
  });

  test('an error that is no evidence of a cause does not hide a failed check', () => {
    const checks = [broken('echo/ipv6/name')];
    const {failure} = diagnose(evidence({checks, ...error('api', command('x', 'kubectl'))}));
    expect(failure).toMatchObject({layer: 'echo', check: 'echo/ipv6/name'});
  });

  describe('a check that nobody told of', () => {
    const unmade = check('dns/ipv4/a', {verdict: 'skipped', reason: 'not reached'});

    test('is a bug of ours when nothing else went wrong', () => {
      const {result, failure} = diagnose(evidence({checks: [check('echo/ipv4/name'), unmade]}));
      expect(result).toBe('error');
      expect(failure).toMatchObject({
        class: 'internal',
        layer: null,
        check: null,
        message: 'the check dns/ipv4/a did not run'
      });
    });

    test.each<[string, Partial<Evidence>, string]>([
      ['there was an error', error('samples', pull), 'istio'],
      ['the time was over', {ending: 'timeout'}, 'timeout'],
      ['the run was cancelled', {ending: 'cancelled'}, 'cancelled'],
      ['another failed', {checks: [broken('node/all/ready'), unmade]}, 'infrastructure']
    ])('is none when %s', (_, given, failureClass) => {
      const {failure} = diagnose(evidence({checks: [unmade], ...given}));
      expect(failure?.class).toBe(failureClass);
    });
  });

  test('the credentials in a URL are told neither in the message nor in the command', () => {
    const url = 'https://user:hunter2@charts.example/x.tgz';
    const reproduce = `helm pull ${url}`;
    const fault = new Fault(`${url} could not be downloaded: 404`, {
      class: 'infrastructure',
      layer: 'runner',
      hint: '',
      reproduce
    });
    const said = [
      error('chart', fault),
      error('chart', command(`401 of ${url}`, 'helm', 'pull', url)),
      error('chart', new TypeError(`no ${url}`)),
      {checks: [broken('runner/x/y', {reason: url, reproduce})]}
    ].map(given => diagnose(evidence(given)).failure);
    expect(said[0]).toMatchObject({
      message: 'https://charts.example/x.tgz could not be downloaded: 404',
      reproduce: 'helm pull https://charts.example/x.tgz'
    });
    expect(JSON.stringify(said)).not.toContain('hunter2');
  });
});

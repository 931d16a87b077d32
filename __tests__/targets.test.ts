import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {parseAllDocuments} from 'yaml';
import type {EndpointSlice, Pod, Service} from '../src/base/kube.ts';
import {layerAttributions} from '../src/checks/catalogue.ts';
import type {Outcome} from '../src/checks/definition.ts';
import {createTargetChecks, readTarget, type TargetService} from '../src/checks/targets.ts';
import {parseTargets} from '../src/inputs/readers.ts';
import {surveyTargets} from '../src/phases/survey.ts';
import {chooseTargets} from '../src/plan/target-services.ts';
import {buildAnnotations} from '../src/reports/annotations.ts';
import {renderHtml} from '../src/reports/html.ts';
import {formatLogEnd} from '../src/reports/log-end.ts';
import {renderSummary} from '../src/reports/summary.ts';
import {buildHeadline} from '../src/reports/verdict.ts';
import {layers} from '../src/results/results.ts';
import {diagnose} from '../src/run/diagnose.ts';
import {createRunContext} from '../src/run/run-context.ts';
import {buildTargetPhases} from '../src/run/target-phases.ts';
import {type Answer, eachOnRunner, fakeSh, fakeWork} from './fake.ts';
import {inputsOf} from './planned.ts';
import {check, passed} from './sample-results.ts';
import {both, failures, pod, service, slice} from './things.ts';

const runner = eachOnRunner();

const cart = (spec: Partial<Service['spec']> = {}, name = 'cart'): Service => {
  const made = service('shop', ['10.96.0.6', 'fd00:10:96::6'], 'PreferDualStack', name);
  const ports = [{port: 9000}, {port: 8080, protocol: 'TCP'}, {port: 53, protocol: 'UDP'}];
  return {...made, spec: {...made.spec, selector: {app: name}, ports, ...spec}};
};
const pods = [pod('shop', 'cart', {name: 'cart-1', ips: both('6')})];
const slices = [
  slice('shop', 'IPv4', ['10.244.0.6'], true, 'cart'),
  slice('shop', 'IPv6', ['fd00:10:244::6'], true, 'cart')
];

const at = (address: string, port: number) => ({socket_address: {address, port_value: port}});
/** What a proxy says of its listeners. */
const listening = (...addresses: [string, number][]) =>
  JSON.stringify({
    listener_statuses: addresses.map(([address, port]) => ({
      name: `${address}_${port}`,
      local_address: at(address, port)
    }))
  });
const everywhere = [15001, 15006, 15021, 15090].flatMap((port): [string, number][] => [
  ['0.0.0.0', port],
  ['::', port]
]);
const served: [string, number][] = [
  ...everywhere,
  ['10.96.0.6', 9000],
  ['fd00:10:96::6', 9000],
  ['0.0.0.0', 8080],
  ['::', 8080]
];
/** What it says of the endpoints of a port of the Service. */
const endpoints = (ports: number[], ...addresses: string[][]) =>
  JSON.stringify({
    configs: ports.map(port => ({
      endpoint_config: {
        cluster_name: `outbound|${port}||cart.shop.svc.example.org`,
        endpoints: [
          {
            lb_endpoints: addresses.map(([first = '', ...more]) => ({
              endpoint: {
                address: at(first, port),
                additional_addresses: more.map(address => ({address: at(address, port)}))
              }
            }))
          }
        ]
      }
    }))
  });
const known = endpoints([9000, 8080], both('6'));

interface Given {
  target?: Partial<TargetService>;
  listeners?: Answer;
  dump?: Answer;
  silent?: string[];
  /** What is read of pods and slices when it is looked again. */
  again?: {pods?: Pod[]; slices?: EndpointSlice[]};
}

/** All that is told of one Service; each of its rows must be told, and no other. */
async function look({
  target = {},
  listeners = listening(...served),
  dump = known,
  silent = [],
  again = {}
}: Given = {}) {
  const found: Record<string, Outcome> = {};
  const one = {service: cart(), pods, slices, ...target};
  const checks = createTargetChecks([one.service]);
  const sh = fakeSh(([, verb, what, ...rest]) =>
    verb === 'exec'
      ? rest.some(word => word.startsWith('listeners'))
        ? listeners
        : dump
      : JSON.stringify({items: what === 'pods' ? (again.pods ?? pods) : (again.slices ?? [])})
  );
  for (const {run, definitions} of checks)
    await run(
      {
        targets: [one],
        noExecNamespaces: silent,
        sh,
        work: fakeWork(),
        nodes: 1,
        report: (id, finding) => {
          found[id] = finding;
        }
      },
      definitions
    );
  expect(Object.keys(found).sort()).toEqual(
    checks.flatMap(({definitions}) => definitions.map(({id}) => id)).sort()
  );
  return {found, calls: sh.calls};
}
const skips = (found: Record<string, Outcome>) =>
  Object.entries(found).flatMap(([id, {verdict, reason}]) =>
    verdict === 'skipped' ? [[id, reason]] : []
  );

test('a dual-stack Service holds, layer by layer, and nothing but reading is asked for', async () => {
  const {found, calls} = await look();
  expect(failures(found)).toEqual({});
  expect(Object.keys(found).sort()).toEqual([
    'endpoints/shop.cart/ipv4',
    'endpoints/shop.cart/ipv6',
    'proxy/shop.cart/cluster-ips',
    'proxy/shop.cart/endpoints',
    'proxy/shop.cart/listeners',
    'service/shop.cart/families',
    'service/shop.cart/policy',
    'workload/shop.cart/addresses',
    'workload/shop.cart/sidecar'
  ]);
  expect(found['service/shop.cart/policy']?.observed).toBe('PreferDualStack');
  const exec = 'kubectl exec --namespace shop pod/cart-1 --container istio-proxy --';
  expect(calls.sort()).toEqual([
    `${exec} pilot-agent request GET config_dump?include_eds&resource=dynamic_endpoint_configs`,
    `${exec} pilot-agent request GET listeners?format=json`
  ]);
});

test('its rows are of known layers, unlike those of any sample, and of sentences', () => {
  const rows = createTargetChecks([cart(), cart({}, 'till')]).flatMap(
    ({definitions}) => definitions
  );
  expect(new Set(rows.map(({id}) => id)).size).toBe(rows.length);
  for (const {id, layer, target, to, independent, attribution} of rows) {
    expect(layers).toContain(layer);
    expect(id).toBe(`${layer}/${target}/${id.split('/')[2]}`);
    expect(target).toBe(`shop.${to?.name}`);
    expect(independent).toBe(true);
    if (attribution?.hint) expect(attribution.hint).toMatch(/\.$/);
  }
});

describe('what is not dual-stack', () => {
  test.each<[string, Given, Record<string, string>]>([
    [
      'a Service of one family',
      {
        target: {
          service: cart({ipFamilyPolicy: 'SingleStack', clusterIPs: ['10.96.0.6']}),
          slices: slices.slice(0, 1)
        },
        dump: endpoints([9000, 8080], ['10.244.0.6'])
      },
      {
        'service/shop.cart/policy': 'SingleStack',
        'service/shop.cart/families': 'ipv4',
        'endpoints/shop.cart/ipv6': 'none',
        'proxy/shop.cart/endpoints':
          'port 9000 has no endpoint 10.244.0.6+fd00:10:244::6; it has 10.244.0.6; port 8080 has no endpoint 10.244.0.6+fd00:10:244::6; it has 10.244.0.6'
      }
    ],
    [
      'one that would be, in a cluster that is not',
      {target: {service: cart({clusterIPs: ['10.96.0.6']})}},
      {'service/shop.cart/families': 'ipv4'}
    ],
    [
      'a pod with one address',
      {
        target: {
          pods: [...pods, pod('shop', 'cart', {name: 'cart-2', ips: ['10.244.0.7']})],
          slices: [
            slice('shop', 'IPv4', ['10.244.0.6', '10.244.0.7'], true, 'cart'),
            ...slices.slice(1)
          ]
        },
        dump: endpoints([9000], both('6'), ['10.244.0.7'])
      },
      {'workload/shop.cart/addresses': 'ipv4; ipv4, ipv6'}
    ],
    [
      'a pod that has no sidecar while others do',
      {
        target: {
          pods: [
            ...pods,
            pod('shop', 'cart', {name: 'cart-0', ips: [], sidecar: 'none', ready: false})
          ]
        }
      },
      {
        'workload/shop.cart/addresses': 'ipv4, ipv6; none',
        'workload/shop.cart/sidecar': 'istio-proxy; none'
      }
    ],
    [
      'a Service without pods',
      {target: {pods: [], slices: []}},
      {
        'workload/shop.cart/addresses': 'no pod',
        'endpoints/shop.cart/ipv4': 'none',
        'endpoints/shop.cart/ipv6': 'none'
      }
    ],
    [
      'a slice that is gone',
      {target: {slices: slices.slice(0, 1)}},
      {'endpoints/shop.cart/ipv6': 'none'}
    ],
    [
      'a stale endpoint',
      {
        target: {
          slices: [...slices, slice('shop', 'IPv4', ['10.244.0.99'], true, 'cart')]
        },
        again: {slices: [...slices, slice('shop', 'IPv4', ['10.244.0.99'], true, 'cart')]}
      },
      {'endpoints/shop.cart/ipv4': '10.244.0.6, 10.244.0.99'}
    ],
    [
      'a proxy that listens on one family',
      {listeners: listening(...served.filter(([address]) => address !== '::'), ['::', 8080])},
      {'proxy/shop.cart/listeners': 'not on [::]:15001, [::]:15006, [::]:15021, [::]:15090'}
    ],
    [
      'a ClusterIP that it does not serve',
      {listeners: listening(...served.filter(([address]) => address !== 'fd00:10:96::6'))},
      {'proxy/shop.cart/cluster-ips': 'no listener for [fd00:10:96::6]:9000'}
    ],
    [
      'a family of HTTP that it does not serve',
      {listeners: listening(...served.filter(([, port]) => port !== 8080), ['0.0.0.0', 8080])},
      {'proxy/shop.cart/cluster-ips': 'no listener for [fd00:10:96::6]:8080'}
    ]
  ])('%s', async (_, given, expected) => {
    expect(failures((await look(given)).found)).toEqual(expected);
  });

  test('what only changed between two looks holds', async () => {
    const stale = [...slices, slice('shop', 'IPv4', ['10.244.0.99'], true, 'cart')];
    const {found} = await look({target: {slices: stale}, again: {slices}});
    expect(failures(found)).toEqual({});
  });

  test('the second address may come first, and other clusters’ endpoints beside ours', async () => {
    const dump = endpoints([9000, 8080], both('6').reverse(), ['192.0.2.1']);
    expect(failures((await look({dump})).found)).toEqual({});
  });
});

describe('what cannot be asked', () => {
  const proxies = (reason: string) =>
    ['listeners', 'cluster-ips', 'endpoints'].map(aspect => [`proxy/shop.cart/${aspect}`, reason]);

  test.each<[string, Given, [string, string][]]>([
    [
      'pods without a sidecar',
      {target: {pods: [pod('shop', 'cart', {ips: both('6'), sidecar: 'none'})]}},
      [
        ['workload/shop.cart/sidecar', 'its pods have no sidecar'],
        ...(proxies('its pods have no sidecar') as [string, string][])
      ]
    ],
    [
      'a namespace in which nobody may exec',
      {silent: ['shop']},
      proxies('this kubeconfig may not exec into pods of shop') as [string, string][]
    ],
    [
      'a proxy that does not answer',
      {listeners: {code: 1, stderr: 'error: denied by a webhook\n'}},
      proxies(
        'cannot read its proxy: `kubectl exec --namespace` ended with exit code 1: error: denied by a webhook'
      ) as [string, string][]
    ],
    [
      'one that answers something else',
      {dump: 'hello'},
      proxies(
        'cannot read its proxy: `kubectl exec --namespace` ended with exit code 0: invalid JSON: hello'
      ) as [string, string][]
    ],
    [
      'a Service that its own proxy is not told of',
      {dump: '{}'},
      ['cluster-ips', 'endpoints'].map(aspect => [
        `proxy/shop.cart/${aspect}`,
        'its proxy has no cluster for this Service (a Sidecar resource or `exportTo` can exclude it)'
      ])
    ]
  ])('%s is skipped, and says why', async (_, given, expected) => {
    const {found} = await look(given);
    expect(failures(found)).toEqual({});
    expect(skips(found).sort()).toEqual([...expected].sort());
  });

  test('a headless Service has no ClusterIP that a proxy could serve', async () => {
    const headless = cart({clusterIPs: ['None'], ipFamilies: ['IPv6', 'IPv4']});
    const {found} = await look({target: {service: headless}});
    expect(failures(found)).toEqual({});
    expect(Object.keys(found)).toContain('proxy/shop.cart/listeners');
    expect(Object.keys(found)).not.toContain('proxy/shop.cart/endpoints');
  });

  test('a Service without a selector has the endpoints that somebody gave it', async () => {
    const {selector: _, ...spec} = cart().spec;
    const bare = {...cart(), spec};
    const {found} = await look({target: {service: bare, pods: []}});
    expect(failures(found)).toEqual({});
    expect(Object.keys(found).map(id => id.split('/')[0])).not.toContain('workload');
    const half = await look({target: {service: bare, pods: [], slices: slices.slice(0, 1)}});
    expect(failures(half.found)).toEqual({'endpoints/shop.cart/ipv6': 'none'});
  });

  test('pods that are not ready count where the Service publishes them', async () => {
    const early = [pod('shop', 'cart', {ips: both('6'), ready: false})];
    const publishing = cart({publishNotReadyAddresses: true});
    const {found} = await look({target: {service: publishing, pods: early}});
    expect(failures(found)).toEqual({});
    expect(skips(found).map(([, reason]) => reason)).toContain('no pod with a sidecar is ready');
  });
});

test('a Service is read by its selector, without pods that are over', async () => {
  const over = {...pod('shop', 'cart', {name: 'job'}), status: {phase: 'Succeeded'}};
  const leaving = pod('shop', 'cart', {name: 'old', terminating: true});
  const sh = fakeSh({
    'kubectl get pods -n shop -l app=cart,tier=web -o json': JSON.stringify({
      items: [...pods, over, leaving]
    }),
    'kubectl get endpointslices.discovery.k8s.io -n shop -l kubernetes.io/service-name=cart -o json':
      JSON.stringify({items: slices})
  });
  expect(await readTarget(cart({selector: {app: 'cart', tier: 'web'}}), sh)).toMatchObject({
    pods,
    slices
  });
});

describe('the targets', () => {
  const services = [cart(), cart({}, 'till'), cart({type: 'ExternalName'}, 'bank')];
  const chosen = (text: string, more = services) =>
    chooseTargets(parseTargets(text), {denied: [], services: more}).map(
      ({metadata}) => metadata.name
    );

  test.each([
    ['shop/cart', ['cart']],
    ['shop/till,\n shop/cart shop/till', ['till', 'cart']],
    ['shop/*', ['cart', 'till']],
    ['shop/till,shop/*', ['till', 'cart']]
  ])('%j are %j', (text, expected) => expect(chosen(text)).toEqual(expected));

  test.each([
    [
      'shop/nope,shop/bank',
      'Invalid `targets` "shop/nope": expected an existing Service with addresses; this one does not exist (Services in shop: cart, till, bank)\nInvalid `targets` "shop/bank": expected an existing Service with addresses; this one is an ExternalName, without addresses (Services in shop: cart, till, bank)'
    ],
    [
      'nowhere/*',
      'Invalid `targets` "nowhere/*": expected a namespace with at least one Service that has addresses'
    ],
    [
      'nowhere/x',
      'Invalid `targets` "nowhere/x": expected an existing Service with addresses; this one does not exist (Services in nowhere: none)'
    ]
  ])('%s is refused', (text, message) => {
    expect(() => chosen(text)).toThrow(expect.objectContaining({message}));
    expect(() => chosen(text)).toThrow(
      expect.objectContaining({attribution: expect.objectContaining({class: 'input'})})
    );
  });

  test('more than can be told are refused', () => {
    const many = Array.from({length: 101}, (_, at) => cart({}, `s${at}`));
    expect(() => chosen('shop/*', many)).toThrow(
      /^Invalid `targets`: expected at most 100 Services, but they select 101/
    );
  });

  test('what may not be read is refused, each with its namespace', () => {
    const denied = [{verb: 'list', resource: 'pods', namespace: 'shop'}];
    expect(() => chooseTargets(parseTargets('shop/cart'), {denied, services})).toThrow(
      /^Invalid `kubeconfig`: expected a user that may list pods in shop /
    );
  });
});

describe('the survey of targets', () => {
  const surveyed = async (allowed: (right: string, namespace: string) => boolean) => {
    const sh = fakeSh(([, verb, what]) => {
      if (verb === 'version') return '{"serverVersion": {"gitVersion": "v1.34.4"}}';
      if (verb === 'get' && what === 'services') return JSON.stringify({items: [cart()]});
      const file = path.join(runner.directory, 'rights.yaml');
      return parseAllDocuments(fs.readFileSync(file, 'utf8'))
        .map(one => one.toJS().spec.resourceAttributes)
        .map(({verb, resource, subresource, namespace}) => {
          const what = subresource === undefined ? resource : `${resource}/${subresource}`;
          return `${allowed(`${verb} ${what}`, namespace)}\n`;
        })
        .join('');
    });
    const found = await surveyTargets(
      parseTargets('shop/cart,shop/till,bank/*'),
      runner.directory,
      sh
    );
    return {found, calls: sh.calls};
  };

  test('asks only for what it reads, in those namespaces alone', async () => {
    const asked: string[] = [];
    const {found, calls} = await surveyed((right, namespace) => {
      asked.push(`${right} in ${namespace}`);
      return true;
    });
    expect(asked).toEqual([
      ...['list services', 'list pods', 'list endpointslices'].map(one => `${one} in shop`),
      ...['list services', 'list pods', 'list endpointslices'].map(one => `${one} in bank`),
      'create pods/exec in shop',
      'create pods/exec in bank'
    ]);
    expect(found).toMatchObject({kubernetes: 'v1.34.4', denied: [], noExecNamespaces: []});
    expect(found.services).toHaveLength(2);
    expect(calls.filter(call => call.startsWith('kubectl get'))).toEqual([
      'kubectl get services -n shop -o json',
      'kubectl get services -n bank -o json'
    ]);
  });

  test('reads nothing where something may not be read', async () => {
    const {found, calls} = await surveyed(
      (right, namespace) => right !== 'list services' || namespace !== 'bank'
    );
    expect(found.denied).toMatchObject([{verb: 'list', resource: 'services', namespace: 'bank'}]);
    expect(calls.filter(call => call.startsWith('kubectl get'))).toEqual([]);
  });
});

describe('the run', () => {
  const ran = async (given: Record<string, string>, answers: Answer = '') => {
    const bin = path.join(runner.directory, 'bin');
    fs.mkdirSync(bin, {recursive: true});
    fs.writeFileSync(path.join(bin, 'kubectl'), '', {mode: 0o755});
    process.env.PATH = `${bin}:${process.env.PATH}`;
    const sh = fakeSh(([program, verb, what, ...rest]) => {
      if (program !== 'kubectl' || verb === 'version')
        return rest.length === 0 && what === '-o'
          ? '{"serverVersion": {"gitVersion": "v1.34.4"}, "clientVersion": {"gitVersion": "v1.37.0"}}'
          : '{"serverVersion": {"gitVersion": "v1.34.4"}, "clientVersion": {"gitVersion": "v1.37.0"}}';
      if (verb === 'config') return 'contexts:\n- name: admin\n  context: {cluster: prod}\n';
      if (verb === 'create') return 'true\n'.repeat(4);
      if (verb === 'exec') return rest.join().includes('listeners') ? listening(...served) : known;
      if (what === 'services') return answers || JSON.stringify({items: [cart()]});
      return JSON.stringify({items: what === 'pods' ? pods : slices});
    });
    const run = createRunContext(sh, () => {});
    run.inputs = inputsOf({
      cluster: 'existing',
      'kubectl-version': 'path',
      targets: 'shop/cart',
      ...given
    });
    run.directory = runner.directory;
    await run.schedule.run(buildTargetPhases(run, run.inputs.targets ?? []));
    return {run, calls: sh.calls};
  };

  test('tells each row, and no command changes anything', async () => {
    const {run, calls} = await ran({});
    expect(run.schedule.errors).toEqual([]);
    expect(run.ledger.getEvaluatedChecks().map(({verdict}) => verdict)).toEqual(
      Array(9).fill('passed')
    );
    const verbs = new Set(calls.map(call => call.split(' ').slice(0, 3).join(' ')));
    expect(
      [...verbs].filter(
        verb => !/^kubectl (get|exec|version|config view|create --validate=false)/.test(verb)
      )
    ).toEqual([]);
    const made = calls.filter(call => call.includes('create'));
    expect(made).toHaveLength(1); // questions about rights
    expect(fs.readFileSync(made[0]?.split(' ')[4] ?? '', 'utf8').match(/^kind: .*/gm)).toEqual(
      Array(4).fill('kind: SelfSubjectAccessReview')
    );
  });

  test('checks leaves out', async () => {
    const {run} = await ran({checks: '!^proxy/'});
    expect(new Set(run.ledger.getEvaluatedChecks().map(({layer}) => layer))).toEqual(
      new Set(['workload', 'service', 'endpoints'])
    );
  });

  test('a set that leaves nothing is refused', async () => {
    const {run} = await ran({checks: '^echo/'});
    expect(String(run.schedule.errors[0]?.error)).toContain(
      'no check matches; expected an expression that selects at least one'
    );
  });
});

describe('beside targets', () => {
  test.each([
    [
      {targets: 'shop/cart'},
      /^Invalid `targets` "shop\/cart": expected no value with `cluster: kind`; this input needs `cluster: existing`/
    ],
    [
      {cluster: 'existing', targets: 'shop/cart', 'istio-version': '1.30', 'dry-run': 'true'},
      /^Invalid `istio-version` "1.30": expected no value with `targets`, which can be combined only with `cluster`, `kubeconfig`, `context`, `kubectl-version`, `checks`, `timeout`, `results-dir`, `mirror`\nInvalid `dry-run` "true": expected no value with `targets`/
    ],
    [
      {cluster: 'existing', targets: 'shop/cart', 'kind-version': 'path'},
      /^Invalid `kind-version` "path": expected no value with `cluster: existing`; .*`cluster: kind`$/
    ]
  ])('%j is refused', (given, message) => {
    expect(() => inputsOf(given)).toThrow(message);
  });
});

describe('the reports', () => {
  const rows = createTargetChecks([cart(), cart({}, 'till'), cart({}, 'bank')]).flatMap(
    ({definitions}) => definitions
  );
  /** Results in which the policies of these Services are red. */
  const reported = (...red: string[]) => {
    const checks = rows.map(({attribution: _, independent: __, ...row}) =>
      check(row.id, {
        ...row,
        ...(row.id.endsWith('/policy') && red.includes(row.target)
          ? {verdict: 'failed' as const, reason: 'SingleStack', reproduce: 'kubectl get service'}
          : {})
      })
    );
    const {failure} = diagnose({
      ending: 'done',
      errors: [],
      phases: [],
      checks: checks.map(one => ({...rows.find(({id}) => id === one.id), ...one})),
      attributions: layerAttributions,
      failOnFlaky: false,
      existing: true,
      lostNode: null
    });
    return passed({
      checks,
      failure,
      result: failure === null ? 'passed' : 'failed',
      inputs: {cluster: 'existing', targets: 'shop/*'}
    });
  };

  test.each([
    [[], 'All targets are dual-stack'],
    [['shop.till'], 'The Service shop/till is not dual-stack'],
    [['shop.till', 'shop.bank'], '2 of 3 targets are not dual-stack: shop/till, shop/bank']
  ])('red are %j: %s', (red, words) => {
    expect(buildHeadline(reported(...red)).words).toBe(words);
  });

  test('name no script: there is nothing to make again', () => {
    const results = reported('shop.till');
    for (const text of [
      renderSummary(results),
      renderHtml(results),
      formatLogEnd(results, '/results').join('\n'),
      JSON.stringify(buildAnnotations(results))
    ]) {
      expect(text).toContain('kubectl get service');
      expect(text).not.toContain('reproduce.sh');
    }
  });

  test('show the endpoints of each target', () => {
    const text = renderSummary(reported());
    expect(text).toContain('| target | IPv4 | IPv6 |');
    expect(text).toContain('| Endpoints of `shop.cart` |');
  });
});

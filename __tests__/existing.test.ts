import {spawnSync} from 'node:child_process';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {parse, parseAllDocuments} from 'yaml';
import {collectSamples, selectDefinitions} from '../src/checks/catalogue.ts';
import {Ledger} from '../src/checks/ledger.ts';
import {filterApplicable, listSkippedChecks} from '../src/checks/skip-on-existing.ts';
import {collectDiagnostics} from '../src/phases/diagnostics.ts';
import {
  type ClusterSurvey,
  describeInstalledChart,
  type ExistingCluster,
  planExistingCluster,
  refuseExistingNamespaces
} from '../src/plan/existing-cluster.ts';
import {buildPlan, type Plan} from '../src/plan/plan.ts';
import {renderScript} from '../src/reports/script.ts';
import {buildExistingClusterPhases} from '../src/run/existing-cluster-phases.ts';
import {listSnapshotScopes} from '../src/run/graph.ts';
import {createRunContext, type RunContext} from '../src/run/run-context.ts';
import {eachOnRunner, fakeSh, fakeWork, give} from './fake.ts';
import {chart, inputsOf} from './planned.ts';
import {passed} from './sample-results.ts';

const runner = eachOnRunner();

/** A dual-stack cluster with nothing of Istio in it. */
const bare: ClusterSurvey = {
  context: 'admin',
  name: 'prod',
  kubernetes: 'v1.34.4',
  families: ['ipv6', 'ipv4'],
  refused: '',
  denied: [],
  openshift: false,
  gatewayApi: false,
  namespaces: [{name: 'default', labels: {}}],
  operators: [],
  istiods: [],
  istios: [],
  cni: false,
  injectors: [],
  podsRequestingSidecar: [],
  configMaps: ['shop/istio-ca-root-cert'],
  strict: []
};
const operator = {
  namespace: 'operators',
  name: 'sail-operator',
  image: 'quay.io/sail-dev/sail-operator:1.30.3',
  annotations: {'images.v1_30_3.istiod': 'a', 'images.v1_29_6.istiod': 'b'},
  crd: ''
};
const istiod = (revision: string, version = '1.30.3') => ({
  namespace: 'istio-system',
  name: revision === 'default' ? 'istiod' : `istiod-${revision}`,
  revision,
  image: `registry.istio.io/release/pilot:${version}-distroless`
});
const meshed: Partial<ClusterSurvey> = {
  istiods: [istiod('default'), istiod('canary', '1.29.6')],
  injectors: [
    {revision: 'default', tag: null},
    {revision: 'canary', tag: null},
    {revision: 'canary', tag: 'stable'}
  ]
};

const decided = (
  given: Record<string, string> = {},
  found: Partial<ClusterSurvey> = {}
): ExistingCluster => {
  give({cluster: 'existing', ...given});
  return planExistingCluster(inputsOf({cluster: 'existing', ...given}), {...bare, ...found});
};

describe('what is there is used, and what is not is installed', () => {
  test.each<[string, Partial<ClusterSurvey>, ExistingCluster['installs']]>([
    ['nothing', {}, {operator: true, istio: true}],
    ['an operator', {operators: [operator]}, {operator: false, istio: true}],
    ['a mesh without an operator', meshed, {operator: false, istio: false}],
    ['both', {...meshed, operators: [operator]}, {operator: false, istio: false}]
  ])('%s', (_, found, installs) => {
    expect(decided({}, found).installs).toEqual(installs);
  });

  test.each([
    ['istio-injection=enabled', 'istiod', 'v1.30.3'],
    ['istio.io/rev=default', 'istiod', 'v1.30.3'],
    ['istio.io/rev=canary', 'istiod-canary', 'v1.29.6'],
    ['istio.io/rev=stable', 'istiod-canary', 'v1.29.6'] // a tag
  ])('%s is the mesh of %s, %s', (label, name, version) => {
    expect(decided({'injection-label': label}, meshed).mesh).toMatchObject({name, version});
  });

  test('a default tag wins over the default revision, as its webhook does', () => {
    const injectors = [
      {revision: 'default', tag: null},
      {revision: 'canary', tag: 'default'}
    ];
    expect(decided({}, {...meshed, injectors}).mesh?.name).toBe('istiod-canary');
  });

  test('the Istio resource is the one of the revision', () => {
    const istios = [
      {name: 'other', version: 'v1.30.3'},
      {name: 'canary', version: 'v1.29.6'}
    ];
    const label = {'injection-label': 'istio.io/rev=canary'};
    expect(decided(label, {...meshed, istios}).mesh?.resource).toBe('canary');
    expect(decided({}, {...meshed, istios}).mesh?.resource).toBeNull();
  });

  test.each(['1.30.3', 'v1.30.3', '1.30'])('istio-version %s is what is there', version => {
    expect(decided({'istio-version': version}, meshed).mesh?.version).toBe('v1.30.3');
  });
});

describe('refused', () => {
  test.each<[string, Record<string, string>, Partial<ClusterSurvey>, RegExp]>([
    [
      'a right that is lacking',
      {},
      {denied: [{verb: 'create', resource: 'namespaces'}]},
      /^Invalid `kubeconfig`: expected a user that may create namespaces/
    ],
    [
      'a right to install',
      {},
      {denied: [{verb: 'create', resource: 'secrets', for: 'operator'}]},
      /expected a user that may create secrets/
    ],
    [
      'a label that nobody answers',
      {'injection-label': 'istio.io/rev=none'},
      meshed,
      /^Invalid `injection-label` .*expected a label by which a mesh in this cluster injects: `istio-injection=enabled`, `istio.io\/rev=default`, `istio.io\/rev=canary`, `istio.io\/rev=stable`$/
    ],
    [
      'a mesh that is broken',
      {},
      {istios: [{name: 'default', version: 'v1.30.3'}]},
      /^Invalid `cluster` "existing": .* the Istio resource default has no istiod Deployment/
    ],
    [
      'another version of Istio',
      {'istio-version': '1.29'},
      meshed,
      /^Invalid `istio-version` "1.29": expected v1\.30\.3/
    ],
    [
      'values for a mesh that is used',
      {'istio-values': 'a: b', 'istio-cni': 'true'},
      meshed,
      /^Invalid `istio-values`: .*istio-system\/istiod.*\nInvalid `istio-cni`: /
    ],
    [
      'a chart where there is an operator',
      {'operator-version': '1.30.3'},
      {operators: [operator]},
      /^Invalid `operator-version`: .*the existing operators\/sail-operator unchanged/
    ],
    [
      'namespaces that a new mesh would inject into',
      {},
      {namespaces: [{name: 'shop', labels: {'istio-injection': 'enabled'}}]},
      /^Invalid `cluster` "existing": expected a mesh, .* Namespace shop would get/
    ],
    [
      'pods too',
      {},
      {podsRequestingSidecar: ['a/b', 'a/c']},
      /Pod a\/b and 1 more would get sidecars/
    ]
  ])('%s', (_, given, found, message) => {
    expect(() => decided(given, found)).toThrow(message);
  });

  test('not a right that is not needed', () => {
    const denied = [{verb: 'create', resource: 'secrets', for: 'operator' as const}];
    expect(() => decided({}, {operators: [operator], denied})).not.toThrow();
  });

  test('a namespace of ours that is somebody’s, or another run’s', () => {
    const {files} = planned();
    const namespaces: ClusterSurvey['namespaces'] = [
      {name: 'sleep', labels: {}},
      {name: 'plain', labels: {'dual-stack-check/run': 'theirs'}},
      {name: 'shop', labels: {}}
    ];
    expect(() => refuseExistingNamespaces(files['namespaces.yaml'] ?? '', {namespaces})).toThrow(
      /^Invalid `cluster` "existing": expected no namespace sleep, plain \(from run theirs\), which this run creates/
    );
    expect(() => refuseExistingNamespaces(files['namespaces.yaml'] ?? '', bare)).not.toThrow();
  });
});

/** The plan in a cluster where that was found. */
function planned(found: Partial<ClusterSurvey> = {}, given: Record<string, string> = {}): Plan {
  const existing = decided(given, found);
  const of = existing.installs.operator ? chart : describeInstalledChart(existing);
  return buildPlan(inputsOf({cluster: 'existing', ...given}), of, null, '/work', '', [], existing);
}
const namesIn = (text = '') =>
  parseAllDocuments(text).map(one => one.toJS() as {metadata: {name: string; labels: object}});

describe('the plan', () => {
  test('is of the cluster that was found', () => {
    const {cluster, files} = planned();
    expect(cluster).toMatchObject({
      name: 'prod',
      context: 'admin',
      families: ['ipv6', 'ipv4'],
      nodes: [],
      kubernetes: '1.34.4'
    });
    expect(files).not.toHaveProperty('kind.yaml');
  });

  test('every namespace and resource has the label of the run', () => {
    const {files, existing} = planned({openshift: true});
    const run = {'dual-stack-check/run': existing?.run};
    const made = [...namesIn(files['namespaces.yaml']), ...namesIn(files['istio.yaml'])];
    for (const {metadata} of made) expect(metadata.labels).toMatchObject(run);
    expect(made.map(({metadata}) => metadata.name)).toEqual([
      ...['sail-operator', 'istio-system', 'istio-cni'], // OpenShift
      ...['dual-stack', 'ipv4', 'ipv6', 'sleep', 'plain'],
      ...['default', 'default']
    ]);
    const istio = namesIn(files['istio.yaml']).at(-1) as unknown as {spec: {values: object}};
    expect(istio.spec.values).toMatchObject({
      meshConfig: {discoverySelectors: [{matchLabels: run}]}
    });
  });

  test.each<[string, Partial<ClusterSurvey>, string[]]>([
    ['an operator', {operators: [operator]}, ['istio-system']],
    ['a mesh', meshed, []]
  ])('with %s no namespace is made for it', (_, found, installed) => {
    const names = namesIn(planned(found).files['namespaces.yaml']).map(
      ({metadata}) => metadata.name
    );
    expect(names).toEqual([...installed, 'dual-stack', 'ipv4', 'ipv6', 'sleep', 'plain']);
  });

  test('an operator that is there says what it can install', () => {
    const found = {operators: [operator]};
    expect(planned(found, {'istio-version': '1.29'}).istio.requestedVersion).toBe('v1.29.6');
    expect(() => planned(found, {'istio-version': '1.28'})).toThrow(/v1\.30\.3, v1\.29\.6/);
  });

  test('an IstioCNI that is there is used', () => {
    const {files, istio} = planned({cni: true}, {'istio-cni': 'true'});
    expect(istio.cni).toBe(true);
    expect(parse(files['istio.yaml'] ?? '').kind).toBe('Istio');
  });

  test('pods of others are not asked for: a large cluster has more than a command may write', () => {
    const scopes = listSnapshotScopes(planned(meshed)).map(scope => scope.join(' '));
    expect(scopes).toEqual([
      ...['istio-system', 'dual-stack', 'ipv4', 'ipv6', 'sleep', 'plain'].map(
        name => `deployments,pods,endpointslices -n ${name}`
      ),
      'services -A',
      'nodes'
    ]);
    const kind = buildPlan(inputsOf(), chart, null, '/work', 'v0.33.0');
    expect(listSnapshotScopes(kind)).toEqual([
      ['nodes,deployments,pods,services,endpointslices', '-A']
    ]);
  });

  test('the kind cluster’s manifests have no label of ours', () => {
    const {files} = buildPlan(inputsOf(), chart, null, '/work', 'v0.33.0');
    expect(Object.values(files).join()).not.toContain('dual-stack-check/run');
  });
});

describe('the script', () => {
  const text = (found: Partial<ClusterSurvey> = {}) => renderScript(planned(found), passed());

  test('makes no cluster and asks no Docker, and refuses another one than that of the run', () => {
    expect(text()).not.toMatch(/\b(kind create|kind delete|docker )/);
    expect(text()).toContain('[ "$(kubectl config current-context)" = admin ] || ');
  });

  test('takes no namespace that is there, and removes the release only from its own', () => {
    expect(text()).toContain(`step 'the namespaces' kubectl create -f "$work"/namespaces.yaml`);
    const [uninstall] = text()
      .split('\n')
      .filter(line => line.includes('helm uninstall'));
    expect(uninstall).toMatch(
      /^ +kubectl get namespaces -l dual-stack-check\/run=\S+ -o name \| grep/
    );
  });

  test('installs nothing where there is a mesh', () => {
    expect(text(meshed)).not.toMatch(/helm (un)?install|istio\.yaml"$|step Istio/m);
  });

  test('is bash', () => {
    for (const found of [{}, meshed]) {
      const {status, stderr} = spawnSync('bash', ['-n'], {input: text(found), encoding: 'utf8'});
      expect({status, stderr}).toEqual({status: 0, stderr: ''});
    }
  });
});

describe('the checks', () => {
  const reasons = (found: Partial<ClusterSurvey>) =>
    Object.fromEntries(
      listSkippedChecks(
        filterApplicable(
          {cluster: 'existing', 'operator-chart': null, 'istio-cni': 'true'},
          selectDefinitions(null)
        ),
        decided({}, found)
      ).map(({id, reason}) => [id, reason])
    );

  test('what needs Docker or the nodes is left out, with its reason', () => {
    const all = Object.keys(reasons({}));
    const isOfImage = (id: string) => /\/image-ids?$/.test(id);
    expect(all.filter(isOfImage)).toEqual([
      'operator/sail-operator/image-id',
      'control-plane/istiod/image-id',
      'workload/all/image-ids'
    ]);
    const ids = all.filter(id => !isOfImage(id));
    expect(new Set(ids.map(id => id.split('/')[0]))).toEqual(
      new Set(['runner', 'network', 'node', 'failover', 'proxy', 'cni', 'headless', 'gateway'])
    );
    expect(new Set(ids.flatMap(id => /^headless\/([^/]*)/.exec(id)?.[1] ?? []))).toEqual(
      new Set(['host-network'])
    );
    expect(ids).not.toContain('node/all/ready');
    expect(ids.filter(id => /^proxy/.test(id)).every(id => /\/iptables$/.test(id))).toBe(true);
    expect(ids).not.toContain('xds/istiod/rejects');
    expect(Object.keys(reasons(meshed))).toContain('xds/istiod/rejects');
  });

  test('the Gateway API is asked for where it is served, and is not brought along', () => {
    const ofApi = (gatewayApi: boolean) =>
      Object.keys(reasons({gatewayApi})).filter(id => id.startsWith('gateway/'));
    expect(ofApi(true)).toEqual([]);
    expect(ofApi(false)).toEqual(
      selectDefinitions(null).flatMap(({id}) => (id.startsWith('gateway/api/') ? [id] : []))
    );
    const madeOf = (gatewayApi: boolean) => {
      const plan = buildPlan(
        inputsOf({cluster: 'existing'}),
        chart,
        null,
        '/work',
        '',
        collectSamples(selectDefinitions(null)),
        decided({}, {gatewayApi})
      );
      return [plan.gatewayApi, /kind: Gateway\n/.test(plan.files['more-samples.yaml'] ?? '')];
    };
    expect(madeOf(true)).toEqual([false, true]);
    expect(madeOf(false)).toEqual([false, false]);
  });

  test('of a mesh without an operator, what asks for one', () => {
    const ids = Object.keys(reasons(meshed));
    expect(ids).toContain('operator/sail-operator/available');
    expect(ids).toContain('control-plane/istio/healthy');
    expect(ids).not.toContain('control-plane/istiod/dual-stack');
  });

  test('plaintext to a sidecar, where the mesh is STRICT', () => {
    const found = {...meshed, strict: ['istio-system', 'shop']};
    expect(reasons(found)['mtls/dual-stack/ipv4-control']).toMatch(/in istio-system is STRICT/);
    expect(reasons(found)).not.toHaveProperty('mtls/dual-stack/ipv4-refused');
    for (const layer of ['http', 'headless'])
      expect(Object.keys(reasons(found)).some(id => id.startsWith(`${layer}/`))).toBe(true);
    expect(reasons({...meshed, strict: ['shop']})).not.toHaveProperty(
      'mtls/dual-stack/ipv4-control'
    );
  });

  test.each([
    ['true', true],
    ['false', false],
    ['auto', false]
  ] as const)('IstioCNI is asked for what it does where it was asked for: %s', (cni, expected) => {
    const given = {cluster: 'kind', 'operator-chart': null, 'istio-cni': cni} as const;
    expect(
      filterApplicable(given, selectDefinitions(null)).some(({layer}) => layer === 'cni')
    ).toBe(expected);
  });

  test('a kind cluster is not asked for what its nodes tell', () => {
    expect(
      filterApplicable({cluster: 'kind', 'operator-chart': null}, selectDefinitions(null)).map(
        ({id}) => id
      )
    ).not.toContain('node/service/families');
    expect(
      filterApplicable({cluster: 'existing', 'operator-chart': null}, selectDefinitions(null)).map(
        ({id}) => id
      )
    ).toContain('node/service/families');
  });

  test('what is left out stays so', () => {
    const ledger = new Ledger();
    ledger.selected = selectDefinitions(null);
    ledger.markSkipped('failover/dual-stack/ipv4', 'why');
    ledger.report('failover/dual-stack/ipv4', {observed: '', verdict: 'failed'});
    expect(ledger.getSelected('failover').map(({id}) => id)).toEqual(['failover/dual-stack/ipv6']);
    expect(
      ledger.getEvaluatedChecks().find(({id}) => id === 'failover/dual-stack/ipv4')
    ).toMatchObject({
      verdict: 'skipped',
      reason: 'why'
    });
  });
});

test.each<[string, Record<string, string>, Partial<ClusterSurvey>]>([
  ['nothing of Istio', {'istio-cni': 'true'}, {}],
  ['IstioCNI, and no mesh', {'istio-cni': 'true'}, {cni: true}],
  ['a mesh', {}, meshed]
])('the script writes what it applies: %s', (_, given, found) => {
  const text = renderScript(planned(found, given), passed());
  const applied = [...text.matchAll(/-f "\$work"\/(\S+)/g)].map(([, name]) => name);
  expect(applied.length).toBeGreaterThan(3);
  for (const name of applied) expect(text).toContain(`cat >"$work/${name}" <<`);
});

test('diagnostics are of the operator and of the mesh that are there', async () => {
  const sh = fakeSh(() => '');
  const elsewhere = {...istiod('default'), namespace: 'mesh-system'};
  const injectors = [{revision: 'default', tag: null}];
  const plan = planned({operators: [operator], istiods: [elsewhere], injectors});
  await collectDiagnostics(plan, path.join(runner.directory, 'diagnostics'), 5, sh);
  expect(sh.calls).toContain('kubectl logs -n operators deployment/sail-operator --tail=2000');
  expect(sh.calls).toContain('kubectl logs -n mesh-system -l app=istiod --tail=2000');
});

describe('the phases', () => {
  /** Of a run in a cluster where that was found. */
  function graph(found: Partial<ClusterSurvey> = {}, answers: Parameters<typeof fakeSh>[0] = {}) {
    const saved: object[] = [];
    const plan = planned(found);
    const run: RunContext = createRunContext(fakeSh(answers), change => saved.push(change));
    run.inputs = inputsOf({cluster: 'existing'});
    run.ledger.selected = filterApplicable(
      {cluster: 'existing', 'operator-chart': null},
      selectDefinitions(null)
    );
    const existing = plan.existing as ExistingCluster;
    for (const {id, reason} of listSkippedChecks(run.ledger.selected, existing))
      run.ledger.markSkipped(id, reason);
    const list = buildExistingClusterPhases(run, plan, existing);
    const phase = (name: string) => list.find(one => one.name === name);
    const earlier = (name: string): string[] =>
      (phase(name)?.needs ?? []).flatMap(need => [need, ...earlier(need)]);
    return {list, saved, phase, earlier, existing};
  }

  test.each<[string, Partial<ClusterSurvey>]>([
    ['nothing', {}],
    ['an operator', {operators: [operator]}],
    ['a mesh', meshed]
  ])('with %s: each need is declared before, and nothing is kind’s', (_, found) => {
    const {list} = graph(found);
    const seen = new Set<string>();
    for (const {name, needs} of list) {
      expect(needs.filter(need => !seen.has(need))).toEqual([]);
      expect(name).not.toMatch(/^(cluster|cordon|uncordon|check (runner|network|failover)|images)/);
      seen.add(name);
    }
  });

  test('nothing is made before the cluster is known to be dual-stack', () => {
    const {list, earlier} = graph();
    for (const {name} of list.filter(({name}) => name !== 'check node'))
      expect(earlier(name)).toContain('check node');
  });

  test('Istio comes after the CRDs, and samples after istiod', () => {
    const {earlier} = graph();
    expect(earlier('istio')).toContain('crds');
    expect(earlier('samples')).toEqual(
      expect.arrayContaining(['istiod', 'operator', 'namespaces'])
    );
  });

  test('what is there already is not installed', () => {
    const names = (found: Partial<ClusterSurvey>) => graph(found).list.map(({name}) => name);
    expect(names({operators: [operator]})).toContain('istio');
    expect(names({operators: [operator]})).not.toContain('operator');
    for (const name of ['crds', 'operator', 'istio', 'istiod', 'check operator'])
      expect(names(meshed)).not.toContain(name);
  });

  test('post is told just before something is made', async () => {
    const {phase, saved, existing} = graph({}, () => '');
    const tools: string[] = [];
    await phase('namespaces')?.run(fakeWork());
    await phase('operator')?.run(fakeWork());
    expect(saved).toEqual([
      {
        existing: {
          run: existing.run,
          operator: false,
          configMaps: ['shop/istio-ca-root-cert'],
          tools
        }
      },
      {
        existing: {
          run: existing.run,
          operator: true,
          configMaps: ['shop/istio-ca-root-cert'],
          tools
        }
      }
    ]);
  });

  test('a namespace that has come up since is not taken', async () => {
    const stderr = 'Error from server (AlreadyExists): namespaces "sleep" already exists';
    const {phase} = graph({}, () => ({code: 1, stderr}));
    await expect(phase('namespaces')?.run(fakeWork())).rejects.toMatchObject({
      attribution: {class: 'input'}
    });
  });

  test.each([
    [
      'all are there',
      'Error from server (AlreadyExists): a\nError from server (AlreadyExists): b',
      true
    ],
    [
      'one is refused',
      'Error from server (AlreadyExists): a\nError from server (Forbidden): b',
      false
    ]
  ])('CRDs that are there stay: %s', async (_, stderr, fine) => {
    const done = graph({}, () => ({code: 1, stderr}))
      .phase('crds')
      ?.run(fakeWork());
    if (fine) await expect(done).resolves.toBeUndefined();
    else await expect(done).rejects.toThrow(/Forbidden/);
  });
});

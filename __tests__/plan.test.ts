import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {parse, parseAllDocuments} from 'yaml';
import {Fault} from '../src/base/fault.ts';
import type {ImageOwner} from '../src/base/kube.ts';
import {catalogue, selectDefinitions} from '../src/checks/catalogue.ts';
import {renderBuiltInSamples} from '../src/manifests/documented-samples.ts';
import type {ExtraSample} from '../src/manifests/extra-sample.ts';
import {buildKindConfig} from '../src/manifests/kind.ts';
import {describeHub, findImageOwner} from '../src/plan/plan.ts';
import {getNodeImage} from '../src/versions/kubernetes.ts';
import {clientImage} from '../src/versions/pins.ts';
import type {Chart} from '../src/versions/read-chart.ts';
import {eachOnRunner} from './fake.ts';
import {chart, inputsOf, planOf} from './planned.ts';

eachOnRunner();

const documents = (text = '') => parseAllDocuments(text).map(document => document.toJS());
const kinds = (text = '') =>
  documents(text).map(({kind, metadata: {name, namespace}}) => [kind, namespace, name].join(' '));

/** The built-in echo server's image. */
const echo = 'docker.io/istio/tcp-echo-server:1.3';

describe('the hub of Istio’s images', () => {
  const retired = 'registry.istio.io/release';
  const named = (version: string) => ({
    version,
    istiod: `${retired}/pilot:${version.slice(1)}`,
    proxy: `${retired}/proxyv2:${version.slice(1)}`,
    cni: `${retired}/install-cni:${version.slice(1)}`,
    ztunnel: `${retired}/ztunnel:${version.slice(1)}`
  });
  const offers = ['v1.30.3', 'v1.29.6'].map(named);
  const istioIn = (text = '') => documents(text).find(({kind}) => kind === 'Istio').spec;

  test.each([
    [{}, 'docker.io/istio'],
    [{'istio-hub': 'r.example/cache/istio/'}, 'r.example/cache/istio']
  ])('%j: all images come from %s, in the resources too', (given: Record<string, string>, hub) => {
    const plan = planOf({...given, 'istio-cni': 'true'}, {istioReleases: offers});
    expect(plan.images.istiod).toEqual([`${hub}/pilot:1.30.3`, `${hub}/install-cni:1.30.3`]);
    expect(plan.images.samples).toEqual([
      `${hub}/proxyv2:1.30.3`,
      `${hub}/tcp-echo-server:1.3`,
      clientImage
    ]);
    expect(istioIn(plan.files['istio.yaml']).values).toMatchObject({
      pilot: {image: `${hub}/pilot:1.30.3`},
      global: {proxy: {image: `${hub}/proxyv2:1.30.3`}}
    });
    expect(plan.shownFiles['istio-cni.yaml']).toContain(`image: ${hub}/install-cni:1.30.3`);
    expect(plan.otherNames[`${hub}/pilot:1.30.3`]).toBe(`${retired}/pilot:1.30.3`);
    expect(plan.otherNames[`${hub}/tcp-echo-server:1.3`]).toBe(`${retired}/tcp-echo-server:1.3`);
    expect(describeHub(plan)).toBe(`Istio's images come from ${hub} instead of ${retired}`);
    const input = given['istio-hub'] === undefined ? null : 'istio-hub';
    expect(findImageOwner(plan, `${hub}/pilot:1.30.3`)).toEqual({
      class: input === null ? 'istio' : 'input',
      input
    });
  });

  test('`chart` keeps what the chart names, and a retired hub is then at fault', () => {
    const plan = planOf({'istio-hub': 'chart'}, {istioReleases: offers});
    expect(plan.images.istiod).toEqual([`${retired}/pilot:1.30.3`]);
    expect(istioIn(plan.files['istio.yaml']).values.pilot.image).toBeUndefined();
    expect(plan.images.samples).toContain(echo);
    expect(findImageOwner(plan, `${retired}/pilot:1.30.3`)).toMatchObject({
      class: 'infrastructure',
      retired: expect.stringContaining('`istio-hub`')
    });
  });

  test('an upgrade names the images of both versions', () => {
    const {files, images} = planOf({'upgrade-from': '1.29'}, {istioReleases: offers});
    expect(istioIn(files['istio.yaml']).values.pilot.image).toBe('docker.io/istio/pilot:1.29.6');
    expect(istioIn(files['upgrade.yaml']).values.pilot.image).toBe('docker.io/istio/pilot:1.30.3');
    expect(images.upgrade).toContain('docker.io/istio/proxyv2:1.30.3');
  });

  test('images in `operator-values` take precedence', () => {
    const values = 'deployment: {annotations: {images.v1_30_3.istiod: "mine/pilot:1"}}';
    const plan = planOf({'operator-values': values}, {istioReleases: offers});
    expect(plan.images.istiod).toEqual(['mine/pilot:1']);
    expect(istioIn(plan.files['istio.yaml']).values.pilot.image).toBeUndefined();
    expect(plan.istio.images).toMatchObject({istiod: 'mine/pilot:1'});
  });

  test('with images in `istio-values` nothing is expected of the pods by name', () => {
    const plan = planOf({'istio-values': 'global: {hub: mine}'}, {istioReleases: offers});
    expect(plan.istio.images).toMatchObject({istiod: '', proxy: ''});
    expect(describeHub(plan)).toBe(
      '`istio-values` sets images of Istio; the others come from docker.io/istio'
    );
  });

  test('in samples that are given, Istio’s images are moved too', () => {
    const deployment = (image: string) =>
      `kind: Deployment\nmetadata: {name: x}\nspec: {template: {spec: {containers: [{name: x, image: ${image}}]}}}`;
    const samples = {
      'tcp-echo/tcp-echo-dual-stack.yaml': deployment(`${retired}/tcp-echo-server:1.2`),
      'tcp-echo/tcp-echo-ipv4.yaml': deployment('mine/echo:1'),
      'tcp-echo/tcp-echo-ipv6.yaml': deployment('mine/echo:1'),
      'sleep/sleep.yaml': deployment('mine/curl:1')
    };
    const plan = planOf({}, {istioReleases: offers}, samples);
    expect(plan.images.samples).toContain('docker.io/istio/tcp-echo-server:1.2');
    expect(plan.images.samples).toContain('mine/echo:1');
    expect(
      planOf({'istio-hub': 'chart'}, {istioReleases: offers}, samples).images.samples
    ).toContain(`${retired}/tcp-echo-server:1.2`);
  });
});

describe('makePlan', () => {
  test('says what will be made', () => {
    const {cluster, operator, istio, probes} = planOf();
    expect({cluster, operator, istio, probes}).toEqual({
      cluster: {
        name: 'istio-ds',
        image: getNodeImage('1.36.4'),
        imageInput: null,
        kubernetes: '1.36.4',
        needsCgroup2: true,
        families: ['ipv4', 'ipv6'],
        config: buildKindConfig(['ipv4', 'ipv6'], null, getNodeImage('1.36.4'), true),
        tuned: true,
        nodes: ['istio-ds-control-plane'],
        context: 'kind-istio-ds',
        kubeconfig: path.join('/work', 'kubeconfig')
      },
      operator: {
        namespace: 'sail-operator',
        name: 'sail-operator',
        chart: chart.path,
        crds: chart.crds,
        url: chart.url,
        version: '1.30.3',
        image: chart.image,
        pullPolicy: null,
        values: false
      },
      istio: {
        ...{requestedVersion: null, expected: 'v1.30.3', cni: false, ambient: false},
        ...{namespace: 'istio-system', istiod: 'istiod', resource: 'default'},
        images: {
          istiod: 'registry.example/pilot:1.30.3',
          proxy: 'registry.example/proxyv2:1.30.3',
          cni: 'registry.example/install-cni:1.30.3',
          ztunnel: 'registry.example/ztunnel:1.30.3'
        }
      },
      probes: {retries: 1, seconds: 3}
    });
  });

  test('is the same from run to run', () => expect(planOf()).toEqual(planOf()));

  test('preloads each image once, in the order of need', () => {
    expect(planOf({'istio-cni': 'true'}).images).toEqual({
      operator: ['registry.example/sail-operator:1.30.3'],
      istiod: ['registry.example/pilot:1.30.3', 'registry.example/install-cni:1.30.3'],
      samples: ['registry.example/proxyv2:1.30.3', echo, clientImage],
      upgrade: []
    });
  });

  test('a chart that lists nothing: its images are those that Istio published for that release', () => {
    const plan = planOf({'istio-version': '1.24.6'}, {istioReleases: [], image: null});
    expect(plan.images).toEqual({
      operator: [],
      istiod: ['docker.io/istio/pilot:1.24.6'], // as Istio names it
      samples: ['docker.io/istio/proxyv2:1.24.6', echo, clientImage],
      upgrade: []
    });
    expect(plan.istio).toMatchObject({
      requestedVersion: 'v1.24.6',
      expected: 'v1.24.6',
      cni: false
    });
  });

  test.each([
    ['1.29', 'v1.29.6'],
    ['1.30', 'v1.30.3'],
    ['v1.30.0', 'v1.30.0']
  ])('istio-version %s is %s, in the resource too', (asked, version) => {
    const plan = planOf({'istio-version': asked});
    expect(plan.istio).toMatchObject({requestedVersion: version, expected: version, cni: false});
    expect(parse(plan.files['istio.yaml'] ?? '').spec.version).toBe(version);
    expect(plan.images.istiod).toContain(`registry.example/pilot:${version.slice(1)}`);
  });

  test('the operator runs the image asked for, and says so', () => {
    const plan = planOf({'operator-image': 'localhost:5000/sail:pr-1'});
    expect(plan.operator.image).toBe('localhost:5000/sail:pr-1');
    expect(plan.requestedOperatorImage).toBe('localhost:5000/sail:pr-1');
    expect(plan.images.operator[0]).toBe('localhost:5000/sail:pr-1');
  });

  test('the image in operator-values is the one to expect', () => {
    const {operator} = planOf({'operator-values': 'image: registry.example/other:1'});
    expect(operator.image).toBe('registry.example/other:1');
  });

  test('the operator values are a file of their own', () => {
    const plan = planOf({'operator-values': 'a: {b: "1"}'});
    expect(plan.operator.values).toBe(true);
    expect(parse(plan.files['operator-values.yaml'] ?? '')).toEqual({a: {b: '1'}});
  });

  test('names and families of the cluster', () => {
    const {cluster, files} = planOf({
      'cluster-name': 'mine',
      'ip-families': 'ipv6,ipv4',
      'kind-config': 'nodes: [{role: control-plane}, {role: worker}, {role: worker}]'
    });
    expect(cluster).toMatchObject({
      name: 'mine',
      context: 'kind-mine',
      families: ['ipv6', 'ipv4'],
      nodes: ['mine-control-plane', 'mine-worker', 'mine-worker2']
    });
    expect(parse(files['kind.yaml'] ?? '')).toMatchObject({
      networking: {ipFamily: 'dual', podSubnet: 'fd00:10:244::/56,10.244.0.0/16'},
      nodes: [{role: 'control-plane'}, {role: 'worker'}, {role: 'worker'}]
    });
  });

  test('writes these files, with fixed names', () => {
    const {files} = planOf();
    expect(Object.keys(files).sort()).toEqual([
      'istio.yaml',
      'kind.yaml',
      'namespaces.yaml',
      'plain.yaml',
      'samples.yaml',
      'services.yaml',
      'strict.yaml'
    ]);
    expect(kinds(files['services.yaml']).sort()).toEqual([
      'Service dual-stack tcp-echo',
      'Service ipv4 tcp-echo',
      'Service ipv6 tcp-echo',
      'Service plain tcp-echo'
    ]);
    expect(kinds(files['samples.yaml']).sort()).toEqual([
      'Deployment dual-stack tcp-echo',
      'Deployment ipv4 tcp-echo',
      'Deployment ipv6 tcp-echo',
      'Deployment sleep sleep'
    ]);
    expect(kinds(files['plain.yaml']).sort()).toEqual([
      'Deployment plain sleep',
      'Deployment plain tcp-echo'
    ]);
    expect(kinds(files['istio.yaml'])).toEqual(['Istio  default']);
  });

  describe('what checks need beside the samples', () => {
    const service = 'kind: Service\nmetadata: {name: web}';
    const pods = (image: string | null, app = 'web') =>
      `kind: Deployment\nmetadata: {name: ${app}}\nspec: {template: {metadata: {labels: {app: ${app}}}, spec: {containers: [{image: ${image}}]}}}`;
    const web = (more: Partial<ExtraSample> = {}): ExtraSample => ({
      namespace: 'http',
      sidecars: true,
      manifests: ({proxy}) => [service, pods(proxy)].join('\n---\n'),
      ...more
    });
    const planWith = (...own: ExtraSample[]) => planOf({}, {}, null, own);

    test('is applied at once, or where it has pods after the documentation’s', () => {
      const {files} = planWith(web(), web({namespace: 'bare', sidecars: false}));
      expect(kinds(files['services.yaml'])).toEqual(
        expect.arrayContaining(['Service http web', 'Service bare web'])
      );
      const more = ['Deployment http web', 'Deployment bare web'];
      expect(kinds(files['more-samples.yaml'])).toEqual(more);
      for (const name of ['samples.yaml', 'plain.yaml'])
        expect(kinds(files[name]).filter(kind => more.includes(kind))).toEqual([]);
      expect(planWith().files).not.toHaveProperty(['more-samples.yaml']);
    });

    const unnamed = {version: 'v1.25.1', istiod: '', proxy: '', cni: '', ztunnel: ''};
    test.each<[string, Record<string, string>, Partial<Chart>]>([
      ['a chart of old does not name it', {'istio-hub': 'chart'}, {istioReleases: [unnamed]}],
      ['a chart says nothing', {}, {istioReleases: []}]
    ])('has no pods of the proxy’s image where %s', (_, given, more) => {
      const own = web({manifests: ({proxy}) => (proxy === null ? service : pods(proxy))});
      expect(planOf(given, more, null, [own]).files).not.toHaveProperty(['more-samples.yaml']);
      expect(planWith(own).files).toHaveProperty(['more-samples.yaml']);
    });

    test('has namespaces of its own, labelled where there are to be sidecars; the documentation’s stay as they are', () => {
      const {files} = planWith(
        web(),
        web(),
        web({namespace: 'bare', sidecars: false, labels: {'istio.io/dataplane-mode': 'ambient'}}),
        web({namespace: 'ipv4', sidecars: false})
      );
      const found = documents(files['namespaces.yaml']).map(({metadata}) => metadata);
      expect(found.filter(({name}) => ['http', 'bare', 'ipv4'].includes(name))).toEqual([
        {name: 'ipv4', labels: {'istio-injection': 'enabled'}},
        {name: 'http', labels: {'istio-injection': 'enabled'}},
        {name: 'bare', labels: {'istio.io/dataplane-mode': 'ambient'}}
      ]);
    });

    test('has resources that wait for their CRDs, in a file that is there only then', () => {
      const manifests = () =>
        'apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}';
      expect(kinds(planWith(web({manifests})).files['resources.yaml'])).toEqual([
        'ServiceEntry http a'
      ]);
      expect(planWith(web()).files).not.toHaveProperty('resources.yaml');
    });

    test('has its images preloaded, and its pods waited for', () => {
      const plan = planWith(web({manifests: () => pods('mine/web:1')}));
      expect(plan.images.samples).toContain('mine/web:1');
      expect(plan.extraWorkloads.at(-1)).toEqual({
        namespace: 'http',
        kind: 'Deployment',
        name: 'web',
        app: 'web',
        pods: 1
      });
    });
  });

  describe('of an upgrade', () => {
    const documents = (text = '') => text.split(/^---$/m).map(one => parse(one));
    const of = (given: Record<string, string> = {}) => planOf({'upgrade-from': '1.29', ...given});

    test('in place: the older version, the same resource with the newer, and the images of both', () => {
      const {istio, upgrade, images, files, cluster} = of();
      expect(istio).toMatchObject({
        requestedVersion: 'v1.29.6',
        expected: 'v1.29.6',
        istiod: 'istiod'
      });
      expect(upgrade).toMatchObject({
        strategy: 'InPlace',
        from: 'v1.29.6',
        to: 'v1.30.3',
        revisions: ['default', 'default'],
        istio: {expected: 'v1.30.3', istiod: 'istiod'}
      });
      expect(images.istiod).toEqual(['registry.example/pilot:1.29.6']);
      expect(images.upgrade).toEqual([
        'registry.example/pilot:1.30.3',
        'registry.example/proxyv2:1.30.3'
      ]);
      expect(documents(files['istio.yaml'])).toMatchObject([
        {kind: 'Istio', spec: {version: 'v1.29.6', updateStrategy: {type: 'InPlace'}}}
      ]);
      expect(documents(files['upgrade.yaml'])).toMatchObject([
        {kind: 'Istio', spec: {version: 'v1.30.3', updateStrategy: {type: 'InPlace'}}}
      ]);
      expect(cluster.kubernetes).toBe('1.35.8'); // the newest that both support
    });

    test('by revisions: each has its istiod, and namespaces go by a tag', () => {
      const {istio, upgrade, files, shownFiles} = of({'upgrade-strategy': 'RevisionBased'});
      expect(istio.istiod).toBe('istiod-default-v1-29-6');
      expect(upgrade?.istio.istiod).toBe('istiod-default-v1-30-3');
      expect(documents(files['istio.yaml'])).toMatchObject([{kind: 'Istio'}]);
      expect(documents(files['revision-tag.yaml'])).toMatchObject([
        {
          kind: 'IstioRevisionTag',
          metadata: {name: 'default'},
          spec: {targetRef: {kind: 'Istio', name: 'default'}}
        }
      ]);
      expect(documents(shownFiles['istio.yaml'])).toHaveLength(1);
      expect(documents(shownFiles['revision-tag.yaml'])).toHaveLength(1);
    });

    test('the tag is what injection-label names', () => {
      const given = {'upgrade-strategy': 'RevisionBased', 'injection-label': 'istio.io/rev=prod'};
      expect(documents(of(given).files['revision-tag.yaml'])[0].metadata.name).toBe('prod');
    });

    test('two of everything are to fit on two processors; who knows better says so', () => {
      const requests = (given = {}) =>
        documents(of(given).files['istio.yaml'])[0].spec.values.pilot.resources.requests;
      expect(requests()).toEqual({cpu: '100m', memory: '256Mi'});
      const values = '{pilot: {resources: {requests: {cpu: 1}}}}';
      expect(requests({'istio-values': values})).toEqual({cpu: 1, memory: '256Mi'});
    });

    test('IstioCNI goes with it, after istiod', () => {
      const kinds = documents(of({'istio-cni': 'true'}).files['upgrade.yaml']).map(
        ({kind, spec}) => `${kind} ${spec.version}`
      );
      expect(kinds).toEqual(['Istio v1.30.3', 'IstioCNI v1.30.3']);
    });

    test('without one nothing is there of it', () => {
      const {upgrade, files, images} = planOf();
      expect({upgrade, images: images.upgrade}).toEqual({upgrade: null, images: []});
      expect(Object.keys(files)).not.toContain('upgrade.yaml');
      expect(files['istio.yaml']).not.toContain('updateStrategy');
    });
  });

  test('with IstioCNI there is its namespace and its resource, which comes first', () => {
    const {files, istio} = planOf({'istio-cni': 'true'});
    expect(istio.cni).toBe(true);
    expect(kinds(files['istio.yaml'])).toEqual(['IstioCNI  default', 'Istio  default']);
    expect(kinds(files['namespaces.yaml'])).toContain('Namespace  istio-cni');
    expect(kinds(planOf().files['namespaces.yaml'])).not.toContain('Namespace  istio-cni');
  });

  test('in ambient there are IstioCNI and ZTunnel, their images, and namespaces with its label', () => {
    const {files, istio, images, shownFiles} = planOf({'dataplane-mode': 'ambient'});
    expect(istio).toMatchObject({cni: true, ambient: true});
    const kindsOfIt = ['IstioCNI  default', 'Istio  default', 'ZTunnel  default'];
    expect(kinds(files['istio.yaml'])).toEqual(kindsOfIt);
    expect(
      ['istio-cni.yaml', 'istio.yaml', 'ztunnel.yaml'].flatMap(name => kinds(shownFiles[name]))
    ).toEqual(kindsOfIt);
    expect(images.istiod).toEqual([
      'registry.example/pilot:1.30.3',
      'registry.example/install-cni:1.30.3',
      'registry.example/ztunnel:1.30.3'
    ]);
    expect(
      Object.fromEntries(
        documents(files['namespaces.yaml']).map(({metadata}) => [metadata.name, metadata.labels])
      )
    ).toEqual({
      'istio-system': undefined,
      'istio-cni': undefined,
      ztunnel: undefined,
      ...Object.fromEntries(
        ['dual-stack', 'ipv4', 'ipv6', 'sleep'].map(name => [
          name,
          {'istio.io/dataplane-mode': 'ambient'}
        ])
      ),
      plain: undefined
    });
  });

  test('sidecars are asked for by the label, in the namespaces of the documentation only', () => {
    const {files} = planOf({'injection-label': 'istio.io/rev=canary'});
    expect(
      Object.fromEntries(
        documents(files['namespaces.yaml']).map(({metadata}) => [metadata.name, metadata.labels])
      )
    ).toEqual({
      'istio-system': undefined,
      'dual-stack': {'istio.io/rev': 'canary'},
      ipv4: {'istio.io/rev': 'canary'},
      ipv6: {'istio.io/rev': 'canary'},
      sleep: {'istio.io/rev': 'canary'},
      plain: undefined
    });
  });

  test('the images of the samples can be replaced, in samples that are given too', () => {
    const deployment = (name: string) =>
      `kind: Deployment\nmetadata: {name: ${name}}\nspec: {template: {spec: {containers: [{name: x, image: theirs}]}}}`;
    const samples = {
      'tcp-echo/tcp-echo-dual-stack.yaml': deployment('tcp-echo'),
      'tcp-echo/tcp-echo-ipv4.yaml': deployment('tcp-echo'),
      'tcp-echo/tcp-echo-ipv6.yaml': deployment('tcp-echo'),
      'sleep/sleep.yaml': deployment('sleep')
    };
    const names = (given: Record<string, string>) =>
      planOf(given, {}, samples).images.samples.slice(1);
    expect(names({})).toEqual(['theirs', echo, clientImage]);
    expect(names({'echo-image': 'mine/echo', 'client-image': 'mine/curl'})).toEqual([
      'mine/echo',
      'mine/curl'
    ]);
  });

  test.each([
    ['all', '', catalogue.map(({id}) => id).filter(id => !id.startsWith('uninstall/'))],
    ['what takes the mesh away, by its name', '^uninstall/', ['uninstall/istio/namespace']],
    ['one', '^service/dual-stack/policy$', ['service/dual-stack/policy']],
    ['a layer', '^path/', ['path/dual-stack/ipv4', 'path/dual-stack/ipv6']],
    ['a family of a layer', '^echo/.*/ipv6$', ['echo/dual-stack/ipv6', 'echo/ipv6/ipv6']],
    ['all but', '!.', []]
  ])('checks: %s', (_, checks, ids) => {
    expect(selectDefinitions(inputsOf({checks}).checks).map(({id}) => id)).toEqual(ids);
  });

  test('the documentation has its own validations, and they can be run alone', () => {
    const seeds = catalogue.filter(({title}) => /\bas documented\b/i.test(title));
    const pattern = `^(${seeds.map(({id}) => id).join('|')})$`;
    expect(selectDefinitions(inputsOf({checks: pattern}).checks).map(({id}) => id)).toEqual([
      'service/dual-stack/policy',
      'echo/dual-stack/name',
      'echo/ipv4/name',
      'echo/ipv6/name'
    ]);
  });

  test.each([
    [
      'istio-version',
      '1.23',
      /^Invalid `istio-version` "1.23": expected .*v1.30.3, v1.29.6\. The Sail Operator 1.25.2 can install v1.23.5: /
    ],
    ['istio-version', '1.30.1', /^Invalid `istio-version` "1.30.1"/],
    [
      'kind-config',
      'networking: {ipFamily: ipv4}',
      /^Invalid `kind-config` networking.ipFamily "ipv4"/
    ]
  ])('%s %s is refused', (name, value, message) => {
    const plan = () => planOf({[name]: value});
    expect(plan).toThrow(Fault);
    expect(plan).toThrow(message);
  });
});

test.each([
  ['of the chart', {}, {image: '--help'}],
  ['of operator-values', {'operator-values': 'image: "--privileged"'}, {}],
  ['with a NUL', {'operator-values': 'image: "a\\0b"'}, {}],
  [
    'of an Istio version',
    {},
    {istioReleases: [{version: 'v1.30.3', istiod: '-x', proxy: '', cni: '', ztunnel: ''}]}
  ]
])('an image %s that Docker would take for a flag is refused', (_, given, more) => {
  expect(() => planOf(given, more)).toThrow(/^Invalid image .*: expected a reference/);
});

test('ambient with an operator that lacks ZTunnel v1 is refused', () => {
  expect(() => planOf({'dataplane-mode': 'ambient'}, {version: '1.27.9'})).toThrow(
    /^Invalid `dataplane-mode` "ambient": expected `sidecar` or a newer operator, because the Sail Operator 1.27.9 has no ZTunnel resource /
  );
  expect(planOf({'dataplane-mode': 'ambient'}, {version: '1.28.0-rc.1'}).istio.ambient).toBe(true);
});

test('a node image whose tag is no version is no bug', () => {
  expect(planOf({'node-image': 'kindest/node:v1.34.04'}).cluster.image).toBe(
    'kindest/node:v1.34.04'
  );
});

describe('an image that no registry gives is the fault of who named it', () => {
  const values = {'istio-values': 'global: {hub: ghcr.io/me}'};
  test.each<[string, Record<string, string>, string, ImageOwner | null]>([
    [
      'the input',
      {'operator-image': 'a/b'},
      'docker.io/a/b:latest',
      {class: 'input', input: 'operator-image'}
    ],
    ['the input', {'echo-image': 'a/b:1'}, 'a/b:1', {class: 'input', input: 'echo-image'}],
    [
      'the values',
      {'operator-values': 'image: a/b:1'},
      'a/b:1',
      {class: 'input', input: 'operator-values'}
    ],
    ['the values of Istio', values, 'ghcr.io/me/pilot:1', {class: 'input', input: 'istio-values'}],
    ['the chart', {}, chart.image ?? '', {class: 'operator', input: null}],
    ['Istio', values, chart.istioReleases[0]?.istiod ?? '', {class: 'istio', input: null}],
    ['Istio', {}, chart.istioReleases[0]?.proxy ?? '', {class: 'istio', input: null}],
    ['the Action, of its own', {}, echo, {class: 'infrastructure', input: null}],
    ['nobody that is known', {}, 'ghcr.io/me/pilot:1', null]
  ])('%s: %j, %s', (_, given, image, owner) => {
    expect(findImageOwner(planOf(given), image)).toEqual(owner);
  });

  test('the samples, where they were given', () => {
    const files = renderBuiltInSamples({echo: 'a/sample:1', client: 'a/sample:1'});
    expect(findImageOwner(planOf({}, {}, files), 'a/sample:1')).toEqual({
      class: 'input',
      input: 'samples'
    });
  });
});

import {describe, expect, test} from '@jest/globals';
import {parse, parseAllDocuments} from 'yaml';
import {
  documentedSamples,
  renderBuiltInSamples,
  renderNamespaceYaml,
  renderPathServiceYaml,
  renderPlainYaml,
  splitManifests
} from '../src/manifests/documented-samples.ts';
import {renderStrictYaml} from '../src/manifests/strict.ts';

const images = {echo: 'mine/echo:1', client: 'mine/curl:1'};
const all = (text = '') => parseAllDocuments(text).map(document => document.toJS());

const service = (name: string, ipFamilyPolicy: string, ipFamilies: string[]) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: {name, labels: {app: 'tcp-echo', service: name}},
  spec: {
    ipFamilyPolicy,
    ipFamilies,
    ports: [
      {name: 'tcp', port: 9000},
      {name: 'tcp-other', port: 9001}
    ],
    selector: {app: 'tcp-echo'}
  }
});
const echo = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: {name: 'tcp-echo'},
  spec: {
    replicas: 1,
    selector: {matchLabels: {app: 'tcp-echo', version: 'v1'}},
    template: {
      metadata: {labels: {app: 'tcp-echo', version: 'v1'}},
      spec: {
        containers: [
          {
            name: 'tcp-echo',
            image: 'mine/echo:1',
            imagePullPolicy: 'IfNotPresent',
            args: ['9000,9001,9002', 'hello'],
            ports: [{containerPort: 9000}, {containerPort: 9001}]
          }
        ]
      }
    }
  }
};
const sleep = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: {name: 'sleep'},
  spec: {
    replicas: 1,
    selector: {matchLabels: {app: 'sleep'}},
    template: {
      metadata: {labels: {app: 'sleep'}},
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [
          {
            name: 'sleep',
            image: 'mine/curl:1',
            imagePullPolicy: 'IfNotPresent',
            command: ['/bin/sleep', 'infinity']
          }
        ]
      }
    }
  }
};

describe('the samples built in', () => {
  test.each([
    // the documentation lists IPv6 first
    [
      'tcp-echo/tcp-echo-dual-stack.yaml',
      [service('tcp-echo', 'RequireDualStack', ['IPv6', 'IPv4']), echo]
    ],
    ['tcp-echo/tcp-echo-ipv4.yaml', [service('tcp-echo', 'SingleStack', ['IPv4']), echo]],
    ['tcp-echo/tcp-echo-ipv6.yaml', [service('tcp-echo', 'SingleStack', ['IPv6']), echo]],
    ['sleep/sleep.yaml', [sleep]]
  ])('%s', (file, expected) => expect(all(renderBuiltInSamples(images)[file])).toEqual(expected));

  test('are the files of the documentation, in its namespaces', () => {
    expect(documentedSamples.map(({namespace, file}) => [namespace, file])).toEqual([
      ['dual-stack', 'tcp-echo/tcp-echo-dual-stack.yaml'],
      ['ipv4', 'tcp-echo/tcp-echo-ipv4.yaml'],
      ['ipv6', 'tcp-echo/tcp-echo-ipv6.yaml'],
      ['sleep', 'sleep/sleep.yaml']
    ]);
    expect(Object.keys(renderBuiltInSamples(images))).toEqual(
      documentedSamples.map(({file}) => file)
    );
  });
});

describe('our own beside them', () => {
  test.each([
    ['ipv4', 'IPv4'],
    ['ipv6', 'IPv6']
  ] as const)('the dual-stack pods once more, by %s alone', (family, name) => {
    expect(parse(renderPathServiceYaml(family))).toEqual(
      service(`tcp-echo-${family}`, 'SingleStack', [name])
    );
  });

  test('client and server without sidecars', () => {
    expect(all(renderPlainYaml(images))).toEqual([
      service('tcp-echo', 'RequireDualStack', ['IPv4', 'IPv6']),
      echo,
      sleep
    ]);
  });

  test.each([
    ['istio-injection=enabled', {'istio-injection': 'enabled'}],
    ['istio.io/rev=a', {'istio.io/rev': 'a'}]
  ])('a namespace with the label %s', (label, labels) => {
    expect(parse(renderNamespaceYaml('ipv4', label))).toEqual({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: {name: 'ipv4', labels}
    });
  });

  test('a namespace without a label', () => {
    expect(parse(renderNamespaceYaml('plain', null)).metadata).toEqual({name: 'plain'});
  });

  test('STRICT is for one port of one workload, never for the root namespace', () => {
    expect(parse(renderStrictYaml())).toEqual({
      apiVersion: 'security.istio.io/v1',
      kind: 'PeerAuthentication',
      metadata: {name: 'dual-stack-check', namespace: 'dual-stack'},
      spec: {
        selector: {matchLabels: {app: 'tcp-echo'}},
        portLevelMtls: {'9001': {mode: 'STRICT'}}
      }
    });
  });
});

describe('splitManifests', () => {
  test('puts all into a namespace; what has pods comes later', () => {
    const split = splitManifests(
      renderBuiltInSamples(images)['tcp-echo/tcp-echo-ipv4.yaml'] ?? '',
      'ipv4'
    );
    expect(split.immediate.map(text => parse(text))).toEqual([
      expect.objectContaining({
        kind: 'Service',
        metadata: expect.objectContaining({namespace: 'ipv4'})
      })
    ]);
    expect(split.workloads.map(text => parse(text).metadata)).toEqual([
      {name: 'tcp-echo', namespace: 'ipv4'}
    ]);
    expect(split.images).toEqual(['mine/echo:1']);
  });

  test('replaces the image of each container', () => {
    const text = 'spec: {template: {spec: {containers: [{image: a}, {image: b}]}}}';
    const {images, workloads} = splitManifests(text, 'x', () => 'c:1');
    expect(images).toEqual(['c:1', 'c:1']);
    expect(parse(workloads[0] ?? '').spec.template.spec.containers).toEqual([
      {image: 'c:1'},
      {image: 'c:1'}
    ]);
  });

  test('keeps the documentation’s comments and order, and skips what is empty', () => {
    const text =
      '# a licence\n---\n---\nkind: ServiceAccount\nmetadata:\n  name: sleep # theirs\n---\n';
    const {immediate, workloads} = splitManifests(text, 'sleep');
    expect(immediate).toHaveLength(1);
    expect(immediate[0]).toContain('# theirs');
    expect(workloads).toEqual([]);
  });

  test('a namespace that a sample names itself is ours all the same', () => {
    const {immediate} = splitManifests('kind: Service\nmetadata: {namespace: kube-system}', 'ipv4');
    expect(parse(immediate[0] ?? '').metadata.namespace).toBe('ipv4');
  });

  test.each([
    ['networking.istio.io/v1', 'ServiceEntry'],
    ['security.istio.io/v1', 'AuthorizationPolicy'],
    ['gateway.networking.k8s.io/v1', 'HTTPRoute']
  ])('%s %s waits for its CRD', (apiVersion, kind) => {
    const {immediate, customResources} = splitManifests(
      `{apiVersion: ${apiVersion}, kind: ${kind}}`,
      'x'
    );
    expect(immediate).toEqual([]);
    expect(customResources.map(text => parse(text).kind)).toEqual([kind]);
  });

  test.each([
    ['gateway.networking.k8s.io/v1', 0, 1],
    ['networking.istio.io/v1', 1, 0]
  ])(
    'a Gateway of %s comes when its pods may, if istiod makes any of it',
    (apiVersion, ...sizes) => {
      const {customResources, workloads, pods} = splitManifests(
        `{apiVersion: ${apiVersion}, kind: Gateway}`,
        'x'
      );
      expect([customResources.length, workloads.length]).toEqual(sizes);
      expect(pods).toEqual([]);
    }
  );

  test('tells which pods there are to be', () => {
    const text = `
kind: StatefulSet
metadata: {name: echo}
spec: {replicas: 2, template: {metadata: {labels: {app: headless}}, spec: {containers: [{image: a}]}}}`;
    expect(splitManifests(text, 'headless').pods).toEqual([
      {namespace: 'headless', kind: 'StatefulSet', name: 'echo', app: 'headless', pods: 2}
    ]);
  });

  test('nothing gives nothing', () => {
    expect(splitManifests('', 'x')).toEqual({
      immediate: [],
      customResources: [],
      workloads: [],
      images: [],
      pods: []
    });
  });

  test('a sample that is no YAML is a bad input', () => {
    const fault = {attribution: {class: 'input'}};
    let error: unknown;
    try {
      splitManifests('a: [', 'x');
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject(fault);
  });
});

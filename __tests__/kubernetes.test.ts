import {describe, expect, test} from '@jest/globals';
import {Fault} from '../src/base/fault.ts';
import {operatorReleases} from '../src/versions/istio-versions.ts';
import {
  describeKubectlSkew,
  describeUnsupportedVersion,
  getImageKubernetesVersion,
  getNodeImage,
  getSupportedVersions,
  kubernetesVersions,
  resolveKubernetesVersion,
  supportedKubernetes,
  supports
} from '../src/versions/kubernetes.ts';
import {chart, planOf} from './planned.ts';

const of = (version: string) => ({
  istioReleases: [{version, istiod: '', proxy: '', cni: '', ztunnel: ''}]
});

describe('the Kubernetes that Istio supports', () => {
  test.each([
    ['v1.31.1', '1.36.4', '1.32.11'],
    ['v1.30.3', '1.36.4', '1.32.11'],
    ['v1.29.6', '1.35.8', '1.31.14'],
    ['v1.28.10', '1.34.11', '1.30.13'],
    ['v1.27.9', '1.33.12', '1.29.14'],
    ['v1.26.8', '1.33.12', '1.29.14'],
    ['v1.25.5', '1.32.11', '1.29.14'],
    ['v1.24.6', '1.31.14', '1.29.14'],
    ['v1.21.6', '1.29.14', '1.29.14'],
    // what is not known yet takes what the newest that is takes
    ['v1.32.0-alpha.527f8d6c', '1.36.4', '1.32.11']
  ])('%s: %s down to %s, and the newest is the default', (istio, newest, oldest) => {
    expect(getSupportedVersions(istio)[0]).toBe(newest);
    expect(getSupportedVersions(istio).at(-1)).toBe(oldest);
    expect(planOf({}, of(istio)).cluster).toMatchObject({
      image: getNodeImage(newest),
      kubernetes: newest
    });
  });

  test('where Istio’s version is not known there is a default all the same', () => {
    expect(planOf({}, {istioReleases: []}).cluster.kubernetes).toBe('1.36.4');
  });

  test.each(['constructor', '__proto__', 'master'])(
    '%s is a version like any other that is not known',
    odd => {
      expect(supports(odd, '1.36.4')).toBeNull();
      expect(getSupportedVersions(odd)[0]).toBe('1.36.4');
      expect(describeUnsupportedVersion(odd, '1.20.0')).toBeNull();
    }
  );

  test('every Istio version that a released operator installs has its range', () => {
    for (const version of Object.values(operatorReleases).flat())
      expect(
        getSupportedVersions(version).length * Number(supports(version, '1.99.0') === false)
      ).toBeGreaterThan(0);
  });

  test.each([
    [
      'v1.30.3',
      'v1.37.0',
      'Kubernetes 1.37 is outside of what Istio 1.30 supports, 1.32 to 1.36: '
    ],
    [
      'v1.24.6',
      '1.32.11',
      'Kubernetes 1.32 is outside of what Istio 1.24 supports, 1.28 to 1.31: '
    ],
    ['v1.31.0-beta.1', '1.31.14', 'Kubernetes 1.31 is outside']
  ])('Istio %s on %s is told', (istio, kubernetes, told) => {
    expect(describeUnsupportedVersion(istio, kubernetes)).toContain(told);
  });

  test.each([
    ['v1.30.3', 'v1.36.9'],
    ['v1.30.3', '1.32.0'],
    ['v1.32.0-alpha.527f8d6c', 'v1.40.0'], // nobody knows
    [null, 'v1.37.0'],
    ['v1.30.3', null]
  ])('Istio %s on %s is not', (istio, kubernetes) => {
    expect(describeUnsupportedVersion(istio, kubernetes)).toBeNull();
  });
});

describe('kubernetes-version', () => {
  test.each([
    ['1.36', '1.36.4'],
    ['1.36.4', '1.36.4'],
    ['1.37', '1.37.0'],
    ['1.29', '1.29.14']
  ])('%s is %s, by the digest of its image', (asked, version) => {
    expect(resolveKubernetesVersion(asked)).toBe(version);
    const {cluster} = planOf({'kubernetes-version': asked});
    expect(cluster).toMatchObject({image: getNodeImage(version), kubernetes: version});
    expect(cluster.image).toMatch(/^kindest\/node:v[\d.]+@sha256:[0-9a-f]{64}$/);
  });

  test.each(['1.36.3', '1.28', '1.3', '1.36.4-rc.1'])(
    '%s is refused, with what there is',
    asked => {
      expect(() => planOf({'kubernetes-version': asked})).toThrow(Fault);
      expect(() => planOf({'kubernetes-version': asked})).toThrow(
        `Invalid \`kubernetes-version\` "${asked}": expected a version with a node image of kind v0.33.0: ${kubernetesVersions.join(', ')}, or one of their minors. For another version, set \`node-image\``
      );
    }
  );

  test('node-image wins', () => {
    const given = {'kubernetes-version': '1.35', 'node-image': 'x/node:v1.34.4'};
    expect(planOf(given).cluster).toMatchObject({image: 'x/node:v1.34.4', kubernetes: '1.34.4'});
  });
});

describe('a kind that is not the pinned one', () => {
  test('keeps its own default', () => {
    const {image, kubernetes, config} = planOf({}, {}, null, [], 'v0.32.0').cluster;
    expect({image, kubernetes}).toEqual({image: null, kubernetes: null});
    expect(JSON.stringify(config)).not.toMatch(/PublicKeysECDSA|encryptionAlgorithm/);
  });

  test('is asked for what is asked for', () => {
    const given = {'kubernetes-version': '1.36'};
    expect(planOf(given, {}, null, [], 'v0.31.0').cluster.image).toBe(getNodeImage('1.36.4'));
  });

  test.each([
    ['v0.31.0', {'kubernetes-version': '1.37'}],
    ['v0.20.0', {'node-image': 'kindest/node:v1.37.1'}],
    ['v0.31.0', {'kind-config': 'nodes: [{image: "kindest/node:v1.37.0"}]'}]
  ] as [string, Record<string, string>][])(
    '%s cannot make %j, and says what could',
    (kind, given) => {
      expect(() => planOf(given, {}, null, [], kind)).toThrow(
        `Invalid \`kind-version\` "${kind}": expected v0.32.0 or newer for Kubernetes 1.37`
      );
    }
  );

  test.each(['v0.32.0', 'v0.33.1', 'v0.34.0-alpha'])('%s can', kind => {
    expect(planOf({'kubernetes-version': '1.37'}, {}, null, [], kind).cluster.kubernetes).toBe(
      '1.37.0'
    );
  });
});

describe('images in kind-config', () => {
  const nodes = (...images: (string | null)[]) => ({
    'kind-config': JSON.stringify({
      nodes: images.map((image, at) => ({
        role: at === 0 ? 'control-plane' : 'worker',
        ...(image === null ? {} : {image})
      }))
    })
  });
  const imagesOf = (given: Record<string, string>) => {
    const {config} = planOf(given).cluster;
    return (config.nodes as {image?: string}[]).map(({image}) => image);
  };

  test('count: kind is told of no other', () => {
    const {cluster} = planOf(nodes('x/node:v1.35.1', 'x/node:v1.34.2'));
    expect(cluster).toMatchObject({image: null, kubernetes: '1.35.1', needsCgroup2: false});
    expect(JSON.stringify(cluster.config)).toContain('PublicKeysECDSA');
    expect(imagesOf(nodes('a:v1.35.1', 'b:v1.34.2'))).toEqual(['a:v1.35.1', 'b:v1.34.2']);
  });

  test('a node without one has ours', () => {
    expect(imagesOf(nodes('a:v1.36.1', null))).toEqual(['a:v1.36.1', getNodeImage('1.36.4')]);
    expect(imagesOf({...nodes(null, 'b:v1.34.2'), 'node-image': 'c:v1.35.0'})).toEqual([
      'c:v1.35.0',
      'b:v1.34.2'
    ]);
  });

  test.each([
    ['node-image', 'c:v1.35.0'],
    ['kubernetes-version', '1.35']
  ])('%s beside images for every node is refused', (name, value) => {
    expect(() => planOf({...nodes('a', 'b'), [name]: value})).toThrow(
      `Invalid \`${name}\` "${value}": expected no value, because every node in \`kind-config\` has its own image`
    );
  });
});

test.each([
  ['kindest/node:v1.36.4@sha256:00', '1.36.4'],
  ['localhost:5000/node:1.30.0', '1.30.0'],
  ['localhost:5000/node', null],
  ['kindest/node@sha256:00', null],
  [null, null]
])('the Kubernetes of %s is %s', (image, version) =>
  expect(getImageKubernetesVersion(image)).toBe(version)
);

test.each([
  ['v1.37.1', '1.36.4', null],
  ['v1.37.1', 'v1.35.8', 'kubectl 1.37.1 is more than one minor away from Kubernetes 1.35.8'],
  ['v1.34.4', '1.36.4', 'kubectl 1.34.4 is more than'],
  ['v1.37.1', null, null]
])('kubectl %s with Kubernetes %s: %s', (kubectl, kubernetes, told) => {
  expect(describeKubectlSkew(kubectl, kubernetes)?.slice(0, told?.length) ?? null).toBe(told);
});

test('the ranges are in order, oldest first within each, the newest Istio first', () => {
  const minors = Object.keys(supportedKubernetes).map(name => Number(name.split('.')[1]));
  expect(minors).toEqual(minors.toSorted((a, b) => b - a));
  expect(chart.istioReleases.length).toBeGreaterThan(0);
});

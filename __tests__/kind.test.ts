import {describe, expect, test} from '@jest/globals';
import {parse} from 'yaml';
import type {Values} from '../src/inputs/readers.ts';
import {
  addNodeMount,
  buildKindConfig as configFor,
  getNodeNames,
  renderKindYaml
} from '../src/manifests/kind.ts';
import type {Family} from '../src/results/results.ts';

const dual: Family[] = ['ipv4', 'ipv6'];
const kindConfig = (families: Family[], more: Values | null, image = 'kindest/node:v1.34.4') =>
  configFor(families, more, image, true);
const documented = {
  kind: 'Cluster',
  apiVersion: 'kind.x-k8s.io/v1alpha4',
  networking: {ipFamily: 'dual'}
};
const refused = {name: 'Fault', attribution: expect.objectContaining({class: 'input'})};
const thrown = (run: () => unknown): unknown => {
  try {
    return run();
  } catch (error) {
    return error;
  }
};

describe('kindConfig', () => {
  test('untuned, it is dual-stack, and that is all', () => {
    expect(parse(renderKindYaml(configFor(dual, null, null, false)))).toEqual(documented);
  });

  test('is as documented; what makes it quick is in patches that change nothing of that', () => {
    const {kubeadmConfigPatches, ...config} = parse(renderKindYaml(kindConfig(dual, null)));
    expect(config).toEqual(documented);
    expect(
      kubeadmConfigPatches.map((patch: string) => Object.keys(parse(patch)).sort().join())
    ).toEqual([
      'controllerManager,etcd,featureGates,kind,scheduler',
      'kind,nodeRegistration',
      'configMapAndSecretChangeDetectionStrategy,cpuCFSQuota,kind',
      'iptables,kind'
    ]);
  });

  const gate = {featureGates: {PublicKeysECDSA: true}};
  const field = {encryptionAlgorithm: 'ECDSA-P256'};
  test.each([
    ['kindest/node:v1.35.9@sha256:00', gate],
    ['localhost:5000/node:1.30.0', gate],
    ['kindest/node:v1.36.0', field],
    ['kindest/node:latest', {}],
    ['kindest/node@sha256:00', {}],
    ['localhost:5000/node', {}]
  ])('kubeadm of %s is asked for small keys by %j', (image, expected) => {
    const [patch] = kindConfig(dual, null, image).kubeadmConfigPatches as string[];
    const {featureGates, encryptionAlgorithm} = parse(patch ?? '');
    expect({featureGates, encryptionAlgorithm}).toEqual(expected);
  });

  test('a directory is mounted into every node, beside what is mounted already', () => {
    const ours = {hostPath: '/a', containerPath: '/b', readOnly: true};
    expect(addNodeMount(kindConfig(dual, null), '/a', '/b').nodes).toEqual([
      {role: 'control-plane', extraMounts: [ours]}
    ]);
    const theirs = {hostPath: '/x', containerPath: '/y'};
    const nodes = [{role: 'control-plane'}, {role: 'worker', image: 'i', extraMounts: [theirs]}];
    expect(addNodeMount(kindConfig(dual, {nodes}), '/a', '/b').nodes).toEqual([
      {role: 'control-plane', extraMounts: [ours]},
      {role: 'worker', image: 'i', extraMounts: [theirs, ours]}
    ]);
  });

  test('IPv6 is the primary family where its subnets come first', () => {
    expect(kindConfig(['ipv6', 'ipv4'], null).networking).toEqual({
      ipFamily: 'dual',
      podSubnet: 'fd00:10:244::/56,10.244.0.0/16',
      serviceSubnet: 'fd00:10:96::/112,10.96.0.0/16'
    });
  });

  test('more configuration is merged in; lists are replaced', () => {
    const more = {
      networking: {apiServerAddress: '192.0.2.1', ipFamily: 'dual'},
      nodes: [{role: 'control-plane'}, {role: 'worker'}],
      featureGates: {A: true}
    };
    expect(kindConfig(dual, more)).toMatchObject({
      ...documented,
      networking: {ipFamily: 'dual', apiServerAddress: '192.0.2.1'},
      nodes: [{role: 'control-plane'}, {role: 'worker'}],
      featureGates: {A: true}
    });
  });

  test.each(['ipv4', 'ipv6', null])('the network stays dual: ipFamily %j is refused', ipFamily => {
    expect(thrown(() => kindConfig(dual, {networking: {ipFamily}}))).toMatchObject(refused);
  });

  test.each([null, 'dual', ['ipFamily']])('networking: %j does not undo ours', networking => {
    const config = thrown(() => kindConfig(dual, {networking}));
    expect([config]).toEqual([
      (config as {name?: string}).name === 'Fault'
        ? expect.objectContaining(refused)
        : expect.objectContaining({networking: {ipFamily: 'dual'}})
    ]);
  });
});

const patched = (patch: string) => ({kubeadmConfigPatches: [patch]});
const domain = 'networking:\n  dnsDomain: cluster.example\n';
const json6902 = (patch: string) => ({
  kubeadmConfigPatchesJSON6902: [{group: 'kubeadm.k8s.io', kind: 'ClusterConfiguration', patch}]
});

describe('what the run needs of the cluster', () => {
  test.each<[string, Values]>([
    ['disableDefaultCNI', {networking: {disableDefaultCNI: true}}],
    ['kubeProxyMode "none"', {networking: {kubeProxyMode: 'none'}}],
    ['cluster.example', patched(`kind: ClusterConfiguration\n${domain}`)],
    ['cluster.example', patched('{"networking": {"dnsDomain": "cluster.example"}}')],
    ['cluster.example', patched('kind: KubeletConfiguration\nclusterDomain: cluster.example\n')],
    ['cluster.example', {nodes: [{}, {role: 'worker', ...patched(domain)}]}],
    [
      'cluster.example',
      json6902('- {op: replace, path: /networking/dnsDomain, value: cluster.example}')
    ]
  ])('%s is refused: %j', (found, more) => {
    expect(thrown(() => kindConfig(dual, more))).toMatchObject({
      ...refused,
      message: expect.stringMatching(new RegExp(`^Invalid \`kind-config\` .*${found}.*: expected `))
    });
  });

  test.each<[string, Values]>([
    ['another mode', {networking: {kubeProxyMode: 'nftables', disableDefaultCNI: false}}],
    ['the usual domain', patched('networking:\n  dnsDomain: cluster.local\n')],
    ['another patch', patched('networking:\n  podSubnet: 10.244.0.0/16\n')],
    ['another path', json6902('- {op: add, path: /apiServer/certSANs/-, value: cluster.example}')]
  ])('%s is not', (_, more) => {
    expect(kindConfig(dual, more)).toMatchObject({kind: 'Cluster'});
  });
});

describe('nodeNames', () => {
  test.each([
    [{}, ['x-control-plane']],
    [{nodes: [{}]}, ['x-control-plane']],
    [
      {
        nodes: ['worker', 'control-plane', 'worker', 'control-plane', 'worker'].map(role => ({
          role
        }))
      },
      ['x-worker', 'x-control-plane', 'x-worker2', 'x-control-plane2', 'x-worker3']
    ]
  ])('%j', (config, names) => expect(getNodeNames('x', config)).toEqual(names));

  test.each([{nodes: 3}, {nodes: [null]}, {nodes: {role: 'worker'}}])(
    '%j is a bad input',
    config => {
      expect(thrown(() => getNodeNames('x', config))).toMatchObject(refused);
    }
  );
});

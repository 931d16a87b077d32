import {describe, expect, test} from '@jest/globals';
import {parse} from 'yaml';
import {kindConfig, kindYaml, nodeNames} from '../src/manifests/kind.ts';
import type {Family} from '../src/results.ts';

const dual: Family[] = ['ipv4', 'ipv6'];
const documented = {
  kind: 'Cluster',
  apiVersion: 'kind.x-k8s.io/v1alpha4',
  networking: {ipFamily: 'dual'}
};
const refused = {name: 'Fault', because: expect.objectContaining({class: 'input'})};
const thrown = (run: () => unknown): unknown => {
  try {
    return run();
  } catch (error) {
    return error;
  }
};

describe('kindConfig', () => {
  test('is as documented; what makes it quick is in patches that change nothing of that', () => {
    const {kubeadmConfigPatches, ...config} = parse(kindYaml(kindConfig(dual, null)));
    expect(config).toEqual(documented);
    expect(
      kubeadmConfigPatches.map((patch: string) => Object.keys(parse(patch)).sort().join())
    ).toEqual(['controllerManager,etcd,kind,scheduler', 'iptables,kind']);
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
      networking: {disableDefaultCNI: true, ipFamily: 'dual'},
      nodes: [{role: 'control-plane'}, {role: 'worker'}],
      featureGates: {A: true}
    };
    expect(kindConfig(dual, more)).toMatchObject({
      ...documented,
      networking: {ipFamily: 'dual', disableDefaultCNI: true},
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
  ])('%j', (config, names) => expect(nodeNames('x', config)).toEqual(names));

  test.each([{nodes: 3}, {nodes: [null]}, {nodes: {role: 'worker'}}])(
    '%j is a bad input',
    config => {
      expect(thrown(() => nodeNames('x', config))).toMatchObject(refused);
    }
  );
});

import {describe, expect, test} from '@jest/globals';
import {parse} from 'yaml';
import {istioCniYaml, istioYaml, ztunnelYaml} from '../src/manifests/istio.ts';

const mesh = {version: null, values: null, cni: false, ambient: false};
const documented = {
  meshConfig: {defaultConfig: {proxyMetadata: {ISTIO_DUAL_STACK: 'true'}}},
  pilot: {ipFamilyPolicy: 'RequireDualStack', env: {ISTIO_DUAL_STACK: 'true'}}
};

describe('the Istio resource', () => {
  test('is as documented', () => {
    expect(parse(istioYaml(mesh))).toEqual({
      apiVersion: 'sailoperator.io/v1',
      kind: 'Istio',
      metadata: {name: 'default'},
      spec: {values: documented, namespace: 'istio-system'}
    });
  });

  test('has strings where the documentation has them', () => {
    expect(istioYaml(mesh).match(/ISTIO_DUAL_STACK: "true"/g)).toHaveLength(2);
  });

  test('has the version asked for', () => {
    expect(parse(istioYaml({...mesh, version: 'v1.29.6'})).spec.version).toBe('v1.29.6');
  });

  test('has more values merged over those of the documentation', () => {
    const values = {
      pilot: {env: {MORE: '1'}, resources: {requests: {cpu: '10m'}}},
      telemetry: {enabled: false}
    };
    expect(parse(istioYaml({...mesh, values})).spec.values).toEqual({
      ...documented,
      pilot: {
        ipFamilyPolicy: 'RequireDualStack',
        env: {ISTIO_DUAL_STACK: 'true', MORE: '1'},
        resources: {requests: {cpu: '10m'}}
      },
      telemetry: {enabled: false}
    });
  });

  test('a value that is given wins', () => {
    const values = {pilot: {ipFamilyPolicy: 'PreferDualStack'}};
    expect(parse(istioYaml({...mesh, values})).spec.values.pilot.ipFamilyPolicy).toBe(
      'PreferDualStack'
    );
  });

  test('one run does not change the values of the next', () => {
    istioYaml({...mesh, values: {pilot: {env: {MORE: '1'}}}});
    expect(parse(istioYaml(mesh)).spec.values).toEqual(documented);
  });

  test('asks for CNI only where it is used', () => {
    expect(parse(istioYaml({...mesh, cni: true})).spec.values.pilot.cni).toEqual({enabled: true});
  });
});

describe('the IstioCNI resource', () => {
  test('is as documented', () => {
    expect(parse(istioCniYaml(mesh))).toEqual({
      apiVersion: 'sailoperator.io/v1',
      kind: 'IstioCNI',
      metadata: {name: 'default'},
      spec: {namespace: 'istio-cni'}
    });
  });

  test('has the version of Istio', () => {
    expect(parse(istioCniYaml({...mesh, version: 'v1.29.6'})).spec.version).toBe('v1.29.6');
  });
});

describe('ambient, as documented', () => {
  const ambient = {...mesh, cni: true, ambient: true, version: 'v1.30.3'};

  test('is the profile of Istio, which trusts the namespace of ztunnel, and of IstioCNI', () => {
    expect(parse(istioYaml(ambient)).spec).toEqual({
      version: 'v1.30.3',
      profile: 'ambient',
      namespace: 'istio-system',
      values: {...documented, pilot: {...documented.pilot, trustedZtunnelNamespace: 'ztunnel'}}
    });
    expect(parse(istioCniYaml(ambient)).spec).toEqual({
      version: 'v1.30.3',
      profile: 'ambient',
      namespace: 'istio-cni'
    });
  });

  test('has a ZTunnel that follows the Istio resource', () => {
    expect(parse(ztunnelYaml(ambient))).toEqual({
      apiVersion: 'sailoperator.io/v1',
      kind: 'ZTunnel',
      metadata: {name: 'default'},
      spec: {
        version: 'v1.30.3',
        namespace: 'ztunnel',
        targetRef: {kind: 'Istio', name: 'default'}
      }
    });
  });
});

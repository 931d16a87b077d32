import {describe, expect, test} from '@jest/globals';
import {parse} from 'yaml';
import {
  hasImageValues,
  renderIstioCniYaml,
  renderIstioYaml,
  renderZtunnelYaml
} from '../src/manifests/istio-resources.ts';

const mesh = {version: null, values: null, cni: false, ambient: false};
const documented = {
  meshConfig: {defaultConfig: {proxyMetadata: {ISTIO_DUAL_STACK: 'true'}}},
  pilot: {ipFamilyPolicy: 'RequireDualStack', env: {ISTIO_DUAL_STACK: 'true'}}
};

describe('the Istio resource', () => {
  test('is as documented', () => {
    expect(parse(renderIstioYaml(mesh))).toEqual({
      apiVersion: 'sailoperator.io/v1',
      kind: 'Istio',
      metadata: {name: 'default'},
      spec: {values: documented, namespace: 'istio-system'}
    });
  });

  test('has strings where the documentation has them', () => {
    expect(renderIstioYaml(mesh).match(/ISTIO_DUAL_STACK: "true"/g)).toHaveLength(2);
  });

  test('has the version asked for', () => {
    expect(parse(renderIstioYaml({...mesh, version: 'v1.29.6'})).spec.version).toBe('v1.29.6');
  });

  test('has more values merged over those of the documentation', () => {
    const values = {
      pilot: {env: {MORE: '1'}, resources: {requests: {cpu: '10m'}}},
      telemetry: {enabled: false}
    };
    expect(parse(renderIstioYaml({...mesh, values})).spec.values).toEqual({
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
    expect(parse(renderIstioYaml({...mesh, values})).spec.values.pilot.ipFamilyPolicy).toBe(
      'PreferDualStack'
    );
  });

  test('one run does not change the values of the next', () => {
    renderIstioYaml({...mesh, values: {pilot: {env: {MORE: '1'}}}});
    expect(parse(renderIstioYaml(mesh)).spec.values).toEqual(documented);
  });

  test('asks for CNI only where it is used', () => {
    expect(parse(renderIstioYaml({...mesh, cni: true})).spec.values.pilot.cni).toEqual({
      enabled: true
    });
  });
});

describe('the IstioCNI resource', () => {
  test('is as documented', () => {
    expect(parse(renderIstioCniYaml(mesh))).toEqual({
      apiVersion: 'sailoperator.io/v1',
      kind: 'IstioCNI',
      metadata: {name: 'default'},
      spec: {namespace: 'istio-cni'}
    });
  });

  test('has the version of Istio', () => {
    expect(parse(renderIstioCniYaml({...mesh, version: 'v1.29.6'})).spec.version).toBe('v1.29.6');
  });
});

describe('ambient, as documented', () => {
  const ambient = {...mesh, cni: true, ambient: true, version: 'v1.30.3'};

  test('is the profile of Istio, which trusts the namespace of ztunnel, and of IstioCNI', () => {
    expect(parse(renderIstioYaml(ambient)).spec).toEqual({
      version: 'v1.30.3',
      profile: 'ambient',
      namespace: 'istio-system',
      values: {...documented, pilot: {...documented.pilot, trustedZtunnelNamespace: 'ztunnel'}}
    });
    expect(parse(renderIstioCniYaml(ambient)).spec).toEqual({
      version: 'v1.30.3',
      profile: 'ambient',
      namespace: 'istio-cni'
    });
  });

  test('has a ZTunnel that follows the Istio resource', () => {
    expect(parse(renderZtunnelYaml(ambient))).toEqual({
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

describe('images of a hub', () => {
  const images = {
    istiod: 'h/pilot:1',
    proxy: 'h/proxyv2:1',
    cni: 'h/install-cni:1',
    ztunnel: 'h/ztunnel:1'
  };
  const named = (values: Record<string, unknown> | null) => {
    const {pilot, global} = parse(renderIstioYaml({...mesh, images, hub: 'h', values})).spec.values;
    const {hub, tag, image} = pilot;
    return {pilot: {hub, tag, image}, global};
  };
  const proxies = {proxy: {image: 'h/proxyv2:1'}, proxy_init: {image: 'h/proxyv2:1'}};

  test.each<[string, Record<string, unknown> | null, unknown]>([
    ['no values', null, {pilot: {image: 'h/pilot:1'}, global: proxies}],
    ['a hub', {global: {hub: 'mine'}}, {pilot: {}, global: {hub: 'mine'}}],
    ['a tag', {global: {tag: '2'}}, {pilot: {}, global: {hub: 'h', tag: '2'}}],
    [
      'an image of istiod',
      {pilot: {image: 'mine/pilot:2'}},
      {pilot: {image: 'mine/pilot:2'}, global: proxies}
    ],
    ['a hub of istiod', {pilot: {hub: 'mine'}}, {pilot: {hub: 'mine'}, global: proxies}],
    ['a tag of istiod', {pilot: {tag: '2'}}, {pilot: {hub: 'h', tag: '2'}, global: proxies}],
    [
      'an image of the proxies',
      {global: {proxy: {image: 'mine/proxyv2:2'}}},
      {
        pilot: {image: 'h/pilot:1'},
        global: {proxy: {image: 'mine/proxyv2:2'}, proxy_init: {image: 'h/proxyv2:1'}}
      }
    ],
    ['a text in place of a mapping', {global: 'x'}, {pilot: {image: 'h/pilot:1'}, global: 'x'}]
  ])('with %s in `istio-values`', (_, values, expected) => expect(named(values)).toEqual(expected));

  test('are named in IstioCNI and ZTunnel too', () => {
    expect(parse(renderIstioCniYaml({...mesh, images})).spec.values).toEqual({
      cni: {image: 'h/install-cni:1'}
    });
    expect(parse(renderZtunnelYaml({version: null, images})).spec.values).toEqual({
      ztunnel: {image: 'h/ztunnel:1'}
    });
  });

  test.each([
    [{}, false],
    [{pilot: {env: {}}}, false],
    [{global: {hub: 'h'}}, true],
    [{global: {proxy: {image: 'x'}}}, true],
    [{pilot: {tag: '1'}}, true],
    [{global: {variant: 'distroless'}}, true]
  ])('%j names images: %s', (values, expected) => expect(hasImageValues(values)).toBe(expected));
});

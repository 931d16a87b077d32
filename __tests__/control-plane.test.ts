import {describe, expect, test} from '@jest/globals';
import type {Deployment, KubeObject} from '../src/base/kube.ts';
import {controlPlane} from '../src/checks/control-plane.ts';
import {createReleaseWithoutImages} from '../src/versions/read-chart.ts';
import {type Answer, fakeSh} from './fake.ts';
import {planOf} from './planned.ts';
import {failures, look, service} from './things.ts';

const versionPath = '/api/v1/namespaces/istio-system/services/istiod:15014/proxy/version';
const istio = (state: string) =>
  JSON.stringify({
    kind: 'Istio',
    metadata: {name: 'default'},
    spec: {version: 'v1.30.3'},
    status: {state, observedGeneration: 1}
  });
const cni = (status: string, reason = 'Healthy') =>
  JSON.stringify({
    kind: 'IstioCNI',
    metadata: {name: 'default'},
    spec: {},
    status: {state: reason, conditions: [{type: 'Ready', status, reason}]}
  });

const istiod = (
  env: Record<string, string> = {ISTIO_DUAL_STACK: 'true'},
  availableReplicas = 1
): Deployment => ({
  kind: 'Deployment',
  metadata: {name: 'istiod', namespace: 'istio-system'},
  spec: {
    replicas: 1,
    template: {
      spec: {
        containers: [
          {
            name: 'discovery',
            image: 'x',
            env: Object.entries(env).map(([name, value]) => ({name, value}))
          }
        ]
      }
    }
  },
  status: {availableReplicas}
});
const dual = service('istio-system', ['10.96.0.2', 'fd00:10:96::2'], 'RequireDualStack', 'istiod');

/** An API server with these objects. */
const api = (answers: Record<string, Answer> = {}) =>
  fakeSh({
    'kubectl get istios.sailoperator.io default -o json': istio('Healthy'),
    'kubectl get istiocnis.sailoperator.io default -o json': cni('True'),
    [`kubectl get --raw ${versionPath}`]: '1.30.3-56df41f-Clean\n',
    ...answers
  });
const version = (answer: Answer) => api({[`kubectl get --raw ${versionPath}`]: answer});
const id = (aspect: string) => `control-plane/${aspect}`;

describe('control-plane', () => {
  test('istiod’s version is requested again, and no answer is no version', async () => {
    const gone = {code: 1, stderr: 'Error from server (ServiceUnavailable): error trying to reach'};
    const [once, always] = await Promise.all(
      [[gone, '1.30.3-56df41f-Clean\n'], [gone]].map(answers =>
        look(controlPlane, {
          sh: api({[`kubectl get --raw ${versionPath}`]: answers} as never),
          snapshot: [istiod(), dual]
        })
      )
    );
    expect(failures(once ?? {})).toEqual({});
    expect(failures(always ?? {})).toEqual({[id('istiod/version')]: 'no answer'});
    expect(always?.[id('istiod/version')]?.attribution).toMatchObject({
      class: 'infrastructure',
      headline: 'istiod did not return its version'
    });
  });

  test('holds on a healthy mesh; IstioCNI is skipped where it is not used', async () => {
    const sh = api();
    const found = await look(controlPlane, {sh, snapshot: [istiod(), dual]});
    expect(failures(found)).toEqual({});
    expect(found[id('istio-cni/ready')]).toMatchObject({
      verdict: 'skipped',
      reason: 'this run does not use IstioCNI: `istio-cni` is not true'
    });
    expect(sh.calls.join()).not.toContain('istiocnis');
  });

  test.each<[string, Answer, string, string[]]>([
    ['as released', '1.30.3', 'v1.30.3', []],
    ['with a v', 'v1.30.3-abc-Clean', 'v1.30.3', []],
    ['another one', '1.29.6-abc-Clean', 'v1.29.6', [id('istiod/version')]],
    ['a pre-release', '1.30.3-rc.1-abc-Clean', 'v1.30.3-rc.1', [id('istiod/version')]]
  ])('the version is %s: %j', async (_, said, observed, failed) => {
    const found = await look(controlPlane, {sh: version(said), snapshot: [istiod(), dual]});
    expect(found[id('istiod/version')]?.observed).toBe(observed);
    expect(Object.keys(failures(found))).toEqual(failed);
  });

  // of main's versions.yaml and the image tag that stands there
  test.each([
    ['1.32.0-alpha.527f8d6cb12ecb57ba2d9275306db5e4471d1a37-527f8d6cb1-Clean', []],
    [
      '1.32.0-alpha.527f8d60b12ecb57ba2d9275306db5e4471d1a37-527f8d60b1-Clean',
      [id('istiod/version')]
    ],
    ['1.32.0', [id('istiod/version')]]
  ])('a build of main says its whole hash: %s', async (said, failed) => {
    const offer = createReleaseWithoutImages('v1.32.0-alpha.527f8d6c');
    const plan = planOf({}, {istioReleases: [offer]});
    const found = await look(controlPlane, {sh: version(said), plan, snapshot: [istiod(), dual]});
    expect(Object.keys(failures(found))).toEqual(failed);
  });

  test('an istiod that does not return its version', async () => {
    const sh = version({code: 1, stderr: 'no endpoints available for service "istiod:15014"'});
    const found = await look(controlPlane, {sh, snapshot: [istiod(), dual]});
    expect(failures(found)).toEqual({
      [id('istiod/version')]: 'no answer'
    });
    expect(found[id('istiod/version')]?.reason).toContain('no endpoints available for service');
  });

  test('where the chart lists nothing, the version of the resource is expected', async () => {
    const plan = planOf({}, {istioReleases: []});
    expect(
      failures(await look(controlPlane, {sh: api(), plan, snapshot: [istiod(), dual]}))
    ).toEqual({});
  });

  test.each<[string, KubeObject[], string[]]>([
    ['no ISTIO_DUAL_STACK', [istiod({}), dual], [id('istiod/dual-stack')]],
    [
      'ISTIO_DUAL_STACK is false',
      [istiod({ISTIO_DUAL_STACK: 'false'}), dual],
      [id('istiod/dual-stack')]
    ],
    [
      'a Service that may fall back',
      [istiod(), service('istio-system', ['10.96.0.2', 'fd00::2'], 'PreferDualStack', 'istiod')],
      [id('istiod/service')]
    ],
    [
      'a Service of one family',
      [istiod(), service('istio-system', ['10.96.0.2'], 'RequireDualStack', 'istiod')],
      [id('istiod/service')]
    ],
    ['no Service', [istiod()], [id('istiod/service')]],
    [
      'no istiod of ours',
      [{...istiod(), metadata: {name: 'istiod', namespace: 'other'}}, dual],
      [id('istiod/available'), id('istiod/dual-stack')]
    ],
    [
      'a revision',
      [{...istiod(), metadata: {name: 'istiod-canary', namespace: 'istio-system'}}, dual],
      []
    ]
  ])('%s', async (_, snapshot, failed) => {
    const found = await look(controlPlane, {sh: api(), snapshot});
    expect(Object.keys(failures(found)).sort()).toEqual(failed);
  });

  test('an istiod without a replica is reported once', async () => {
    const down = {...istiod(), status: {}};
    const found = await look(controlPlane, {sh: api(), snapshot: [down, dual]});
    expect(found[id('istiod/available')]?.reason).toBe('no replica is available');
  });

  test('an Istio resource that is not Healthy', async () => {
    const sh = api({
      'kubectl get istios.sailoperator.io default -o json': istio('IstioCNINotFound')
    });
    expect(failures(await look(controlPlane, {sh, snapshot: [istiod(), dual]}))).toEqual({
      [id('istio/healthy')]: 'IstioCNINotFound'
    });
  });

  test.each([
    ['True', 'Healthy', {}],
    ['False', 'IstioCNINotHealthy', {[id('istio-cni/ready')]: 'IstioCNINotHealthy'}]
  ])('IstioCNI, where it is used, is ready: %s', async (status, reason, expected) => {
    const sh = api({'kubectl get istiocnis.sailoperator.io default -o json': cni(status, reason)});
    const plan = planOf({'istio-cni': 'true'});
    expect(failures(await look(controlPlane, {sh, plan, snapshot: [istiod(), dual]}))).toEqual(
      expected
    );
  });
});

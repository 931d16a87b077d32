import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {requiredPermissions} from '../src/manifests/existing-cluster-manifests.ts';
import {surveyCluster, writeOwnKubeconfig} from '../src/phases/survey.ts';
import {type Answer, eachOnRunner, fakeSh} from './fake.ts';

const runner = eachOnRunner();

describe('the kubeconfig', () => {
  const view = 'contexts:\n- name: admin\n  context: {cluster: prod, user: me}\n';
  const take = (answer: Answer, inputs: {kubeconfig?: string; context?: string} = {}) => {
    const sh = fakeSh(() => answer);
    const file = path.join(runner.directory, 'kubeconfig');
    return {
      file,
      sh,
      taken: writeOwnKubeconfig({kubeconfig: null, context: null, ...inputs}, file, sh)
    };
  };

  test('of one context is our own, and nobody else’s to read', async () => {
    const {file, sh, taken} = take(view, {kubeconfig: '/theirs', context: 'admin'});
    expect(await taken).toEqual({context: 'admin', name: 'prod'});
    expect(sh.calls).toEqual([
      'kubectl config view --minify --flatten --raw --kubeconfig /theirs --context=admin'
    ]);
    expect(fs.readFileSync(file, 'utf8')).toBe(view);
    expect(fs.statSync(file).mode & 0o777).toBe(0o600);
    expect(process.env.KUBECONFIG).toBe(file);
  });

  test('is kubectl’s own where none is given', async () => {
    const {sh, taken} = take(view);
    await taken;
    expect(sh.calls).toEqual(['kubectl config view --minify --flatten --raw']);
  });

  test('without that context is refused', async () => {
    const stderr = 'error: cannot locate context nope\n';
    await expect(take({code: 1, stderr}, {context: 'nope'}).taken).rejects.toMatchObject({
      message: expect.stringMatching(
        /^Invalid `context` "nope": .*cannot locate context nope; expected/
      ),
      attribution: {class: 'input'}
    });
  });
});

describe('the survey', () => {
  const items = (...list: object[]) => JSON.stringify({items: list});
  const named = (kind: string, name: string, namespace: string, labels = {}, more = {}) => ({
    kind,
    metadata: {name, namespace, labels},
    ...more
  });
  const runs = (name: string, image: string, annotations = {}) => ({
    spec: {template: {metadata: {annotations}, spec: {containers: [{name, image}]}}}
  });
  /** What a cluster finds; `answers` by the words of a command. */
  const look = async (answers: Record<string, Answer> = {}) => {
    const sh = fakeSh(command => {
      const line = command.slice(1).join(' ');
      const [, answer] = Object.entries(answers).find(([words]) => line.includes(words)) ?? [];
      if (answer !== undefined) return answer;
      if (line.startsWith('version')) return '{"serverVersion": {"gitVersion": "v1.34.4"}}';
      if (line.includes('rights.yaml')) return requiredPermissions.map(() => 'true\n').join('');
      if (line.includes('--dry-run=server'))
        return '{"spec": {"clusterIPs": ["fd00::1", "10.0.0.1"]}}';
      if (line.includes('jsonpath')) return '';
      return line === 'api-versions' ? 'v1\napps/v1\n' : items();
    });
    return surveyCluster({context: 'admin', name: 'prod'}, runner.directory, sh);
  };

  test('of a bare cluster', async () => {
    expect(await look()).toMatchObject({
      kubernetes: 'v1.34.4',
      families: ['ipv6', 'ipv4'],
      denied: [],
      openshift: false,
      gatewayApi: false,
      operators: [],
      istiods: [],
      istios: []
    });
  });

  test('of one that is not dual-stack says what the API server said', async () => {
    const stderr = 'this cluster is not configured for dual-stack services';
    expect(await look({'--dry-run=server': {code: 1, stderr}})).toMatchObject({
      families: [],
      refused: stderr
    });
  });

  test('names the rights that are lacking, and asks nothing that would be forbidden', async () => {
    const answers = requiredPermissions.map(({verb}) => `${verb !== 'list'}\n`).join('');
    const {denied} = await look({'rights.yaml': answers, 'get ': {code: 1, stderr: 'Forbidden'}});
    expect(denied).toEqual(requiredPermissions.filter(({verb}) => verb === 'list'));
  });

  test.each(['config.openshift.io/v1', 'route.openshift.io/v1'])('%s is OpenShift', async group => {
    expect((await look({'api-versions': `v1\n${group}\n`})).openshift).toBe(true);
  });

  test('of a mesh', async () => {
    const found = await look({
      'get configmaps': 'shop/istio-ca-root-cert\nbank/istio-ca-root-cert\n',
      'get pods': 'shop/cart-1\n',
      'api-versions': 'sailoperator.io/v1\nsecurity.istio.io/v1\n',
      'control-plane in': items(
        named(
          'Deployment',
          'sail-operator',
          'ops',
          {},
          runs('sail-operator', 'op:1.30.3', {a: 'b'})
        )
      ),
      'get crds istios.sailoperator.io': 'the CRD',
      'app=istiod': items(
        named('Deployment', 'istiod', 'istio-system', {}, runs('discovery', 'pilot:1.30.3')),
        named(
          'Deployment',
          'istiod-x',
          'mesh',
          {'istio.io/rev': 'x'},
          runs('discovery', 'p:1.29.6')
        )
      ),
      istiocnis: items(
        {...named('Istio', 'default', ''), spec: {version: 'v1.30.3'}},
        named('IstioCNI', 'default', '')
      ),
      mutatingwebhook: items(
        named('W', 'a', '', {'istio.io/rev': 'default'}),
        named('W', 'b', '', {'istio.io/rev': 'x', 'istio.io/tag': 'stable'})
      ),
      peerauthentications: items(
        named('P', 'all', 'istio-system', {}, {spec: {mtls: {mode: 'STRICT'}}}),
        named('P', 'some', 'shop', {}, {spec: {selector: {}, mtls: {mode: 'STRICT'}}}),
        named('P', 'lax', 'lax', {}, {spec: {mtls: {mode: 'PERMISSIVE'}}})
      )
    });
    expect(found).toMatchObject({
      operators: [
        {
          namespace: 'ops',
          name: 'sail-operator',
          image: 'op:1.30.3',
          annotations: {a: 'b'},
          crd: 'the CRD'
        }
      ],
      istiods: [
        {namespace: 'istio-system', name: 'istiod', revision: 'default', image: 'pilot:1.30.3'},
        {namespace: 'mesh', name: 'istiod-x', revision: 'x', image: 'p:1.29.6'}
      ],
      istios: [{name: 'default', version: 'v1.30.3'}],
      cni: true,
      injectors: [
        {revision: 'default', tag: null},
        {revision: 'x', tag: 'stable'}
      ],
      strict: ['istio-system'],
      configMaps: ['shop/istio-ca-root-cert', 'bank/istio-ca-root-cert'],
      podsRequestingSidecar: ['shop/cart-1']
    });
  });
});

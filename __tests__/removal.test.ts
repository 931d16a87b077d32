import * as path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from '@jest/globals';
import {cleanUp} from '../src/phases/cleanup.ts';
import type {PostState} from '../src/plan/state.ts';
import {type Answer, eachOnRunner, fakeSh} from './fake.ts';

const runner = eachOnRunner();
beforeEach(() => {
  delete process.env.GITHUB_STEP_SUMMARY; // @actions/core goes on writing to the first one that it has seen
});
afterEach(() => {
  process.exitCode = undefined;
});

const ours = 'dual-stack-check/run=mine';
const removal = [
  `kubectl delete namespaces --selector ${ours},dual-stack-check/samples=true --timeout=240s`,
  `kubectl delete istios.sailoperator.io --selector ${ours} --cascade=foreground --timeout=240s`,
  `kubectl delete istiocnis.sailoperator.io --selector ${ours} --cascade=foreground --timeout=240s`,
  'helm uninstall sail-operator --namespace sail-operator --wait',
  `kubectl delete namespaces --selector ${ours} --timeout=240s`
];
const crds = `kubectl get crds --selector ${ours} -o name`;

/** Post, after a main that saved this; the rest is answered with nothing. */
async function post(state: Partial<PostState> = {}, answers: Record<string, Answer> = {}) {
  const work = path.join(runner.directory, 'private');
  const sh = fakeSh(command => answers[command.join(' ')] ?? '');
  await cleanUp(
    {
      ...{
        cluster: null,
        made: false,
        nodes: 0,
        containers: null,
        claim: null,
        kind: null,
        undo: []
      },
      existing: {
        ...{run: 'mine', operator: true, configMaps: null},
        tools: ['/tools/kubectl', '/tools/helm']
      },
      ...{work, cleanup: 'always', result: 'passed'},
      ...state
    },
    sh
  );
  return {calls: sh.calls, work};
}

describe('what was made in a cluster that is not ours', () => {
  test('is removed in the order that finalizers need', async () => {
    expect((await post()).calls).toEqual([...removal, crds]);
    expect(runner.log()).toBe('All objects of run mine are removed.\n');
  });

  test('by the kubeconfig and the tools of main', async () => {
    const {work} = await post();
    expect(process.env.KUBECONFIG).toBe(path.join(work, 'kubeconfig'));
    expect(process.env.PATH).toMatch(/^\/tools\/kubectl:\/tools\/helm:/);
  });

  test('without an operator of ours, no release is', async () => {
    const {calls} = await post({
      existing: {run: 'mine', operator: false, configMaps: null, tools: []}
    });
    expect(calls.filter(call => call.startsWith('helm'))).toEqual([]);
  });

  test.each([
    [1, 'error: the server doesn\'t have a resource type "istios"'],
    [3, 'Error: uninstall: Release not loaded: sail-operator: release: not found']
  ])('what was not made yet is no error: step %i', async (at, stderr) => {
    const {calls} = await post({}, {[removal[at] ?? '']: {code: 1, stderr}});
    expect(calls).toEqual([...removal, crds]);
    expect(process.exitCode).toBeUndefined();
  });

  test('where a step fails the operator stays, and all of it is told', async () => {
    const stderr = 'timed out waiting for the condition on istios/default\n::set-output name=a::b';
    const {calls} = await post({}, {[removal[1] ?? '']: {code: 1, stderr}});
    expect(calls).toEqual(removal.slice(0, 2));
    expect(process.exitCode).toBe(1);
    const [line = ''] = runner.log().split('\n');
    for (const command of removal) expect(line).toContain(command);
    expect(runner.log().trim().split('\n')).toHaveLength(1);
  });

  test.each([
    ['never', 'passed'],
    ['on-success', 'failed']
  ])('is kept with cleanup: %s after %s, and how to remove it is told', async (cleanup, result) => {
    expect((await post({cleanup, result})).calls).toEqual([]);
    for (const command of removal) expect(runner.log().split('\n')).toContain(command);
  });
});

describe('what istiod has put into other namespaces', () => {
  const listing =
    'kubectl get configmaps -A --selector istio.io/config=true -o jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}{"\\n"}{end}';
  const there = 'default/istio-ca-crl\ndefault/istio-ca-root-cert\nshop/istio-ca-root-cert\n';

  test('is removed at last, but for what was there before', async () => {
    const configMaps = ['shop/istio-ca-root-cert'];
    const existing = {run: 'mine', operator: true, configMaps, tools: []};
    const {calls} = await post({existing}, {[listing]: there});
    expect(calls).toEqual([
      ...removal,
      listing,
      'kubectl delete configmaps --namespace default istio-ca-crl istio-ca-root-cert --timeout=240s',
      crds
    ]);
  });

  test('names that would be options are no names', async () => {
    const existing = {run: 'mine', operator: true, configMaps: [], tools: []};
    const {calls} = await post({existing}, {[listing]: 'ns/--all\n--all/a\nshop/a\n'});
    expect(calls.filter(call => call.startsWith('kubectl delete configmaps'))).toEqual([
      'kubectl delete configmaps --namespace shop a --timeout=240s'
    ]);
  });

  test('is nobody’s business where the mesh is another’s', async () => {
    expect((await post({}, {[listing]: there})).calls).not.toContain(listing);
  });
});

describe('CRDs that this run made', () => {
  const names = ['istios.sailoperator.io', 'gateways.networking.istio.io'];
  const made = names
    .map(name => `customresourcedefinition.apiextensions.k8s.io/${name}\n`)
    .join('');

  test('are removed where there is nothing of them', async () => {
    const {calls} = await post({}, {[crds]: made});
    expect(calls.at(-1)).toBe(`kubectl delete crds ${names.join(' ')} --timeout=240s`);
    expect(runner.log()).not.toContain('::warning');
  });

  test('names that would be options are no names', async () => {
    const {calls} = await post({}, {[crds]: `${made}x/--profile=heap\nx/--all\n`});
    expect(calls.filter(call => /--profile|--all/.test(call))).toEqual([]);
    expect(calls.at(-1)).toBe(`kubectl delete crds ${names.join(' ')} --timeout=240s`);
  });

  test.each<[string, Answer]>([
    ['somebody has objects', 'gateway.networking.istio.io/shop\n'],
    ['nobody tells', {code: 1, stderr: 'Unable to connect to the server'}]
  ])('are left where %s, and named', async (_, answer) => {
    const {calls} = await post(
      {},
      {[crds]: made, 'kubectl get gateways.networking.istio.io -A -o name': answer}
    );
    expect(calls.at(-1)).toBe('kubectl delete crds istios.sailoperator.io --timeout=240s');
    expect(runner.log()).toMatch(
      /::warning::CRDs of this run are kept, .*: gateways\.networking\.istio\.io/
    );
  });
});

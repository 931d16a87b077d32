import {describe, expect, test} from '@jest/globals';
import type {Pod} from '../src/base/kube.ts';
import {CommandError} from '../src/base/sh.ts';
import {
  applyOnceServed,
  buildApplyCommand,
  waitForAmbient,
  waitForIstiod,
  waitUntilHealthy
} from '../src/phases/mesh.ts';
import {fakeSh, fakeWork} from './fake.ts';
import {planOf} from './planned.ts';
import {pod, waiting} from './things.ts';

interface Status {
  state?: string;
  observedGeneration?: number;
  conditions?: object[];
}
const istio = (status: Status) => ({
  kind: 'Istio',
  metadata: {name: 'default', generation: 2},
  spec: {version: 'v1.30.3'},
  status: {observedGeneration: 2, ...status}
});
const ready = {type: 'Ready', status: 'True'};
const reconcileError = (message: string) =>
  istio({conditions: [{type: 'Reconciled', status: 'False', reason: 'ReconcileError', message}]});
const istiod = (availableReplicas: number) => ({
  kind: 'Deployment',
  metadata: {name: 'istiod', namespace: 'istio-system'},
  status: {availableReplicas}
});
const endOfLife =
  'validation error: version "v1.27.0" is end-of-life and cannot be installed; use a supported version';
const notDual =
  'failed to install: Service "istiod" is invalid: spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services';
const noImage: Pod = pod('istio-system', 'istiod', {
  ready: false,
  statuses: [waiting('discovery', 'ErrImagePull', 'registry.example/pilot:9: not found')]
});

/** Tells these one after the other; what waits between them sees nothing. */
function api(said: object[]) {
  let turn = 0;
  return fakeSh(([, verb]) => {
    if (verb === 'wait') return {code: 1, stderr: 'timed out waiting for the condition'};
    return JSON.stringify(said[Math.min(turn++, said.length - 1)]);
  });
}
const items = (...items: object[]) => ({kind: 'List', items});
/** A clock on which each reading takes a minute. */
const hasty = () => {
  let now = 0;
  return fakeWork(() => (now += 60));
};

describe('applyOnceServed', () => {
  const apply = (sh: ReturnType<typeof fakeSh>) =>
    applyOnceServed(planOf(), 'istio.yaml', fakeWork(), sh);

  test.each<[string, object]>([
    ['gets no answer', {code: 124, timedOut: true}],
    [
      'is told that etcd is slow',
      {code: 1, stderr: 'Error from server: etcdserver: request timed out'}
    ],
    ['is told so', {code: 1, stderr: 'Error from server (Timeout): error when creating "x"'}]
  ])('tries again where it %s, and blames nobody for it', async (_, answer) => {
    let turn = 0;
    await apply(fakeSh(() => (turn++ === 0 ? answer : '')));
    expect(turn).toBe(2);
    const always = fakeSh(() => answer);
    const applied = applyOnceServed(planOf(), 'istio.yaml', hasty(), always);
    await expect(applied).rejects.toBeInstanceOf(CommandError);
    expect(always.calls.length).toBeGreaterThanOrEqual(3);
  });

  test('tries again while the CRD is not served', async () => {
    let turn = 0;
    const sh = fakeSh(() =>
      turn++ === 0 ? {code: 1, stderr: 'no matches for kind "Istio" in version'} : ''
    );
    await apply(sh);
    expect(sh.calls).toEqual(Array(2).fill(buildApplyCommand(planOf(), 'istio.yaml').join(' ')));
  });

  test.each([
    ['spec.version: Unsupported value: "v9.9.9": supported values: "v1.30.3"', 'input'],
    ['strict decoding error: unknown field "spec.values.pilot.nosuch"', 'input'],
    ['spec.values.pilot.cpu: Invalid value: "string"', 'input'],
    ['something else', 'istio']
  ])('a refusal is told as it is: %s', async (stderr, failureClass) => {
    await expect(apply(fakeSh(() => ({code: 1, stderr})))).rejects.toMatchObject({
      message: expect.stringContaining(`refused istio.yaml: ${stderr}`),
      attribution: {
        class: failureClass,
        layer: 'control-plane',
        hint: expect.stringContaining('`istio-version`')
      }
    });
  });
});

describe('a webhook of Istio that does not answer', () => {
  // what a run of the lab ended by, under a load of 40
  const stderr =
    'Error from server (InternalError): Internal error occurred: failed calling webhook "validation.istio.io": failed to call webhook: Post "https://istiod.istio-system.svc:443/validate?timeout=10s": dial tcp 10.96.51.122:443: connect: connection refused';

  test('is asked again', async () => {
    let turn = 0;
    const work = fakeWork();
    const sh = fakeSh(() => (turn++ < 2 ? {code: 1, stderr} : ''));
    await applyOnceServed(planOf(), 'resources.yaml', work, sh);
    expect(sh.calls).toHaveLength(3);
    expect(work.waits).toContain("Istio's webhook to respond");
  });

  test('is told when that goes on', async () => {
    const sh = fakeSh(() => ({code: 1, stderr}));
    await expect(applyOnceServed(planOf(), 'resources.yaml', hasty(), sh)).rejects.toMatchObject({
      message: expect.stringContaining('connection refused'),
      attribution: {class: 'istio', hint: expect.stringContaining('does not respond')}
    });
  });
});

describe('untilIstiod', () => {
  test('waits for istiod', async () => {
    const sh = api([items(), items(istio({}), istiod(0)), items(istio({}), istiod(1))]);
    const work = fakeWork();
    await waitForIstiod(planOf(), work, sh);
    expect(work.waits.filter(Boolean)).toEqual([
      'the operator to create istiod',
      'istiod to be available'
    ]);
  });

  test('need not look at anything once it is seen to be available', async () => {
    const sh = fakeSh(([, verb]) => (verb === 'wait' ? '' : undefined));
    await waitForIstiod(planOf(), fakeWork(), sh);
    expect(sh.calls).toEqual([
      'kubectl wait deployments --namespace istio-system --selector app=istiod --for=condition=Available --timeout=4s'
    ]);
  });

  test.each([
    [endOfLife, 'input', 'control-plane'],
    [notDual, 'infrastructure', 'node']
  ])(
    'what the operator will go on saying ends the wait: %s',
    async (message, failureClass, layer) => {
      const sh = api([items(reconcileError(message))]);
      const work = fakeWork();
      await expect(waitForIstiod(planOf(), work, sh)).rejects.toMatchObject({
        message: `the Istio resource: ReconcileError: ${message}`,
        attribution: {class: failureClass, layer}
      });
      expect(sh.calls.filter(line => line.includes(' get '))).toHaveLength(1);
    }
  );

  test('an image that cannot be pulled ends the wait, for the resource does not tell', async () => {
    const waits = istio({conditions: [{type: 'Ready', status: 'False', reason: 'IstiodNotReady'}]});
    await expect(
      waitForIstiod(planOf(), fakeWork(), api([items(waits, istiod(0), noImage)]))
    ).rejects.toThrow(
      'Pod istio-system/istiod-1: ErrImagePull: registry.example/pilot:9: not found'
    );
  });

  test('a namespace that is not there yet heals', async () => {
    const sh = api([
      items(reconcileError('namespace "istio-system" doesn\'t exist')),
      items(istiod(1))
    ]);
    const work = fakeWork();
    await waitForIstiod(planOf(), work, sh);
    expect(work.waits).toContain('Istio to recover from ReconcileError');
  });

  test('an error that holds does not', async () => {
    const sh = api([items(reconcileError('no kind "X" is registered'))]);
    await expect(waitForIstiod(planOf(), hasty(), sh)).rejects.toMatchObject({
      attribution: {class: 'istio', layer: 'control-plane'}
    });
  });
});

describe('untilHealthy', () => {
  test('is so when the operator has seen this very resource, and says so twice', async () => {
    const sh = api([
      istio({}),
      istio({state: 'Healthy', conditions: [ready], observedGeneration: 1}),
      istio({state: 'IstioCNINotFound', conditions: [ready]}),
      istio({state: 'Healthy', conditions: [{...ready, status: 'False'}]}),
      istio({state: 'Healthy', conditions: [ready]})
    ]);
    const work = fakeWork();
    expect(await waitUntilHealthy(work, sh)).toBe('v1.30.3');
    expect(work.waits.filter(Boolean)).toEqual([
      'Istio to be Healthy (now without a state)',
      'Istio to be Healthy (now Healthy)',
      'Istio to be Healthy (now IstioCNINotFound)',
      'Istio to be Healthy (now Healthy)'
    ]);
  }, 20_000);

  test('a version that is a number, as a chart’s CRD may have it, is text', async () => {
    const odd = {...istio({state: 'Healthy', conditions: [ready]}), spec: {version: 1.3}};
    expect(await waitUntilHealthy(fakeWork(), api([odd]))).toBe('1.3');
  });

  test('what the operator will go on saying ends the wait', async () => {
    await expect(waitUntilHealthy(fakeWork(), api([reconcileError(endOfLife)]))).rejects.toThrow(
      endOfLife
    );
  });
});

describe('untilAmbient', () => {
  const resource = (kind: string, status: string) => ({
    kind,
    metadata: {name: 'default', generation: 1},
    spec: {},
    status: {conditions: [{type: 'Ready', status}]}
  });
  const noImage = (namespace: string) =>
    pod(namespace, 'ztunnel', {
      ready: false,
      statuses: [waiting('istio-proxy', 'ErrImagePull', 'registry.example/ztunnel:9: not found')]
    });

  test('waits until both resources are ready', async () => {
    const sh = api([
      items(resource('IstioCNI', 'True')),
      items(),
      items(resource('IstioCNI', 'True'), resource('ZTunnel', 'False')),
      items(noImage('elsewhere')), // is nobody's here
      items(resource('IstioCNI', 'True'), resource('ZTunnel', 'True'))
    ]);
    await waitForAmbient(planOf(), fakeWork(), sh);
    expect(sh.calls.filter(call => call.includes(' get ')).length).toBe(5);
  });

  test('a pod that cannot start ends it, and is told of ambient', async () => {
    const sh = api([
      items(resource('IstioCNI', 'True'), resource('ZTunnel', 'False')),
      items(noImage('ztunnel'))
    ]);
    await expect(waitForAmbient(planOf(), fakeWork(), sh)).rejects.toMatchObject({
      message: expect.stringContaining('registry.example/ztunnel:9: not found'),
      attribution: {class: 'istio', layer: 'ambient'}
    });
  });
});

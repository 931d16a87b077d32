import {describe, expect, test} from '@jest/globals';
import type {KubeObject} from '../src/base/kube.ts';
import {
  filterProxied,
  restartWorkloads,
  upgradeMesh,
  waitForRevisionTag
} from '../src/phases/upgrade-mesh.ts';
import type {Upgrade} from '../src/plan/plan.ts';
import {type Answer, fakeSh, fakeWork} from './fake.ts';
import {planOf} from './planned.ts';
import {pod, waiting} from './things.ts';

const plan = planOf({'upgrade-from': '1.29.6', 'upgrade-strategy': 'RevisionBased'});
const upgrade = plan.upgrade as Upgrade;

/** What the operator has made of it: the revision and istiod, which may be of the generation before. */
const mesh = (version: string, seen: number, updated: number, ...more: object[]) =>
  JSON.stringify({
    items: [
      {
        kind: 'Istio',
        metadata: {name: 'default', generation: 2},
        spec: {version: 'v1.30.3'},
        status: {
          observedGeneration: 2,
          state: 'Healthy',
          conditions: [{type: 'Ready', status: 'True'}]
        }
      },
      {
        kind: 'IstioRevision',
        metadata: {name: 'default-v1-30-3', generation: 2},
        spec: {version},
        status: {observedGeneration: seen}
      },
      {
        kind: 'Deployment',
        metadata: {name: 'istiod-default-v1-30-3', namespace: 'istio-system', generation: 2},
        spec: {replicas: 1, template: {spec: {containers: []}}},
        status: {observedGeneration: 2, replicas: updated, updatedReplicas: 1, availableReplicas: 1}
      },
      ...more
    ]
  });

describe('the upgrade', () => {
  const run = async (...looks: Answer[]) => {
    let turn = 0;
    const sh = fakeSh(command => {
      const line = command.join(' ');
      if (line.includes('istiorevisions.sailoperator.io,'))
        return looks[Math.min(turn++, looks.length - 1)];
      if (line.includes('get istios.sailoperator.io'))
        return JSON.stringify(JSON.parse(mesh('v1.30.3', 2, 1)).items[0]);
      return '';
    });
    const work = fakeWork(() => turn * 20);
    const version = await upgradeMesh(plan, upgrade, work, sh);
    return {version, sh, work, turn};
  };

  test.each([
    ['the operator calls Istio Healthy, and has not taken it up', mesh('v1.29.6', 2, 1)],
    ['it has taken it up, and not yet told istiod', mesh('v1.30.3', 1, 1)],
    ['the old istiod still serves', mesh('v1.30.3', 2, 2)]
  ])('waits while %s', async (_, first) => {
    const {version, turn, sh} = await run(first, mesh('v1.30.3', 2, 1));
    expect({version, turn}).toEqual({version: 'v1.30.3', turn: 2});
    expect(sh.calls[0]).toBe('kubectl apply --server-side -f /work/upgrade.yaml');
    expect(sh.calls.at(-1)).toContain('--for=jsonpath={.status.istioRevision}=default-v1-30-3');
  });

  test('an image that does not exist ends it at once, and is named', async () => {
    const broken = pod('istio-system', 'istiod', {
      ready: false,
      statuses: [waiting('discovery', 'ErrImagePull', 'manifest unknown')]
    });
    await expect(run(mesh('v1.30.3', 2, 2, broken))).rejects.toMatchObject({
      attribution: {class: 'istio', layer: 'control-plane'}
    });
  });

  test('in place there is no tag to wait for', async () => {
    const sh = fakeSh({});
    await waitForRevisionTag('InPlace', 'default', fakeWork(), sh);
    expect(sh.calls).toEqual([]);
  });
});

describe('the restart', () => {
  const workload = (namespace: string, kind = 'Deployment', name = 'tcp-echo') => ({
    ...{namespace, kind, name, app: name},
    pods: 1
  });

  test('is of what has a proxy', () => {
    const snapshot: KubeObject[] = [
      pod('dual-stack', 'tcp-echo'),
      pod('plain', 'tcp-echo', {sidecar: 'none'})
    ];
    const wanted = [workload('dual-stack'), workload('plain'), workload('absent')];
    expect(filterProxied(wanted, snapshot).map(({namespace}) => namespace)).toEqual(['dual-stack']);
  });

  test('of all at once, and waits until no pod from before is left', async () => {
    const going = pod('dual-stack', 'tcp-echo', {terminating: true});
    let looks = 0;
    const sh = fakeSh(command =>
      command[1] === 'get' ? JSON.stringify({items: looks++ === 0 ? [going] : []}) : ''
    );
    const work = fakeWork();
    await restartWorkloads(
      [workload('dual-stack'), workload('headless', 'StatefulSet', 'echo')],
      work,
      sh
    );
    expect(sh.calls.slice(0, 2)).toEqual([
      'kubectl rollout restart deployment/tcp-echo --namespace dual-stack',
      'kubectl rollout restart statefulset/echo --namespace headless'
    ]);
    expect(looks).toBe(2);
    expect(work.waits).toContain('the old pods to end');
  });
});

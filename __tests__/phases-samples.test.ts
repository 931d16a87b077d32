import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {documentedSamples, documentedWorkloads} from '../src/manifests/documented-samples.ts';
import {deployMoreSamples, deploySamples, readSamples} from '../src/phases/deploy-samples.ts';
import {type Answer, eachOnRunner, fakeSh, fakeWork} from './fake.ts';
import {inputsOf, planOf} from './planned.ts';
import {pod, waiting} from './things.ts';

const runner = eachOnRunner();
const names = documentedSamples.map(({file}) => file);

/** Writes these sample files into a directory of the workspace. */
function write(files: string[]): void {
  for (const name of files) {
    const file = path.join(runner.directory, 'samples', name);
    fs.mkdirSync(path.dirname(file), {recursive: true});
    fs.writeFileSync(file, `# ${name}\n`);
  }
}

describe('readSamples', () => {
  test('those built in need no reading', async () =>
    expect(await readSamples(inputsOf())).toBeNull());

  test('reads all four from a directory', async () => {
    write(names);
    expect(await readSamples(inputsOf({samples: 'samples'}))).toEqual(
      Object.fromEntries(names.map(name => [name, `# ${name}\n`]))
    );
  });

  test.each(names)('a directory that lacks %s is a bad input', async name => {
    write(names.filter(other => other !== name));
    await expect(readSamples(inputsOf({samples: 'samples'}))).rejects.toMatchObject({
      attribution: {class: 'input'},
      message: expect.stringMatching(
        new RegExp(`^Invalid \`samples\` ".*": it lacks ${name}; expected `)
      )
    });
  });
});

describe('deploySamples', () => {
  const all = () => documentedWorkloads.map(({namespace, app}) => pod(namespace, app));
  const failing = {
    kind: 'Deployment',
    metadata: {name: 'sleep', namespace: 'sleep'},
    status: {
      conditions: [
        {
          type: 'ReplicaFailure',
          status: 'True',
          reason: 'FailedCreate',
          message: 'failed calling webhook'
        }
      ]
    }
  };
  /** Tells these pods, one list after the other, and these Deployments. */
  function api(lists: object[][], deployments: object[] = [], apply: Answer = '') {
    let turn = 0;
    return fakeSh(([, verb, what]) => {
      if (verb === 'apply') return apply;
      if (verb === 'wait' || verb === 'rollout') return '';
      if (what === 'deployments') return JSON.stringify({items: deployments});
      return JSON.stringify({items: lists[Math.min(turn++, lists.length - 1)]});
    });
  }

  test('has a workload in each namespace, and two without sidecars', () => {
    expect(documentedWorkloads.map(({namespace, app}) => `${namespace}/${app}`)).toEqual([
      'dual-stack/tcp-echo',
      'ipv4/tcp-echo',
      'ipv6/tcp-echo',
      'sleep/sleep',
      'plain/tcp-echo',
      'plain/sleep'
    ]);
  });

  test('waits for a pod of each to be there, and for all to be ready', async () => {
    const [first, ...rest] = all();
    const work = fakeWork();
    const notReady = pod('dual-stack', 'tcp-echo', {ready: false});
    await deploySamples(
      planOf(),
      work,
      api([[...rest], [notReady, ...rest], [first ?? {}, notReady, ...rest], all()])
    );
    expect(work.waits.filter(Boolean)).toEqual(Array(3).fill('dual-stack/tcp-echo to be ready'));
  });

  test('waits for the pods of what a check needs too, all of them', async () => {
    const own = {namespace: 'web', kind: 'StatefulSet', name: 'web', app: 'web', pods: 2};
    const plan = {...planOf(), workloads: [...documentedWorkloads, own]};
    const first = pod('web', 'web');
    const second = pod('web', 'web', {name: 'web-2'});
    const work = fakeWork();
    const sh = api([all(), [...all(), first], [...all(), first, second]]);
    await deploySamples(plan, work, sh);
    expect(work.waits.filter(Boolean)).toEqual(Array(2).fill('web/web to be ready'));
    expect(sh.calls).toContain('kubectl get pods -A -l app in (tcp-echo,sleep,web) -o json');
  });

  test('an image that cannot be pulled ends the wait', async () => {
    const [, ...rest] = all();
    const stuck = pod('dual-stack', 'tcp-echo', {
      ready: false,
      init: [waiting('istio-init', 'ErrImagePull', 'unauthorized')]
    });
    await expect(
      deploySamples(planOf(), fakeWork(), api([[stuck, ...rest]]))
    ).rejects.toMatchObject({
      message: 'Pod dual-stack/tcp-echo-1: ErrImagePull: unauthorized',
      attribution: {class: 'istio', layer: 'workload'}
    });
  });

  test('a webhook that refuses all pods is told when it goes on', async () => {
    let now = 0;
    const work = fakeWork(() => (now += 60));
    await expect(deploySamples(planOf(), work, api([[]], [failing]))).rejects.toMatchObject({
      message: 'Deployment sleep/sleep creates no pods: failed calling webhook',
      attribution: {class: 'istio', layer: 'workload'}
    });
    expect(work.waits[0]).toBe('sleep/sleep to recover from FailedCreate');
  });

  test.each([
    'pods "sleep-1" is forbidden: violates PodSecurity "baseline:latest": non-default capabilities',
    'admission webhook "warden-validating.common-webhooks.networking.gke.io" denied the request: GKE Warden rejected the request',
    'unable to validate against any security context constraint'
  ])('rules of the cluster that refuse a sidecar: %s', async message => {
    let now = 0;
    const work = fakeWork(() => (now += 60));
    const [condition] = failing.status.conditions;
    const refused = {
      ...failing,
      status: {...failing.status, conditions: [{...condition, message}]}
    };
    await expect(deploySamples(planOf(), work, api([[]], [refused]))).rejects.toMatchObject({
      message: `Deployment sleep/sleep creates no pods: ${message}`,
      attribution: {class: 'infrastructure', hint: expect.stringContaining('istio-cni: true')}
    });
  });

  test('somebody else’s Deployment is not ours to tell of', async () => {
    const work = fakeWork();
    const theirs = {...failing, metadata: {...failing.metadata, namespace: 'shop'}};
    await deploySamples(planOf(), work, api([[], all()], [theirs]));
    expect(work.waits[0]).toMatch(/ to be ready$/);
  });

  test('a webhook that refuses is told though pods without sidecars are there', async () => {
    let now = 0;
    const work = fakeWork(() => (now += 60));
    const plain = all().filter(({metadata}) => metadata.namespace === 'plain');
    const giveUp = setTimeout(work.stop, 2000);
    try {
      await expect(deploySamples(planOf(), work, api([plain], [failing]))).rejects.toThrow(
        'creates no pods'
      );
    } finally {
      clearTimeout(giveUp);
    }
  });

  test('manifests that are refused', async () => {
    const sh = api([], [], {code: 1, stderr: 'error validating data'});
    await expect(deploySamples(planOf(), fakeWork(), sh)).rejects.toThrow('error validating data');
  });
});

describe('deployMore', () => {
  const plan = {...planOf(), extraWorkloads: documentedWorkloads.slice(0, 1)};
  const [{namespace, app}] = plan.extraWorkloads as [(typeof documentedWorkloads)[0]];
  /** Looked at so often, a minute apart, with a pod that never gets ready, and then one that is. */
  const deployed = (isBroken: boolean, readyAfter: number) => {
    let looks = 0;
    const work = fakeWork(() => looks * 60);
    const sh = fakeSh(([, verb]) => {
      if (verb === 'apply') return '';
      if (verb === 'wait') return {code: 1, stderr: 'timed out waiting for the condition'};
      const items = [pod(namespace, app, {ready: looks++ >= readyAfter})];
      return JSON.stringify({items});
    });
    return deployMoreSamples(plan, work, sh, () => (isBroken ? 'dns' : null));
  };

  test('does not wait for ever for what may never be ready where a check has failed', async () => {
    await expect(deployed(true, 9)).rejects.toMatchObject({
      message: `waited 60 s for ${namespace}/${app} to be ready, without success`,
      attribution: {layer: 'dns'} // nothing below it is to be blamed
    });
  });

  test.each([
    ['what comes in time', true, 1],
    ['as long as nothing has failed', false, 9]
  ])(
    'waits for %s',
    async (_, isBroken, readyAfter) => {
      await expect(deployed(isBroken, readyAfter)).resolves.toBeUndefined();
    },
    20_000
  );
});

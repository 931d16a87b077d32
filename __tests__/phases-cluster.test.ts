import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {
  containersOf,
  cordon,
  createCluster,
  createCommand,
  deleteCommand,
  refuseCgroup1,
  refuseTaken,
  uncordon
} from '../src/phases/cluster.ts';
import {type Answer, fakeSh, fakeWork} from './fake.ts';
import {planOf} from './planned.ts';

const taken = {
  because: {class: 'input'},
  message: expect.stringMatching(
    /^cluster-name: found "istio-ds", a kind cluster that exists already/
  )
};
const create = createCommand(planOf()).join(' ');

test('the cluster is made with a kubeconfig of its own, and not waited for', () => {
  expect(create).toMatch(/^kind create cluster --name istio-ds --image \S+@sha256:[0-9a-f]{64} /);
  expect(createCommand(planOf({'cluster-name': 'mine', 'node-image': 'x/y:1'})).slice(3)).toEqual([
    ...['--name', 'mine', '--image', 'x/y:1', '--config', path.join('/work', 'kind.yaml')],
    ...['--kubeconfig', path.join('/work', 'kubeconfig.kind'), '--wait', '0s']
  ]);
  expect(deleteCommand('mine', '/work/kubeconfig').slice(3)).toEqual([
    ...['--name', 'mine', '--kubeconfig', '/work/kubeconfig']
  ]);
});

describe('a name', () => {
  test.each([
    ['', 'istio-ds'],
    ['kind\nistio-ds-2\n', 'istio-ds'],
    ['No kind clusters found.\n', 'istio-ds']
  ])('is free beside %j', async (clusters, name) => {
    await expect(
      refuseTaken(name, fakeSh({'kind get clusters': clusters}))
    ).resolves.toBeUndefined();
  });

  test('that is taken is somebody else’s', async () => {
    const sh = fakeSh({'kind get clusters': 'kind\nistio-ds\n'});
    await expect(refuseTaken('istio-ds', sh)).rejects.toMatchObject(taken);
  });
});

test('kind chooses the image where it is not ours to choose', () => {
  const nodes = 'nodes: [{role: control-plane, image: x/y:1}]';
  expect(createCommand(planOf({'kind-config': nodes})).join(' ')).not.toContain('--image');
});

describe('cgroup v1', () => {
  const info = (version: string | undefined) =>
    fakeSh({'docker info --format {{json .}}': JSON.stringify({CgroupVersion: version})});

  test('is no place for the Kubernetes that we chose', async () => {
    await expect(refuseCgroup1(planOf().cluster, info('1'))).rejects.toMatchObject({
      because: {class: 'input'},
      message: expect.stringMatching(
        /^kubernetes-version: found 1.36.4, .* accepted is `1.34` or older, .*failCgroupV1: false/
      )
    });
  });

  test.each(['2', undefined])('is not what Docker tells: %j', async version => {
    await expect(refuseCgroup1(planOf().cluster, info(version))).resolves.toBeUndefined();
  });

  test.each<[string, Record<string, string>]>([
    ['an older Kubernetes', {'kubernetes-version': '1.34'}],
    ['the default of an older Istio', {'istio-version': '1.29', 'kubernetes-version': '1.33'}],
    ['an image of the user’s', {'node-image': 'kindest/node:v1.37.0'}],
    [
      'a kubelet that takes it',
      {
        'kind-config':
          'kubeadmConfigPatches: ["kind: KubeletConfiguration\\nfailCgroupV1: false\\n"]'
      }
    ]
  ])('is not even asked about with %s', async (_, given) => {
    await expect(refuseCgroup1(planOf(given).cluster, fakeSh({}))).resolves.toBeUndefined();
  });
});

test('the containers of a cluster are told by kind’s label', async () => {
  const line = 'docker ps --all --no-trunc --quiet --filter label=io.x-k8s.kind.cluster=istio-ds';
  expect(await containersOf('istio-ds', fakeSh({[line]: 'a1\nb2\n'}))).toEqual(['a1', 'b2']);
  expect(await containersOf('istio-ds', fakeSh({[line]: ''}))).toEqual([]);
});

describe('createCluster', () => {
  const made = async (answer: Answer) => {
    let refused = 0;
    const sh = fakeSh({[create]: answer});
    const error = await createCluster(planOf(), sh, () => refused++).catch(
      (error: unknown) => error
    );
    return {error, refused};
  };

  test('makes it', async () => expect(await made('')).toEqual({error: undefined, refused: 0}));

  test('a refusal because of the name tells that there is nothing to clean up', async () => {
    const stderr =
      'ERROR: failed to create cluster: node(s) already exist for a cluster with the name "istio-ds"\n';
    const {error, refused} = await made({code: 1, stderr});
    expect(error).toMatchObject(taken);
    expect(refused).toBe(1);
  });

  test.each([
    [
      'failed to get IPv6 address for node istio-ds-control-plane; is docker configured to use IPv6 correctly?',
      /network has no IPv6/
    ],
    ['failed to pull image "kindest/node:v0": manifest unknown', /`node-image`/],
    [
      // recorded: node-killed-early
      'failed to create cluster: failed to read CNI manifest: command "docker exec --privileged istio-ds-control-plane cat /kind/manifests/default-cni.yaml" failed with error: exit status 126',
      /^The node's container ended/
    ],
    ['failed to init node with kubeadm: exit status 1', /inotify limits/]
  ])('%s', async (said, hint) => {
    const {error, refused} = await made({
      code: 1,
      stderr: `Creating cluster ...\nERROR: ${said}\nStack Trace: ...\n`
    });
    expect(error).toMatchObject({
      message: `kind could not make the cluster istio-ds: ERROR: ${said}`,
      because: {class: 'infrastructure', layer: 'node', hint: expect.stringMatching(hint)}
    });
    expect(refused).toBe(0); // there may be half of it: post deletes it
  });
});

describe('pods', () => {
  test('are kept off the control plane, as soon as that is registered, and let in again', async () => {
    let turn = 0;
    const sh = fakeSh(() => (turn++ === 0 ? {code: 1, stderr: 'nodes "x" not found'} : ''));
    const work = fakeWork();
    await cordon(planOf().cluster, work, sh);
    await uncordon(planOf().cluster, sh);
    expect(sh.calls).toEqual([
      'kubectl cordon istio-ds-control-plane',
      'kubectl cordon istio-ds-control-plane',
      'kubectl uncordon istio-ds-control-plane'
    ]);
    expect(work.waits).toEqual(['the node to be registered', null]);
  });
});

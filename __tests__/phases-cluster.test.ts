import {spawnSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {
  cordon,
  createCluster,
  createCommand,
  deleteCommand,
  refuseTaken,
  serverVersion,
  uncordon,
  untilApi,
  untilContainerd,
  untilServices
} from '../src/phases/cluster.ts';
import {type Answer, eachOnRunner, fakeSh, fakeWork} from './fake.ts';
import {planOf} from './planned.ts';

const runner = eachOnRunner();
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

test('containerd is waited for in every node', async () => {
  const asked: string[] = [];
  const sh = fakeSh(([, , node = '']) => {
    asked.push(node);
    return asked.length === 1 ? {code: 1, stderr: 'No such container'} : '';
  });
  const work = fakeWork();
  await untilContainerd({...planOf().cluster, nodes: ['a', 'b']}, work, sh);
  expect(asked).toEqual(['a', 'a', 'b']);
  expect(work.waits).toEqual(['containerd in a', null, null]);
});

describe('the API server', () => {
  /** Each of its stages is there at the second time of asking. */
  function api() {
    const asked = new Set<string>();
    return fakeSh(command => {
      const line = command.join(' ');
      if (!asked.has(line)) return asked.add(line) && {code: 1};
      return command[0] === 'kind' ? 'users: []\n' : '';
    });
  }
  const cluster = (nodes = ['istio-ds-control-plane']) => ({
    ...planOf().cluster,
    nodes,
    kubeconfig: path.join(runner.directory, 'kubeconfig')
  });

  test('is waited for, by a kubeconfig that only its owner reads', async () => {
    const work = fakeWork();
    const {kubeconfig} = cluster();
    await untilApi(cluster(), work, api());
    expect(fs.readFileSync(kubeconfig, 'utf8')).toBe('users: []\n');
    expect(fs.statSync(kubeconfig).mode & 0o777).toBe(0o600);
    expect(work.waits.join()).toMatch(/the kubeconfig.*the API server/);
  });

  test('is asked for on a control plane, wherever that is in kind-config', async () => {
    const sh = api();
    await untilApi(cluster(['istio-ds-worker', 'istio-ds-control-plane']), fakeWork(), sh);
    expect(sh.calls.join('\n')).not.toContain('docker exec istio-ds-worker');
  });

  test('tells its version', async () => {
    const sh = fakeSh({'kubectl get --raw /version': '{"gitVersion": "v1.34.4"}'});
    expect(await serverVersion(sh)).toBe('v1.34.4');
  });

  test('is waited for by its Service, as a pod would reach it', async () => {
    const work = fakeWork();
    const sh = api();
    await untilServices(cluster(), work, sh);
    expect(sh.calls).toHaveLength(2);
    expect(work.waits).toEqual(["the API server's Service in istio-ds-control-plane", null]);
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

describe('the scripts that wait in a node', () => {
  const programs = () => {
    const bin = path.join(runner.directory, 'bin');
    fs.mkdirSync(bin);
    const put = (name: string, ...lines: string[]) =>
      fs.writeFileSync(path.join(bin, name), ['#!/bin/bash', ...lines].join('\n'), {mode: 0o755});
    return {bin, put};
  };

  test.each([
    ['10.96.0.1', 'https://10.96.0.1/livez'],
    ['fd00:10:96::1', 'https://[fd00:10:96::1]/livez']
  ])('the Service %s is asked for by %s, until it answers', async (address, url) => {
    const {bin, put} = programs();
    let script = '';
    const sh = fakeSh(command => {
      script = command.at(-1)?.replace('cd /etc/kubernetes', `cd ${runner.directory}`) ?? '';
      return '';
    });
    await untilServices(planOf().cluster, fakeWork(), sh);
    put('kubectl', `echo ${address}`);
    put(
      'curl',
      `echo "$@" >>${runner.directory}/asked`,
      `[ $(wc -l <${runner.directory}/asked) -ge 3 ]`
    );
    const {status} = spawnSync('bash', ['-c', script], {
      env: {PATH: `${bin}:${process.env.PATH}`},
      timeout: 10_000
    });
    expect(status).toBe(0);
    const asked = fs.readFileSync(path.join(runner.directory, 'asked'), 'utf8').trim().split('\n');
    expect(asked).toHaveLength(3);
    expect(asked[0]?.endsWith(` ${url}`)).toBe(true);
  });
});

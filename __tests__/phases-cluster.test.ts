import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {Fault} from '../src/base/fault.ts';
import {
  buildCreateClusterCommand,
  buildDeleteClusterCommand,
  cordon,
  createCluster,
  describeLeftoverClusters,
  describeLostNode,
  listContainers,
  refuseCgroup1,
  refuseTakenClusterName,
  uncordon
} from '../src/phases/create-cluster.ts';
import type {PostState} from '../src/plan/state.ts';
import {type Answer, eachOnRunner, fakeSh, fakeWork} from './fake.ts';
import {planOf} from './planned.ts';

const runner = eachOnRunner();
const taken = {
  attribution: {class: 'input'},
  message: expect.stringMatching(
    /^Invalid `cluster-name` "istio-ds": a kind cluster of that name exists, and this run did not create it\. Set another name\./
  )
};
const create = buildCreateClusterCommand(planOf()).join(' ');

test('the cluster is made with a kubeconfig of its own, and not waited for', () => {
  expect(create).toMatch(/^kind create cluster --name istio-ds --image \S+@sha256:[0-9a-f]{64} /);
  expect(
    buildCreateClusterCommand(planOf({'cluster-name': 'mine', 'node-image': 'x/y:1'})).slice(3)
  ).toEqual([
    ...['--name', 'mine', '--image', 'x/y:1', '--config', path.join('/work', 'kind.yaml')],
    ...['--kubeconfig', path.join('/work', 'kubeconfig.kind'), '--wait', '0s']
  ]);
  expect(buildDeleteClusterCommand('mine', '/work/kubeconfig').slice(3)).toEqual([
    ...['--name', 'mine', '--kubeconfig', '/work/kubeconfig']
  ]);
});

describe('a name', () => {
  test.each([
    ['', []],
    ['kind\nistio-ds-2\n', []],
    ['No kind clusters found.\n', []],
    ['istio-ds-0a1b2c3d\nistio-ds-mine\nistio-ds\nkind\n', ['istio-ds-0a1b2c3d', 'istio-ds']]
  ])('is free beside %j, and those that runs have left are told', async (clusters, left) => {
    const sh = fakeSh({'kind get clusters': clusters});
    await expect(refuseTakenClusterName('mine', sh)).resolves.toEqual(left);
  });

  test('of a run that was cut off is named, with what frees it', () => {
    expect(describeLeftoverClusters([])).toBeNull();
    expect(describeLeftoverClusters(['istio-ds-0a1b2c3d', 'istio-ds'])).toMatch(
      /^existing clusters: istio-ds-0a1b2c3d, istio-ds\. .*`kind delete clusters istio-ds-0a1b2c3d istio-ds`/
    );
  });

  test('that is taken is somebody else’s', async () => {
    const sh = fakeSh({'kind get clusters': 'kind\nistio-ds\n'});
    await expect(refuseTakenClusterName('istio-ds', sh)).rejects.toMatchObject(taken);
  });
});

test('kind chooses the image where it is not ours to choose', () => {
  const nodes = 'nodes: [{role: control-plane, image: x/y:1}]';
  expect(buildCreateClusterCommand(planOf({'kind-config': nodes})).join(' ')).not.toContain(
    '--image'
  );
});

describe('cgroup v1', () => {
  const info = (version: string | undefined) =>
    fakeSh({'docker info --format {{json .}}': JSON.stringify({CgroupVersion: version})});

  test('is no place for the Kubernetes that we chose', async () => {
    await expect(refuseCgroup1(planOf().cluster, info('1'))).rejects.toMatchObject({
      attribution: {class: 'input'},
      message: expect.stringMatching(
        /^Invalid `kubernetes-version` "1.36.4": .* Expected `1.34` or older, .*failCgroupV1: false/
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
  expect(await listContainers('istio-ds', fakeSh({[line]: 'a1\nb2\n'}))).toEqual(['a1', 'b2']);
  expect(await listContainers('istio-ds', fakeSh({[line]: ''}))).toEqual([]);
});

describe('a node that was lost', () => {
  const nodes = ['a', 'b'];
  const since = Date.parse('2026-11-28T09:00:00Z');
  const running = (minute: string) => `running 2026-11-28T${minute}:59.155430929Z`;

  test.each<[string, Answer, string | null]>([
    ['none', `${running('08:59')}\n${running('08:58')}\n`, null],
    [
      'one that was started anew',
      `${running('08:59')}\n${running('09:00')}\n`,
      'The container of b was restarted during the run'
    ],
    [
      'one that has ended',
      'exited 2026-11-28T08:59:59.1Z\n',
      'The container of a is exited instead of running'
    ],
    [
      'one that is gone',
      {code: 1, stdout: `${running('08:59')}\n`, stderr: 'Error: No such object: b\n'},
      'The container of b was removed during the run'
    ],
    [
      'Docker itself',
      {code: 1, stderr: 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock.'},
      'Docker no longer responds'
    ],
    ['what nobody can tell', {code: 1, stderr: 'permission denied'}, null]
  ])('%s', async (_, answer, expected) => {
    expect(
      await describeLostNode(
        nodes,
        since,
        fakeSh(() => answer)
      )
    ).toBe(expected);
  });
});

describe('createCluster', () => {
  const directory = () => path.join(runner.directory, 'private');
  /** Makes it with what kind and Docker answer; the n-th time kind is asked it gives its n-th answer. */
  const made = async (kind: Answer[], network: Answer = '', given: Record<string, string> = {}) => {
    const saved: Partial<PostState>[] = [];
    let turn = 0;
    fs.mkdirSync(directory());
    const file = path.join(directory(), 'kind.yaml');
    fs.writeFileSync(file, 'with the mount');
    const configs: string[] = [];
    const sh = fakeSh(([program]) => {
      if (program === 'docker') return network;
      configs.push(fs.readFileSync(file, 'utf8'));
      return kind[turn++];
    });
    const plan = {...planOf(given), directory: directory()};
    const error = await createCluster(plan, fakeWork(), sh, one => saved.push(one)).catch(
      (error: unknown) => error
    );
    return {error, saved, calls: sh.calls, configs};
  };
  const failed = (said: string): Answer => ({
    code: 1,
    stderr: `Creating cluster ...\nERROR: failed to create cluster: ${said}\nStack Trace: ...\n`
  });

  test('makes it', async () =>
    expect(await made([''])).toMatchObject({error: undefined, saved: []}));

  test('a refusal because of the name tells that there is nothing to clean up', async () => {
    const {error, saved} = await made([
      failed('node(s) already exist for a cluster with the name "istio-ds"')
    ]);
    expect(error).toMatchObject(taken);
    expect(saved).toEqual([{cluster: null}]);
  });

  test.each<[string, number, Partial<PostState>[]]>([
    ['has failed makes no more', 1, [{made: true, containers: []}]],
    ['was ended may still make', 143, []],
    ['was killed may still make', 137, []]
  ])('a kind that %s containers: post is told', async (_, code, expected) => {
    const {error, saved} = await made([{code, stderr: 'ERROR: failed to create cluster'}]);
    expect(error).toBeInstanceOf(Fault);
    expect(saved).toEqual(expected);
  });

  test.each<[Answer, string[] | null]>([
    ['a1\nb2\n', ['a1', 'b2']],
    [{code: 1, stderr: 'permission denied'}, null]
  ])('what a kind that has failed has left is told to post: %j', async (there, containers) => {
    const {saved} = await made([{code: 1, stderr: 'ERROR: failed to create cluster'}], there);
    expect(saved).toEqual([{made: true, containers}]);
  });

  test.each([
    [
      'failed to pull image "quay.io/lab/node:v1": command "docker pull quay.io/lab/node:v1" failed with error: exit status 1',
      /its registry/
    ],
    [
      // recorded: node-killed-early
      'failed to create cluster: failed to read CNI manifest: command "docker exec --privileged istio-ds-control-plane cat /kind/manifests/default-cni.yaml" failed with error: exit status 126',
      /^The node's container ended/
    ],
    ['failed to init node with kubeadm: exit status 1', /inotify limits/]
  ])('%s', async (said, hint) => {
    const {error, saved} = await made([failed(said)]);
    expect(error).toMatchObject({
      message: `kind could not create the cluster istio-ds: ERROR: failed to create cluster: ${said}`,
      attribution: {class: 'infrastructure', layer: 'node', hint: expect.stringMatching(hint)}
    });
    expect(saved).toEqual([{made: true, containers: []}]); // what has its name later is somebody else's
  });

  // what kind 0.33 printed where the lab's registry had no such image
  const absent =
    'failed to pull image "127.0.0.1:5000/kindest/node:v9.9.9": command "docker pull 127.0.0.1:5000/kindest/node:v9.9.9" failed with error: exit status 1\n\nCommand Output: Error response from daemon: manifest for 127.0.0.1:5000/kindest/node:v9.9.9 not found: manifest unknown: manifest unknown';
  const unreached =
    'failed to pull image "quay.io/lab/node:v1.37.0": command "docker pull quay.io/lab/node:v1.37.0" failed with error: exit status 1\n\nCommand Output: Error response from daemon: Get "https://quay.io/v2/": dial tcp: lookup quay.io: no such host';
  const own = 'nodes: [{role: control-plane, image: "127.0.0.1:5000/kindest/node:v9.9.9"}]';
  test.each<[string, Record<string, string>, string, object]>([
    [
      'that `node-image` names and no registry has',
      {'node-image': '127.0.0.1:5000/kindest/node:v9.9.9'},
      absent,
      {class: 'input', hint: expect.stringContaining('`node-image`')}
    ],
    [
      'that `kind-config` names and no registry has',
      {'kind-config': own},
      absent,
      {class: 'input', hint: expect.stringContaining('`kind-config`')}
    ],
    [
      'that kind published and its registry has not',
      {},
      absent,
      {class: 'infrastructure', hint: expect.stringContaining('registry')}
    ],
    [
      'whose registry is not reached',
      {'node-image': 'quay.io/lab/node:v1.37.0'},
      unreached,
      {class: 'infrastructure', hint: expect.stringContaining('registry')}
    ]
  ])('a node image %s', async (_, given, said, because) => {
    const {error} = await made([failed(said)], '', given);
    expect(error).toMatchObject({
      attribution: {
        ...because,
        headline: expect.stringMatching(/^The node image \S+ cannot be pulled$/)
      }
    });
  });

  describe('the network that kind made', () => {
    const noAddress =
      'failed to get IPv6 address for node istio-ds-control-plane; is docker configured to use IPv6 correctly?';

    test.each<[string, Answer, RegExp]>([
      [
        'is told as it is',
        '[{"IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}]}}]',
        /without IPv6: it has only 172\.18\.0\.0\/16$/
      ],
      ['is gone meanwhile', {code: 1, stderr: 'No such network'}, /unknown subnets$/]
    ])('without IPv6, silently, %s', async (_, network, message) => {
      const {error, calls} = await made([failed(noAddress)], network);
      expect(calls.at(-1)).toBe('docker network inspect kind');
      expect(error).toMatchObject({
        message: expect.stringMatching(message),
        attribution: {
          class: 'infrastructure',
          layer: 'network',
          hint: expect.stringMatching(/modprobe --all ip6_tables ip6table_nat/)
        }
      });
    });

    test('or could not make, because the kernel lacks modules, names them', async () => {
      const {error} = await made([
        failed(
          'failed to ensure docker network: command "docker network create -d=bridge --ipv6 --subnet fc00:f853:ccd:e793::/64 kind" failed with error: exit status 1\nCommand Output: Error response from daemon: add inter-network communication rule: (iptables failed: ip6tables --wait -t filter -A DOCKER-ISOLATION-STAGE-1: ip6tables v1.8.7 (legacy): can\'t initialize ip6tables table `filter\': Table does not exist (do you need to insmod?)'
        )
      ]);
      expect(error).toMatchObject({
        message: expect.stringMatching(/^kind could not create its network kind: .*insmod/s),
        attribution: {layer: 'network', hint: expect.stringMatching(/`modprobe --all ip6_tables/)}
      });
    });
  });

  describe('a mount that Docker refuses', () => {
    const refusals = [
      'command "docker run …" failed with error: exit status 125\nCommand Output: docker: Error response from daemon: Mounts denied: \nThe path /work/images is not shared from the host and is not known to Docker.',
      "docker: Error response from daemon: error while creating mount source path '/work/images': mkdir /work: read-only file system.",
      'docker: Error response from daemon: invalid mount config for type "bind": bind source path does not exist: /work/images.'
    ];

    test.each(refusals)('is done without: %s', async said => {
      const {error, calls, configs} = await made([failed(said), '']);
      expect(error).toBeUndefined();
      expect(calls.filter(call => call.startsWith('kind '))).toHaveLength(2);
      expect(calls[1]).toBe(calls[0]);
      expect(configs).toEqual(['with the mount', planOf().files['kind.yaml']]);
      expect(runner.log()).toMatch(/Docker refuses to mount .*through a pipe/);
    });

    test('another one, of kind-config, is told', async () => {
      const {error, calls} = await made(Array<Answer>(3).fill(failed(refusals[0] ?? '')));
      expect(calls.filter(call => call.startsWith('kind '))).toHaveLength(2);
      expect(error).toMatchObject({attribution: {class: 'infrastructure', layer: 'node'}});
    });
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

  test('are kept off every node, where there are more: each has the images before a pod starts there', async () => {
    const {cluster} = planOf({'kind-config': 'nodes: [{}, {role: worker}, {role: worker}]'});
    const sh = fakeSh(() => '');
    await cordon(cluster, fakeWork(), sh);
    await uncordon(cluster, sh);
    const nodes = 'istio-ds-control-plane istio-ds-worker istio-ds-worker2';
    expect(sh.calls).toEqual([`kubectl cordon ${nodes}`, `kubectl uncordon ${nodes}`]);
  });
});

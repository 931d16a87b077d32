import {spawnSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import type {Sh} from '../src/base/sh.ts';
import {
  optimizePodNetwork,
  unpackImages,
  waitForApiServer,
  waitForContainerd,
  waitForServices
} from '../src/phases/prepare-node.ts';
import {eachOnRunner, fakePrograms, fakeSh, fakeWork, has} from './fake.ts';
import {planOf} from './planned.ts';

const runner = eachOnRunner();

test('containerd is waited for in every node', async () => {
  const asked: string[] = [];
  const sh = fakeSh(([, , node = '']) => {
    asked.push(node);
    return asked.length === 1 ? {code: 1, stderr: 'No such container'} : '';
  });
  const work = fakeWork();
  await waitForContainerd({...planOf().cluster, nodes: ['a', 'b']}, work, sh);
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
      if (command[0] === 'kind') return 'users: []\n';
      return line.includes('/version') ? '{"gitVersion": "v1.34.4"}' : '';
    });
  }
  const cluster = (nodes = ['istio-ds-control-plane']) => ({
    ...planOf().cluster,
    nodes,
    kubeconfig: path.join(runner.directory, 'kubeconfig')
  });

  test('is waited for, tells its version, and is talked to by a kubeconfig that only its owner reads', async () => {
    const work = fakeWork();
    const {kubeconfig} = cluster();
    expect(await waitForApiServer(cluster(), work, api())).toBe('v1.34.4');
    expect(fs.readFileSync(kubeconfig, 'utf8')).toBe('users: []\n');
    expect(fs.statSync(kubeconfig).mode & 0o777).toBe(0o600);
    expect(work.waits.join()).toMatch(/the kubeconfig.*the API server/);
  });

  test('is asked for on a control plane, wherever that is in kind-config', async () => {
    const sh = api();
    await waitForApiServer(cluster(['istio-ds-worker', 'istio-ds-control-plane']), fakeWork(), sh);
    expect(sh.calls.join('\n')).not.toContain('docker exec istio-ds-worker');
  });

  test('is waited for by its Service, as a pod would reach it', async () => {
    const work = fakeWork();
    const sh = api();
    await waitForServices(cluster(), work, sh);
    expect(sh.calls).toHaveLength(2);
    expect(work.waits).toEqual(["the API server's Service in istio-ds-control-plane", null]);
  });
});

describe('the scripts that run in a node', () => {
  /** Programs that stand before the others, each given by its lines. */
  function programs(lines: Record<string, string[]>) {
    const env = fakePrograms(runner.directory, lines);
    return (command: string, more = {}, input = '') =>
      spawnSync('bash', ['-c', command], {
        env: {...env, ...more},
        input,
        encoding: 'utf8',
        timeout: 20_000
      });
  }
  /** The script that is run in the node, with places of ours. */
  async function scriptOf(run: (sh: Sh) => Promise<unknown>, places: string[]) {
    let script = '';
    await run(
      fakeSh(command => {
        script = command[5] ?? '';
        return '';
      })
    );
    return places.reduce((text, place) => text.replaceAll(place, runner.directory), script);
  }
  const read = (name: string) => fs.readFileSync(path.join(runner.directory, name), 'utf8');

  test.each([
    ['10.96.0.1', 'https://10.96.0.1/livez'],
    ['fd00:10:96::1', 'https://[fd00:10:96::1]/livez']
  ])('the Service %s is asked for by %s, until it answers', async (address, url) => {
    const {cluster} = planOf();
    const script = await scriptOf(
      sh => waitForServices(cluster, fakeWork(), sh),
      ['/etc/kubernetes']
    );
    const asked = path.join(runner.directory, 'asked');
    const run = programs({
      kubectl: [`echo ${address}`],
      curl: [`echo "$@" >>${asked}`, `[ $(wc -l <${asked}) -ge 3 ]`]
    });
    expect(run(script).status).toBe(0);
    const lines = read('asked').trim().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]?.endsWith(` ${url}`)).toBe(true);
  });

  const skipping = () =>
    scriptOf(
      sh => optimizePodNetwork({...planOf().cluster, nodes: ['a', 'b']}, fakeWork(), sh),
      ['/etc/cni/net.d', '/opt/cni/bin']
    );
  const kindnet = {
    cniVersion: '0.4.0',
    name: 'kindnet',
    plugins: [{type: 'ptp'}, {type: 'portmap'}]
  };

  // a node has jq; not every machine does, but CI's, whose end-to-end workflow needs it
  const withJq = has('jq') ? test : test.skip;

  withJq('a pod’s network detects no duplicate addresses before it has one', async () => {
    const conflist = path.join(runner.directory, '10-kindnet.conflist');
    fs.writeFileSync(conflist, JSON.stringify(kindnet));
    const run = programs({nsenter: [`echo "$@" $(cat) >>${runner.directory}/entered`]});
    expect(run(await skipping())).toMatchObject({status: 0, stderr: ''});
    expect(JSON.parse(fs.readFileSync(conflist, 'utf8'))).toEqual({
      ...kindnet,
      plugins: [{type: 'skip-dad'}, ...kindnet.plugins]
    });
    const plugin = (CNI_COMMAND: string) =>
      run(
        path.join(runner.directory, 'skip-dad'),
        {CNI_COMMAND, CNI_NETNS: '/run/netns/pod'},
        JSON.stringify({cniVersion: '0.4.0', name: 'kindnet', type: 'skip-dad'})
      );
    for (const command of ['ADD', 'DEL']) {
      const {status, stdout} = plugin(command);
      expect(status).toBe(0);
      expect(JSON.parse(stdout)).toEqual({cniVersion: '0.4.0'});
    }
    const switches = ['all', 'default'].map(of => `/proc/sys/net/ipv6/conf/${of}/accept_dad`);
    expect(read('entered')).toBe(`--net=/run/netns/pod tee ${switches.join(' ')} 0\n`);
  });

  withJq(
    'the pods of a single node have their network as soon as its pod CIDRs are known',
    async () => {
      const script = await scriptOf(
        sh => optimizePodNetwork(planOf().cluster, fakeWork(), sh),
        ['/etc/cni/net.d', '/opt/cni/bin', '/sys/class/net/eth0']
      );
      fs.writeFileSync(path.join(runner.directory, 'mtu'), '1400\n');
      const run = programs({
        kubectl: [
          `echo "$@" >>${runner.directory}/asked`,
          `[ $(wc -l <${runner.directory}/asked) -lt 3 ] || echo fd00:10:244::/64 10.244.0.0/24`
        ],
        sleep: ['exit 0']
      });
      expect(run(script, {HOSTNAME: 'node-1'})).toMatchObject({status: 0, stderr: ''});
      expect(read('asked').split('\n')[2]).toContain(' get node node-1 ');
      expect(JSON.parse(read('00-dual-stack.conflist'))).toEqual({
        cniVersion: '0.3.1',
        name: 'kindnet',
        plugins: [
          {type: 'skip-dad'},
          {
            type: 'ptp',
            ipMasq: false,
            mtu: 1400,
            ipam: {
              type: 'host-local',
              dataDir: '/run/cni-ipam-state',
              routes: [{dst: '0.0.0.0/0'}, {dst: '::/0'}],
              ranges: [[{subnet: 'fd00:10:244::/64'}], [{subnet: '10.244.0.0/24'}]]
            }
          },
          {type: 'portmap', capabilities: {portMappings: true}}
        ]
      });
    }
  );

  withJq('where the pod CIDRs do not come, kindnetd’s configuration is waited for', async () => {
    const script = await scriptOf(
      sh => optimizePodNetwork(planOf().cluster, fakeWork(), sh),
      ['/etc/cni/net.d', '/opt/cni/bin']
    );
    fs.writeFileSync(path.join(runner.directory, '10-kindnet.conflist'), JSON.stringify(kindnet));
    const run = programs({kubectl: ['exit 1'], sleep: ['exit 0']});
    expect(run(script).status).toBe(0);
    expect(JSON.parse(read('10-kindnet.conflist')).plugins[0]).toEqual({type: 'skip-dad'});
    expect(fs.existsSync(path.join(runner.directory, '00-dual-stack.conflist'))).toBe(false);
  });

  test('without a network of kind’s it is left as it is', async () => {
    const run = programs({sleep: ['exit 0']});
    expect(run(await skipping()).status).not.toBe(0);
    expect(fs.readdirSync(runner.directory).filter(name => name.includes('conflist'))).toEqual([]);
  });

  const images = [
    ...['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kube-proxy']
  ];

  /** Unpacks in a node where `ctr images` of this verb fails; what was asked of it, and its exit code. */
  const unpacking = async (node: string, failing?: string) => {
    fs.rmSync(path.join(runner.directory, 'asked'), {force: true});
    const run = programs({
      ctr: [
        `echo "$@" >>${runner.directory}/asked`,
        `[ "$3" != list ] || printf '%s\\n' sha256:0 registry.k8s.io/${images.join(':1 registry.k8s.io/')}:1`,
        `[ "$3" != "${failing}" ]`
      ],
      mktemp: [`mkdir ${runner.directory}/at`, `echo ${runner.directory}/at`]
    });
    const cluster = {...planOf().cluster, nodes: [node]};
    const {status} = run(
      await scriptOf(sh => unpackImages(cluster, 'overlayfs', fakeWork(), sh), [])
    );
    expect(fs.existsSync(path.join(runner.directory, 'at'))).toBe(false);
    return {status, asked: read('asked').split('\n').slice(1, -1)};
  };
  const mounted = (name: string) => [
    `--namespace=k8s.io images mount --snapshotter=overlayfs registry.k8s.io/${name}:1 ${runner.directory}/at`,
    `--namespace=k8s.io images unmount --rm ${runner.directory}/at`
  ];

  test('Kubernetes’ images are unpacked in the order of need, and nothing is left of that', async () => {
    for (const node of ['istio-ds-control-plane', 'istio-ds-control-plane2'])
      expect(await unpacking(node)).toEqual({status: 0, asked: images.flatMap(mounted)});
  });

  test('a worker runs no control plane', async () => {
    expect(await unpacking('istio-ds-worker')).toEqual({status: 0, asked: mounted('kube-proxy')});
  });

  test('an image that cannot be unpacked keeps no other from it', async () => {
    const {status, asked} = await unpacking('istio-ds-control-plane', 'mount');
    expect(status).not.toBe(0);
    expect(asked).toHaveLength(images.length);
  });
});

const unpackUsual: typeof optimizePodNetwork = (cluster, work, sh) =>
  unpackImages(cluster, 'overlayfs', work, sh);

test('images are unpacked into what the node keeps them in', async () => {
  const sh = fakeSh(() => '');
  await unpackImages(planOf().cluster, 'native', fakeWork(), sh);
  expect(sh.calls.join()).toContain('images mount --snapshotter=native "$1"');
});

test.each([unpackUsual, optimizePodNetwork])(
  '%p is done in every node, and can be done without',
  async hurry => {
    const sh = fakeSh(([, , node]) =>
      node === 'b' ? {code: 1, stderr: 'bash: jq: not found\n'} : ''
    );
    await hurry({...planOf().cluster, nodes: ['a', 'b']}, fakeWork(), sh);
    expect(sh.calls.map(line => line.split(' ')[2])).toEqual(['a', 'b']);
    expect(runner.log()).toMatch(/later|IPv6's.*: bash: jq: not found/);
  }
);

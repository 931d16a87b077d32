import {describe, expect, test} from '@jest/globals';
import type {ContainerStatus, Pod} from '../src/base/kube.ts';
import {cni, parsePlugin} from '../src/checks/cni.ts';
import type {Probe} from '../src/checks/probe.ts';
import type {Answer} from './fake.ts';
import {fakeClients, fakeSh, fakeWork} from './fake.ts';
import {both, failures, healthy, look, pod, service} from './things.ts';

// as a node of the lab printed it, without what is between
const conflist = JSON.stringify({
  cniVersion: '0.3.1',
  name: 'kindnet',
  plugins: [
    {type: 'ptp', mtu: 1500},
    {type: 'portmap', capabilities: {portMappings: true}},
    {
      name: 'istio-cni',
      type: 'istio-cni',
      ambient_enabled: false,
      cni_agent_run_dir: '/var/run/istio-cni',
      native_nftables: false,
      plugin_log_level: 'info'
    }
  ]
});
const withoutPlugin = JSON.stringify({
  cniVersion: '0.3.1',
  name: 'kindnet',
  plugins: [{type: 'ptp'}, {type: 'portmap'}]
});

const validation = (more: Partial<ContainerStatus> = {}): ContainerStatus => ({
  name: 'istio-validation',
  ready: true,
  restartCount: 1,
  ...more
});
const repaired = (status = validation(), ready = true): Pod =>
  pod('cni', 'repaired', {name: 'repaired-1', ips: both('22'), init: [status], ready});
const unscheduled = pod('cni', 'unscheduled', {name: 'unscheduled-1', ready: false});

const rules = ['-A PREROUTING -p tcp -j ISTIO_INBOUND', '-A OUTPUT -j ISTIO_OUTPUT'];
const sandbox = (ipv4 = rules, ipv6 = rules): string =>
  [
    'cni dd94b4069d03 pod',
    ...ipv4.map(rule => `cni dd94b4069d03 iptables ${rule}`),
    ...ipv6.map(rule => `cni dd94b4069d03 ip6tables ${rule}`),
    ''
  ].join('\n');

interface World {
  /** What the node's CNI configuration is, each time that it is read; the last stands. */
  plugins: string[];
  config: Record<string, string>;
  pod: Pod;
  rules: string;
  /** The rules that istio-cni sets in a network, by its family. */
  networks: Record<string, Answer>;
  answer: (probe: Probe) => string;
}

const snapshot = [
  ...healthy(),
  service('cni', ['10.96.0.22'], 'SingleStack', 'repaired-ipv4'),
  service('cni', ['fd00:10:96::22'], 'SingleStack', 'repaired-ipv6')
];

/** Plaintext is refused by the pod's STRICT port; everything else answers. */
const strict = ({word, address, port}: Probe): string =>
  port === 9001 && both('22').includes(address) ? '' : `hello ${word}`;

async function seen(other: Partial<World> = {}) {
  const world: World = {
    plugins: [conflist],
    config: {REPAIR_ENABLED: 'true', REPAIR_REPAIR_PODS: 'true'},
    pod: repaired(),
    rules: sandbox(),
    networks: {ipv4: 'iptables 20\nip6tables 0\n', ipv6: 'iptables 20\nip6tables 20\n'},
    answer: strict,
    ...other
  };
  const commands: string[][] = [];
  let reads = 0;
  const sh = fakeSh(command => {
    commands.push(command);
    const line = command.join(' ');
    if (line.startsWith('kubectl get configmap')) return JSON.stringify({data: world.config});
    if (line.startsWith('kubectl scale ') || line.startsWith('kubectl wait ')) return '';
    if (line.startsWith('kubectl get pods'))
      return JSON.stringify({
        items: [line.includes('app=unscheduled') ? unscheduled : world.pod]
      });
    if (command.includes('plugins'))
      return `${world.plugins[reads++] ?? world.plugins.at(-1)}\n${withoutPlugin}\n`;
    if (command.includes('network'))
      return world.networks[line.includes('dual-stack-check-ipv4-only') ? 'ipv4' : 'ipv6'];
    return command.includes('iptables') ? world.rules : undefined;
  });
  const clients = fakeClients(world.answer, sh);
  let now = 0;
  const found = await look(cni, {
    sh: clients,
    snapshot,
    work: fakeWork(() => (now += 20))
  });
  return {found, clients, commands};
}

const scaled = (commands: string[][]) =>
  commands.flatMap(command => (command[1] === 'scale' ? [command.slice(-1)[0]] : []));

describe('cni', () => {
  test('a pod is repaired, and both networks have the rules of their family', async () => {
    const {found, clients, commands} = await seen();
    expect(failures(found)).toEqual({});
    expect(Object.keys(found).sort()).toEqual(cni.definitions.map(({id}) => id).sort());
    expect(Object.values(found).map(({verdict}) => verdict)).not.toContain('skipped');
    const asked = clients.rounds.flatMap(({namespace, probes}) =>
      probes.map(({word, address, port}) => [word, namespace, address, port].join(' '))
    );
    expect(asked.sort()).toEqual([
      'cni/repaired/ipv4 sleep 10.96.0.22 9001',
      'cni/repaired/ipv4-control plain 10.244.0.22 9000',
      'cni/repaired/ipv4-refused plain 10.244.0.22 9001',
      'cni/repaired/ipv6 sleep fd00:10:96::22 9001',
      'cni/repaired/ipv6-control plain fd00:10:244::22 9000',
      'cni/repaired/ipv6-refused plain fd00:10:244::22 9001'
    ]);
    expect(scaled(commands)).toEqual(['1', '0']);
  });

  test('IstioCNI is called as the container runtime calls it, for an existing pod', async () => {
    const {commands} = await seen();
    const asked = commands.filter(command => command.includes('network'));
    expect(asked.map(command => command.slice(-5))).toEqual([
      [
        'dual-stack-check-ipv4-only',
        '192.0.2.1/32',
        expect.any(String),
        'dual-stack',
        'tcp-echo-1'
      ],
      ['dual-stack-check-ipv6-only', '2001:db8::1/128', expect.any(String), 'cni', 'unscheduled-1']
    ]);
    for (const command of asked)
      expect(JSON.parse(command.at(-3) ?? '')).toMatchObject({
        name: 'kindnet',
        cniVersion: '0.3.1',
        type: 'istio-cni',
        cni_agent_run_dir: '/var/run/istio-cni'
      });
  });

  // as it was with the code of Istio 1.25.1
  test('a repair that leaves IPv4 out: what is behind it does not answer, and is not taken for refused', async () => {
    const {found, commands} = await seen({
      pod: repaired(validation({ready: false}), false),
      rules: sandbox([]),
      answer: () => ''
    });
    expect(failures(found)).toEqual({
      'cni/repaired/ready': 'no IPv4 rules after 90 s',
      'cni/repaired/iptables': 'no Istio rules for IPv4',
      'cni/repaired/ipv4': 'no answer',
      'cni/repaired/ipv4-control': 'no answer',
      'cni/repaired/ipv6': 'no answer',
      'cni/repaired/ipv6-control': 'no answer'
    });
    expect(scaled(commands)).toEqual(['1', '0']);
  });

  test('a repair of one family: plaintext passes over the other', async () => {
    const {found} = await seen({
      rules: sandbox(rules, []),
      answer: probe => (probe.address === 'fd00:10:244::22' ? `hello ${probe.word}` : strict(probe))
    });
    expect(failures(found)).toEqual({
      'cni/repaired/iptables': 'no Istio rules for IPv6',
      'cni/repaired/ipv6-refused': 'answered plaintext'
    });
  });

  test.each([
    [
      'it had no rules before',
      repaired(validation({restartCount: 0})),
      'Ready without a repair: the pod had no IPv4 rules to lose'
    ],
    [
      'it does not start for another reason',
      repaired(validation({ready: false, restartCount: 0}), false),
      'not ready after 90 s'
    ]
  ])('a pod that is not repaired: %s', async (_, pod, observed) => {
    const {found} = await seen({pod});
    expect(failures(found)).toEqual({'cni/repaired/ready': observed});
  });

  // reported by a plugin that listed addresses before it entered the pod's network
  test('families of the node in place of those of the pod', async () => {
    const {found} = await seen({
      networks: {ipv4: 'iptables 20\nip6tables 20\n', ipv6: 'iptables 20\nip6tables 0\n'}
    });
    expect(failures(found)).toEqual({
      'cni/ipv4-only/rules': 'rules for IPv4 and IPv6',
      'cni/ipv6-only/rules': 'rules for IPv4 only'
    });
  });

  test.each([
    ['no rules at all', 'iptables 0\nip6tables 0\n', 'no Istio rules'],
    ['the other family alone', 'iptables 0\nip6tables 20\n', 'rules for IPv6 only'],
    ['a plugin that fails', {code: 1, stderr: '{"code": 999, "msg": "no pod"}'}, 'istio-cni failed']
  ])('in a network of IPv4: %s', async (_, ipv4, observed) => {
    const {found} = await seen({networks: {ipv4, ipv6: 'iptables 20\nip6tables 20\n'}});
    expect(failures(found)).toEqual({'cni/ipv4-only/rules': observed});
    if (typeof ipv4 !== 'string')
      expect(found['cni/ipv4-only/rules']?.reason).toContain('"msg": "no pod"');
  });

  test('a node that does not answer in time proves nothing about IstioCNI', async () => {
    const networks = {ipv4: {code: 124, timedOut: true}, ipv6: 'iptables 20\nip6tables 20\n'};
    await expect(seen({networks})).rejects.toThrow('did not end in time');
  });

  test('IPv6 rules are enough for a network with only IPv6', async () => {
    const networks = {ipv4: 'iptables 20\nip6tables 0\n', ipv6: 'iptables 0\nip6tables 20\n'};
    expect(failures((await seen({networks})).found)).toEqual({});
  });

  test('no IstioCNI in what the container runtime goes by', async () => {
    const {found} = await seen({plugins: [withoutPlugin]});
    expect(failures(found)).toEqual({
      'cni/ipv4-only/rules': 'no istio-cni in the CNI configuration of the node',
      'cni/ipv6-only/rules': 'no istio-cni in the CNI configuration of the node'
    });
  });

  test('IstioCNI that is not in the node’s CNI configuration at first, and is a moment later', async () => {
    const {found} = await seen({plugins: [withoutPlugin, conflist]});
    expect(failures(found)).toEqual({});
  });

  const skipped = (found: Awaited<ReturnType<typeof seen>>['found']) =>
    Object.entries(found).flatMap(([id, {verdict, reason}]) =>
      verdict === 'skipped' ? [[id, reason] as const] : []
    );
  const ofRepair = cni.definitions.filter(({target}) => target === 'repaired').length;

  test.each([[{REPAIR_REPAIR_PODS: 'false'}], [{REPAIR_ENABLED: 'false'}]])(
    'a repair that is turned off is told, and not waited for: %j',
    async config => {
      const {found, commands} = await seen({config});
      expect(failures(found)).toEqual({});
      expect(skipped(found)).toHaveLength(ofRepair);
      expect(skipped(found)[0]?.[1]).toMatch(/repair of pods is off/);
      expect(commands.some(command => command[1] === 'wait')).toBe(false);
    }
  );

  test("a proxy's image without a shell skips the checks", async () => {
    const state = {
      waiting: {
        reason: 'CrashLoopBackOff',
        message: 'exec: "sh": executable file not found in $PATH: unknown'
      }
    };
    const {found} = await seen({pod: repaired(validation({ready: false, state}), false)});
    expect(failures(found)).toEqual({});
    expect(skipped(found)).toHaveLength(ofRepair);
    expect(skipped(found)[0]?.[1]).toMatch(/has no shell/);
  });

  test('native nftables have no such rules: nothing is made', async () => {
    const plugins = conflist.replace('"native_nftables":false', '"native_nftables":true');
    const {found, commands} = await seen({plugins: [plugins]});
    expect(skipped(found)).toHaveLength(cni.definitions.length);
    expect(scaled(commands)).toEqual([]);
  });

  test('the pods are taken away also where something fails', async () => {
    const sh = fakeSh({});
    const calls: string[] = [];
    const failing: typeof sh = Object.assign(
      async (command: string[]) => {
        calls.push(command.join(' '));
        const stdout = command.includes('plugins') ? conflist : '';
        const code = command[1] === 'get' && command[2] === 'pods' ? 1 : 0;
        return {code, stdout, stderr: 'gone', timedOut: false};
      },
      {calls}
    );
    let now = 0;
    await expect(look(cni, {sh: failing, work: fakeWork(() => (now += 20))})).rejects.toThrow();
    expect(calls.at(-1)).toMatch(/^kubectl scale .*--replicas 0$/);
  });
});

describe('the configuration of IstioCNI', () => {
  test.each([
    ['nothing', ''],
    ['no JSON', '{'],
    ['no object', 'null'],
    ['no list', '{"plugins": {}}'],
    ['odd plugins', '{"plugins": [null, 3]}'],
    ['another plugin', withoutPlugin]
  ])('%s', (_, text) => {
    expect(parsePlugin(text)).toBeNull();
  });

  test('that of the first file counts', () => {
    expect(parsePlugin(`${withoutPlugin}\n${conflist}\n`)).toBeNull();
    expect(parsePlugin(`${conflist}\n${withoutPlugin}\n`)).toMatchObject({name: 'kindnet'});
  });
});

import {describe, expect, test} from '@jest/globals';
import {xds} from '../src/checks/xds.ts';
import {type Answer, fakeSh} from './fake.ts';
import {planOf} from './planned.ts';
import {both, failures, healthy, look, pod} from './things.ts';

const clean = `cluster_manager.cds.update_rejected: 0
listener_manager.lds.update_rejected: 0
`;
const rejectedListener = clean.replace('lds.update_rejected: 0', 'lds.update_rejected: 1');
const metrics = `pilot_info{version="1.30.3-56df41f63e513f834c9a3af33d8aed82d1d961f2-Clean"} 1
# TYPE pilot_xds_pushes counter
pilot_xds_pushes{type="cds"} 52
pilot_xds_pushes{type="lds"} 45
`;
// as istiod told it when a proxy had refused a listener on an address that another one has
const rejects = `# TYPE pilot_total_xds_rejects counter
pilot_total_xds_rejects{type="lds"} 1
pilot_total_xds_rejects{type="rds"} 1
`;

const workload = (namespace: string, app: string) => ({
  namespace,
  kind: 'Deployment',
  name: app,
  app,
  pods: 1
});
const plan = {
  ...planOf(),
  workloads: [...planOf().workloads, workload('http', 'web'), workload('other', 'gateway')]
};
const things = () => [
  pod('somebody-elses', 'shop', {ips: both('20')}),
  ...healthy(),
  pod('http', 'web', {ips: both('13')}),
  pod('other', 'gateway', {name: 'gateway-1', ips: both('14'), sidecar: 'container'}),
  pod('kube-system', 'coredns', {ips: both('2'), sidecar: 'none'})
];

/** Proxies that count this; `of` is a namespace. */
const mesh = (istiod: Answer = metrics, of = '', counts: Answer = rejectedListener) =>
  fakeSh(command => {
    if (command[2] === '--raw') return istiod;
    expect(command.slice(5)).toEqual(
      '--container istio-proxy -- pilot-agent request GET stats?filter=update_rejected'.split(' ')
    );
    return command[3] === of ? counts : clean;
  });

describe('xds', () => {
  test('holds where nothing was rejected; every proxy is asked once, and istiod', async () => {
    const sh = mesh();
    const found = await look(xds, {sh, snapshot: things(), plan});
    expect(failures(found)).toEqual({});
    expect(Object.keys(found).sort()).toEqual(xds.definitions.map(({id}) => id).sort());
    const asked = sh.calls.map(line => /--namespace (\S+ \S+)|--raw (\S+)/.exec(line)?.[0]);
    expect(asked.sort()).toEqual([
      '--namespace dual-stack deployment/tcp-echo',
      '--namespace http pod/web-1',
      '--namespace ipv4 deployment/tcp-echo',
      '--namespace ipv6 deployment/tcp-echo',
      '--namespace other pod/gateway-1',
      '--namespace sleep deployment/sleep',
      '--raw /api/v1/namespaces/istio-system/services/istiod:15014/proxy/metrics'
    ]);
  });

  test.each<[string, ReturnType<typeof mesh>, Record<string, string>]>([
    [
      'a listener that the client refused',
      mesh(metrics + rejects, 'sleep'),
      {
        'xds/sleep/rejected': 'sleep/deployment/sleep: listener_manager.lds.update_rejected: 1',
        'xds/istiod/rejects':
          'pilot_total_xds_rejects{type="lds"} 1, pilot_total_xds_rejects{type="rds"} 1'
      }
    ],
    [
      'a proxy of a check of its own',
      mesh(metrics, 'other'),
      {'xds/others/rejected': 'other/pod/gateway-1: listener_manager.lds.update_rejected: 1'}
    ],
    [
      'a proxy that does not count',
      mesh(metrics, 'ipv6', 'cluster_manager.cds.update_rejected: 0\n'),
      {
        'xds/ipv6/rejected':
          'ipv6/deployment/tcp-echo: listener_manager.lds.update_rejected is missing'
      }
    ],
    [
      'what it counts beside',
      mesh(metrics, 'ipv4', `${clean}http.outbound.rds.8080.update_rejected: 2\n`),
      {'xds/ipv4/rejected': 'ipv4/deployment/tcp-echo: http.outbound.rds.8080.update_rejected: 2'}
    ],
    [
      'an istiod that counts nothing at all',
      mesh('go_goroutines 12\n'),
      {'xds/istiod/rejects': 'no metrics from istiod'}
    ]
  ])('%s', async (_, sh, expected) => {
    expect(failures(await look(xds, {sh, snapshot: things(), plan}))).toEqual(expected);
  });

  test('counts without an end take no time', async () => {
    const endless = `${metrics}${'pilot_total_xds_rejects{x\n'.repeat(60_000)}`;
    expect(failures(await look(xds, {sh: mesh(endless), plan, snapshot: things()}))).toEqual({});
  });

  test('the command shows the proxy that refused something', async () => {
    const found = await look(xds, {sh: mesh(metrics, 'other'), snapshot: things(), plan});
    expect(found['xds/others/rejected']?.reproduce).toBe(
      "kubectl exec --namespace other pod/gateway-1 --container istio-proxy -- pilot-agent request GET 'stats?filter=update_rejected'"
    );
  });

  test('a proxy that cannot be asked is not a failed check', async () => {
    const sh = mesh(metrics, 'sleep', {code: 1, stderr: 'no such container'});
    await expect(look(xds, {sh})).rejects.toThrow('no such container');
  });
});

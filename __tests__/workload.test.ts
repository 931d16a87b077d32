import {describe, expect, test} from '@jest/globals';
import {workload} from '../src/checks/workload.ts';
import {planOf} from './planned.ts';
import {both, failures, healthyBut, isOf, look, pod} from './things.ts';

const withPod = (...pods: ReturnType<typeof pod>[]) => healthyBut(isOf('Pod', 'ipv6'), ...pods);
const ips = both('8');

describe('workload', () => {
  test('holds on a healthy cluster, for every workload of ours', async () => {
    const found = await look(workload);
    expect(failures(found)).toEqual({});
    const aspects = ['ready', 'addresses', 'sidecar'];
    const targets = ['dual-stack', 'ipv4', 'ipv6', 'sleep', 'plain-tcp-echo', 'plain-sleep'];
    expect(Object.keys(found)).toEqual([
      ...targets.flatMap(target => aspects.map(aspect => `workload/${target}/${aspect}`)),
      'workload/all/image-ids'
    ]);
    // the nodes pulled them: their names are compared
    expect(found['workload/all/image-ids']).toMatchObject({
      verdict: 'passed',
      observed: 'registry.example/proxyv2:1.30.3'
    });
    expect(found['workload/ipv6/sidecar']?.observed).toBe('istio-proxy');
    expect(found['workload/plain-sleep/sidecar']?.observed).toBe('none');
  });

  test('a sidecar of another image is named', async () => {
    const other = pod('ipv6', 'tcp-echo', {ips});
    for (const one of other.spec.initContainers ?? []) one.image = 'elsewhere/proxyv2:1.30.3';
    const found = (await look(workload, {snapshot: withPod(other)}))['workload/all/image-ids'];
    expect(found).toMatchObject({verdict: 'failed', observed: 'elsewhere/proxyv2:1.30.3'});
    expect(found?.reason).toMatch(/expected registry\.example\/proxyv2:1\.30\.3$/);
  });

  test.each([
    ['istio-cni', 'install-cni', 'registry.example/install-cni:1.30.3', {'istio-cni': 'true'}],
    ['ztunnel', 'istio-proxy', 'registry.example/ztunnel:1.30.3', {'dataplane-mode': 'ambient'}]
  ])('a pod of %s is held to its image by name', async (namespace, container, image, given) => {
    const own = pod(namespace, 'x');
    const verdict = async (name: string) => {
      own.spec = {containers: [{name: container, image: name}]};
      const plan = planOf(given as Record<string, string>);
      const found = await look(workload, {plan, snapshot: [own]});
      return found['workload/all/image-ids']?.verdict;
    };
    expect([await verdict(image), await verdict('elsewhere/x:1')]).toEqual(['passed', 'failed']);
  });

  test.each([
    ['sha256:1', 'passed'],
    ['sha256:2', 'failed'],
    ['', 'failed']
  ])('a sidecar of the id %j has %s, where this run brought sha256:1', async (imageID, verdict) => {
    const init = ['istio-init', 'istio-proxy'].map((name, at) => ({
      ...{name, ready: true, restartCount: 0},
      imageID: at === 0 ? 'sha256:1' : imageID
    }));
    const things = [pod('ipv6', 'tcp-echo', {ips, init})];
    const preloaded = new Map([['registry.example/proxyv2:1.30.3', 'sha256:1']]);
    const selected = workload.definitions.filter(({id}) => id === 'workload/all/image-ids');
    const found = await look(workload, {snapshot: things, preloaded: preloaded, asked: selected});
    expect(found['workload/all/image-ids']?.verdict).toBe(verdict);
  });

  test('the sidecar is a container before Istio 1.27', async () => {
    const snapshot = withPod(pod('ipv6', 'tcp-echo', {ips, sidecar: 'container'}));
    expect(failures(await look(workload, {snapshot}))).toEqual({});
  });

  test.each([
    [
      'one family only',
      withPod(pod('ipv6', 'tcp-echo', {ips: ips.slice(0, 1)})),
      {'workload/ipv6/addresses': 'ipv4'}
    ],
    ['no address', withPod(pod('ipv6', 'tcp-echo')), {'workload/ipv6/addresses': 'none'}],
    [
      'no sidecar',
      withPod(pod('ipv6', 'tcp-echo', {ips, sidecar: 'none'})),
      {'workload/ipv6/sidecar': 'none'}
    ],
    [
      'not ready',
      withPod(pod('ipv6', 'tcp-echo', {ips, ready: false})),
      {'workload/ipv6/ready': 'Pending'}
    ],
    [
      'one of two pods not ready',
      withPod(
        pod('ipv6', 'tcp-echo', {ips}),
        pod('ipv6', 'tcp-echo', {ips, ready: false, phase: 'Running'})
      ),
      {'workload/ipv6/ready': 'Ready; Running'}
    ],
    [
      'no pod',
      withPod(),
      {
        'workload/ipv6/ready': 'no pod',
        'workload/ipv6/addresses': 'no pod',
        'workload/ipv6/sidecar': 'no pod'
      }
    ],
    [
      'a sidecar where there must be none',
      healthyBut(isOf('Pod', 'plain', 'sleep-1'), pod('plain', 'sleep', {ips})),
      {'workload/plain-sleep/sidecar': 'istio-proxy'}
    ]
  ])('%s', async (_, snapshot, expected) => {
    expect(failures(await look(workload, {snapshot}))).toEqual(expected);
  });

  test('the hint names the namespaces without sidecars, and the label that the run set', async () => {
    const plan = planOf({'injection-label': 'istio.io/rev=nosuch'});
    const bare = ['ipv4', 'ipv6'];
    const snapshot = healthyBut(
      ({kind, metadata}) => kind === 'Pod' && bare.includes(metadata.namespace ?? ''),
      ...bare.map(namespace => pod(namespace, 'tcp-echo', {ips, sidecar: 'none'}))
    );
    const found = await look(workload, {plan, snapshot});
    for (const namespace of bare)
      expect(found[`workload/${namespace}/sidecar`]).toMatchObject({
        reason: `pods in namespace ${namespace} have no sidecar`,
        attribution: {
          headline: 'Pods have no sidecar in ipv4, ipv6',
          hint: expect.stringMatching(
            /^Pods without a sidecar are in these namespaces: ipv4, ipv6\. This run labels them `istio\.io\/rev=nosuch`\. /
          )
        }
      });
    expect(found['workload/dual-stack/sidecar']?.attribution).toBeUndefined();
  });

  test('an init container that ends is no sidecar', async () => {
    const ended = pod('ipv6', 'tcp-echo', {ips});
    for (const container of ended.spec.initContainers ?? []) delete container.restartPolicy;
    expect(failures(await look(workload, {snapshot: withPod(ended)}))).toEqual({
      'workload/ipv6/sidecar': 'none'
    });
  });

  test('a pod on its way out does not count', async () => {
    const snapshot = withPod(
      pod('ipv6', 'tcp-echo', {ips}),
      pod('ipv6', 'tcp-echo', {terminating: true, sidecar: 'none'})
    );
    expect(failures(await look(workload, {snapshot}))).toEqual({});
  });
});

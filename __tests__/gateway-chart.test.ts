import {describe, expect, test} from '@jest/globals';
import {gateway} from '../src/checks/gateway.ts';
import {gatewayChartRow} from '../src/checks/gateway-chart.ts';
import {type Answer, fakeSh} from './fake.ts';
import {planOf} from './planned.ts';
import {look} from './things.ts';

const {id, expected} = gatewayChartRow;

/** The API server's answer to a Service that it would take. */
const service = (ipFamilyPolicy: string, ipFamilies: string[], clusterIPs: string[]): string =>
  JSON.stringify({
    kind: 'Service',
    metadata: {name: 'gateway-chart', namespace: 'gateway'},
    spec: {type: 'ClusterIP', clusterIP: clusterIPs[0], clusterIPs, ipFamilies, ipFamilyPolicy}
  });

// as the lab's API server gave them, of the charts of Istio 1.30.3 and 1.17.8
const dualStack = service('RequireDualStack', ['IPv6', 'IPv4'], ['fd00:10:96::', '10.96.0.0']);
const singleStack = service('SingleStack', ['IPv4'], ['10.96.0.0']);

async function found(answer: Answer, {fetched = '' as Answer, plan = planOf(), mirror = ''} = {}) {
  const sh = fakeSh(([program]) => (program === 'curl' ? fetched : answer));
  const asked = gateway.rows.filter(row => row.id === id);
  const all = await look(gateway, {sh, asked, plan, mirror: mirror || null});
  return {finding: all[id], calls: sh.calls};
}

describe("Istio's gateway chart", () => {
  test('makes a Service of both families, which the API server would take; nothing is made', async () => {
    const {finding, calls} = await found(dualStack);
    expect(finding).toMatchObject({verdict: 'passed', observed: expected});
    expect(calls).toHaveLength(2);
    expect(calls[0]).toMatch(
      / --output \S+\/gateway-chart\.tgz https:\/\/istio-release\.storage\.googleapis\.com\/charts\/gateway-1\.30\.3\.tgz$/
    );
    expect(calls[1]).toMatch(
      /^helm template gateway-chart \S+\/gateway-chart\.tgz .*--set service\.ipFamilyPolicy=RequireDualStack --set service\.ipFamilies=\{IPv6,IPv4\} \| kubectl create --dry-run=server /
    );
  });

  test('comes from a mirror, where there is one', async () => {
    const {calls} = await found(dualStack, {mirror: 'https://mirror.example/all#own-checksums'});
    expect(calls[0]).toContain(
      ' https://mirror.example/all/istio-release.storage.googleapis.com/charts/gateway-1.30.3.tgz'
    );
  });

  test.each<[string, Answer, string]>([
    ['does not pass the families on', singleStack, 'SingleStack, IPv4, an address of it'],
    [
      'passes the policy alone on',
      service('RequireDualStack', ['IPv4', 'IPv6'], ['10.96.0.0', 'fd00:10:96::']),
      'RequireDualStack, IPv4 before IPv6, an address of each'
    ],
    [
      'gets too few addresses',
      service('RequireDualStack', ['IPv6', 'IPv4'], ['fd00:10:96::']),
      'RequireDualStack, IPv6 before IPv4, 1 addresses'
    ],
    ['is not taken', {code: 1, stderr: 'error: values do not meet the schema'}, 'no Service'],
    ['gives no Service', 'null', 'no Service']
  ])('one that %s is red', async (_, answer, observed) => {
    const {finding} = await found(answer);
    expect(finding).toMatchObject({verdict: 'failed', observed});
    expect(finding?.reproduce).toContain("--set service.ipFamilies='{IPv6,IPv4}' | kubectl create");
  });

  test('an API server that does not answer in time says nothing of the chart', async () => {
    await expect(found({code: 124, late: true})).rejects.toThrow('did not end in time');
  });

  test.each<[string, Parameters<typeof found>[1], Answer, RegExp]>([
    [
      'cannot be fetched',
      {fetched: {code: 22, stderr: 'curl: (22) The requested URL returned error: 404'}},
      '',
      /gateway-1\.30\.3\.tgz could not be fetched: curl: \(22\) .*404$/
    ],
    [
      'is a page of a proxy',
      {},
      {code: 1, stderr: 'Error: gzip: invalid header'},
      /is no chart: Error: gzip: invalid header$/
    ],
    [
      'was never published',
      {plan: {...planOf(), istio: {...planOf().istio, expected: 'v1.31-alpha.0a1b2c'}}},
      '',
      /^v1\.31-alpha\.0a1b2c is no release of Istio$/
    ]
  ])('one that %s is skipped, with the reason', async (_, given, answer, reason) => {
    const {finding} = await found(answer, given);
    expect(finding).toMatchObject({
      verdict: 'skipped',
      reason: expect.stringMatching(reason)
    });
  });
});

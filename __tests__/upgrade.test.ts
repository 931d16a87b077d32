import {describe, expect, test} from '@jest/globals';
import {catalogue} from '../src/checks/catalogue.ts';
import type {CheckDefinition, Report} from '../src/checks/definition.ts';
import {parseLog} from '../src/checks/load-probe.ts';
import {
  judge,
  parseProxyVersions,
  splitByStage,
  startLoad,
  upgrade
} from '../src/checks/upgrade.ts';
import {fakeSh, fakeWork} from './fake.ts';
import {planOf} from './planned.ts';
import {service} from './things.ts';

const under = upgrade.definitions.filter(({family}) => family !== null);
const of = (id: string): CheckDefinition[] => under.filter(row => row.id === `upgrade/${id}`);

/** A log in which one of the connections over IPv6 is asked every 0.2 s; `lost` are those without an answer. */
function logOf(lost: (at: number) => boolean, more = ''): string {
  const times = [...Array(100).keys()].map(number => ({number, at: 10 + number * 0.2}));
  const lines = times.flatMap(({number, at}) => {
    const end = (at + 0.03).toFixed(2);
    return [
      `new ipv6 ${number} ${at.toFixed(2)} ${end} ${lost(at) ? '' : `hello ipv6-${number}`}`,
      `put ipv6 1-${number} ${at.toFixed(2)}`,
      ...(lost(at) ? [] : [`got ipv6 ${end} hello 1-${number}`])
    ];
  });
  return `${lines.join('\n')}\nmark istiod 11.00\nmark restart 20.00\nmark end 29.80\n${more}`;
}

describe('what is red', () => {
  test.each<[string, string, string, RegExp | null]>([
    ['nothing lost', 'istiod/ipv6-new', logOf(() => false), null],
    ['nothing lost', 'istiod/ipv6-held', logOf(() => false), null],
    [
      'one probe while istiod is replaced',
      'istiod/ipv6-new',
      logOf(at => at > 15 && at < 15.3),
      /1 of 45 probes/
    ],
    [
      'the held connection cut then',
      'istiod/ipv6-held',
      logOf(() => false, 'end ipv6 15.00'),
      /cut once/
    ],
    ['what was lost before the upgrade', 'istiod/ipv6-new', logOf(at => at < 10.5), null],
    [
      'some probes while the server is restarted',
      'restart/ipv6-new',
      logOf(at => at > 22 && at < 24),
      null
    ],
    [
      'the held connection cut by the restart',
      'restart/ipv6-held',
      logOf(at => at > 22 && at < 22.5, 'end ipv6 22.10'),
      null
    ],
    [
      'six seconds of a restart',
      'restart/ipv6-new',
      logOf(at => at > 22 && at < 28),
      /29 of 49 probes.*no answer for 6\d00 ms/
    ],
    [
      'six seconds of a restart',
      'restart/ipv6-held',
      logOf(at => at > 22 && at < 28),
      /no answer for/
    ],
    [
      'an empty log',
      'istiod/ipv6-new',
      'mark istiod 1.00\nmark restart 2.00\nmark end 3.00',
      /the client sent no probes/
    ]
  ])('%s: %s', (_, id, log, reason) => {
    const [{outcome} = {outcome: undefined}] = judge(parseLog(log), of(id));
    expect(outcome?.verdict).toBe(reason === null ? 'passed' : 'failed');
    if (reason === null) expect(outcome?.reason).toBeNull();
    else expect(outcome?.reason).toMatch(reason);
  });

  test('is told of the family that lost, and not of the other', () => {
    const six = logOf(at => at > 15 && at < 18);
    const four = logOf(() => false).replaceAll('ipv6', 'ipv4');
    const told = judge(parseLog(`${six}${four}`), under);
    const failed = told.filter(({outcome}) => outcome.verdict === 'failed').map(({id}) => id);
    expect(failed).toEqual(['upgrade/istiod/ipv6-new', 'upgrade/istiod/ipv6-held']);
    expect(told[0]?.outcome).toMatchObject({
      observed: '45 probes, 0 failed, longest gap 200 ms',
      load: {connections: 'new', sent: 45, failed: 0, cut: 0, longestGap: 200}
    });
  });

  test('an upgrade that failed: what the load saw until then, and nothing of a restart', () => {
    const log = logOf(() => false).replace('mark restart 20.00\n', '');
    const told = judge(
      parseLog(log),
      under.filter(({family}) => family === 'ipv6')
    );
    expect(told.map(({outcome}) => outcome.verdict)).toEqual([
      'passed',
      'passed',
      'skipped',
      'skipped'
    ]);
  });
});

describe('the load', () => {
  const setting = (snapshot: ReturnType<typeof service>[]) => {
    const told: Record<string, string> = {};
    const undone: string[][][] = [];
    const names: string[] = [];
    const sh = fakeSh(command => {
      const name = command.find(word => /^load-/.test(word)) ?? '';
      names.push(name);
      return name === 'load-stop' ? logOf(() => false) : '';
    });
    const report: Report = (id, {verdict}) => Object.assign(told, {[id]: verdict});
    const checking = {
      ...{snapshot, sh, report, plan: planOf(), work: fakeWork(), nodes: 1, preloaded: new Map()},
      mirror: null,
      undo: (undo: string[][]) => undone.push(undo)
    };
    return {checking, told, undone, names, sh};
  };
  const services = (['ipv4', 'ipv6'] as const).map(family =>
    service(
      'dual-stack',
      [family === 'ipv4' ? '10.96.0.9' : 'fd00::9'],
      'SingleStack',
      `tcp-echo-${family}`
    )
  );

  test('post is told how to end it before it begins, and that it has ended', async () => {
    const {checking, undone, names, told} = setting(services);
    const load = await startLoad(checking, of('istiod/ipv6-new'));
    await load.begin('istiod');
    await load.drain();
    await load.end();
    expect(names).toEqual(['load-start', 'load-mark', 'load-wait', 'load-stop']);
    expect(undone.map(commands => commands.map(words => words.at(-2)))).toEqual([
      ['load-stop'],
      []
    ]);
    expect(told).toEqual({'upgrade/istiod/ipv6-new': 'passed'});
  });

  test('asks only what a check asks for', async () => {
    const {checking, sh} = setting(services);
    await startLoad(checking, of('istiod/ipv6-new'));
    expect(sh.calls[0]).toMatch(/ ipv6 fd00::9 9001$/);
    expect(sh.calls[0]).not.toContain('10.96.0.9');
  });

  test('is none where no check asks for it', async () => {
    const {checking, sh} = setting(services);
    const load = await startLoad(checking, []);
    await load.begin('istiod');
    await load.end();
    expect(sh.calls).toEqual([]);
  });

  test('a Service without its ClusterIP is told, and the other family asked', async () => {
    const {checking, told, sh} = setting(services.slice(0, 1));
    await startLoad(checking, [...of('istiod/ipv6-new'), ...of('istiod/ipv4-new')]);
    expect(told).toEqual({'upgrade/istiod/ipv6-new': 'failed'});
    expect(sh.calls[0]).toMatch(/ ipv4 10\.96\.0\.9 9001$/);
  });
});

describe('once every workload is restarted', () => {
  const look = async (metrics: string, given: Record<string, string>, revisions: string[] = []) => {
    const told: Record<string, string> = {};
    const sh = fakeSh(command =>
      command.includes('--raw')
        ? metrics
        : JSON.stringify({items: revisions.map(name => ({metadata: {name}}))})
    );
    const plan = planOf({'upgrade-from': '1.29.6', ...given});
    const after = {...plan, istio: plan.upgrade?.istio ?? plan.istio};
    let now = 0;
    await upgrade.run(
      {
        ...{
          sh,
          plan: after,
          work: fakeWork(() => (now += 50)),
          nodes: 1,
          snapshot: [],
          preloaded: new Map()
        },
        mirror: null,
        undo: () => {},
        report: (id, {verdict, observed}) => Object.assign(told, {[id]: `${verdict} ${observed}`})
      },
      upgrade.definitions.filter(({family}) => family === null)
    );
    return {told, sh};
  };
  const count = (version: string, proxies: number) =>
    `pilot_xds{version="${version}"} ${proxies}\n`;

  test.each([
    ['all new', count('1.30.3', 10) + count('1.29.6', 0), 'passed every proxy has the new version'],
    ['one of them old', count('1.30.3', 9) + count('1.29.6', 1), 'failed 1 with 1.29.6'],
    ['none there', '', 'failed no proxy is connected']
  ])('%s', async (_, metrics, expected) => {
    const {told} = await look(metrics, {});
    expect(told['upgrade/proxies/version']).toBe(expected);
    expect(told['upgrade/istio/revisions']).toBe('skipped ');
  });

  test.each([
    ['is gone', ['default-v1-30-3'], 'passed only the new revision'],
    ['stays', ['default-v1-29-6', 'default-v1-30-3'], 'failed default-v1-29-6, default-v1-30-3']
  ])('the old revision %s', async (_, revisions, expected) => {
    const {told, sh} = await look(
      count('1.30.3', 1),
      {'upgrade-strategy': 'RevisionBased'},
      revisions
    );
    expect(told['upgrade/istio/revisions']).toBe(expected);
    expect(sh.calls[0]).toContain('/services/istiod-default-v1-30-3:15014/');
  });

  test('versions are read of istiod’s counts', () =>
    expect(parseProxyVersions(`# TYPE pilot_xds gauge\n${count('1.30.3', 2)}`)).toEqual([
      {version: '1.30.3', proxies: 2}
    ]));
});

describe('the stages', () => {
  const layersOf = (rows: CheckDefinition[]) => new Set(rows.map(({layer}) => layer));

  test('without an upgrade there is one, and nothing of an upgrade in it', () => {
    const {before, after} = splitByStage(catalogue, false);
    expect(after).toEqual([]);
    expect(before).toEqual(catalogue.filter(({layer}) => layer !== 'upgrade'));
  });

  test('what is there before the mesh is asked once, and what takes it away comes last', () => {
    const {before, after} = splitByStage(catalogue, true);
    for (const layer of ['runner', 'network', 'node'] as const)
      expect([layersOf(before).has(layer), layersOf(after).has(layer)]).toEqual([true, false]);
    for (const layer of ['upgrade', 'uninstall'] as const)
      expect([layersOf(before).has(layer), layersOf(after).has(layer)]).toEqual([false, true]);
    for (const layer of ['control-plane', 'echo', 'failover'] as const)
      expect([layersOf(before).has(layer), layersOf(after).has(layer)]).toEqual([true, true]);
  });
});

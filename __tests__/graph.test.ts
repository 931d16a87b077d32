import {describe, expect, test} from '@jest/globals';
import type {Phase} from '../src/base/schedule.ts';
import {catalogue, collectSamples, selectDefinitions} from '../src/checks/catalogue.ts';
import {splitByStage} from '../src/checks/upgrade.ts';
import {getPhaseKind, phaseKindNames} from '../src/results/phases.ts';
import {buildExistingClusterPreparations} from '../src/run/existing-cluster-phases.ts';
import {buildPhases, buildPreparations, omitPhases} from '../src/run/graph.ts';
import {createRunContext, type RunContext} from '../src/run/run-context.ts';
import {buildTargetPhases} from '../src/run/target-phases.ts';
import {type Answer, eachOnRunner, engine, fakeSh, fakeWork} from './fake.ts';
import {inputsOf, planOf} from './planned.ts';
import {node} from './things.ts';

eachOnRunner();

/** A run with these inputs, as far as its phases are concerned. */
function planned(given: Record<string, string> = {}, answers: Parameters<typeof fakeSh>[0] = {}) {
  const saved: object[] = [];
  const run: RunContext = createRunContext(fakeSh(answers), change => saved.push(change));
  run.inputs = inputsOf(given);
  const rows = splitByStage(
    selectDefinitions(run.inputs.checks),
    run.inputs['upgrade-from'] !== null
  );
  run.ledger.selected = rows.before;
  run.ledgerAfterUpgrade.selected = rows.after;
  return {run, saved, before: buildPreparations(run), after: buildPhases(run, planOf(given))};
}
const names = (list: Phase[]) => list.map(({name}) => name);
/** All that a phase comes after. */
function ancestors(list: Phase[], name: string): string[] {
  const needs = list.find(phase => phase.name === name)?.needs ?? [];
  return [...new Set(needs.flatMap(need => [need, ...ancestors(list, need)]))];
}

describe('the phases', () => {
  test.each<[string, Record<string, string>]>([
    ['all checks', {}],
    ['one layer', {checks: '^path/'}],
    ['without failover', {checks: '!^failover/'}],
    ['without mtls', {checks: '!^mtls/'}],
    ['only the documented', {checks: 'documented'}],
    ['what takes the mesh away too', {checks: 'all'}],
    ['IstioCNI', {'istio-cni': 'true'}],
    ['untuned', {tuned: 'false'}],
    ['an upgrade', {'upgrade-from': '1.29.6'}],
    [
      'an upgrade by revisions, of some checks',
      {
        'upgrade-from': '1.29.6',
        'upgrade-strategy': 'RevisionBased',
        checks: '^(echo|upgrade|uninstall)/'
      }
    ],
    ['ambient', {'dataplane-mode': 'ambient'}],
    ['a dry run', {'dry-run': 'true'}]
  ])('each need is declared before, and each name once: %s', (_, given) => {
    const {before, after} = planned(given);
    for (const list of [before, after]) {
      const seen = new Set<string>();
      for (const {name, needs} of list) {
        expect(needs.filter(need => !seen.has(need))).toEqual([]);
        expect(seen.has(name)).toBe(false);
        seen.add(name);
      }
    }
    expect(names(after).filter(name => names(before).includes(name))).toEqual([]);
  });

  test('resources that wait for a CRD are applied, and awaited, where a check asks for some', () => {
    const {run, after} = planned();
    expect(names(after)).not.toContain('resources');
    const plan = planOf();
    const files = {...plan.files, 'resources.yaml': ''};
    expect(ancestors(buildPhases(run, {...plan, files}), 'look')).toContain('resources');
  });

  test('a pod that is to be in ambient waits for IstioCNI and ZTunnel; sidecars have no such phase', () => {
    const {after} = planned({'dataplane-mode': 'ambient'});
    expect(ancestors(after, 'samples')).toContain('ambient');
    expect(ancestors(after, 'plain samples')).not.toContain('ambient');
    expect(names(planned().after)).not.toContain('ambient');
  });

  test('every layer of the catalogue has its phase', () => {
    const {before, after} = planned({checks: '.|uninstall'}); // what takes the mesh away is made only when it is named
    const rows = catalogue.filter(({layer}) => layer !== 'upgrade');
    const layers = [...new Set(rows.map(({layer}) => `check ${layer}`))];
    expect(
      [...names(before), ...names(after)].filter(name => name.startsWith('check ')).sort()
    ).toEqual(layers.sort());
  });

  test('every phase has its layer and its words, and every entry of their table a phase', () => {
    const plans: Record<string, string>[] = [
      {checks: 'all'},
      {'upgrade-from': '1.29.6', 'upgrade-strategy': 'RevisionBased'},
      {'dataplane-mode': 'ambient'},
      {tuned: 'false'}
    ];
    const made = plans.flatMap(given => {
      const {run, before} = planned(given);
      const own = collectSamples(run.ledger.selected);
      return names([...before, ...buildPhases(run, planOf(given, {}, null, own))]);
    });
    const run = createRunContext(fakeSh({}), () => {});
    run.inputs = inputsOf({cluster: 'existing', targets: 'a/b'});
    run.directory = '/private';
    const existing = names([
      ...buildExistingClusterPreparations(run),
      ...buildTargetPhases(run, [])
    ]);
    const all = [...new Set([...made, ...existing])];
    expect(all.filter(name => getPhaseKind(name) === null)).toEqual([]);
    const bare = all.map(name => name.replace(/ after the upgrade$/, ''));
    expect(phaseKindNames.filter(name => !bare.includes(name))).toEqual([]);
  });

  test.each([
    ['namespaces', 'Namespaces could not be created'],
    ['look after the upgrade', 'Cluster could not be read'],
    ['save: istiod', 'Images could not be copied to the nodes'],
    ['check mtls after the upgrade', 'Checks could not run'],
    ['check dance', undefined],
    ['constructor', undefined]
  ])('the words of %s', (name, words) => expect(getPhaseKind(name)?.failureHeadline).toBe(words));

  test('with an upgrade, each layer of the mesh has another one after it', () => {
    const {after} = planned({'upgrade-from': '1.29.6', checks: '.|uninstall'});
    const layers = catalogue
      .map(({layer}) => layer)
      .filter(layer => !/^(runner|network|node|docs)$/.test(layer));
    expect(
      names(after)
        .filter(name => / after the upgrade$/.test(name) && name.startsWith('check '))
        .sort()
    ).toEqual([...new Set(layers)].map(layer => `check ${layer} after the upgrade`).sort());
    expect(names(after)).not.toContain('check uninstall');
    expect(names(after)).not.toContain('check upgrade');
  });

  test('the mesh is upgraded when all is checked, and STRICT stays until all is checked again', () => {
    const {after} = planned({'upgrade-from': '1.29.6'});
    const first = names(after).filter(name => /^check \S+$/.test(name));
    expect(ancestors(after, 'upgrade')).toEqual(
      expect.arrayContaining([...first, 'images: upgrade', 'mesh'])
    );
    expect(ancestors(after, 'check echo after the upgrade')).toEqual(
      expect.arrayContaining(['upgrade', 'restart', 'restart of the rest'])
    );
    expect(ancestors(after, 'strict off')).toContain('check mtls after the upgrade');
    expect(ancestors(after, 'check upgrade after the upgrade')).toContain(
      'check xds after the upgrade'
    );
  });

  test('what is broken before is not upgraded', async () => {
    const {run, after} = planned({'upgrade-from': '1.29.6'});
    run.ledger.report('echo/ipv6/name', {observed: '', verdict: 'failed', reason: 'no answer'});
    const upgrade = after.find(({name}) => name === 'upgrade');
    await expect(upgrade?.run(fakeWork())).rejects.toMatchObject({name: 'CheckFailed'});
  });

  test('namespaces that go by a tag are filled once it has its revision', () => {
    const given = {'upgrade-from': '1.29.6', 'upgrade-strategy': 'RevisionBased'};
    expect(ancestors(planned(given).after, 'samples')).toContain('revision tag');
    expect(ancestors(planned(given).after, 'revision tag')).toContain('mesh');
    expect(names(planned({'upgrade-from': '1.29.6'}).after)).not.toContain('revision tag');
  });

  test('checks that are not asked for are not made, and nothing waits for them', () => {
    const {after} = planned({checks: '^path/'});
    expect(names(after).filter(name => name.startsWith('check '))).toEqual(['check path']);
  });

  test('a dry run looks at nothing of the machine', () => {
    expect(
      names(planned({'dry-run': 'true'}).before).filter(name => name.startsWith('check'))
    ).toEqual([]);
  });

  test('a pod starts only after its image’s transfer', () => {
    const {after} = planned();
    expect(ancestors(after, 'uncordon')).toContain('images: operator');
    expect(ancestors(after, 'istio')).toContain('images: istiod');
    expect(ancestors(after, 'samples')).toEqual(
      expect.arrayContaining(['images: samples', 'istiod'])
    );
    expect(ancestors(after, 'plain samples')).toContain('images: samples');
  });

  test('images are imported one user after the other, and saved before it is their turn', () => {
    const {after} = planned();
    expect(ancestors(after, 'images: samples')).toContain('images: istiod');
    expect(ancestors(after, 'images: istiod')).toContain('images: operator');
    expect(ancestors(after, 'save: samples')).not.toContain('images: istiod');
    expect(ancestors(after, 'save: istiod')).not.toContain('uncordon');
  });

  test('the operator’s pod is held back until it can start, and nothing is looked for before', () => {
    const {after} = planned();
    expect(ancestors(after, 'operator')).toContain('cordon');
    for (const name of ['crds', 'kube-proxy'])
      expect(ancestors(after, 'operator')).not.toContain(name);
    expect(ancestors(after, 'uncordon')).toEqual(
      expect.arrayContaining(['operator', 'crds', 'kube-proxy', 'pod network', 'check node'])
    );
    for (const name of ['check operator', 'istiod', 'plain samples'])
      expect(ancestors(after, name)).toContain('uncordon');
  });

  test('untuned, nothing that only saves time is done, and the operator still finds all that it needs', () => {
    const {after} = planned({tuned: 'false'});
    for (const name of ['pulls', 'unpack', 'pod network', 'cordon', 'uncordon'])
      expect(names(after)).not.toContain(name);
    expect(ancestors(after, 'operator')).toEqual(
      expect.arrayContaining(['crds', 'kube-proxy', 'images: operator', 'check node'])
    );
    for (const name of ['check operator', 'istiod', 'plain samples'])
      expect(ancestors(after, name)).toContain('operator');
    const left = (list: Phase[]) => names(list).filter(name => name.startsWith('check '));
    expect(left(after)).toEqual(left(planned().after));
  });

  test('what the local Docker lacks is pulled while the node starts', async () => {
    const {run, after} = planned();
    const missing = planOf().images.istiod;
    const sh = fakeSh(() => '');
    run.logins = new Map();
    run.localImages = new Map(
      Object.values(planOf().images)
        .flat()
        .filter(image => !missing.includes(image))
        .map(image => [image, {name: image, id: 'sha256:1'}])
    );
    const pulls = buildPhases({...run, sh}, planOf()).find(({name}) => name === 'pulls');
    await pulls?.run(fakeWork());
    expect(sh.calls).toEqual(
      missing.map(image => `docker exec --detach istio-ds-control-plane crictl pull ${image}`)
    );
    expect(ancestors(after, 'pulls')).not.toContain('api');
  });

  test('the Istio resource does not wait for the operator’s readiness', () => {
    expect(ancestors(planned().after, 'istiod')).not.toContain('check operator');
  });

  test('failover disturbs no other check of the mesh', () => {
    const {after} = planned();
    expect(ancestors(after, 'check failover')).toEqual(
      expect.arrayContaining(
        ['cluster', 'proxy', 'echo', 'path', 'mtls', 'health', 'headless'].map(
          layer => `check ${layer}`
        )
      )
    );
    const later = after.filter(({needs}) => needs.includes('check failover'));
    expect(names(later)).toEqual(['check xds']);
  });

  test('what was rejected is asked for when the proxies have been told of everything', () => {
    const {after} = planned();
    expect(ancestors(after, 'check xds')).toEqual(
      expect.arrayContaining(
        ['proxy', 'path', 'mtls', 'failover', 'health', 'http', 'headless'].map(
          layer => `check ${layer}`
        )
      )
    );
  });

  test('uninstall is made only when it is named, and after all others', () => {
    expect(names(planned().after)).not.toContain('check uninstall');
    expect(names(planned({checks: '!^echo/'}).after)).not.toContain('check uninstall');
    expect(names(planned({checks: '.'}).after)).not.toContain('check uninstall');
    const {after} = planned({checks: '.|uninstall'});
    // those of what the API server has said already are not disturbed
    const live = ['control-plane', 'dns', 'cluster', 'proxy', 'echo', 'path', 'mtls', 'failover'];
    expect(ancestors(after, 'check uninstall')).toEqual(
      expect.arrayContaining(live.map(layer => `check ${layer}`))
    );
  });

  test.each([
    ['^(echo|uninstall)/', 'check uninstall', 'check echo'],
    ['^(echo|failover)/', 'check failover', 'check echo']
  ])('%s: %s still comes after %s', (checks, later, earlier) => {
    expect(ancestors(planned({checks}).after, later)).toContain(earlier);
  });

  test('nothing is made before the name is known to be free', () => {
    const {after} = planned();
    for (const {name} of after.filter(({name}) => name !== 'name'))
      expect(ancestors(after, name)).toContain('name');
  });
});

describe('without', () => {
  const phase = (name: string, ...needs: string[]): Phase => ({name, needs, run: async () => {}});
  const left = (unwanted: string[], ...list: Phase[]) =>
    Object.fromEntries(
      omitPhases(list, ({name}) => unwanted.includes(name)).map(({name, needs}) => [name, needs])
    );

  test.each<[string, string[], Record<string, string[]>]>([
    ['nothing', [], {a: [], b: ['a'], c: ['a', 'b'], d: ['c']}],
    ['one: what it needed is inherited', ['c'], {a: [], b: ['a'], d: ['a', 'b']}],
    ['a chain: down to the last that is left, once', ['b', 'c'], {a: [], d: ['a']}],
    ['the first: nothing is inherited', ['a'], {b: [], c: ['b'], d: ['c']}],
    ['the last', ['d'], {a: [], b: ['a'], c: ['a', 'b']}],
    ['all', ['a', 'b', 'c', 'd'], {}]
  ])('%s', (_, unwanted, expected) => {
    const list = [phase('a'), phase('b', 'a'), phase('c', 'a', 'b'), phase('d', 'c')];
    expect(left(unwanted, ...list)).toEqual(expected);
  });

  test('a need of an earlier list stays', () => {
    expect(left(['b'], phase('b', 'earlier'), phase('c', 'b'))).toEqual({c: ['earlier']});
  });
});

describe('the name', () => {
  const mine = {name: 'istio-ds', token: expect.any(String)};
  /** Claims it from a Docker on which these clusters are, and perhaps somebody else's claim. */
  const claim = async (clusters: string, owner?: string, cgroup = '2') => {
    const docker = engine(owner === undefined ? {} : {'istio-ds.dual-stack-check-claim': owner});
    const {after, saved, run} = planned({}, command =>
      command[0] === 'kind'
        ? clusters
        : command[1] === 'info'
          ? JSON.stringify({CgroupVersion: cgroup})
          : docker.answer(command)
    );
    const phase = (wanted: string) => after.find(({name}) => name === wanted);
    const error = await phase('name')
      ?.run(fakeWork())
      .catch((error: Error) => error);
    return {error, saved, run, docker, phase};
  };

  test('that is free is claimed, and told to post just before the cluster is made', async () => {
    const {error, saved, docker} = await claim('');
    expect(error).toBeUndefined();
    expect(saved).toEqual([{claim: mine}, {cluster: 'istio-ds', nodes: 1}]);
    expect(Object.keys(docker.volumes)).toEqual(['istio-ds.dual-stack-check-claim']);
  });

  test('that is taken is never told to post: nobody else’s cluster is deleted', async () => {
    const {error, saved} = await claim('istio-ds\n');
    expect(error?.message).toMatch(/a kind cluster of that name exists/);
    expect(saved).toEqual([{claim: mine}]); // which post gives back
  });

  test('is not claimed on another machine', async () => {
    const {after, saved, run} = planned({}, command =>
      command[1] === 'context' ? 'tcp://docker.example:2375\n' : undefined
    );
    const phase = after.find(({name}) => name === 'name');
    await expect(phase?.run(fakeWork())).rejects.toMatchObject({attribution: {class: 'input'}});
    expect({saved, claim: run.claim}).toEqual({saved: [], claim: undefined});
  });

  test('that another run has claimed neither', async () => {
    const {error, saved, docker} = await claim('', 'theirs');
    expect(error).toMatchObject({attribution: {class: 'input'}});
    expect(error?.message).toMatch(/^Invalid `cluster-name` "istio-ds": another run/);
    expect(saved).toEqual([{claim: mine}]);
    expect(docker.volumes).toEqual({'istio-ds.dual-stack-check-claim': 'theirs'});
  });

  test('is given back once its containers show that it is taken, and post learns which they are', async () => {
    const {saved, docker, phase} = await claim('');
    docker.containers.push('a1', 'b2');
    await phase('cluster')?.run(fakeWork());
    expect(saved.slice(2)).toEqual([{made: true, containers: ['a1', 'b2']}, {claim: null}]);
    expect(docker.volumes).toEqual({});
  });

  test('nor is one where the node image cannot start', async () => {
    const {error, saved} = await claim('', undefined, '1');
    expect(error?.message).toMatch(
      /^Invalid `kubernetes-version` "1.36.4": it does not start on cgroup v1/
    );
    expect(saved).toEqual([]);
  });
});

describe('before anything is made', () => {
  test('a check that fails ends the run', async () => {
    const {before, run} = planned(
      {},
      {
        'docker network inspect kind': '[{"IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}]}}]'
      }
    );
    const network = before.find(({name}) => name === 'check network');
    await expect(network?.run(fakeWork())).rejects.toMatchObject({
      name: 'CheckFailed',
      message: 'network/kind/families failed'
    });
    expect(run.ledger.findFailedIn('network')?.id).toBe('network/kind/families');
  });
});

describe('once the cluster is there', () => {
  const standing = (layer: string, answers: Record<string, Answer>) => {
    const {after} = planned({}, answers);
    return after.find(({name}) => name === `check ${layer}`)?.run(fakeWork());
  };
  const nodes = (...podCIDRs: string[]) => ({
    'docker exec istio-ds-control-plane ip6tables --table nat --list-rules': '',
    'kubectl get nodes -o json': JSON.stringify({items: [node('a', podCIDRs)]})
  });

  test('a node of one family ends the run: all that follows would fail too', async () => {
    await expect(standing('node', nodes('10.244.0.0/24'))).rejects.toMatchObject({
      name: 'CheckFailed',
      message: 'node/all/pod-cidrs failed'
    });
  });

  test('a node of both lets it go on', async () => {
    await expect(
      standing('node', nodes('10.244.0.0/24', 'fd00:10:244::/64'))
    ).resolves.toBeUndefined();
  });
});

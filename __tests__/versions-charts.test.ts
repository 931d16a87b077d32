import {describe, expect, test} from '@jest/globals';
import {parse} from 'yaml';
import {Fault} from '../src/base/fault.ts';
import {operatorReleases, resolveIstioVersion} from '../src/versions/istio-versions.ts';
import {chartDigests as digests} from '../src/versions/pins.ts';
import {type Chart, readChart} from '../src/versions/read-chart.ts';
import {published as charts} from './planned.ts';

const names = Object.keys(charts);
const living = names.filter(name => !name.startsWith('0.'));

/** The truth that the operator is built from. */
const listOf = (name: string) =>
  (
    parse(charts[name]?.versions ?? '') as {
      versions: {name: string; ref?: string; eol?: boolean}[];
    }
  ).versions;

const chartOf = (name: string, without: ('crd' | 'values' | 'versions')[] = []): Chart => {
  const {about = '', values = '', crd = '', versions = ''} = charts[name] ?? {};
  const read = readChart(
    about,
    without.includes('values') ? '' : values,
    without.includes('crd') ? '' : crd,
    without.includes('versions') ? '' : versions
  );
  return {path: '', url: null, crds: '', ...read};
};

const installable = (name: string) =>
  listOf(name)
    .filter(({ref, eol}) => !ref && !eol)
    .map(entry => entry.name);
const aliasesOf = (name: string) =>
  Object.fromEntries(
    listOf(name).flatMap(({name, ref, eol}) => (ref && !eol ? [[name, ref]] : []))
  );

describe.each(living)('the chart %s', name => {
  // with a checkout, as published, and as published without its annotations, as charts before 1.26.3 are
  test.each([[[]], [['versions']], [['versions', 'values']]] as (
    | 'crd'
    | 'values'
    | 'versions'
  )[][][])('tells what can be installed, by what it has but %j', without => {
    const {istioReleases, aliases, endOfLife} = chartOf(name, without);
    expect(istioReleases.map(({version}) => version).sort()).toEqual(installable(name).sort());
    expect(aliases).toEqual(aliasesOf(name));
    expect(endOfLife.sort()).toEqual(
      listOf(name)
        .filter(({eol}) => eol)
        .map(entry => entry.name)
        .sort()
    );
  });

  test('has the default of its CRD', () => {
    const [, first] = /default: (\S+)/.exec(charts[name]?.crd ?? '') ?? [];
    expect(resolveIstioVersion(null, chartOf(name, ['versions']))?.version).toBe(first);
    expect(resolveIstioVersion(null, chartOf(name))?.version).toBe(first);
  });

  test('installs each of its versions, in every form, and each minor’s newest', () => {
    const chart = chartOf(name, ['versions']);
    for (const version of installable(name))
      expect(resolveIstioVersion(version.slice(1), chart)?.version).toBe(version);
    for (const [alias, ref] of Object.entries(aliasesOf(name))) {
      expect(resolveIstioVersion(alias, chart)?.version).toBe(ref);
      const [, minor] = /^v(\d+\.\d+)-latest$/.exec(alias) ?? [];
      if (minor) expect(resolveIstioVersion(minor, chart)?.version).toBe(ref);
    }
  });

  test('names the images of its default where it names any', () => {
    const [offer] = chartOf(name).istioReleases;
    const tag = offer?.version.slice(1);
    const listed = charts[name]?.values.includes('images.');
    expect(offer?.istiod ?? '').toMatch(listed ? new RegExp(`/pilot:${tag}$`) : /^$/);
    expect(offer?.proxy ?? '').toMatch(listed ? new RegExp(`/proxyv2:${tag}$`) : /^$/);
    expect(offer?.cni ?? '').toMatch(listed ? new RegExp(`/install-cni:${tag}$`) : /^$/);
  });

  test('refuses each version that is end-of-life', () => {
    const chart = chartOf(name, ['versions']);
    for (const version of chart.endOfLife)
      expect(() => resolveIstioVersion(version.replace(/^v(?=\d+\.\d+\.)/, ''), chart)).toThrow(
        /^Invalid `istio-version` ".*" \(end-of-life\): expected a version that the Sail Operator /
      );
  });
});

test.each(['0.1.0', '0.2.0'])('the chart %s is refused, with the reason', name => {
  expect(() => chartOf(name)).toThrow(Fault);
  expect(() => chartOf(name)).toThrow(
    /^Invalid `operator-version` .*: expected 1.0.0 or newer\. .*v1alpha1 /
  );
  expect(() => chartOf(name, ['crd'])).toThrow(/v1alpha1/);
});

test('what we carry of the releases is what their charts tell', () => {
  const published = living.filter(name => name !== 'main');
  expect(Object.keys(operatorReleases).toSorted()).toEqual(published.toSorted());
  for (const name of published) expect(operatorReleases[name]).toEqual(installable(name));
});

test('every release that we carry has its digest', () => {
  for (const name of Object.keys(operatorReleases)) expect(digests).toHaveProperty([name]);
});

describe('pre-releases of main', () => {
  const main = chartOf('main');
  test.each([
    ['1.32.0-alpha.527f8d6c', 'v1.32.0-alpha.527f8d6c'],
    ['1.32', 'v1.32.0-alpha.527f8d6c'],
    ['master', 'v1.32.0-alpha.527f8d6c'],
    ['1.31', 'v1.31.0-beta.1'],
    ['v1.31-latest', 'v1.31.0-beta.1'],
    ['1.31-latest', 'v1.31.0-beta.1'],
    ['1.30', 'v1.30.3']
  ])('%s is %s', (asked, version) =>
    expect(resolveIstioVersion(asked, main)?.version).toBe(version)
  );
});

describe('what an operator does not have is refused', () => {
  const chart = chartOf('1.30.3', ['versions']);
  const newest = 'v1.30.3, v1.29.6, v1.28.10'; // of 1.30.3, the newest of each minor
  test.each([
    [
      '9.9.9',
      `"9.9.9": expected a version that the Sail Operator 1.30.3 can install, such as ${newest}`
    ],
    ['1.22', 'can install v1.22.8: `operator-version: 1.25.2`'],
    [
      '1.27.9',
      '"1.27.9" (end-of-life): expected a version that the Sail Operator 1.30.3 can install'
    ],
    ['1.27.9', '. The Sail Operator 1.29.2 can install v1.27.9: `operator-version: 1.29.2`'],
    ['1.27', '. The Sail Operator 1.29.2 can install v1.27.9: `operator-version: 1.29.2`'],
    ['v1.27-latest', '"v1.27-latest" (end-of-life)'],
    ['v1.27-latest', '. The Sail Operator 1.29.2 can install v1.27.9'],
    ['1.30.3-rc.1', '"1.30.3-rc.1": expected'],
    ['latest', `${newest}, v1.30-latest, v1.29-latest, v1.28-latest`]
  ])('%s: … %s', (asked, told) => {
    expect(() => resolveIstioVersion(asked, chart)).toThrow(Fault);
    expect(() => resolveIstioVersion(asked, chart)).toThrow('Invalid `istio-version` ');
    expect(() => resolveIstioVersion(asked, chart)).toThrow(told);
  });

  test('what no released operator has names none', () => {
    expect(() => resolveIstioVersion('9.9.9', chart)).not.toThrow(/operator-version/);
  });

  test('lists the newest version of each minor, and no other', () => {
    expect(installable('1.30.3').length).toBeGreaterThan(newest.split(', ').length);
    expect(() => resolveIstioVersion('9.9.9', chart)).toThrow(new RegExp(`such as ${newest}$`));
  });

  test('the operator that refuses a version is never the one to install it', () => {
    const shorter = {...chart, istioReleases: chart.istioReleases.slice(1)};
    const refused = `${chart.istioReleases[0]?.version.slice(1)}`;
    const refuse = () => resolveIstioVersion(refused, shorter);
    expect(operatorReleases['1.30.3']).toContain(`v${refused}`);
    expect(refuse).toThrow(/Invalid `istio-version`/);
    expect(refuse).not.toThrow(/`operator-version: 1\.30\.3`/);
  });

  test('what only a newer operator has names that one', () => {
    expect(() => resolveIstioVersion('1.29.6', chartOf('1.29.2'))).toThrow(
      /The Sail Operator 1.30.3 can install v1.29.6: `operator-version: 1.30.3`$/
    );
  });
});

describe('a chart that tells nothing', () => {
  const silent = chartOf('1.26.0', ['crd', 'versions']);
  test('takes a whole version, and no minor', () => {
    expect(resolveIstioVersion(null, silent)).toBeNull();
    expect(resolveIstioVersion('1.24.6', silent)?.version).toBe('v1.24.6');
    expect(() => resolveIstioVersion('1.24', silent)).toThrow(/ a whole version such as/);
  });
});

describe('what is no list is not taken for one', () => {
  test('a name that is no name is left out: a checkout may be anybody’s', () => {
    const {about = '', values = ''} = charts['1.30.3'] ?? {};
    const names = ['v1.30.3', 'v1.30.2\\n::warning::x', '`<b>`', ''];
    const text = `versions: [${names.map(name => `{name: "${name}"}`).join()}, 3, {ref: x}]`;
    const {istioReleases} = readChart(about, values, '', text);
    expect(istioReleases.map(({version}) => version)).toEqual(['v1.30.3']);
  });

  test.each(['', 'versions: 3', 'versions: []', 'other: {}'])('versions.yaml: %j', text => {
    const {about = '', values = '', crd = ''} = charts['1.30.3'] ?? {};
    expect(readChart(about, values, crd, text).istioReleases).toHaveLength(22);
  });

  test('the CRDs of other resources have no say, in one text with the Istio resource’s', () => {
    const {about = '', crd = ''} = charts['1.26.2'] ?? {};
    const other = crd.replace('istios.sailoperator.io', 'istiorevisions.sailoperator.io');
    const all = [other.replaceAll('v1.26', 'v9.9'), crd].join('\n---\n');
    expect(readChart(about, '', all).istioReleases[0]?.version).toBe('v1.26.2');
  });
});

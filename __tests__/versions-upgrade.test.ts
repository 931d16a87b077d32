import {describe, expect, test} from '@jest/globals';
import {resolveIstioVersion} from '../src/versions/istio-versions.ts';
import {describeSkippedMinors, resolveUpgradeFrom} from '../src/versions/upgrade-path.ts';
import {chart} from './planned.ts';

describe('the version to upgrade from', () => {
  const from = (asked: string, to: string | null, more = {}) => {
    const given = {...chart, ...more};
    return resolveUpgradeFrom(asked, resolveIstioVersion(to, given), given).version;
  };

  test.each([
    ['1.29.6', '1.30.3', 'v1.29.6'],
    ['1.29', null, 'v1.29.6'],
    ['1.30.0', 'v1.30-latest', 'v1.30.0']
  ])('%s, to %s', (asked, to, expected) => expect(from(asked, to)).toBe(expected));

  test.each([
    [
      'equal',
      '1.30.3',
      null,
      /^Invalid `upgrade-from` "1.30.3": expected a version older than v1.30.3, .*, such as v1.30.0, v1.29.6$/
    ],
    [
      'newer',
      '1.30',
      '1.29.6',
      /^Invalid `upgrade-from` .*older than v1.29.6.*, but this operator can install none$/
    ],
    [
      'not in this operator',
      '1.28.0',
      null,
      /^Invalid `upgrade-from` "1.28.0": expected a version that the Sail Operator 1.30.3 can install/
    ],
    ['end-of-life', '1.27.9', null, /^Invalid `upgrade-from` "1.27.9" \(end-of-life\): expected/]
  ])('%s is refused', (_, asked, to, message) => {
    expect(() => from(asked, to)).toThrow(
      expect.objectContaining({attribution: expect.objectContaining({class: 'input'})})
    );
    expect(() => from(asked, to)).toThrow(message);
  });

  test('what a chart lists and is no version is neither older nor newer', () => {
    const master = {
      ...chart.istioReleases[0],
      version: 'master'
    } as (typeof chart.istioReleases)[0];
    const istioReleases = [...chart.istioReleases, master];
    expect(from('1.29.6', '1.30.3', {istioReleases})).toBe('v1.29.6');
    expect(() => from('1.30.3', '1.30.3', {istioReleases})).toThrow(/such as v1.30.0, v1.29.6$/);
    const aliases = {main: 'master'};
    expect(() => from('1.29.6', 'main', {istioReleases, aliases})).toThrow(
      /expected a version older than master/
    );
  });

  test('of a chart that lists nothing both are asked for, as whole versions', () => {
    expect(from('1.24.5', '1.24.6', {istioReleases: []})).toBe('v1.24.5');
    expect(() => from('1.24.5', null, {istioReleases: []})).toThrow(
      /^Invalid `istio-version` "": expected a whole version/
    );
    expect(() => from('1.24', '1.24.6', {istioReleases: []})).toThrow(/^Invalid `upgrade-from` /);
  });
});

test.each([
  ['v1.29.6', 'v1.30.3', 'InPlace', null],
  ['v1.30.0', 'v1.30.3', 'InPlace', null],
  ['v1.28.9', 'v1.30.3', 'InPlace', /one minor in place/],
  ['v1.28.9', 'v1.30.3', 'RevisionBased', null],
  ['v1.27.9', 'v1.30.3', 'RevisionBased', /2 minors by revisions/]
] as const)('%s to %s, %s', (from, to, strategy, expected) => {
  if (expected === null) expect(describeSkippedMinors(from, to, strategy)).toBeNull();
  else expect(describeSkippedMinors(from, to, strategy)).toMatch(expected);
});

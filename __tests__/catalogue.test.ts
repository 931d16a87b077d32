import {describe, expect, test} from '@jest/globals';
import {
  catalogue,
  collectSamples,
  layerAttributions,
  meshChecks,
  preflightChecks,
  selectDefinitions,
  standingChecks
} from '../src/checks/catalogue.ts';
import {parseCheckPattern} from '../src/inputs/readers.ts';
import {layers} from '../src/results/results.ts';

describe('the catalogue', () => {
  test.each(catalogue.map(row => [row.id, row] as const))('%s', (id, row) => {
    const [layer, target, ...aspect] = id.split('/');
    expect(id).toMatch(/^[a-z-]+\/[a-z0-9-]+\/[a-z0-9-]+$/);
    expect({layer, target}).toEqual({layer: row.layer, target: row.target});
    expect(aspect).toHaveLength(1);
    expect(row.title).not.toBe('');
    expect(row.expected).not.toBe('');
  });

  test('ids are unique', () => {
    const ids = catalogue.map(({id}) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('goes from the ground up, and has every layer', () => {
    const order = catalogue.map(({layer}) => layers.indexOf(layer));
    expect(order).toEqual(order.toSorted((one, other) => one - other));
    expect([...new Set(order)]).toEqual([...layers.keys()]);
  });

  test.each([
    'service/dual-stack/policy',
    'echo/ipv6/name',
    'echo/dual-stack/ipv6',
    'path/dual-stack/ipv4',
    'path/dual-stack/ipv6'
  ])('%s is an id that workflows rely on', id => {
    expect(catalogue.map(row => row.id)).toContain(id);
  });

  test('each row is of the layer that makes it', () => {
    for (const {layer, definitions} of [
      ...preflightChecks,
      ...[...standingChecks, ...meshChecks].map(({checks}) => checks)
    ])
      expect(definitions.filter(row => row.layer !== layer)).toEqual([]);
  });

  test('path proves both families under mutual TLS, so it waits for the check of STRICT', () => {
    const path = meshChecks.find(({checks}) => checks.layer === 'path');
    expect(path?.after).toContain('check mtls');
  });
});

describe('what takes the mesh away', () => {
  test.each([
    [null, false],
    [{matches: /./, leaveOut: false}, false],
    [{matches: /^echo\//, leaveOut: true}, false],
    [{matches: /uninstall/, leaveOut: true}, false],
    [{matches: /^un/, leaveOut: false}, false],
    [{matches: /^uninstall\//, leaveOut: false}, true],
    [{matches: /.|uninstall/, leaveOut: false}, true]
  ])('%j asks for it: %s', (pattern, expected) => {
    expect(selectDefinitions(pattern).some(({layer}) => layer === 'uninstall')).toBe(expected);
  });
});

describe('the named sets', () => {
  const made = (name: string) => selectDefinitions(parseCheckPattern(name)).map(({id}) => id);

  test('documented: the validations of the page, and no other', () => {
    expect(made('documented').sort()).toEqual([
      'echo/dual-stack/name',
      'echo/ipv4/name',
      'echo/ipv6/name',
      'service/dual-stack/policy'
    ]);
  });

  test('default: as without an input', () => {
    expect(made('default')).toEqual(selectDefinitions(null).map(({id}) => id));
  });

  test('all: every check there is', () => {
    expect(made('all')).toEqual(catalogue.map(({id}) => id));
    expect(made('all').length).toBeGreaterThan(made('default').length);
  });
});

describe('what belongs to the checks', () => {
  test.each(layers)('%s says whose fault it is, what to do, and what is broken', layer => {
    const {hint, headline} = layerAttributions[layer];
    expect(hint).toMatch(/\.$/);
    for (const family of ['', 'IPv6']) expect(headline(family)).toMatch(/^\S.*\w$/);
  });

  test('a hint of a row is a sentence, and a headline is none', () => {
    const told = catalogue.flatMap(({attribution}) => attribution ?? []);
    expect(told.map(({hint}) => hint).filter(hint => hint && !/\.$/.test(hint))).toEqual([]);
    expect(told.map(({headline}) => headline).filter(words => words && /\.$/.test(words))).toEqual(
      []
    );
  });

  test('samples are for the checks that are asked for', () => {
    const path = catalogue.filter(({layer}) => layer === 'path');
    expect(collectSamples(path).map(({namespace}) => namespace)).toEqual(['dual-stack']);
    expect(collectSamples(catalogue.filter(({layer}) => layer === 'echo'))).toEqual([]);
  });

  test('what takes the CRDs of the Gateway API is for the checks of it alone', () => {
    const needs = (pattern: RegExp) =>
      collectSamples(catalogue.filter(({id}) => pattern.test(id))).map(sample => sample.needs);
    expect(needs(/^gateway\/api\/ipv4$/)).toContain('gateway-api');
    expect(needs(/^gateway\/(?!api\/)/)).not.toContain('gateway-api');
  });

  test('a sample that two layers share is deployed once', () => {
    const both = catalogue.filter(({layer}) => layer === 'health' || layer === 'http');
    expect(collectSamples(both).map(({namespace}) => namespace)).toEqual(['http']);
  });
});

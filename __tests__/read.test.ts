import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import * as fc from 'fast-check';
import {renderHtml} from '../src/reports/html.ts';
import {renderJunit} from '../src/reports/junit.ts';
import {renderSummary} from '../src/reports/summary.ts';
import {maxResultsBytes, readResults, UnreadableResultsError} from '../src/results/read.ts';
import {failureClasses, layers, schema} from '../src/results/results.ts';
import {cancelled, error, failed, flaky, hostileRun, many, passed} from './sample-results.ts';
import {validator} from './schema.ts';

const {published, errors} = validator('results');
const again = (value: unknown) => JSON.parse(JSON.stringify(value));

/** Results as schema 1 had them when it was published: they stay readable, whatever is added. */
const frozen = ['failed', 'error'].map(
  name =>
    [
      name,
      fs.readFileSync(path.join(import.meta.dirname, 'fixtures', `results-1-${name}.json`), 'utf8')
    ] as const
);

const samples = {
  passed: passed(),
  failed: failed(),
  flaky: flaky(),
  error: error(),
  cancelled: cancelled(),
  many: many(50)
};

describe('the published schema', () => {
  test('names the layers and classes that the code knows', () => {
    expect(published.$defs.layer.enum).toEqual(layers);
    expect(published.$defs.class.enum).toEqual(failureClasses);
    expect(published.properties.schema.const).toBe(schema);
  });

  test.each(Object.entries(samples))('holds for a run that is %s', (_, results) => {
    expect(errors(again(results))).toBeNull();
  });

  test.each(frozen)('holds for the frozen %s run', (_, json) => {
    expect(errors(JSON.parse(json))).toBeNull();
  });
});

describe('reading', () => {
  test.each(Object.entries(samples))('gives back a run that is %s', (_, results) => {
    expect(readResults(JSON.stringify(results))).toEqual(again(results));
  });

  test.each(frozen)('reads the frozen %s run whole, and reports it', (_, json) => {
    const results = readResults(json);
    expect(results).toEqual({warnings: [], ...JSON.parse(json)});
    for (const report of [renderSummary, renderHtml, renderJunit])
      expect(report(results)).toContain(results.failure?.layer);
  });

  test('leaves behind what it does not know', () => {
    const [one, ...rest] = passed().checks;
    const more = {...passed(), colour: 'red', checks: [{...one, taste: {a: [1]}}, ...rest]};
    expect(readResults(JSON.stringify(more))).toEqual(again(passed()));
  });

  test.each<[string, unknown, RegExp]>([
    [
      'a higher schema',
      {schema: 2, anything: 1},
      /^it has schema 2, but this release reads schema 1;/
    ],
    ['no schema', {}, /^schema is missing$/],
    ['another schema', again({...passed(), schema: '1'}), /^schema is not 1$/],
    ['a list', [], /^the document is not of type object$/],
    ['null', null, /^the document is not of type object$/],
    [
      'a verdict of its own',
      {...passed(), checks: [{...passed().checks[0], verdict: 'fine'}]},
      /^checks\[0\]\.verdict is not one of passed, failed, skipped, flaky$/
    ],
    [
      'a layer of its own',
      {...failed(), failure: {...failed().failure, layer: 'constructor'}},
      /^failure\.layer is not one of runner, /
    ],
    ['text for seconds', {...passed(), seconds: '31'}, /^seconds is not of type number from 0/],
    ['a start that is no time', {...passed(), started: 'soon'}, /^started is not of the form/],
    [
      'a check too few fields',
      {...passed(), checks: [{id: 'a/b/c'}]},
      /^checks\[0\]\.layer is missing$/
    ]
  ])('refuses %s', (_, value, message) => {
    expect(() => readResults(JSON.stringify(value))).toThrow(message);
    expect(errors(again(value))).not.toBeNull();
  });

  test.each([
    ['no JSON', '{"schema": 1', 'it is not valid JSON'],
    ['nothing', '', 'it is not valid JSON'],
    [
      'a number without end',
      JSON.stringify(passed()).replace('"seconds":31.2', '"seconds":1e999'),
      'seconds is not of type number from 0 to 100000000'
    ],
    ['a deep nest', '['.repeat(1_000_000), 'it is not valid JSON'],
    ['what is too long', ' '.repeat(maxResultsBytes + 1), 'it is longer than 16 MiB']
  ])('refuses %s', (_, json, message) => {
    expect(() => readResults(json)).toThrow(new UnreadableResultsError(message));
  });

  test('touches no prototype', () => {
    const json = JSON.stringify(passed())
      .replace('"inputs":{', '"inputs":{"__proto__":"x","constructor":"y",')
      .replace('{"schema"', '{"__proto__":{"polluted":true},"schema"')
      .replace('"versions":{', '"versions":{"__proto__":{"asked":"polluted","found":null},');
    const results = readResults(json);
    expect(Object.getPrototypeOf(results)).toBe(Object.prototype);
    expect(Object.getPrototypeOf(results.versions)).toBe(Object.prototype);
    expect(Object.entries(results.inputs).slice(0, 2)).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y']
    ]);
    expect(({} as {polluted?: unknown}).polluted).toBeUndefined();
    for (const report of [renderSummary, renderHtml, renderJunit])
      expect(report(results)).toContain('dual-stack');
  });

  test('agrees with a JSON Schema validator on whatever is changed', async () => {
    const paths = (value: unknown, at: (string | number)[] = []): (string | number)[][] =>
      typeof value === 'object' && value !== null
        ? Object.entries(value).flatMap(([name, one]) => [
            [...at, name],
            ...paths(one, [...at, name])
          ])
        : [];
    const base = again({...failed(), checks: failed().checks.slice(-3)});
    const change = fc.record({
      path: fc.constantFrom(...paths(base)),
      value: fc.oneof(
        fc.jsonValue(),
        fc.constant(undefined),
        fc.constantFrom('ipv4', 'passed', 1, -1, '__proto__')
      )
    });
    await fc.assert(
      fc.property(fc.array(change, {minLength: 1, maxLength: 3}), changes => {
        const one = again(base);
        for (const {path: way, value} of changes) {
          const parent = way.slice(0, -1).reduce((inner, name) => inner?.[name], one);
          if (typeof parent === 'object' && parent !== null) parent[way.at(-1) ?? ''] = value;
        }
        const json = JSON.stringify(one);
        const read = () => readResults(json);
        if (errors(JSON.parse(json)) === null) expect(read).not.toThrow();
        else expect(read).toThrow(UnreadableResultsError);
      }),
      {numRuns: 300}
    );
  });

  test('reads hostile text as it is', () => {
    expect(
      readResults(JSON.stringify({...hostileRun(), started: passed().started})).failure
    ).toEqual(again(hostileRun().failure));
  });
});

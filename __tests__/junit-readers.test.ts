import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {mergeToString} from 'junit-report-merger';
import {parse as junit2json} from 'junit2json';
import {parse as testResults} from 'test-results-parser';
import {renderJunit} from '../src/reports/junit.ts';
import {renderMergedJunit} from '../src/reports/merged-junit.ts';
import {eachOnRunner} from './fake.ts';
import {mixed} from './merged-cells-table.ts';
import {error, failed, flaky, hostileRun, passed} from './sample-results.ts';

/** junit.xml as three packages read it that people use, each with an XML parser of its own. */
const runner = eachOnRunner();

const files = {
  passed: renderJunit(passed()),
  failed: renderJunit(failed()),
  flaky: renderJunit(flaky()),
  error: renderJunit(error()),
  hostile: renderJunit(hostileRun()),
  merged: renderMergedJunit(mixed())
};

/** The totals that the file itself tells. */
function totals(xml: string) {
  const [, tests, failures, errors, skipped] =
    /tests="(\d+)" failures="(\d+)" errors="(\d+)" skipped="(\d+)"/.exec(xml) ?? [];
  return {
    tests: Number(tests),
    failures: Number(failures),
    errors: Number(errors),
    skipped: Number(skipped)
  };
}

const cases = (xml: string) => [...xml.matchAll(/<testcase [^>]*name="([^"]*)" time/g)].length;

describe.each(Object.entries(files))('%s', (name, xml) => {
  test('junit2json finds every suite, test case, failure and error', async () => {
    const read = await junit2json(xml);
    const suites = read && 'testsuite' in read ? (read.testsuite ?? []) : [];
    const all = suites.flatMap(suite => suite.testcase ?? []);
    expect(read).toMatchObject(totals(xml));
    expect(all).toHaveLength(totals(xml).tests);
    expect(all).toHaveLength(cases(xml));
    expect(all.filter(one => one.failure)).toHaveLength(totals(xml).failures);
    expect(all.filter(one => one.error)).toHaveLength(totals(xml).errors);
    expect(all.filter(one => one.skipped)).toHaveLength(totals(xml).skipped);
  });

  test('test-results-parser finds the same', () => {
    const file = path.join(runner.directory, `${name}.xml`);
    fs.writeFileSync(file, xml);
    const result = testResults({type: 'junit', files: [file]});
    const {tests, failures, errors, skipped} = totals(xml);
    expect(result).toMatchObject({total: tests - skipped, skipped});
    expect(result.failed + result.errors).toBe(failures + errors);
    expect(result.suites.flatMap(suite => suite.cases)).toHaveLength(tests);
  });

  test('junit-report-merger joins it with another', async () => {
    const other = renderJunit(passed());
    const merged = await mergeToString([xml, other], {sumTime: true});
    const [one, two] = [totals(xml), totals(other)];
    const read = await junit2json(merged);
    expect(read).toMatchObject({
      tests: one.tests + two.tests,
      failures: one.failures + two.failures
    });
  });
});

import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {writeReports} from '../src/reports/write.ts';
import {ownFiles} from '../src/results/files.ts';
import {eachOnRunner} from './fake.ts';
import {planOf} from './planned.ts';
import {error, passed} from './results.ts';

const runner = eachOnRunner();
const directory = () => path.join(runner.directory, 'a', 'results');
/** @actions/core writes to the first summary that it has seen, so only one test may have one. */
const withoutSummary = () => {
  delete process.env.GITHUB_STEP_SUMMARY;
};
const names = () => fs.readdirSync(directory()).sort();

describe('writeReports', () => {
  test('makes the directory, and writes what is ours, and the job summary', async () => {
    await writeReports(passed(), planOf(), directory());
    expect(names()).toEqual([
      'junit.xml',
      'report.html',
      'reproduce.sh',
      'results.json',
      'summary.md'
    ]);
    expect(names().filter(name => !ownFiles.includes(name))).toEqual([]);
    const read = (name: string) => fs.readFileSync(path.join(directory(), name), 'utf8');
    expect(JSON.parse(read('results.json'))).toEqual(passed());
    expect(runner.text('STEP_SUMMARY').trimEnd()).toBe(read('summary.md').trimEnd());
    expect(fs.statSync(path.join(directory(), 'reproduce.sh')).mode & 0o100).toBe(0o100);
  });

  test('without a plan there is no script', async () => {
    withoutSummary();
    await writeReports(error(), null, directory());
    expect(names()).not.toContain('reproduce.sh');
  });

  test('without a runner there is no job summary', async () => {
    withoutSummary();
    await writeReports(passed(), planOf(), directory());
    expect(runner.text('STEP_SUMMARY')).toBe('');
  });

  test('replaces the results of an earlier run', async () => {
    withoutSummary();
    await writeReports(passed(), planOf(), directory());
    await writeReports(error(), planOf(), directory());
    expect(JSON.parse(fs.readFileSync(path.join(directory(), 'results.json'), 'utf8')).result).toBe(
      'error'
    );
  });

  test('a directory that cannot be made is an error, for the caller to tell', async () => {
    fs.writeFileSync(path.join(runner.directory, 'a'), '');
    await expect(writeReports(passed(), planOf(), directory())).rejects.toThrow(/ENOTDIR|EEXIST/);
  });
});

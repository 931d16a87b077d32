import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {writeReports} from '../src/reports/write.ts';
import {resultFileNames} from '../src/results/files.ts';
import {eachOnRunner} from './fake.ts';
import {planOf} from './planned.ts';
import {error, passed} from './sample-results.ts';

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
    expect(names().filter(name => !resultFileNames.includes(name))).toEqual([]);
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

  test('a link in the place of a report is replaced, and what it leads to stays as it is', async () => {
    withoutSummary();
    const victim = path.join(runner.directory, 'victim');
    fs.writeFileSync(victim, 'whole');
    fs.mkdirSync(directory(), {recursive: true});
    for (const name of ['reproduce.sh', 'results.json', 'report.html'])
      fs.symlinkSync(victim, path.join(directory(), name));
    await writeReports(passed(), planOf(), directory());
    expect(fs.readFileSync(victim, 'utf8')).toBe('whole');
    expect(fs.lstatSync(path.join(directory(), 'reproduce.sh')).isFile()).toBe(true);
  });

  test('a directory that is a link is refused', async () => {
    withoutSummary();
    fs.mkdirSync(path.join(runner.directory, 'a'));
    fs.mkdirSync(path.join(runner.directory, 'elsewhere'));
    fs.symlinkSync(path.join(runner.directory, 'elsewhere'), directory());
    await expect(writeReports(passed(), planOf(), directory())).rejects.toThrow(/is a link/);
    expect(fs.readdirSync(path.join(runner.directory, 'elsewhere'))).toEqual([]);
  });

  test('a directory that cannot be made is an error, for the caller to tell', async () => {
    fs.writeFileSync(path.join(runner.directory, 'a'), '');
    await expect(writeReports(passed(), planOf(), directory())).rejects.toThrow(/ENOTDIR|EEXIST/);
  });
});

import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {parse} from 'yaml';

const root = path.join(import.meta.dirname, '..');
const files = ['.github/workflows', 'examples']
  .map(folder => path.join(root, folder))
  .filter(folder => fs.existsSync(folder))
  .flatMap(folder => fs.readdirSync(folder).map(name => path.join(folder, name)))
  .filter(file => /\.ya?ml$/.test(file));

interface Job {
  uses?: string;
  'timeout-minutes'?: number;
  permissions?: Record<string, string>;
}

describe.each(files.map(file => [path.relative(root, file), file] as const))('%s', (_, file) => {
  const text = fs.readFileSync(file, 'utf8');
  const workflow = parse(text) as {permissions?: Record<string, string>; jobs: Record<string, Job>};

  test('pins every action of others by its commit, and names the version', () => {
    const used = [...text.matchAll(/^\s*(?:- )?uses: (.*)$/gm)].map(([, action = '']) => action);
    const loose = used.filter(
      action =>
        !/^(\.\/|OWNER\/REPO)/.test(action) &&
        !/^[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*$/.test(action)
    );
    expect(loose).toEqual([]);
  });

  test('starts from no right but to read', () => {
    const rights = Object.values(workflow.permissions ?? {none: 'absent'});
    expect(rights.filter(right => !['read', 'none'].includes(right))).toEqual([]);
  });

  test('every job ends by itself', () => {
    const endless = Object.entries(workflow.jobs).filter(
      ([, job]) => !job.uses && !job['timeout-minutes']
    );
    expect(endless.map(([name]) => name)).toEqual([]);
  });

  test('no step reads an expression that others can write as shell', () => {
    const lines = [...text.matchAll(/^\s*(?:- )?run: (.*(?:\n\s{10,}.*)*)/gm)].map(
      ([, run]) => run
    );
    expect(lines.filter(run => /\$\{\{/.test(run ?? ''))).toEqual([]);
  });
});

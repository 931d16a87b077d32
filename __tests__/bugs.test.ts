import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {parse} from 'yaml';
import {recordings} from '../rehearsal/play.mjs';
import {bugs, matchIds, renderBugs} from '../scripts/bugs.mjs';
import {catalogue} from '../src/checks/catalogue.ts';
import {root} from './project.ts';

const ids = catalogue.map(({id}) => id);
const file = path.join(root, 'docs', 'evidence', 'bugs.md');
const read = (...names: string[]) => fs.readFileSync(path.join(root, ...names), 'utf8');

test('docs/evidence/bugs.md is current; `npm run bugs` generates it', () => {
  if (process.env.MAKE_DOCUMENTS) fs.writeFileSync(file, renderBugs(bugs, ids));
  expect(fs.readFileSync(file, 'utf8')).toBe(renderBugs(bugs, ids));
});

test('numbers and first references are unique', () => {
  expect(new Set(bugs.map(({number}) => number)).size).toBe(bugs.length);
  expect(new Set(bugs.map(({upstream}) => upstream[0])).size).toBe(bugs.length);
});

describe.each(bugs.map(bug => [bug.upstream[0], bug] as const))('%s', (_, bug) => {
  test('names checks that exist', () => {
    for (const pattern of bug.checks ?? []) expect(matchIds(pattern, ids)).not.toEqual([]);
  });

  test('has a check or a phase and its evidence, or what is missing', () => {
    const {verdict, checks, phase, known, lacks, why} = bug;
    expect(why).toMatch(/\.$/);
    expect(Boolean(checks ?? phase)).toBe(verdict !== 'not');
    expect(['recorded', 'by hand', 'by reading', 'in every run'].includes(`${known}`)).toBe(
      verdict !== 'not'
    );
    expect(lacks !== undefined).toBe(verdict === 'not');
  });

  test('its faults are recorded', () => {
    expect(bug.faults !== undefined).toBe(bug.known === 'recorded');
    for (const fault of bug.faults ?? []) expect(recordings()).toContain(fault);
  });

  test('its row is one of the end-to-end workflow, its phase one of the run', () => {
    const {include} = parse(read('.github', 'workflows', 'e2e.yml')).jobs.green.strategy.matrix;
    if (bug.row) expect(include.map(({name}: {name: string}) => name)).toContain(bug.row);
    if (bug.phase) expect(read('src', 'run', 'graph.ts')).toContain(`name: '${bug.phase}'`);
  });
});

describe('a pattern', () => {
  test.each([
    ['xds/*/rejected', ['xds/sleep/rejected']],
    ['xds/sleep/rejected', ['xds/sleep/rejected']],
    ['xds/*', []],
    ['xds/*/reject', []],
    ['*/sleep/rejected', ['xds/sleep/rejected']]
  ])('%s', (pattern, found) => {
    expect(matchIds(pattern, ['xds/sleep/rejected', 'proxy/sleep/listeners'])).toEqual(found);
  });
});

test('a check that does not exist is an error', () => {
  const bug = {
    number: 1,
    upstream: ['a/b#1'],
    symptom: 'one',
    verdict: 'caught' as const,
    checks: ['xds/none/rejected'],
    known: 'by hand' as const,
    why: 'So.'
  };
  expect(() => renderBugs([bug], ids)).toThrow('bug 1: no check matches xds/none/rejected');
});

import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {faults} from '../rehearsal/faults.mjs';
import {recording, recordings} from '../rehearsal/play.mjs';
import {table} from '../scripts/faults.mjs';

interface Told {
  expect: {class: string; layer: string};
}

const root = path.resolve(import.meta.dirname, '..');
const recorded = Object.entries(faults as Record<string, Told>).filter(([name]) =>
  recordings().includes(name)
);

describe('faults caused in a real cluster', () => {
  // that the bundle tells the same when they are played, rehearsal.test.ts sees
  test.each(recorded)('%s was told as it must be', (name, {expect: told}) => {
    expect(recording(name).expect).toMatchObject({
      code: 1,
      'failure-class': told.class,
      'failed-layer': told.layer
    });
  });

  test('docs/faults.md is made of them', () => {
    expect(fs.readFileSync(path.join(root, 'docs', 'faults.md'), 'utf8')).toBe(table());
  });
});

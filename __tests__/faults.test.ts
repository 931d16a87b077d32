import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, jest, test} from '@jest/globals';
import {faults} from '../rehearsal/faults.mjs';
import {recording, recordings} from '../rehearsal/play.mjs';
import {renderFaults} from '../scripts/fault-table.mjs';
import {prelude, project, recordingsHere, root, run, store, write} from './project.ts';

interface Told {
  expect: {class: string; layer: string};
}

jest.setTimeout(60_000);

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

  test('docs/faults.md is current', () => {
    expect(fs.readFileSync(path.join(root, 'docs', 'faults.md'), 'utf8')).toBe(renderFaults());
  });
});

describe('npm run faults', () => {
  /** Two recorded faults, one of which is told as `failure`. */
  async function make(failure: object | null, more = '') {
    const here = project(`${prelude}
      if (!post) {
        const out = process.env['INPUT_RESULTS-DIR'];
        const failure = process.env['INPUT_CLUSTER-NAME'] === 'other'
          ? {class: 'input', layer: null, message: 'said anew', hint: 'do that'}
          : ${JSON.stringify(failure)};
        fs.mkdirSync(out, {recursive: true});
        fs.writeFileSync(out + '/results.json', JSON.stringify({failure}));
        ${more}
      }`);
    const told = {one: {class: 'istio', layer: 'proxy'}, other: {class: 'input', layer: ''}};
    const about = Object.entries(told).map(([name, {class: failureClass, layer}]) => ({
      name,
      inputs: {'cluster-name': name},
      checks: ['a/b/c', 'a/b/d'],
      expect: {'failure-class': failureClass, 'failed-layer': layer},
      fault: {title: name, message: 'said before', hint: 'do this', seconds: 1}
    }));
    write(
      path.join(here, 'rehearsal', 'faults.mjs'),
      `export const faults = {one: {expect: ${JSON.stringify(told.one)}}, other: {expect: ${JSON.stringify(told.other)}}};`
    );
    for (const one of about) store(here, one.name, [], one);
    write(path.join(here, 'docs', 'faults.md'), 'before');
    const ended = await run(process.execPath, [path.join('scripts', 'fault-table.mjs')], {
      cwd: here
    });
    const read = (...file: string[]) => fs.readFileSync(path.join(here, ...file), 'utf8');
    return {
      ...ended,
      document: read('docs', 'faults.md'),
      messages: about.map(
        ({name}) => JSON.parse(read(recordingsHere, name, 'recording.json')).fault.message
      )
    };
  }

  test('writes what is told now', async () => {
    const {code, document, messages} = await make({
      class: 'istio',
      layer: 'proxy',
      message: 'one anew',
      hint: 'x'
    });
    expect(code).toBe(0);
    expect(messages).toEqual(['one anew', 'said anew']);
    expect(document).toContain(
      '| one | `istio` | `proxy` | one anew | x | 1 | 2 |\n| other | `input` |  | said anew |'
    );
  });

  test.each([
    [
      'another layer',
      {class: 'istio', layer: 'echo', message: 'no'},
      '',
      'one: expected istio, proxy, reported istio, echo: no'
    ],
    [
      'another class',
      {class: 'connectivity', layer: 'proxy', message: 'no'},
      '',
      'one: expected istio, proxy, reported connectivity, proxy: no'
    ],
    ['no failure', null, '', 'one: expected istio, proxy, reported passed: no message'],
    [
      'a command without an answer',
      {class: 'istio', layer: 'proxy'},
      "ask('kind', 'nosuch');",
      'one: expected istio, proxy, cannot be played'
    ]
  ])('writes nothing when there is %s, and says what', async (_, failure, more, message) => {
    const {code, stderr, document, messages} = await make(failure, more);
    expect(code).toBe(1);
    expect(stderr).toContain(`${message}\n`);
    expect(stderr).toContain('No file is written.\n');
    expect(document).toBe('before');
    expect(messages).toEqual(['said before', 'said before']);
  });
});

import * as fs from 'node:fs';
import * as http from 'node:http';
import type {AddressInfo} from 'node:net';
import * as path from 'node:path';
import {describe, expect, jest, test} from '@jest/globals';
import {fresh, prelude, programsIn, project, recordingsHere, run, store, write} from './project.ts';

jest.setTimeout(120_000);

// a recorder stands in for programs as a run on Docker finds them
const onLinux = process.platform === 'linux' ? describe : describe.skip;

/** A bundle that asks kind once, and ends as its cluster's name says; another name passes. */
const bundle = `${prelude}
  const out = process.env['INPUT_RESULTS-DIR'];
  const name = process.env['INPUT_CLUSTER-NAME'];
  const failure = {
    taken: {class: 'input', layer: null, message: 'it is taken'},
    silent: {class: 'connectivity', layer: 'echo', message: 'no answer'}
  }[name] ?? null;
  if (!post) {
    console.log('kind says ' + ask('kind', 'get', 'clusters'));
    console.log('given ' + JSON.stringify(['MIRROR', 'NODE-IMAGE', 'OPERATOR-CHART', 'ISTIO-VALUES', 'KIND-VERSION'].map(input => process.env['INPUT_' + input])));
    if (name !== 'broken') {
      fs.mkdirSync(out, {recursive: true});
      fs.writeFileSync(out + '/results.json', JSON.stringify({
        result: failure ? 'failed' : 'passed', failure, started: '2026-01-01T00:00:00Z', seconds: 1, phases: [],
        versions: {kind: {asked: null, found: 'v0'}}, checks: [{id: 'a/b/c'}, {id: 'a/b/d'}, {id: 'a/b/c', stage: 'upgrade'}]
      }));
    }
    process.exitCode = failure ? 1 : 0;
  }`;
const programs = {docker: 'echo 28', kind: 'echo "a cluster"', kubectl: '', helm: ''};
/** Where no mirror answers. */
const noLab = '1';

const record = (
  here: string,
  args: string[],
  {port = noLab, scripts = programs as Record<string, string>} = {}
) =>
  run(process.execPath, [path.join('scripts', 'record.mjs'), ...args], {
    cwd: here,
    env: {
      PATH: `${programsIn(scripts)}:/usr/bin:/bin`,
      LAB_PORT: port,
      RUNNER_TOOL_CACHE: path.join(here, 'tools')
    }
  });

const fileOf = (here: string, name: string) =>
  path.join(here, recordingsHere, name, 'recording.json');
const read = (here: string, name: string) =>
  JSON.parse(fs.readFileSync(fileOf(here, name), 'utf8'));

/** The flags that a bundle was given: mirror, node image, chart, values, kind's version. */
const given = (stdout: string) => JSON.parse(/^given (.*)$/m.exec(stdout)?.[1] ?? 'null');

onLinux('npm run record', () => {
  test('records what npm start then plays', async () => {
    const here = project(bundle);
    const recorded = await record(here, [
      'round',
      '--istio-version',
      '1.29',
      '--cluster-name',
      'taken',
      '--mirror',
      'http://127.0.0.1:1'
    ]);
    const played = await run(
      process.execPath,
      [path.join('scripts', 'start.mjs'), '--recording', 'round'],
      {cwd: here}
    );
    expect(recorded.stdout).toContain('Recorded 1 calls');
    expect(read(here, 'round')).toMatchObject({
      inputs: {
        'istio-version': '1.29',
        'kind-version': 'path',
        'kubectl-version': 'path',
        'helm-version': 'path'
      },
      versions: {kind: 'v0'},
      expect: {code: 1, result: 'failed', 'failure-class': 'input', 'failed-layer': ''},
      checks: ['a/b/c', 'a/b/d']
    });
    expect(read(here, 'round').inputs).not.toHaveProperty('mirror');
    expect(played.stdout).toContain('kind says 0 a cluster\n');
    expect(played.code).toBe(1);
  });

  test('refuses without Docker, and without a name', async () => {
    const here = project(bundle);
    const noDocker = await record(here, ['round'], {scripts: {...programs, docker: 'exit 1'}});
    const noName = await record(here, []);
    expect(noDocker).toMatchObject({code: 1, stderr: expect.stringContaining('No Docker answers')});
    expect(noName).toMatchObject({code: 1, stderr: expect.stringContaining('--all')});
  });

  test('needs no flags where there is no lab', async () => {
    const {stdout} = await record(project(bundle), ['round']);
    expect(given(stdout)).toEqual(['', '', '', '', 'path']);
  });

  test("has the lab's flags where its mirror answers", async () => {
    const mirror = http.createServer((_, response) => response.end());
    const port = await new Promise<number>(done => {
      mirror.listen(0, '127.0.0.1', () => done((mirror.address() as AddressInfo).port));
    });
    const {stdout} = await record(project(bundle), ['round'], {port: `${port}`});
    mirror.close();
    expect(given(stdout)).toEqual([
      `http://127.0.0.1:${port}#own-checksums`,
      expect.stringContaining('kindest/node:'),
      expect.stringContaining('https://'),
      expect.stringContaining('PILOT_ENABLE_METADATA_EXCHANGE'),
      'path'
    ]);
  });

  test('has the bundle fetch the tools that are not on PATH, and records the newest', async () => {
    const fetching = `${bundle}
      if (process.env['INPUT_DRY-RUN'] === 'true')
        for (const [tool, version] of [['kind', '0.9.0'], ['kind', '0.33.0'], ['kubectl', '1.2.3'], ['helm', '1.2.3']]) {
          const directory = [process.env.RUNNER_TOOL_CACHE, tool, version, process.arch].join('/');
          fs.mkdirSync(directory, {recursive: true});
          fs.writeFileSync(directory + '/' + tool, '#!/bin/sh\\necho ' + tool + ' ' + version + '\\n', {mode: 0o755});
        }`;
    const found = await record(project(fetching), ['round'], {scripts: {docker: 'echo 28'}});
    const none = await record(project(bundle), ['round'], {scripts: {docker: 'echo 28'}});
    expect(found.stdout).toContain('kind says 0 kind 0.33.0\n');
    expect(none).toMatchObject({
      code: 1,
      stderr: 'There is no kind on PATH, and it could not be downloaded.\n'
    });
  });

  test('does not store over a recording what comes out otherwise, and names both', async () => {
    const here = project(bundle);
    store(here, 'mine', [], {expect: {'failure-class': 'istio', 'failed-layer': 'proxy'}});
    const before = fs.readFileSync(fileOf(here, 'mine'), 'utf8');
    const {code, stderr} = await record(here, ['mine', '--cluster-name', 'silent']);
    expect(code).toBe(1);
    expect(stderr).toContain('mine: expected istio, proxy, reported connectivity, echo.');
    expect(stderr).toContain('no answer');
    expect(fs.readFileSync(fileOf(here, 'mine'), 'utf8')).toBe(before);
  });

  test('--all records every one in turn, whatever becomes of another, and ends with a table', async () => {
    const here = project(bundle);
    const log = path.join(fresh(), 'log');
    const faults = {
      'name-taken': {
        title: 'Taken',
        flags: ['--cluster-name', 'taken'],
        cause: `echo "caused $KIND_FLAGS" >>${log}`,
        undo: `echo undone >>${log}`,
        expect: {class: 'input', layer: ''}
      },
      'not-told': {
        title: 'Not told',
        flags: ['--cluster-name', 'other'],
        expect: {class: 'istio', layer: 'proxy'}
      },
      'no-results': {
        title: 'No results',
        flags: ['--cluster-name', 'broken'],
        expect: {class: 'istio', layer: 'proxy'}
      },
      silent: {
        title: 'Silent',
        flags: ['--cluster-name', 'silent'],
        expect: {class: 'connectivity', layer: 'echo'}
      }
    };
    write(
      path.join(here, 'rehearsal', 'faults.mjs'),
      `export const faults = ${JSON.stringify(faults)};`
    );
    store(here, 'not-told', [], {date: 'before'});
    const {code, stdout} = await record(here, ['--all']);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .slice(-8)
      .map(line => line.replace(/ +\d+ s /, ' '));
    expect(code).toBe(1);
    expect(lines).toEqual([
      'healthy  recorded      passed',
      'ambient  recorded      passed',
      'name-taken  recorded      input, no layer',
      'not-told  NOT RECORDED  not-told: expected istio, proxy, reported passed. Not stored. Message: none',
      'no-results  NOT RECORDED  The run left no results.json or ran no command: nothing recorded.',
      'silent  recorded      connectivity, echo',
      '',
      '4 recorded, 2 not; of those not recorded the old recording stands.'
    ]);
    expect(read(here, 'not-told').date).toBe('before');
    expect(fs.existsSync(fileOf(here, 'no-results'))).toBe(false);
    expect(read(here, 'silent')).toMatchObject({
      expect: {'failed-layer': 'echo'},
      fault: {title: 'Silent', message: 'no answer'}
    });
    expect(fs.readFileSync(log, 'utf8')).toBe('caused \nundone\n');
  });
});

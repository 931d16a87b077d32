import {execFileSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import * as fs from 'node:fs';
import {createServer, type Server} from 'node:http';
import type {AddressInfo} from 'node:net';
import * as path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from '@jest/globals';
import type {Sh} from '../src/base/sh.ts';
import {provideTool} from '../src/phases/tools.ts';
import {type Architecture, type ToolName, tools} from '../src/versions/pins.ts';
import {eachOnRunner, fakeSh} from './fake.ts';
import {inputsOf} from './planned.ts';

const runner = eachOnRunner();
const architecture: Architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
const versions = {kind: 'v0.0.7', kubectl: 'v1.2.3', helm: 'v3.9.9'};
/** What the fake of each tool answers to any arguments. */
const program = (name: ToolName) => `#!/bin/sh\necho "${name} ${versions[name]}+g1234 go1.26"\n`;
const sum = (file: Buffer) => createHash('sha256').update(file).digest('hex');

/** Runs with the PATH of this test: without an environment given, a child has that of jest itself. */
const sh: Sh = async ([program = '', ...rest]) => ({
  code: 0,
  stdout: execFileSync(program, rest, {encoding: 'utf8', env: process.env}),
  stderr: '',
  timedOut: false
});

let server: Server;
let mirror: string;
/** Path → what is served there. */
let served: Map<string, Buffer>;
let asked: string[];

beforeEach(async () => {
  served = new Map();
  asked = [];
  server = createServer(({url = ''}, response) => {
    asked.push(url);
    const file = served.get(url);
    if (file) response.end(file);
    else response.writeHead(404).end();
  });
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening));
  mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}/base`;
  process.env.RUNNER_TOOL_CACHE = path.join(runner.directory, 'tools');
});
afterEach(() => new Promise(closed => server.close(closed)));

/** Where a tool is on the mirror. */
const placeOf = (name: ToolName): string =>
  `/base/${tools[name].url(versions[name], architecture).replace('https://', '')}`;

/** Plants a tool and the checksum beside it; its path on the mirror. */
function plant(name: ToolName, checksum?: string): string {
  const file = name === 'helm' ? archive() : Buffer.from(program(name));
  const place = placeOf(name);
  served.set(place, file);
  served.set(
    place + tools[name].checksumSuffix,
    Buffer.from(`${checksum ?? sum(file)}  ${path.basename(place)}\n`)
  );
  return place;
}

/** helm comes as linux-ARCHITECTURE/helm in an archive. */
function archive(): Buffer {
  const directory = path.join(runner.directory, 'archive');
  fs.mkdirSync(path.join(directory, `linux-${architecture}`), {recursive: true});
  fs.writeFileSync(path.join(directory, `linux-${architecture}`, 'helm'), program('helm'));
  return execFileSync('tar', ['-cz', '-C', directory, `linux-${architecture}`]);
}

const provide = (name: ToolName, given: Record<string, string> = {}) =>
  provideTool(name, inputsOf({mirror, [`${name}-version`]: versions[name], ...given}), sh);

describe('a tool', () => {
  test.each(['kind', 'kubectl', 'helm'] as const)(
    '%s is fetched, verified, kept and put on PATH',
    async name => {
      const place = plant(name);
      const tool = await provide(name);
      expect(tool.version).toBe(versions[name]);
      expect(execFileSync(path.join(tool.directory, name), {encoding: 'utf8'})).toContain(
        versions[name]
      );
      expect(
        tool.directory.startsWith(
          path.join(runner.directory, 'tools', name, versions[name].slice(1))
        )
      ).toBe(true);
      expect(runner.text('PATH')).toBe(`${tool.directory}\n`);
      expect(process.env.PATH?.split(path.delimiter)[0]).toBe(tool.directory);
      expect(asked).toEqual([place + tools[name].checksumSuffix, place]);
    }
  );

  test('is taken from the tool cache the second time, without a request', async () => {
    plant('kind');
    const first = await provide('kind');
    asked = [];
    expect(await provide('kind')).toEqual(first);
    expect(asked).toEqual([]);
  });

  test('with another checksum is refused, deleted, and not kept', async () => {
    plant('kubectl', 'a'.repeat(64));
    await expect(provide('kubectl')).rejects.toMatchObject({
      name: 'Fault',
      attribution: {class: 'infrastructure', layer: 'runner'},
      message: expect.stringContaining(`instead of ${'a'.repeat(64)}`)
    });
    expect(fs.existsSync(path.join(runner.directory, 'tools'))).toBe(false);
    expect(fs.readdirSync(runner.directory).filter(name => /^[0-9a-f-]{36}$/.test(name))).toEqual(
      []
    );
    expect(runner.text('PATH')).toBe('');
  });

  test.each([
    ['no checksum is published', 404, /could not be downloaded: .*404/],
    ['a page is served for it', 'Sign in', /contains no SHA-256 checksum/]
  ])('is not fetched when %s', async (_, checksum, message) => {
    const place = plant('kind');
    const beside = place + tools.kind.checksumSuffix;
    if (typeof checksum === 'string') served.set(beside, Buffer.from(checksum));
    else served.delete(beside);
    await expect(provide('kind')).rejects.toThrow(message);
    expect(asked).toEqual([beside]);
  });

  /** The pinned kind as a mirror would have it, with the checksum of its own beside it. */
  function plantPinned(): string {
    const place = placeOf('kind').replaceAll(versions.kind, tools.kind.version);
    served.set(place, Buffer.from(program('kind')));
    served.set(`${place}.sha256sum`, Buffer.from(sum(Buffer.from(program('kind')))));
    return place;
  }

  test('of the pinned version is held to our checksum on a mirror too, whatever stands beside it there', async () => {
    const place = plantPinned();
    await expect(provide('kind', {'kind-version': tools.kind.version})).rejects.toMatchObject({
      attribution: {class: 'infrastructure', hint: expect.stringContaining('#own-checksums')},
      message: expect.stringContaining(`instead of ${tools.kind.sha256[architecture]}`)
    });
    expect(asked).toEqual([place]);
    expect(fs.existsSync(path.join(runner.directory, 'tools'))).toBe(false);
  });

  test('of the pinned version is held to the checksum of a mirror that is said to have its own', async () => {
    const place = plantPinned();
    const own = {mirror: `${mirror}#own-checksums`, 'kind-version': tools.kind.version};
    await provide('kind', own);
    expect(asked).toEqual([`${place}.sha256sum`, place]);
  });

  test('of the pinned version in the tool cache is held to our checksum, and fetched anew where it differs', async () => {
    const place = plantPinned();
    await provide('kind', {mirror: `${mirror}#own-checksums`, 'kind-version': tools.kind.version});
    asked = [];
    await expect(provide('kind', {'kind-version': tools.kind.version})).rejects.toThrow(
      /has the wrong checksum/
    );
    expect(asked).toEqual([place]);
  });

  test.each(['kind', 'kubectl', 'helm'] as const)(
    'in the tool cache that is not what was kept is fetched anew: %s',
    async name => {
      plant(name);
      const {directory} = await provide(name);
      fs.writeFileSync(path.join(directory, name), '#!/bin/sh\necho v6.6.6\n');
      expect(await provide(name)).toEqual({directory, version: versions[name]});
      fs.truncateSync(path.join(directory, name), 5);
      expect(await provide(name)).toEqual({directory, version: versions[name]});
      fs.rmSync(path.join(directory, `${name}.sha256`)); // another action has put it there
      asked = [];
      expect(await provide(name)).toEqual({directory, version: versions[name]});
      expect(asked).toHaveLength(2);
    }
  );

  test('of the pinned version in the tool cache that came as another archive is fetched anew', async () => {
    const place = placeOf('helm').replaceAll(versions.helm, tools.helm.version);
    const file = archive();
    served.set(place, file);
    served.set(place + tools.helm.checksumSuffix, Buffer.from(sum(file)));
    const own = {mirror: `${mirror}#own-checksums`, 'helm-version': tools.helm.version};
    await provide('helm', own);
    asked = [];
    await provide('helm', own);
    expect(asked).toEqual([]);
    await expect(provide('helm', {'helm-version': tools.helm.version})).rejects.toThrow(
      /has the wrong checksum/
    );
  });

  test('is whole for each of several runs that fetch it at once, and leaves nothing but itself', async () => {
    const file = Buffer.concat([Buffer.from(program('kubectl')), Buffer.alloc(5e6, '#')]);
    const place = placeOf('kubectl');
    served.set(place, file);
    served.set(place + tools.kubectl.checksumSuffix, Buffer.from(sum(file)));
    const all = await Promise.all(Array.from({length: 6}, () => provide('kubectl')));
    const directory = all[0]?.directory ?? '';
    expect(all).toEqual(all.map(() => ({directory, version: versions.kubectl})));
    expect(fs.readdirSync(directory).sort()).toEqual(['kubectl', 'kubectl.sha256']);
    expect(sum(fs.readFileSync(path.join(directory, 'kubectl')))).toBe(sum(file));
    const left = fs.readdirSync(runner.directory).filter(name => /^[0-9a-f-]{36}$/.test(name));
    expect(left).toEqual([]);
  });

  test('that comes as an archive leaves nothing in the temporary directory', async () => {
    plant('helm');
    await provide('helm');
    const left = fs.readdirSync(runner.directory).filter(name => /^[0-9a-f-]{36}$/.test(name));
    expect(left).toEqual([]);
  });

  test('fetched anew clears what a run that was killed has left, and no other run’s', async () => {
    plant('kind');
    const {directory} = await provide('kind');
    for (const name of ['.old', '.new', 'theirs']) fs.writeFileSync(path.join(directory, name), '');
    fs.utimesSync(path.join(directory, '.old'), 0, 0);
    fs.rmSync(path.join(directory, 'kind'));
    await provide('kind');
    expect(fs.readdirSync(directory).sort()).toEqual(['.new', 'kind', 'kind.sha256', 'theirs']);
  });

  test('on PATH is taken as it is, and nothing is fetched', async () => {
    const directory = path.join(runner.directory, 'bin');
    fs.mkdirSync(directory);
    fs.writeFileSync(path.join(directory, 'helm'), program('helm'), {mode: 0o755});
    process.env.PATH = `${directory}${path.delimiter}${process.env.PATH}`;
    expect(await provide('helm', {'helm-version': 'path'})).toEqual({
      directory,
      version: versions.helm
    });
    expect(asked).toEqual([]);
    expect(runner.text('PATH')).toBe('');
  });

  test('that is not on PATH is a bad input, which says what would do', async () => {
    process.env.PATH = runner.directory;
    await expect(provideTool('kind', inputsOf({'kind-version': 'path'}), sh)).rejects.toMatchObject(
      {
        attribution: {class: 'input'},
        message: `Invalid \`kind-version\` "path": there is no kind on PATH; expected a version such as \`${tools.kind.version}\``
      }
    );
  });

  test.each([
    ['kind v0.33.0 go1.26.1 linux/amd64\n', 'v0.33.0'],
    ['Client Version: v1.34.4\nKustomize Version: v5.7.1\n', 'v1.34.4'],
    ['v3.19.5+g4a3f\n', 'v3.19.5'],
    ['v4.0.0-rc.1+g4a3f', 'v4.0.0-rc.1'],
    ['own build\n', 'own build']
  ])('says its version: %j', async (said, version) => {
    const directory = path.join(runner.directory, 'bin');
    fs.mkdirSync(directory);
    fs.writeFileSync(path.join(directory, 'kind'), '', {mode: 0o755});
    process.env.PATH = directory;
    const tool = await provideTool(
      'kind',
      inputsOf({'kind-version': 'path'}),
      fakeSh({'kind version': said})
    );
    expect(tool.version).toBe(version);
  });
});

test.each(Object.entries(tools))(
  'the pin of %s is whole',
  (name, {version, sha256, url, checksumSuffix}) => {
    expect(version).toMatch(/^v\d+\.\d+\.\d+$/);
    expect(Object.keys(sha256).sort()).toEqual(['amd64', 'arm64']);
    for (const one of Object.values(sha256)) expect(one).toMatch(/^[0-9a-f]{64}$/);
    expect(sha256.amd64).not.toBe(sha256.arm64);
    for (const architecture of ['amd64', 'arm64'] as const)
      expect(url(version, architecture)).toMatch(
        new RegExp(`^https://.*${name}.*${architecture}|^https://.*${architecture}.*${name}$`)
      );
    expect(checksumSuffix).toMatch(/^\.sha256(sum)?$/);
  }
);

import {createHash} from 'node:crypto';
import * as fs from 'node:fs';
import {createServer, type Server} from 'node:http';
import type {AddressInfo} from 'node:net';
import {afterEach, beforeEach, describe, expect, test} from '@jest/globals';
import {
  download,
  downloadText,
  downloadVerified,
  mirrored,
  parseChecksum
} from '../src/base/download.ts';
import {eachOnRunner} from './fake.ts';

const runner = eachOnRunner();
const sum = (text: string) => createHash('sha256').update(text).digest('hex');
const refused = {
  name: 'Fault',
  because: expect.objectContaining({class: 'infrastructure', layer: 'runner'})
};

let server: Server;
let base: string;
let asked: string[];
beforeEach(async () => {
  asked = [];
  server = createServer(({url = ''}, response) => {
    asked.push(url);
    if (url === '/missing') response.writeHead(404);
    response.end('the file\n');
  });
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => new Promise(closed => server.close(closed)));

/** What is left under RUNNER_TEMP beside the runner's own files. */
const left = () => fs.readdirSync(runner.directory).filter(name => !/^[A-Z_]+$/.test(name));

describe('mirrored', () => {
  test.each([
    ['https://host.example/a/b', null, 'https://host.example/a/b'],
    [
      'https://host.example/a/b',
      'https://mirror.example',
      'https://mirror.example/host.example/a/b'
    ],
    [
      'http://host.example:8080/a?b',
      'http://m.example/base',
      'http://m.example/base/host.example:8080/a?b'
    ]
  ])('%s by %s', (url, mirror, expected) => expect(mirrored(url, mirror)).toBe(expected));
});

describe('download', () => {
  test('fetches a file into RUNNER_TEMP', async () => {
    const file = await download(`${base}/file`);
    expect(file.startsWith(runner.directory)).toBe(true);
    expect(fs.readFileSync(file, 'utf8')).toBe('the file\n');
    expect(asked).toEqual(['/file']);
  });

  test('says what it was doing and what helps, and does not try again what will not come', async () => {
    await expect(download(`${base}/missing`)).rejects.toMatchObject({
      ...refused,
      message: `${base}/missing could not be downloaded: Unexpected HTTP response: 404`,
      because: {reproduce: `curl -fsSLO ${base}/missing`}
    });
    expect(asked).toEqual(['/missing']);
  });

  test('reads a text, and leaves nothing behind', async () => {
    expect(await downloadText(`${base}/file`)).toBe('the file\n');
    expect(left()).toEqual([]);
  });
});

describe('downloadVerified', () => {
  test('takes what has the checksum', async () => {
    const file = await downloadVerified(`${base}/file`, sum('the file\n'));
    expect(fs.readFileSync(file, 'utf8')).toBe('the file\n');
  });

  test('refuses and deletes what has another', async () => {
    await expect(downloadVerified(`${base}/file`, sum('another file'))).rejects.toMatchObject({
      ...refused,
      message: `${base}/file is not what was published: SHA-256 ${sum('the file\n')} instead of ${sum('another file')}`
    });
    expect(left()).toEqual([]);
  });
});

describe('parseChecksum', () => {
  const good = sum('x');
  test.each([
    ['alone', good],
    ['with a newline', `${good}\n`],
    ['with a name', `${good}  kind-linux-amd64\n`],
    ['with a name, binary', `${good} *helm.tar.gz\n`]
  ])('reads it %s', (_, text) => expect(parseChecksum(text, 'x')).toBe(good));

  test.each([
    ['nothing', ''],
    ['a page of a proxy', '<html>Sign in</html>'],
    ['a checksum of another kind', createHash('sha512').update('x').digest('hex')],
    ['a checksum cut short', good.slice(1)]
  ])('refuses %s', (_, text) => {
    expect(() => parseChecksum(text, 'https://host.example/x.sha256')).toThrow(
      'https://host.example/x.sha256 holds no SHA-256 checksum'
    );
  });
});

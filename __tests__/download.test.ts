import {createHash} from 'node:crypto';
import * as fs from 'node:fs';
import {createServer, type Server, type ServerResponse} from 'node:http';
import {type AddressInfo, createServer as createTcpServer, type Socket} from 'node:net';
import * as path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from '@jest/globals';
import {
  describeMirror,
  download,
  downloadText,
  downloadVerified,
  getMirroredUrl,
  parseChecksum,
  redactUrl,
  resolveRedirect
} from '../src/base/download.ts';
import {eachOnRunner} from './fake.ts';

const runner = eachOnRunner();
const sum = (text: string) => createHash('sha256').update(text).digest('hex');
const refused = {
  name: 'Fault',
  attribution: expect.objectContaining({class: 'infrastructure', layer: 'runner'})
};

let server: Server;
let base: string;
let asked: string[];
/** What is served under a path: a turn's answer, and of several the last one stands. */
let answers: Record<string, Answer[]>;
type Answer = (response: ServerResponse) => void;

const whole: Answer = response => void response.end('the file\n');
const status =
  (code: number): Answer =>
  response =>
    void response.writeHead(code).end('no');
const truncated: Answer = response => {
  response.writeHead(200, {'content-length': '1000'});
  response.write('the fi');
  setTimeout(() => response.destroy(), 20);
};
const reset: Answer = response => void response.socket?.resetAndDestroy();
const hanging: Answer = () => {};
const stalled: Answer = response => void response.write('the fi');
const slow: Answer = response => {
  const timer = setInterval(() => response.write('x'), 20);
  response.on('close', () => clearInterval(timer));
};
const endless: Answer = response => {
  const more = () => {
    while (!response.destroyed && response.write('x'.repeat(10_000)));
  };
  response.on('drain', more);
  more();
};
const to =
  (location: string): Answer =>
  response =>
    void response.writeHead(302, {location}).end();

beforeEach(async () => {
  asked = [];
  answers = {'/file': [whole], '/missing': [status(404)]};
  server = createServer(({url = ''}, response) => {
    const turn = asked.filter(one => one === url).length;
    asked.push(url);
    const known = answers[url] ?? [status(404)];
    known[Math.min(turn, known.length - 1)]?.(response);
  });
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  return new Promise(closed => server.close(closed));
});

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
  ])('%s by %s', (url, mirror, expected) => expect(getMirroredUrl(url, mirror)).toBe(expected));
});

describe('download', () => {
  test.each(['http://host.example/x', 'file:///etc/passwd', 'ftp://host.example/x'])(
    'https is never left for %s',
    location => {
      const from = new URL('https://host.example/y');
      expect(() => resolveRedirect(from, location)).toThrow(/redirects from https:\/\/ to/);
      expect(resolveRedirect(from, '/z').href).toBe('https://host.example/z');
    }
  );

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
      attribution: {reproduce: `curl -fsSLO ${base}/missing`}
    });
    expect(asked).toEqual(['/missing']);
  });

  test('reads a text, and leaves nothing behind', async () => {
    expect(await downloadText(`${base}/file`)).toBe('the file\n');
    expect(left()).toEqual([]);
  });
});

describe('a download that goes wrong', () => {
  const limits = {seconds: 0.5, maxBytes: 10_000, pauses: [0.01, 0.02]};

  test.each([
    ['is cut off', truncated],
    ['is reset', reset],
    ['is too much for the server', status(429)],
    ['breaks the server', status(500)],
    ['is for later', status(503)],
    ['hangs', hanging],
    ['stalls', stalled]
  ])('and %s comes by another try', async (_, answer) => {
    answers['/file'] = [answer, whole];
    const file = await download(`${base}/file`, limits);
    expect(fs.readFileSync(file, 'utf8')).toBe('the file\n');
    expect(asked).toEqual(['/file', '/file']);
    expect(left()).toEqual([path.basename(file)]);
  });

  test.each([
    ['cut off', truncated, 3, /aborted|ended after 6 of 1000 bytes|Premature|reset/i],
    ['reset', reset, 3, /hang up|ECONNRESET/],
    ['500', status(500), 3, /Unexpected HTTP response: 500/],
    ['429', status(429), 3, /Unexpected HTTP response: 429/],
    ['hanging', hanging, 3, /longer than 0.5 s|timeout/],
    ['stalled', stalled, 3, /longer than 0.5 s|timeout|aborted/],
    ['slow', slow, 3, /longer than 0.5 s/],
    ['endless', endless, 1, /more than 10000 bytes/],
    ['404', status(404), 1, /Unexpected HTTP response: 404/],
    ['403', status(403), 1, /Unexpected HTTP response: 403/],
    ['redirected for ever', to('/bad'), 1, /it has too many redirects/],
    ['redirected to a file', to('file:///etc/passwd'), 1, /redirects from http:\/\/ to file:/],
    ['redirected to nothing', to('http://'), 1, /redirects to an invalid URL/]
  ])(
    '%s ends soon, after as many tries as can help, names the URL, and leaves nothing',
    async (_, answer, tries, message) => {
      answers['/bad'] = [answer];
      const start = performance.now();
      const error = await download(`${base}/bad`, limits).catch(error => error);
      expect(error).toMatchObject(refused);
      expect(error.message).toMatch(message);
      expect(error.message.startsWith(`${base}/bad could not be downloaded: `)).toBe(true);
      expect(asked.filter(url => url === '/bad').length).toBeGreaterThanOrEqual(tries);
      expect(asked.length).toBeLessThanOrEqual(5);
      expect(performance.now() - start).toBeLessThan(10_000);
      expect(left()).toEqual([]);
    },
    20_000
  );

  test('a size that is told beforehand is not waited for', async () => {
    answers['/big'] = [
      response => void response.writeHead(200, {'content-length': '20000'}).write('x')
    ];
    await expect(download(`${base}/big`, limits)).rejects.toThrow(/20000 bytes, more than 10000/);
    expect(asked).toEqual(['/big']);
  });

  test('a redirect is followed', async () => {
    answers['/away'] = [to('/file')];
    expect(fs.readFileSync(await download(`${base}/away`, limits), 'utf8')).toBe('the file\n');
  });

  test('what may be secret in a URL is not told', async () => {
    const url = `${base.replace('://', '://me:hunter2@')}/missing?token=hunter2`;
    const error = await download(url, limits).catch(error => error);
    expect(JSON.stringify([error.message, error.attribution])).not.toContain('hunter2');
  });

  test.each([
    ['https://a.example/b?c=hunter2#d', 'https://a.example/b'],
    ['https://user:top/hunter2@a.example/b?c', 'https://a.example/b'],
    ['https://user:hunter2@[bad/b', 'https://[bad/b'],
    ['/a/file?with=#odd@name', '/a/file?with=#odd@name']
  ])('%s is shown as %s', (url, shown) => expect(redactUrl(url)).toBe(shown));

  test.each([
    [
      'before its headers have ended',
      (socket: Socket) => void socket.write('HTTP/1.1 200 OK\r\nx: ')
    ],
    [
      'that answers too late',
      (socket: Socket) =>
        void setTimeout(() => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx'), 700)
    ]
  ])('no connection is left to a server %s', async (_, answer) => {
    let open = 0;
    const slow = createTcpServer(socket => {
      open++;
      socket
        .on('close', () => open--)
        .on('error', () => {})
        .resume();
      answer(socket);
    });
    await new Promise<void>(listening => slow.listen(0, '127.0.0.1', listening));
    const {port} = slow.address() as AddressInfo;
    try {
      await expect(
        download(`http://127.0.0.1:${port}/x`, {seconds: 0.4, pauses: []})
      ).rejects.toThrow(/longer than 0.4 s/);
      await new Promise(later => setTimeout(later, 800));
      expect(open).toBe(0);
    } finally {
      slow.close();
    }
  });

  test('nothing is written raw to the log', async () => {
    answers['/bad'] = [reset];
    await download(`${base}/bad`, limits).catch(() => {});
    expect(runner.log()).toBe('');
  });

  test('a mirror by plain http, and one that is believed its own checksums, is told', () => {
    expect(describeMirror(null)).toBeNull();
    expect(describeMirror('https://mirror.example')).toBeNull();
    expect(describeMirror('http://mirror.example')).toMatch(
      /^http:\/\/mirror.example\/ uses plain http/
    );
    expect(describeMirror('https://mirror.example#own-checksums')).toMatch(
      /trusted with its own checksums/
    );
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
      message: `${base}/file has the wrong checksum: SHA-256 ${sum('the file\n')} instead of ${sum('another file')}`
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
      'https://host.example/x.sha256 contains no SHA-256 checksum'
    );
  });
});

import {createHash, randomUUID} from 'node:crypto';
import {createReadStream, createWriteStream, rmSync} from 'node:fs';
import * as fs from 'node:fs/promises';
import type {IncomingMessage} from 'node:http';
import * as os from 'node:os';
import * as path from 'node:path';
import {Transform} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import {setTimeout as sleep} from 'node:timers/promises';
import {HttpClient} from '@actions/http-client';
import {quote} from 'shlex';
import {Fault} from './fault.ts';

/** What a mirror's URL ends with where its own checksums are to be believed, also of what this Action has pinned. */
export const ownChecksumsSuffix = '#own-checksums';

/** Whether what this Action has pinned is held to its pins: everywhere, but on a mirror that is said to have its own. */
export const isHeldToPins = (mirror: string | null): boolean =>
  !mirror?.endsWith(ownChecksumsSuffix);

/** What is to be known of a mirror by who reads the log; null where there is nothing. */
export function describeMirror(mirror: string | null): string | null {
  const words = [
    ...(mirror?.startsWith('http:')
      ? ['is asked by plain http: what has no checksum can be changed on its way']
      : []),
    ...(isHeldToPins(mirror) ? [] : ['is believed its own checksums, also of what is pinned'])
  ];
  return mirror === null || words.length === 0
    ? null
    : `${redactUrl(mirror)} ${words.join(', and ')}`;
}

/** Where a public URL is fetched: there, or at MIRROR/HOST/PATH. */
export function getMirroredUrl(url: string, mirror: string | null): string {
  if (mirror === null) return url;
  return `${mirror.replace(ownChecksumsSuffix, '')}/${url.replace(/^https?:\/\//, '')}`;
}

export interface DownloadLimits {
  /** In bytes; none of what we fetch has half of it. */
  maxBytes?: number;
  /** For one try, in seconds. */
  seconds?: number;
  /** Seconds before each further try. */
  pauses?: number[];
}

/** An answer that another try will not change. */
class PermanentDownloadError extends Error {}

/** The door to the network for what no recording has. Resolves to the path of a file under RUNNER_TEMP. Throws a Fault. */
export async function download(
  url: string,
  {maxBytes = 300e6, seconds = 300, pauses = [1, 4]}: DownloadLimits = {}
): Promise<string> {
  const file = path.join(process.env.RUNNER_TEMP || os.tmpdir(), randomUUID());
  const remove = () => rmSync(file, {force: true});
  process.once('exit', remove); // who is cancelled does not wait
  try {
    return await downloadWithRetries(file, url, {maxBytes, seconds, pauses});
  } finally {
    process.off('exit', remove);
  }
}

async function downloadWithRetries(
  file: string,
  url: string,
  {maxBytes, seconds, pauses}: Required<DownloadLimits>
): Promise<string> {
  for (const pause of [...pauses, null]) {
    try {
      await downloadToFile(file, url, maxBytes, seconds);
      return file;
    } catch (error) {
      await fs.rm(file, {force: true}); // what is half-written is of no use to anybody
      if (pause === null || error instanceof PermanentDownloadError)
        throw createDownloadFault(url, error as Error);
      await sleep(pause * 1000);
    }
  }
  throw new Error('a try is the last one');
}

const createDownloadFault = (url: string, {message}: Error): Fault =>
  new Fault(`${redactUrl(url)} could not be downloaded: ${message}`, {
    class: 'infrastructure',
    layer: 'runner',
    hint: 'See whether the runner reaches that host; `mirror` names another place to fetch from.',
    reproduce: `curl -fsSLO ${quote(redactUrl(url))}`
  });

/** A URL as it may be shown: what may be secret in it is left out. */
export function redactUrl(url: string): string {
  if (!isUrl(url)) return url;
  if (!URL.canParse(url)) return url.replace(/[?#].*$/s, '').replace(/\/\/.*@/s, '//');
  const {protocol, host, pathname} = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

/** Whether it was meant as one. */
export const isUrl = (text: string): boolean => /^\s*[a-z][a-z0-9+.-]{0,20}:\/\//i.test(text);

/** The password and the query of a URL, which may sign it. */
export function findUrlSecrets(url: string): string[] {
  if (!isUrl(url) || !URL.canParse(url)) return [];
  const {password, search, searchParams} = new URL(url);
  const long = [...searchParams.values()].filter(text => text.length >= 16); // shorter ones are words
  return [password, decodeUrlText(password), search.slice(1), ...long].filter(text => text !== '');
}

/** A text that is escaped as in a URL, or as it is where it is not. */
function decodeUrlText(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function downloadToFile(
  file: string,
  url: string,
  most: number,
  seconds: number
): Promise<void> {
  const over = AbortSignal.timeout(seconds * 1000);
  const late = new Promise<never>((_, reject) => {
    over.onabort = () => reject(new Error(`it took longer than ${seconds} s`));
  });
  late.catch(() => {}); // nobody waits for it any more
  const answer = await Promise.race([requestUrl(url, seconds, over), late]);
  const {statusCode = 0, headers} = answer;
  try {
    if (statusCode !== 200) throw createStatusError(statusCode);
    const length = Number(headers['content-length'] ?? Number.NaN);
    if (length > most)
      throw new PermanentDownloadError(`it has ${length} bytes, more than ${most}`);
    const to = createWriteStream(file, {flags: 'wx', mode: 0o600});
    const read = await Promise.race([writeToFile(answer, to, most, over), late]);
    if (read < length) throw new Error(`it ended after ${read} of ${length} bytes`);
  } finally {
    answer.destroy();
  }
}

const createStatusError = (code: number): Error =>
  code === 408 || code === 429 || code >= 500
    ? new Error(`Unexpected HTTP response: ${code}`)
    : new PermanentDownloadError(`Unexpected HTTP response: ${code}`);

/** How many bytes came. */
async function writeToFile(
  from: IncomingMessage,
  to: NodeJS.WritableStream,
  most: number,
  signal: AbortSignal
): Promise<number> {
  let bytes = 0;
  const count = new Transform({
    transform(chunk: Buffer, _, done) {
      bytes += chunk.length;
      done(
        bytes > most ? new PermanentDownloadError(`it has more than ${most} bytes`) : null,
        chunk
      );
    }
  });
  await pipeline(from, count, to, {signal});
  return bytes;
}

/** Asks, and goes where it is sent; from https never to http. */
async function requestUrl(
  url: string,
  seconds: number,
  over: AbortSignal
): Promise<IncomingMessage> {
  let at = new URL(url);
  for (let turn = 0; turn < 5; turn++) {
    const client = new HttpClient('dual-stack', [], {
      allowRedirects: false,
      socketTimeout: Math.min(30, seconds) * 1000 // of silence
    });
    over.addEventListener('abort', () => client.dispose()); // with its connection, which would keep us from ending
    const {message} = await client.get(at.href);
    if (over.aborted) message.destroy();
    const {location} = message.headers;
    if (![301, 302, 303, 307, 308].includes(message.statusCode ?? 0) || !location) return message;
    message.destroy();
    at = resolveRedirect(at, location);
  }
  throw new PermanentDownloadError('it is redirected again and again');
}

/** Where a redirect leads. Throws where that is no URL, or from https to something else. */
export function resolveRedirect(from: URL, location: string): URL {
  if (!URL.canParse(location, from.href))
    throw new PermanentDownloadError('it is redirected to what is no URL');
  const to = new URL(location, from.href);
  if (!['https:', from.protocol].includes(to.protocol))
    throw new PermanentDownloadError(
      `it is redirected from ${from.protocol}// to ${to.protocol}//`
    );
  return to;
}

/** Downloads a small text file. */
export async function downloadText(url: string, limits: DownloadLimits = {}): Promise<string> {
  const file = await download(url, {maxBytes: 5e6, seconds: 60, ...limits});
  const text = await fs.readFile(file, 'utf8');
  await fs.rm(file);
  return text;
}

/** Downloads a file and holds it to its SHA-256; a file that differs is deleted. */
export async function downloadVerified(
  url: string,
  sha256: string,
  limits: DownloadLimits = {}
): Promise<string> {
  const file = await download(url, limits);
  const found = await computeSha256(file);
  if (found === sha256) return file;
  await fs.rm(file);
  throw createChecksumFault(url, sha256, found);
}

export const createChecksumFault = (url: string, expected: string, found: string): Fault =>
  new Fault(
    `${redactUrl(url)} is not what was published: SHA-256 ${found} instead of ${expected}`,
    {
      class: 'infrastructure',
      layer: 'runner',
      hint: `Something between here and the publisher changed the file. Do not use it; see who serves it. A mirror with builds of its own is named \`URL${ownChecksumsSuffix}\`.`,
      reproduce: `curl -fsSL ${quote(redactUrl(url))} | sha256sum`
    }
  );

/** The checksum in a published `.sha256` or `.sha256sum` file. Throws a Fault when there is none. */
export function parseChecksum(text: string, url: string): string {
  const [, sum] = /^\s{0,100}([0-9a-f]{64})(\s|$)/.exec(text) ?? [];
  if (sum !== undefined) return sum;
  throw new Fault(`${redactUrl(url)} holds no SHA-256 checksum`, {
    class: 'infrastructure',
    layer: 'runner',
    hint: 'See what that address serves; a proxy may answer with a page of its own.'
  });
}

/** The SHA-256 of a file. */
export async function computeSha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

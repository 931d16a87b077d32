/** Downloads files over HTTP, with limits, retries, mirrors and checksums. */
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

/** The end of a mirror's URL whose own checksums are trusted, even for files that this Action pins. */
export const ownChecksumsSuffix = '#own-checksums';

/** Whether pinned files must match their pins. Only a mirror with its own checksums is exempt. */
export const isHeldToPins = (mirror: string | null): boolean =>
  !mirror?.endsWith(ownChecksumsSuffix);

/** A warning about a mirror for the log; null if there is none. */
export function describeMirror(mirror: string | null): string | null {
  const words = [
    ...(mirror?.startsWith('http:')
      ? ['uses plain http: files without a checksum can be changed in transit']
      : []),
    ...(isHeldToPins(mirror) ? [] : ['is trusted with its own checksums, even for pinned files'])
  ];
  return mirror === null || words.length === 0
    ? null
    : `${redactUrl(mirror)} ${words.join(', and ')}`;
}

/** The address to fetch a public URL from: the URL itself, or MIRROR/HOST/PATH. */
export function getMirroredUrl(url: string, mirror: string | null): string {
  if (mirror === null) return url;
  return `${mirror.replace(ownChecksumsSuffix, '')}/${url.replace(/^https?:\/\//, '')}`;
}

export interface DownloadLimits {
  /** In bytes; the largest file that we fetch has less than half of the default. */
  maxBytes?: number;
  /** Time limit of one try, in seconds. */
  seconds?: number;
  /** Seconds before each further try. */
  pauses?: number[];
}

/** A response that a retry will not change. */
class PermanentDownloadError extends Error {}

/** Downloads a URL that recordings do not contain. Resolves to the path of a file under RUNNER_TEMP. Throws a Fault. */
export async function download(
  url: string,
  {maxBytes = 300e6, seconds = 300, pauses = [1, 4]}: DownloadLimits = {}
): Promise<string> {
  const file = path.join(process.env.RUNNER_TEMP || os.tmpdir(), randomUUID());
  const remove = () => rmSync(file, {force: true});
  process.once('exit', remove); // a cancelled run does not reach the cleanup below
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
      await fs.rm(file, {force: true});
      if (pause === null || error instanceof PermanentDownloadError)
        throw createDownloadFault(url, error as Error);
      await sleep(pause * 1000);
    }
  }
  throw new Error('unreachable: the last try returns or throws');
}

const createDownloadFault = (url: string, {message}: Error): Fault =>
  new Fault(`${redactUrl(url)} could not be downloaded: ${message}`, {
    class: 'infrastructure',
    layer: 'runner',
    hint: 'Check that the runner can reach that host. Set `mirror` to download from another host.',
    reproduce: `curl -fsSLO ${quote(redactUrl(url))}`
  });

/** A URL without its user, password, query and fragment, which may be secret. */
export function redactUrl(url: string): string {
  if (!isUrl(url)) return url;
  if (!URL.canParse(url)) return url.replace(/[?#].*$/s, '').replace(/\/\/.*@/s, '//');
  const {protocol, host, pathname} = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

/** Whether a text begins like a URL, valid or not. */
export const isUrl = (text: string): boolean => /^\s*[a-z][a-z0-9+.-]{0,20}:\/\//i.test(text);

/** The password and the query of a URL, which may sign it. */
export function findUrlSecrets(url: string): string[] {
  if (!isUrl(url) || !URL.canParse(url)) return [];
  const {password, search, searchParams} = new URL(url);
  const long = [...searchParams.values()].filter(text => text.length >= 16); // shorter ones are words
  return [password, decodeUrlText(password), search.slice(1), ...long].filter(text => text !== '');
}

/** The text without URL escapes; unchanged if they are invalid. */
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
  late.catch(() => {}); // a rejection after the race is not an unhandled one
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

/** Resolves to the number of bytes read. Rejects after `most` bytes. */
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

/** Requests a URL and follows up to four redirects, never from https to http. */
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
    over.addEventListener('abort', () => client.dispose()); // an open connection would keep this process alive
    const {message} = await client.get(at.href);
    if (over.aborted) message.destroy();
    const {location} = message.headers;
    if (![301, 302, 303, 307, 308].includes(message.statusCode ?? 0) || !location) return message;
    message.destroy();
    at = resolveRedirect(at, location);
  }
  throw new PermanentDownloadError('it has too many redirects');
}

/** The target of a redirect. Throws if it is not a URL, or leads from https to another protocol. */
export function resolveRedirect(from: URL, location: string): URL {
  if (!URL.canParse(location, from.href))
    throw new PermanentDownloadError('it redirects to an invalid URL');
  const to = new URL(location, from.href);
  if (!['https:', from.protocol].includes(to.protocol))
    throw new PermanentDownloadError(`it redirects from ${from.protocol}// to ${to.protocol}//`);
  return to;
}

/** The text of a small file. Throws a Fault. */
export async function downloadText(url: string, limits: DownloadLimits = {}): Promise<string> {
  const file = await download(url, {maxBytes: 5e6, seconds: 60, ...limits});
  const text = await fs.readFile(file, 'utf8');
  await fs.rm(file);
  return text;
}

/** Downloads a file and verifies its SHA-256. Throws a Fault and deletes the file if it differs. */
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
  new Fault(`${redactUrl(url)} has the wrong checksum: SHA-256 ${found} instead of ${expected}`, {
    class: 'infrastructure',
    layer: 'runner',
    hint: `The file differs from the published one. Do not use it; check which server sent it. If your mirror serves its own builds, set \`mirror\` to \`URL${ownChecksumsSuffix}\`.`,
    reproduce: `curl -fsSL ${quote(redactUrl(url))} | sha256sum`
  });

/** The checksum in a published `.sha256` or `.sha256sum` file. Throws a Fault if there is none. */
export function parseChecksum(text: string, url: string): string {
  const [, sum] = /^\s{0,100}([0-9a-f]{64})(\s|$)/.exec(text) ?? [];
  if (sum !== undefined) return sum;
  throw new Fault(`${redactUrl(url)} contains no SHA-256 checksum`, {
    class: 'infrastructure',
    layer: 'runner',
    hint: 'Open that address: a proxy may return an error page instead of the file.'
  });
}

/** The SHA-256 of a file, in hexadecimal. */
export async function computeSha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

import {createHash} from 'node:crypto';
import {createReadStream} from 'node:fs';
import * as fs from 'node:fs/promises';
import {pipeline} from 'node:stream/promises';
import * as cache from '@actions/tool-cache';
import {Fault} from './fault.ts';

/** Where a public URL is fetched: there, or at MIRROR/HOST/PATH. */
export function mirrored(url: string, mirror: string | null): string {
  return mirror === null ? url : `${mirror}/${url.replace(/^https?:\/\//, '')}`;
}

/** The one door to the network. Resolves to the path of a file under RUNNER_TEMP. Throws a Fault. */
export async function download(url: string): Promise<string> {
  try {
    return await cache.downloadTool(url); // tries three times
  } catch (error) {
    throw new Fault(`${url} could not be downloaded: ${(error as Error).message}`, {
      class: 'infrastructure',
      layer: 'runner',
      hint: 'See whether the runner reaches that host; `mirror` names another place to fetch from.',
      reproduce: `curl -fsSLO ${url}`
    });
  }
}

/** Downloads a small text file. */
export async function downloadText(url: string): Promise<string> {
  const file = await download(url);
  const text = await fs.readFile(file, 'utf8');
  await fs.rm(file);
  return text;
}

/** Downloads a file and holds it to its SHA-256; a file that differs is deleted. */
export async function downloadVerified(url: string, sha256: string): Promise<string> {
  const file = await download(url);
  const found = await digest(file);
  if (found === sha256) return file;
  await fs.rm(file);
  throw wrongChecksum(url, sha256, found);
}

export const wrongChecksum = (url: string, expected: string, found: string): Fault =>
  new Fault(`${url} is not what was published: SHA-256 ${found} instead of ${expected}`, {
    class: 'infrastructure',
    layer: 'runner',
    hint: 'Something between here and the publisher changed the file. Do not use it; see who serves it.',
    reproduce: `curl -fsSL ${url} | sha256sum`
  });

/** The checksum in a published `.sha256` or `.sha256sum` file. Throws a Fault when there is none. */
export function parseChecksum(text: string, url: string): string {
  const [, sum] = /^\s*([0-9a-f]{64})(\s|$)/.exec(text) ?? [];
  if (sum !== undefined) return sum;
  throw new Fault(`${url} holds no SHA-256 checksum`, {
    class: 'infrastructure',
    layer: 'runner',
    hint: 'See what that address serves; a proxy may answer with a page of its own.'
  });
}

async function digest(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

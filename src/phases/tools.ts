/** Provides kind, kubectl and helm: finds or downloads them, verifies them and puts them on PATH. */
import {randomUUID} from 'node:crypto';
import * as fs from 'node:fs/promises';
import * as os from 'node:os';
import * as path from 'node:path';
import * as core from '@actions/core';
import * as io from '@actions/io';
import * as cache from '@actions/tool-cache';
import {
  computeSha256,
  downloadText,
  downloadVerified,
  getMirroredUrl,
  isHeldToPins,
  parseChecksum
} from '../base/download.ts';
import {createInputFault} from '../base/fault.ts';
import {runOrThrow, type Sh} from '../base/sh.ts';
import type {Inputs} from '../inputs/inputs.ts';
import {type Architecture, type ToolName, tools} from '../versions/pins.ts';

/** A tool's directory, which is on PATH, and the version that it reports. */
export interface Tool {
  directory: string;
  version: string;
}

export type Tools = Record<ToolName, Tool>;

const versionCommands: Record<ToolName, string[]> = {
  kind: ['kind', 'version'],
  kubectl: ['kubectl', 'version', '--client'],
  helm: ['helm', 'version', '--short']
};

/** Finds or downloads a tool, puts it on PATH for this step and later ones, and reads its version. Throws a Fault. */
export async function provideTool<Name extends ToolName>(
  name: Name,
  inputs: Pick<Inputs, `${Name}-version` | 'mirror'>,
  sh: Sh
): Promise<Tool> {
  const requested: string = inputs[`${name}-version` as const];
  const directory =
    requested === 'path'
      ? await findOnPath(name)
      : await findOrFetchTool(name, requested, inputs.mirror);
  if (requested !== 'path') core.addPath(directory);
  const output = await runOrThrow(sh, versionCommands[name], {seconds: 30});
  return {directory, version: /v\d+\.\d+\.\d+\S*?(?=[+\s]|$)/.exec(output)?.[0] ?? output.trim()};
}

async function findOnPath(name: ToolName): Promise<string> {
  const file = await io.which(name);
  if (file !== '') return path.dirname(file);
  throw createInputFault(
    `Invalid \`${name}-version\` "path": there is no ${name} on PATH; expected a version such as \`${tools[name].version}\``
  );
}

async function findOrFetchTool(
  name: ToolName,
  version: string,
  mirror: string | null
): Promise<string> {
  const found = cache.find(name, version.slice(1)); // the tool cache omits the leading v
  if (found !== '' && (await isIntact(found, name, version, mirror))) return found;
  return fetchTool(name, version, mirror);
}

/**
 * Whether a cached program is unchanged and from the requested download. An archive's program has no pin: it is compared
 * with the digest noted when the archive was verified. That detects damage and other builds, but nobody who changes both.
 */
async function isIntact(
  directory: string,
  name: ToolName,
  version: string,
  mirror: string | null
): Promise<boolean> {
  const found = await computeSha256(path.join(directory, name)).catch(() => null);
  const [noted, download] = await fs
    .readFile(path.join(directory, getDigestFileName(name)), 'utf8')
    .then(text => text.split(' '))
    .catch(() => []);
  const pin = getPinnedDigest(name, version, mirror);
  if (pin !== null && (isArchive(name) ? download : found) !== pin) return false;
  return found !== null && found === noted;
}

async function fetchTool(name: ToolName, version: string, mirror: string | null): Promise<string> {
  const {url, checksumSuffix} = tools[name];
  const from = getMirroredUrl(url(version, getArchitecture()), mirror);
  const sum =
    getPinnedDigest(name, version, mirror) ??
    parseChecksum(await downloadText(from + checksumSuffix), from + checksumSuffix);
  const file = await downloadVerified(from, sum);
  const unpacked = isArchive(name) ? await cache.extractTar(file) : null;
  const program =
    unpacked === null ? file : path.join(unpacked, `linux-${getArchitecture()}`, name);
  const directory = await storeInToolCache(program, name, version.slice(1), sum);
  if (unpacked !== null) await io.rmRF(unpacked);
  await io.rmRF(file);
  return directory;
}

/**
 * Puts a program into the tool cache by an atomic rename. The toolkit's own function empties the directory first, which
 * breaks other jobs that use it at that moment.
 */
async function storeInToolCache(
  program: string,
  name: ToolName,
  version: string,
  download: string
): Promise<string> {
  const directory = path.join(process.env.RUNNER_TOOL_CACHE ?? '', name, version, os.arch());
  await fs.mkdir(directory, {recursive: true});
  await removeStaleFiles(directory);
  const note = `${await computeSha256(program)} ${download}`;
  const temporaryFile = path.join(directory, `.${randomUUID()}`);
  await fs.copyFile(program, temporaryFile);
  await fs.chmod(temporaryFile, 0o755);
  await fs.rename(temporaryFile, path.join(directory, name));
  await fs.writeFile(temporaryFile, note);
  await fs.rename(temporaryFile, path.join(directory, getDigestFileName(name)));
  await fs.writeFile(`${directory}.complete`, ''); // the toolkit's mark of a complete entry
  return directory;
}

/** Removes temporary files of killed runs: those older than an hour. */
async function removeStaleFiles(directory: string): Promise<void> {
  for (const name of await fs.readdir(directory)) {
    const file = path.join(directory, name);
    const status = name.startsWith('.') ? await fs.lstat(file).catch(() => null) : null;
    if (status !== null && Date.now() - status.mtimeMs > 3_600_000)
      await fs.rm(file, {force: true});
  }
}

/** The file with the digests of the program and of its download. */
const getDigestFileName = (name: ToolName): string => `${name}.sha256`;

const isArchive = (name: ToolName): boolean =>
  tools[name].url('', getArchitecture()).endsWith('.tar.gz');

/** The checksum pinned in this Action; null if the version is not pinned, or the mirror has its own checksums. */
function getPinnedDigest(name: ToolName, version: string, mirror: string | null): string | null {
  const pin = tools[name];
  return isHeldToPins(mirror) && version === pin.version ? pin.sha256[getArchitecture()] : null;
}

function getArchitecture(): Architecture {
  if (process.arch === 'arm64') return 'arm64';
  if (process.arch === 'x64') return 'amd64';
  throw createInputFault(
    `Unsupported runner architecture ${process.arch}: expected amd64 or arm64`
  );
}

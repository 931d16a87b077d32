import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import * as core from '@actions/core';
import * as io from '@actions/io';
import * as cache from '@actions/tool-cache';
import {
  digest,
  downloadText,
  downloadVerified,
  holdsPins,
  mirrored,
  parseChecksum
} from '../base/download.ts';
import {badInput} from '../base/fault.ts';
import {must, type Sh} from '../base/sh.ts';
import type {Inputs} from '../inputs/inputs.ts';
import {type Architecture, type ToolName, tools} from '../versions/pins.ts';

/** A tool's directory, which is on PATH from now on, and the version that it says it has. */
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

/** Finds or fetches a tool, puts it on PATH for this step and later ones, and asks its version. */
export async function provideTool<Name extends ToolName>(
  name: Name,
  inputs: Pick<Inputs, `${Name}-version` | 'mirror'>,
  sh: Sh
): Promise<Tool> {
  const asked: string = inputs[`${name}-version` as const];
  const directory =
    asked === 'path' ? await onPath(name) : await cached(name, asked, inputs.mirror);
  if (asked !== 'path') core.addPath(directory);
  const said = await must(sh, versionCommands[name], {seconds: 30});
  return {directory, version: /v\d+\.\d+\.\d+\S*?(?=[+\s]|$)/.exec(said)?.[0] ?? said.trim()};
}

async function onPath(name: ToolName): Promise<string> {
  const file = await io.which(name);
  if (file !== '') return path.dirname(file);
  throw badInput(
    `${name}-version: found "path", but there is no ${name} on PATH; accepted is a version such as \`${tools[name].version}\``
  );
}

async function cached(name: ToolName, version: string, mirror: string | null): Promise<string> {
  const found = cache.find(name, version.slice(1)); // the tool cache wants no leading v
  if (found !== '' && (await isWhole(path.join(found, name), name, version, mirror))) return found;
  return fetchTool(name, version, mirror);
}

/** Whether a kept program is what it was. Of an archive's program there is no checksum: the tool cache is then as trusted as the machine. */
async function isWhole(file: string, name: ToolName, version: string, mirror: string | null) {
  const sum = isArchive(name) ? null : pinned(name, version, mirror);
  return sum === null || (await digest(file).catch(() => '')) === sum;
}

async function fetchTool(name: ToolName, version: string, mirror: string | null): Promise<string> {
  const {url, checksumSuffix} = tools[name];
  const from = mirrored(url(version, architecture()), mirror);
  const sum =
    pinned(name, version, mirror) ??
    parseChecksum(await downloadText(from + checksumSuffix), from + checksumSuffix);
  const file = await downloadVerified(from, sum);
  const program = isArchive(name) ? await unpacked(file, name) : file;
  await fs.chmod(program, 0o755);
  const directory = await cache.cacheFile(program, name, name, version.slice(1));
  await io.rmRF(file);
  return directory;
}

const isArchive = (name: ToolName): boolean =>
  tools[name].url('', architecture()).endsWith('.tar.gz');

/** The checksum that we carry, which holds for a mirror too unless it is said to have builds of its own. */
function pinned(name: ToolName, version: string, mirror: string | null): string | null {
  const pin = tools[name];
  return holdsPins(mirror) && version === pin.version ? pin.sha256[architecture()] : null;
}

async function unpacked(archive: string, name: ToolName): Promise<string> {
  const directory = await cache.extractTar(archive);
  return path.join(directory, `linux-${architecture()}`, name);
}

function architecture(): Architecture {
  if (process.arch === 'arm64') return 'arm64';
  if (process.arch === 'x64') return 'amd64';
  throw badInput(`this runner is ${process.arch}; accepted is a runner of amd64 or arm64`);
}

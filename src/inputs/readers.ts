import * as fs from 'node:fs';
import * as path from 'node:path';
import {parse} from 'yaml';
import {ownFiles} from '../results/files.ts';
import type {Family} from '../results/results.ts';

/** How one input is read: each takes what was given, and throws an Error that tells what would be accepted. */

export type Values = Record<string, unknown>;

export const quoted = (value: string): string =>
  value === '' ? 'nothing' : JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);

const accepts = (what: string): Error => new Error(`accepted is ${what}`);

/** A reader that takes `missing` for an input that is not given. */
export function or<Missing, Value>(missing: Missing, read: (value: string) => Value) {
  return (value: string): Missing | Value => (value === '' ? missing : read(value));
}

export function oneOf<const Choice extends string>(...choices: Choice[]) {
  return (value: string): Choice => {
    const found = choices.find(choice => choice === value);
    if (found === undefined) throw accepts(`one of ${choices.join(', ')}`);
    return found;
  };
}

export function matching(shape: RegExp, what: string) {
  return (value: string): string => {
    if (!shape.test(value)) throw accepts(what);
    return value;
  };
}

export function boolean(value: string): boolean {
  return oneOf('true', 'false')(value) === 'true';
}

export function image(value: string): string {
  // the form of a reference: [HOST[:PORT]/]NAME[:TAG][@DIGEST]
  const shape = /^[a-z0-9][A-Za-z0-9._:/-]*(@sha256:[0-9a-f]{64})?$/;
  return matching(shape, 'an image reference such as `quay.io/org/name:tag`')(value);
}

export function families(value: string): [Family, Family] {
  return oneOf('ipv4,ipv6', 'ipv6,ipv4')(value).split(',') as [Family, Family];
}

/** With a leading `v`, as the tools' releases are named; or `path`. */
export function toolVersion(value: string): string {
  if (value === 'path') return value;
  const [, version] = /^v?(\d+\.\d+\.\d+(?:-[\w.]+)?)$/.exec(value) ?? [];
  if (version === undefined) throw accepts('a version such as `v1.2.3`, or `path`');
  return `v${version}`;
}

/** Without a leading `v`: `1.30.3`, a pre-release of it, or the minor `1.30`; null for anything else. */
const versionOrMinor = (value: string): string | null =>
  /^v?(\d+\.\d+(?:\.\d+(?:-[\w.-]+)?)?)$/.exec(value)?.[1] ?? null;

export function release(value: string): string {
  const version = versionOrMinor(value);
  if (version === null) throw accepts('a version such as `1.30.3`, or a minor such as `1.30`');
  return version;
}

/** A version or a minor without a leading `v`, or an alias as it is. */
export function istioRelease(value: string): string {
  const version = versionOrMinor(value);
  if (version !== null) return version;
  return matching(
    /^(v?\d+\.\d+-[a-z]+|[a-z][a-z-]*)$/,
    'a version such as `1.30.3`, a minor such as `1.30`, or a name that the operator has for one, such as `v1.30-latest`'
  )(value);
}

export function kubernetesRelease(value: string): string {
  const version = versionOrMinor(value);
  if (version === null) throw accepts('a version such as `1.36.4`, or a minor such as `1.36`');
  return version;
}

export function count(value: string): number {
  if (!/^\d{1,2}$/.test(value)) throw accepts('a whole number from 0 to 99');
  return Number(value);
}

/** In seconds. */
export function duration(value: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(s|m|h)$/.exec(value) ?? [];
  const seconds = Number(number) * {s: 1, m: 60, h: 3600}[unit as 's' | 'm' | 'h'];
  if (!(seconds > 0 && seconds <= 86400)) throw accepts('a time such as `3s`, `15m` or `1h`');
  return seconds;
}

export function yaml(value: string): Values {
  const what = accepts('YAML with a mapping, such as `key: value`');
  let parsed: unknown;
  try {
    parsed = parse(value, {maxAliasCount: 100});
  } catch (error) {
    throw new Error(`${what.message} (${(error as Error).message.split('\n')[0]})`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw what;
  return parsed as Values;
}

export function yamlOrFile(value: string): Values {
  const file = inWorkspace(value);
  return yaml(!value.includes('\n') && fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : value);
}

export function httpUrl(value: string): string {
  if (!/^https?:\/\/[^\s/]+/.test(value) || !URL.canParse(value))
    throw accepts('a URL such as `https://mirror.example/base`');
  return value.replace(/\/+$/, '');
}

/** An https URL as it is, or the absolute path of something that exists. */
export function fileOrUrl(value: string): string {
  if (/^https?:\/\//.test(value)) return httpUrl(value);
  const file = inWorkspace(value);
  if (!fs.existsSync(file)) throw accepts('a path that exists, or a URL');
  return file;
}

/** Written as `/one|two/` without the slashes; a leading `!` leaves out what matches. */
export function pattern(value: string): {matches: RegExp; leaveOut: boolean} {
  const leaveOut = value.startsWith('!');
  try {
    return {matches: new RegExp(leaveOut ? value.slice(1) : value), leaveOut};
  } catch {
    throw accepts('a regular expression over check ids, such as `^echo/` or `!^failover/`');
  }
}

export function resultsDir(value: string): string {
  const directory = inWorkspace(value);
  if (!fs.existsSync(directory)) return directory;
  const what = 'a directory that is missing, empty, or holds results of ours';
  if (!fs.statSync(directory).isDirectory()) throw accepts(what);
  const foreign = fs.readdirSync(directory).find(name => !ownFiles.includes(name));
  if (foreign !== undefined) throw new Error(`accepted is ${what} (it holds ${quoted(foreign)})`);
  return directory;
}

export function inWorkspace(value: string): string {
  return path.resolve(process.env.GITHUB_WORKSPACE || '.', value);
}

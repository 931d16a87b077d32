import * as fs from 'node:fs';
import * as path from 'node:path';
import {ownChecksumsSuffix, redactUrl} from '../base/download.ts';
import {redact, toSingleLine} from '../base/log.ts';
import {readYaml, YamlError} from '../base/yaml.ts';
import {resultFileNames} from '../results/files.ts';
import type {Family} from '../results/results.ts';

/** How one input is read: each takes what was given, and throws an Error that tells what would be accepted. */

export type Values = Record<string, unknown>;

export const quoteValue = (value: string): string =>
  value === '' ? 'nothing' : JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);

const createExpectedError = (what: string): Error => new Error(`accepted is ${what}`);

/** What was given, without what is secret in it. */
export const redactInput = (value: string): string => redact(quoteValue(redactUrl(value)));

/** Reads every input by its reader. What is wrong is told of each, `found` shows what was given. */
export function readAllInputs<Name extends string>(
  readers: Record<Name, (value: string) => unknown>,
  given: (name: Name) => string,
  found = (_name: Name, value: string): string => redactInput(value)
): {inputs: Partial<Record<Name, unknown>>; problems: string[]} {
  const inputs: Partial<Record<Name, unknown>> = {};
  const problems: string[] = [];
  for (const name of Object.keys(readers) as Name[]) {
    const value = given(name);
    try {
      inputs[name] = readers[name](value);
    } catch (error) {
      const accepted = toSingleLine(error instanceof Error ? error.message : String(error));
      problems.push(`${name}: found ${found(name, value)}; ${accepted.slice(0, 1000)}`);
    }
  }
  return {inputs, problems};
}

/** A reader that takes `missing` for an input that is not given. */
export function withDefault<Missing, Value>(missing: Missing, read: (value: string) => Value) {
  return (value: string): Missing | Value => (value === '' ? missing : read(value));
}

export function parseOneOf<const Choice extends string>(...choices: Choice[]) {
  return (value: string): Choice => {
    const found = choices.find(choice => choice === value);
    if (found === undefined) throw createExpectedError(`one of ${choices.join(', ')}`);
    return found;
  };
}

export function parseMatching(shape: RegExp, what: string) {
  return (value: string): string => {
    if (!shape.test(value)) throw createExpectedError(what);
    return value;
  };
}

export function parseBoolean(value: string): boolean {
  return parseOneOf('true', 'false')(value) === 'true';
}

/** Whether it has the form of a reference, [HOST[:PORT]/]NAME[:TAG][@DIGEST]. */
export const isImage = (value: string): boolean =>
  /^[a-z0-9][A-Za-z0-9._:/-]{0,300}(@sha256:[0-9a-f]{64})?$/.test(value);

export function parseImageReference(value: string): string {
  if (!isImage(value))
    throw createExpectedError('an image reference such as `quay.io/org/name:tag`');
  return value;
}

/** A registry prefix without a slash at its end; null for `chart`: the images that the operator's chart names. */
export function parseHub(value: string): string | null {
  if (value === 'chart') return null;
  const prefix = value.replace(/\/{1,100}$/, '');
  if (
    !/^[a-z0-9][a-z0-9.-]{0,200}(:\d{1,5}(?=\/))?(\/[a-z0-9][a-z0-9._-]{0,100}){0,10}$/.test(prefix)
  )
    throw createExpectedError('a registry prefix such as `docker.io/istio`, or `chart`');
  return prefix;
}

export function parseFamilies(value: string): [Family, Family] {
  return parseOneOf('ipv4,ipv6', 'ipv6,ipv4')(value).split(',') as [Family, Family];
}

/** With a leading `v`, as the tools' releases are named; or `path`. */
export function parseToolVersion(value: string): string {
  if (value === 'path') return value;
  const [, version] = /^v?(\d+\.\d+\.\d+(?:-[\w.]+)?)$/.exec(value) ?? [];
  if (version === undefined) throw createExpectedError('a version such as `v1.2.3`, or `path`');
  return `v${version}`;
}

/** Without a leading `v`: `1.30.3`, a pre-release of it, or the minor `1.30`; null for anything else. */
const matchVersionOrMinor = (value: string): string | null =>
  /^v?(\d+\.\d+(?:\.\d+(?:-[\w.-]+)?)?)$/.exec(value)?.[1] ?? null;

export function parseVersion(value: string): string {
  const version = matchVersionOrMinor(value);
  if (version === null)
    throw createExpectedError('a version such as `1.30.3`, or a minor such as `1.30`');
  return version;
}

/** A version or a minor without a leading `v`, or an alias as it is. */
export function parseIstioVersion(value: string): string {
  const version = matchVersionOrMinor(value);
  if (version !== null) return version;
  return parseMatching(
    /^(v?\d+\.\d+-[a-z]+|[a-z][a-z-]*)$/,
    'a version such as `1.30.3`, a minor such as `1.30`, or a name that the operator has for one, such as `v1.30-latest`'
  )(value);
}

export function parseKubernetesVersion(value: string): string {
  const version = matchVersionOrMinor(value);
  if (version === null)
    throw createExpectedError('a version such as `1.36.4`, or a minor such as `1.36`');
  return version;
}

/** A Service that is looked at; without a name, every one of its namespace. */
export interface Target {
  namespace: string;
  name: string | null;
}

/** How many Services may be named, and how many may come of them. */
export const maxTargets = 100;

/** `NAMESPACE/NAME` or `NAMESPACE/*`, several by commas or white space. */
export function parseTargets(value: string): Target[] {
  const what = `Services as \`NAMESPACE/NAME\`, or \`NAMESPACE/*\` for all of a namespace, at most ${maxTargets}, with commas or line ends between them`;
  const names = [...new Set(value.split(/[\s,]+/).filter(name => name !== ''))];
  if (names.length === 0 || names.length > maxTargets) throw createExpectedError(what);
  return names.map(text => {
    const [, namespace, name] = /^([a-z0-9-]{1,63})\/([a-z0-9-]{1,63}|\*)$/.exec(text) ?? [];
    if (namespace === undefined || name === undefined || /(^|\/)-|-(\/|$)/.test(text))
      throw new Error(`${createExpectedError(what).message} (${quoteValue(text)} is none)`);
    return {namespace, name: name === '*' ? null : name};
  });
}

export function parseCount(value: string): number {
  if (!/^\d{1,2}$/.test(value)) throw createExpectedError('a whole number from 0 to 99');
  return Number(value);
}

/** In seconds. */
export function parseDuration(value: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(s|m|h)$/.exec(value) ?? [];
  const seconds = Number(number) * {s: 1, m: 60, h: 3600}[unit as 's' | 'm' | 'h'];
  if (!(seconds > 0 && seconds <= 86400))
    throw createExpectedError('a time such as `3s`, `15m` or `1h`');
  return seconds;
}

export function parseYamlMapping(value: string): Values {
  const what = createExpectedError('YAML with a mapping, such as `key: value`');
  const parsed = parseYaml(value, what);
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw what;
  return parsed as Values;
}

function parseYaml(value: string, what: Error): unknown {
  try {
    return readYaml(value);
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    throw new Error(`${what.message} (${error.message})`);
  }
}

/** Inline YAML, or the path of a file with it. What is a mapping is never taken for a path, whatever files there are. */
export function parseYamlOrFile(value: string): Values {
  return parseYamlMapping(isPath(value) ? readFile(value) : value);
}

/** Whether YAML or a path is given: a path is nothing but a plain string where it is read as YAML. */
export const isPath = (value: string): boolean =>
  /^[^\n]{1,4096}$/.test(value) &&
  typeof parseYaml(value, createExpectedError('YAML with a mapping, or the path of a file')) ===
    'string';

const readFile = (value: string): string => {
  const what = 'YAML with a mapping, or the path of a file with one, of at most 1 MiB';
  return readText(resolveExisting(value, what), what);
};

/** A file that somebody may have written who should read no other file by it. Throws an Error that tells what is accepted. */
export function readText(file: string, what: string): string {
  assertInsideWorkspace(file, what);
  const found = fs.statSync(file, {throwIfNoEntry: false});
  if (!found?.isFile() || found.size > 1 << 20) throw createExpectedError(what);
  return fs.readFileSync(file, 'utf8');
}

/** A base URL, with `#own-checksums` where its own checksums are to be believed. */
export function parseMirrorUrl(value: string): string {
  const base = value.replace(ownChecksumsSuffix, '').replace(/\/{1,100}$/, '');
  if (!/^https?:\/\/[^\s/?#]+[^\s?#]*$/.test(base) || !URL.canParse(base))
    throw createExpectedError(
      `a URL such as \`https://mirror.example/base\`, or that with ${ownChecksumsSuffix}`
    );
  return value.endsWith(ownChecksumsSuffix) ? base + ownChecksumsSuffix : base;
}

/** An https URL, which may end with the digest of a file, `#sha256:…`. */
function parseHttpsUrl(value: string): string {
  if (!/^https:\/\/[^\s/?#]+[^\s#]*(#sha256:[0-9a-f]{64})?$/.test(value) || !URL.canParse(value))
    throw createExpectedError(
      'an https URL, which may end with the SHA-256 of what is there, `https://host.example/x.tgz#sha256:…`'
    );
  return value.replace(/\/{1,100}$/, '');
}

/** An https URL as it is, or the absolute path of something that exists. */
export function parseFileOrUrl(value: string): string {
  if (/^https?:/i.test(value)) return parseHttpsUrl(value);
  return resolveExisting(value, 'a path that exists, or an https URL');
}

/** The same of a chart: a .tgz, or a directory without a link that leads out of the workspace. */
export function parseChart(value: string): string {
  const place = parseFileOrUrl(value);
  const what = 'a chart of the Sail Operator, a directory or a .tgz';
  if (place.startsWith('https://')) {
    if (!/\/[\w.+-]+\.tgz$/.test(new URL(place).pathname)) throw createExpectedError(what);
  } else if (fs.statSync(place).isDirectory())
    for (const entry of fs.readdirSync(place, {recursive: true, withFileTypes: true}))
      if (entry.isSymbolicLink())
        assertInsideWorkspace(path.join(entry.parentPath, entry.name), what);
  return place;
}

/** A named set: the page's own validations; what is made without an input (null); that, and what is made on request only. */
const namedSets: Record<string, RegExp | null> = {
  documented: /^(service\/dual-stack\/policy|echo\/[^/]+\/name)$/,
  default: null,
  all: /.|^uninstall\//
};

/** A named set, or written as `/one|two/` without the slashes; a leading `!` leaves out what matches. Null: what is made without an input. */
export function parseCheckPattern(value: string): {matches: RegExp; leaveOut: boolean} | null {
  const set = Object.hasOwn(namedSets, value) ? namedSets[value] : undefined;
  if (set !== undefined) return set && {matches: set, leaveOut: false};
  const leaveOut = value.startsWith('!');
  try {
    return {matches: new RegExp(leaveOut ? value.slice(1) : value), leaveOut};
  } catch {
    throw createExpectedError(
      '`documented`, `default`, `all`, or a regular expression over check ids, such as `^echo/` or `!^failover/`'
    );
  }
}

export function parseResultsDir(value: string): string {
  const directory = resolveInWorkspace(value);
  const what = 'a directory that is missing, empty, or holds results of ours';
  assertInsideWorkspace(directory, what);
  if (!fs.existsSync(directory)) return directory;
  if (!fs.statSync(directory).isDirectory()) throw createExpectedError(what);
  const foreign = fs.readdirSync(directory).find(name => !resultFileNames.includes(name));
  if (foreign !== undefined)
    throw new Error(`accepted is ${what} (it holds ${quoteValue(foreign)})`);
  const link = fs
    .readdirSync(directory, {withFileTypes: true})
    .find(entry => entry.isSymbolicLink());
  if (link) throw new Error(`accepted is ${what} (${quoteValue(link.name)} in it is a link)`);
  return directory;
}

/** The absolute path of something that exists, and that no link in the workspace leads out of it. */
function resolveExisting(value: string, what: string): string {
  const file = resolveInWorkspace(value);
  if (value.includes('\0') || !fs.existsSync(file)) throw createExpectedError(what);
  assertInsideWorkspace(file, what);
  return file;
}

/**
 * Throws when a path in the workspace leads out of it: its links are as foreign as all that is checked out.
 * A path outside is the workflow's own word.
 */
export function assertInsideWorkspace(file: string, what: string): void {
  const workspace = resolveInWorkspace('.');
  if (isInside(workspace, file) && !isInside(resolveRealPath(workspace), resolveRealPath(file)))
    throw new Error(
      `${createExpectedError(what).message}; this one is a link that leads out of the workspace`
    );
}

const isInside = (directory: string, file: string): boolean =>
  file === directory || file.startsWith(directory === '/' ? '/' : `${directory}${path.sep}`);

/** Where a path leads; of one that is missing, where its nearest directory leads. */
function resolveRealPath(file: string): string {
  try {
    return fs.realpathSync(file);
  } catch {
    if (fs.lstatSync(file, {throwIfNoEntry: false})?.isSymbolicLink()) return ''; // to nothing that is there
    return path.dirname(file) === file
      ? file
      : path.join(resolveRealPath(path.dirname(file)), path.basename(file));
  }
}

/** The absolute path of a file that exists. */
export function parseExistingFile(value: string): string {
  const what = 'the path of a file that exists';
  const file = resolveExisting(value, what);
  if (!fs.statSync(file).isFile()) throw createExpectedError(what);
  return file;
}

export function resolveInWorkspace(value: string): string {
  return path.resolve(process.env.GITHUB_WORKSPACE || '.', value);
}

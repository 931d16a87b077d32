/** Parses single input values. Each reader takes the text of an input and throws an Error "expected …" for an invalid value. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import {ownChecksumsSuffix, redactUrl} from '../base/download.ts';
import {redact, toSingleLine} from '../base/log.ts';
import {readYaml, YamlError} from '../base/yaml.ts';
import {resultFileNames} from '../results/files.ts';
import type {Family} from '../results/results.ts';

export type Values = Record<string, unknown>;

export const quoteValue = (value: string): string =>
  JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);

/** The error of a reader. `readAllInputs` puts the name and the value of the input before it. */
export const createExpectedError = (what: string): Error => new Error(`expected ${what}`);

/** The value in quotes, without its secrets. */
export const redactInput = (value: string): string => redact(quoteValue(redactUrl(value)));

/** Reads every input by its reader. `problems` has one line for each invalid input, in which `describe` shows the value. */
export function readAllInputs<Name extends string>(
  readers: Record<Name, (value: string) => unknown>,
  given: (name: Name) => string,
  describe = (_name: Name, value: string): string => redactInput(value)
): {inputs: Partial<Record<Name, unknown>>; problems: string[]} {
  const inputs: Partial<Record<Name, unknown>> = {};
  const problems: string[] = [];
  for (const name of Object.keys(readers) as Name[]) {
    const value = given(name);
    try {
      inputs[name] = readers[name](value);
    } catch (error) {
      const expected = toSingleLine(error instanceof Error ? error.message : String(error));
      problems.push(`Invalid \`${name}\` ${describe(name, value)}: ${expected.slice(0, 1000)}`);
    }
  }
  return {inputs, problems};
}

/** A reader that returns `missing` for an empty input. */
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

/** Whether the value has the form of an image reference, [HOST[:PORT]/]NAME[:TAG][@DIGEST]. */
export const isImage = (value: string): boolean =>
  /^[a-z0-9][A-Za-z0-9._:/-]{0,300}(@sha256:[0-9a-f]{64})?$/.test(value);

export function parseImageReference(value: string): string {
  if (!isImage(value))
    throw createExpectedError('an image reference such as `quay.io/org/name:tag`');
  return value;
}

/** A registry prefix without a trailing slash; null for `chart`, which keeps the image names of the operator's chart. */
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

/** A version with a leading `v`, as the tools name their releases, or `path`. */
export function parseToolVersion(value: string): string {
  if (value === 'path') return value;
  const [, version] = /^v?(\d+\.\d+\.\d+(?:-[\w.]+)?)$/.exec(value) ?? [];
  if (version === undefined) throw createExpectedError('a version such as `v1.2.3`, or `path`');
  return `v${version}`;
}

/** A version, a pre-release or a minor, without a leading `v`; null for other text. */
const matchVersionOrMinor = (value: string): string | null =>
  /^v?(\d+\.\d+(?:\.\d+(?:-[\w.-]+)?)?)$/.exec(value)?.[1] ?? null;

export function parseVersion(value: string): string {
  const version = matchVersionOrMinor(value);
  if (version === null)
    throw createExpectedError('a version such as `1.30.3`, or a minor such as `1.30`');
  return version;
}

/** A version or a minor without a leading `v`, or an unchanged alias. */
export function parseIstioVersion(value: string): string {
  const version = matchVersionOrMinor(value);
  if (version !== null) return version;
  return parseMatching(
    /^(v?\d+\.\d+-[a-z]+|[a-z][a-z-]*)$/,
    'a version such as `1.30.3`, a minor such as `1.30`, or an alias of the operator such as `v1.30-latest`'
  )(value);
}

export function parseKubernetesVersion(value: string): string {
  const version = matchVersionOrMinor(value);
  if (version === null)
    throw createExpectedError('a version such as `1.36.4`, or a minor such as `1.36`');
  return version;
}

/** A Service to check; without a name, every Service of its namespace. */
export interface Target {
  namespace: string;
  name: string | null;
}

/** The limit of names in `targets`, and of the Services that they select. */
export const maxTargets = 100;

/** Targets from `NAMESPACE/NAME` or `NAMESPACE/*`, separated by commas or white space. */
export function parseTargets(value: string): Target[] {
  const what = `at most ${maxTargets} Services as \`NAMESPACE/NAME\`, or \`NAMESPACE/*\` for a whole namespace, separated by commas or lines`;
  const names = [...new Set(value.split(/[\s,]+/).filter(name => name !== ''))];
  if (names.length === 0 || names.length > maxTargets) throw createExpectedError(what);
  return names.map(text => {
    const [, namespace, name] = /^([a-z0-9-]{1,63})\/([a-z0-9-]{1,63}|\*)$/.exec(text) ?? [];
    if (namespace === undefined || name === undefined || /(^|\/)-|-(\/|$)/.test(text))
      throw createExpectedError(`${what} (${quoteValue(text)} is not valid)`);
    return {namespace, name: name === '*' ? null : name};
  });
}

export function parseCount(value: string): number {
  if (!/^\d{1,2}$/.test(value)) throw createExpectedError('a whole number from 0 to 99');
  return Number(value);
}

/** A duration in seconds. */
export function parseDuration(value: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(s|m|h)$/.exec(value) ?? [];
  const seconds = Number(number) * {s: 1, m: 60, h: 3600}[unit as 's' | 'm' | 'h'];
  if (!(seconds > 0 && seconds <= 86400))
    throw createExpectedError('a duration such as `3s`, `15m` or `1h`');
  return seconds;
}

export function parseYamlMapping(value: string): Values {
  const what = createExpectedError('a YAML mapping such as `key: value`');
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

/** The mapping of inline YAML or of a file. A mapping is never a path, whichever files exist. */
export function parseYamlOrFile(value: string): Values {
  return parseYamlMapping(isPath(value) ? readFile(value) : value);
}

/** Whether the value is a path: as YAML, a path is a plain string. */
export const isPath = (value: string): boolean =>
  /^[^\n]{1,4096}$/.test(value) &&
  typeof parseYaml(value, createExpectedError('a YAML mapping, or the path of a file')) ===
    'string';

const readFile = (value: string): string => {
  const what = 'a YAML mapping, or the path of a YAML file of at most 1 MiB';
  return readText(resolveExisting(value, what), what);
};

/** The text of a checked-out file of at most 1 MiB. Throws an Error "expected …" when a link leads out of the workspace. */
export function readText(file: string, what: string): string {
  assertInsideWorkspace(file, what);
  const found = fs.statSync(file, {throwIfNoEntry: false});
  if (!found?.isFile() || found.size > 1 << 20) throw createExpectedError(what);
  return fs.readFileSync(file, 'utf8');
}

/** A base URL, with `#own-checksums` when the mirror's own checksums are trusted. */
export function parseMirrorUrl(value: string): string {
  const base = value.replace(ownChecksumsSuffix, '').replace(/\/{1,100}$/, '');
  if (!/^https?:\/\/[^\s/?#]+[^\s?#]*$/.test(base) || !URL.canParse(base))
    throw createExpectedError(
      `a URL such as \`https://mirror.example/base\`, optionally with ${ownChecksumsSuffix} at its end`
    );
  return value.endsWith(ownChecksumsSuffix) ? base + ownChecksumsSuffix : base;
}

/** An https URL, optionally with the digest of the file at its end, `#sha256:…`. */
function parseHttpsUrl(value: string): string {
  if (!/^https:\/\/[^\s/?#]+[^\s#]*(#sha256:[0-9a-f]{64})?$/.test(value) || !URL.canParse(value))
    throw createExpectedError(
      'an https URL, optionally with the SHA-256 of the file, such as `https://host.example/x.tgz#sha256:…`'
    );
  return value.replace(/\/{1,100}$/, '');
}

/** An unchanged https URL, or the absolute path of an existing file or directory. */
export function parseFileOrUrl(value: string): string {
  if (/^https?:/i.test(value)) return parseHttpsUrl(value);
  return resolveExisting(value, 'an existing path, or an https URL');
}

/** The URL or path of a chart: a .tgz, or a directory without links out of the workspace. */
export function parseChart(value: string): string {
  const place = parseFileOrUrl(value);
  const what = 'a Sail Operator chart, as a directory or a .tgz';
  if (place.startsWith('https://')) {
    if (!/\/[\w.+-]+\.tgz$/.test(new URL(place).pathname)) throw createExpectedError(what);
  } else if (fs.statSync(place).isDirectory())
    for (const entry of fs.readdirSync(place, {recursive: true, withFileTypes: true}))
      if (entry.isSymbolicLink())
        assertInsideWorkspace(path.join(entry.parentPath, entry.name), what);
  return place;
}

/** The named sets of checks. `documented` has the validations of Istio's page; null is the default selection. */
const namedSets: Record<string, RegExp | null> = {
  documented: /^(service\/dual-stack\/policy|echo\/[^/]+\/name)$/,
  default: null,
  all: /.|^uninstall\//
};

/** A named set or a regular expression over check ids; a leading `!` excludes the matches. Null is the default selection. */
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
  const what = 'a directory that does not exist, is empty, or holds only results of this Action';
  assertInsideWorkspace(directory, what);
  if (!fs.existsSync(directory)) return directory;
  if (!fs.statSync(directory).isDirectory()) throw createExpectedError(what);
  const foreign = fs.readdirSync(directory).find(name => !resultFileNames.includes(name));
  if (foreign !== undefined) throw createExpectedError(`${what} (it holds ${quoteValue(foreign)})`);
  const link = fs
    .readdirSync(directory, {withFileTypes: true})
    .find(entry => entry.isSymbolicLink());
  if (link) throw createExpectedError(`${what} (${quoteValue(link.name)} in it is a link)`);
  return directory;
}

/** The absolute path of an existing file or directory. Throws when a link leads out of the workspace. */
function resolveExisting(value: string, what: string): string {
  const file = resolveInWorkspace(value);
  if (value.includes('\0') || !fs.existsSync(file)) throw createExpectedError(what);
  assertInsideWorkspace(file, what);
  return file;
}

/**
 * Throws when a path in the workspace leads out of it: checked-out links are untrusted.
 * A path outside the workspace comes from the workflow, which is trusted.
 */
export function assertInsideWorkspace(file: string, what: string): void {
  const workspace = resolveInWorkspace('.');
  if (isInside(workspace, file) && !isInside(resolveRealPath(workspace), resolveRealPath(file)))
    throw createExpectedError(`${what}; this path is a link that leads out of the workspace`);
}

const isInside = (directory: string, file: string): boolean =>
  file === directory || file.startsWith(directory === '/' ? '/' : `${directory}${path.sep}`);

/** The real path. For a missing file, the real path of its nearest existing directory with the rest appended. */
function resolveRealPath(file: string): string {
  try {
    return fs.realpathSync(file);
  } catch {
    if (fs.lstatSync(file, {throwIfNoEntry: false})?.isSymbolicLink()) return ''; // a dangling link
    return path.dirname(file) === file
      ? file
      : path.join(resolveRealPath(path.dirname(file)), path.basename(file));
  }
}

/** The absolute path of an existing file. */
export function parseExistingFile(value: string): string {
  const what = 'the path of an existing file';
  const file = resolveExisting(value, what);
  if (!fs.statSync(file).isFile()) throw createExpectedError(what);
  return file;
}

export function resolveInWorkspace(value: string): string {
  return path.resolve(process.env.GITHUB_WORKSPACE || '.', value);
}

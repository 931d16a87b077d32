import {createHash} from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as core from '@actions/core';
import {parse} from 'yaml';
import {Fault} from '../base/fault.ts';
import {redact} from '../base/log.ts';
import {ownFiles} from '../reports/files.ts';
import type {Family} from '../results/results.ts';
import {nodeImage, operatorVersion, tools} from '../versions/pins.ts';

export type Values = Record<string, unknown>;

/** How each input of action.yml is read. The keys are the inputs, and a test holds them to it. */
const readers = {
  'cluster-name': matching(
    /^[a-z0-9]([a-z0-9.-]{0,46}[a-z0-9])?$/,
    'at most 48 lower-case letters, digits, dots and dashes'
  ),
  'node-image': or(nodeImage, image),
  'kind-config': or(null, yamlOrFile),
  'ip-families': families,
  'kind-version': or(tools.kind.version, toolVersion),
  'kubectl-version': or(tools.kubectl.version, toolVersion),
  'helm-version': or(tools.helm.version, toolVersion),
  'operator-version': or(operatorVersion, release),
  'operator-chart': or(null, fileOrUrl),
  'operator-image': or(null, image),
  'operator-values': or(null, yaml),
  'istio-version': or(null, release),
  'istio-values': or(null, yaml),
  'istio-cni': oneOf('auto', 'true', 'false'),
  samples: or(null, fileOrUrl),
  'echo-image': or(null, image),
  'client-image': or(null, image),
  checks: or(null, pattern),
  retries: count,
  'check-timeout': duration,
  'fail-on-flaky': boolean,
  'injection-label': matching(
    /^(istio-injection=enabled|istio\.io\/rev=[A-Za-z0-9][A-Za-z0-9._-]*)$/,
    '`istio-injection=enabled` or `istio.io/rev=NAME`'
  ),
  timeout: duration,
  cleanup: oneOf('always', 'on-success', 'never'),
  diagnostics: oneOf('on-failure', 'always', 'never'),
  'results-dir': or(null, resultsDir),
  mirror: or(null, httpUrl),
  'dry-run': boolean
} as const;

/** As action.yml has them; a test holds the two together. An input given as nothing takes its default. */
export const defaults: Partial<Record<keyof typeof readers, string>> = {
  'cluster-name': 'istio-ds',
  'ip-families': 'ipv4,ipv6',
  'istio-cni': 'auto',
  retries: '1',
  'check-timeout': '3s',
  'fail-on-flaky': 'false',
  'injection-label': 'istio-injection=enabled',
  timeout: '15m',
  cleanup: 'always',
  diagnostics: 'on-failure',
  'dry-run': 'false'
};

export type Inputs = {[Name in keyof typeof readers]: ReturnType<(typeof readers)[Name]>};

export const inputNames = Object.keys(readers) as (keyof Inputs)[];

/** Reads every input. Throws one Fault of class `input` that names every bad one. */
export function readInputs(): Inputs {
  const problems: string[] = [];
  const inputs: Record<string, unknown> = {};
  for (const name of inputNames) {
    const value = given(name);
    try {
      inputs[name] = readers[name](value);
    } catch (error) {
      const accepted = error instanceof Error ? error.message : String(error);
      const found = name.endsWith('-values') ? `${value.length} characters` : redact(quoted(value));
      problems.push(`${name}: found ${found}; ${accepted}`);
    }
  }
  if (problems.length > 0) throw badInput(problems.join('\n'));
  return inputs as Inputs;
}

/** A Fault of class `input`; nothing has been made when it is thrown. */
export const badInput = (message: string): Fault =>
  new Fault(message, {class: 'input', hint: 'Correct the inputs; nothing was made.'});

/** The inputs that were given, as they may be shown: YAML as a digest, URLs without credentials. */
export function givenInputs(): Record<string, string> {
  const names = inputNames.filter(name => given(name) !== (defaults[name] ?? ''));
  return Object.fromEntries(names.map(name => [name, shown(name, given(name))]));
}

const given = (name: keyof Inputs): string => core.getInput(name) || (defaults[name] ?? '');

function shown(name: keyof Inputs, value: string): string {
  if (name.endsWith('-values') || (name === 'kind-config' && !fs.existsSync(inWorkspace(value))))
    return `sha256:${createHash('sha256').update(value).digest('hex').slice(0, 16)}`;
  if (!URL.canParse(value) || !value.includes('//')) return value;
  const url = new URL(value);
  return `${url.protocol}//${url.host}${url.pathname}`;
}

const quoted = (value: string): string =>
  value === '' ? 'nothing' : JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);

const accepts = (what: string): Error => new Error(`accepted is ${what}`);

/** A reader that takes `missing` for an input that is not given. */
function or<Missing, Value>(missing: Missing, read: (value: string) => Value) {
  return (value: string): Missing | Value => (value === '' ? missing : read(value));
}

function oneOf<const Choice extends string>(...choices: Choice[]) {
  return (value: string): Choice => {
    const found = choices.find(choice => choice === value);
    if (found === undefined) throw accepts(`one of ${choices.join(', ')}`);
    return found;
  };
}

function matching(shape: RegExp, what: string) {
  return (value: string): string => {
    if (!shape.test(value)) throw accepts(what);
    return value;
  };
}

function boolean(value: string): boolean {
  return oneOf('true', 'false')(value) === 'true';
}

function image(value: string): string {
  // the form of a reference: [HOST[:PORT]/]NAME[:TAG][@DIGEST]
  const shape = /^[a-z0-9][A-Za-z0-9._:/-]*(@sha256:[0-9a-f]{64})?$/;
  return matching(shape, 'an image reference such as `quay.io/org/name:tag`')(value);
}

function families(value: string): [Family, Family] {
  return oneOf('ipv4,ipv6', 'ipv6,ipv4')(value).split(',') as [Family, Family];
}

/** With a leading `v`, as the tools' releases are named; or `path`. */
function toolVersion(value: string): string {
  if (value === 'path') return value;
  const [, version] = /^v?(\d+\.\d+\.\d+(?:-[\w.]+)?)$/.exec(value) ?? [];
  if (version === undefined) throw accepts('a version such as `v1.2.3`, or `path`');
  return `v${version}`;
}

/** Without a leading `v`: `1.30.3`, a pre-release of it, or the minor `1.30`. */
function release(value: string): string {
  const [, version] = /^v?(\d+\.\d+(?:\.\d+(?:-[\w.-]+)?)?)$/.exec(value) ?? [];
  if (version === undefined) throw accepts('a version such as `1.30.3`, or a minor such as `1.30`');
  return version;
}

function count(value: string): number {
  if (!/^\d{1,2}$/.test(value)) throw accepts('a whole number from 0 to 99');
  return Number(value);
}

/** In seconds. */
function duration(value: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(s|m|h)$/.exec(value) ?? [];
  const seconds = Number(number) * {s: 1, m: 60, h: 3600}[unit as 's' | 'm' | 'h'];
  if (!(seconds > 0 && seconds <= 86400)) throw accepts('a time such as `3s`, `15m` or `1h`');
  return seconds;
}

function yaml(value: string): Values {
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

function yamlOrFile(value: string): Values {
  const file = inWorkspace(value);
  return yaml(!value.includes('\n') && fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : value);
}

function httpUrl(value: string): string {
  if (!/^https?:\/\/[^\s/]+/.test(value) || !URL.canParse(value))
    throw accepts('a URL such as `https://mirror.example/base`');
  return value.replace(/\/+$/, '');
}

/** An https URL as it is, or the absolute path of something that exists. */
function fileOrUrl(value: string): string {
  if (/^https?:\/\//.test(value)) return httpUrl(value);
  const file = inWorkspace(value);
  if (!fs.existsSync(file)) throw accepts('a path that exists, or a URL');
  return file;
}

/** Written as `/one|two/` without the slashes; a leading `!` leaves out what matches. */
function pattern(value: string): {matches: RegExp; leaveOut: boolean} {
  const leaveOut = value.startsWith('!');
  try {
    return {matches: new RegExp(leaveOut ? value.slice(1) : value), leaveOut};
  } catch {
    throw accepts('a regular expression over check ids, such as `^echo/` or `!^failover/`');
  }
}

function resultsDir(value: string): string {
  const directory = inWorkspace(value);
  if (!fs.existsSync(directory)) return directory;
  const what = 'a directory that is missing, empty, or holds results of ours';
  if (!fs.statSync(directory).isDirectory()) throw accepts(what);
  const foreign = fs.readdirSync(directory).find(name => !ownFiles.includes(name));
  if (foreign !== undefined) throw new Error(`accepted is ${what} (it holds ${quoted(foreign)})`);
  return directory;
}

function inWorkspace(value: string): string {
  return path.resolve(process.env.GITHUB_WORKSPACE || '.', value);
}

import {createHash, randomBytes} from 'node:crypto';
import * as core from '@actions/core';
import {findUrlSecrets, isUrl, ownChecksumsSuffix, redactUrl} from '../base/download.ts';
import {createInputFault} from '../base/fault.ts';
import {addHiddenTexts, isSecretName, setHiddenTexts} from '../base/log.ts';
import {defaultHub} from '../versions/hub.ts';
import {defaultOperatorVersion, tools} from '../versions/pins.ts';
import {
  isPath,
  parseBoolean,
  parseChart,
  parseCheckPattern,
  parseCount,
  parseDuration,
  parseExistingFile,
  parseFamilies,
  parseFileOrUrl,
  parseHub,
  parseImageReference,
  parseIstioVersion,
  parseKubernetesVersion,
  parseMatching,
  parseMirrorUrl,
  parseOneOf,
  parseResultsDir,
  parseTargets,
  parseToolVersion,
  parseVersion,
  parseYamlMapping,
  parseYamlOrFile,
  readAllInputs,
  redactInput,
  withDefault
} from './readers.ts';

const clusterName = parseMatching(
  /^(?!.*\.private$)[a-z0-9]([a-z0-9.-]{0,46}[a-z0-9])?$/, // with that end it would be a directory of ours
  'at most 48 lower-case letters, digits, dots and dashes, and not `.private` at the end'
);

/** A name that no other run on this Docker host has. */
const generateClusterName = (): string => `istio-ds-${randomBytes(4).toString('hex')}`;

/** How each input of action.yml is read. The keys are the inputs, and a test holds them to it. */
const readers = {
  cluster: parseOneOf('kind', 'existing'),
  kubeconfig: withDefault(null, parseExistingFile),
  context: withDefault(
    null,
    parseMatching(/^[^\s\p{Cc}]+$/u, "the name of one of the kubeconfig's contexts")
  ),
  targets: withDefault(null, parseTargets),
  'cluster-name': (value: string) => clusterName(value || generateClusterName()),
  'kubernetes-version': withDefault(null, parseKubernetesVersion),
  'node-image': withDefault(null, parseImageReference),
  'kind-config': withDefault(null, parseYamlOrFile),
  'ip-families': parseFamilies,
  tuned: parseBoolean,
  'kind-version': withDefault(tools.kind.version, parseToolVersion),
  'kubectl-version': withDefault(tools.kubectl.version, parseToolVersion),
  'helm-version': withDefault(tools.helm.version, parseToolVersion),
  'operator-version': withDefault(defaultOperatorVersion, parseVersion),
  'operator-chart': withDefault(null, parseChart),
  'operator-image': withDefault(null, parseImageReference),
  'operator-values': withDefault(null, parseYamlMapping),
  'istio-version': withDefault(null, parseIstioVersion),
  'istio-values': withDefault(null, parseYamlMapping),
  'istio-hub': parseHub,
  'dataplane-mode': parseOneOf('sidecar', 'ambient'),
  'istio-cni': parseOneOf('auto', 'true', 'false'),
  'upgrade-from': withDefault(null, parseIstioVersion),
  'upgrade-strategy': parseOneOf('InPlace', 'RevisionBased'),
  samples: withDefault(null, parseFileOrUrl),
  'echo-image': withDefault(null, parseImageReference),
  'client-image': withDefault(null, parseImageReference),
  checks: withDefault(null, parseCheckPattern),
  retries: parseCount,
  'check-timeout': parseDuration,
  'fail-on-flaky': parseBoolean,
  'injection-label': parseMatching(
    /^(istio-injection=enabled|istio\.io\/rev=[A-Za-z0-9][A-Za-z0-9._-]*)$/,
    '`istio-injection=enabled` or `istio.io/rev=NAME`'
  ),
  timeout: parseDuration,
  cleanup: parseOneOf('always', 'on-success', 'never'),
  diagnostics: parseOneOf('on-failure', 'always', 'never'),
  'results-dir': withDefault(null, parseResultsDir),
  mirror: withDefault(null, parseMirrorUrl),
  'dry-run': parseBoolean
} as const;

/** As action.yml has them; a test holds the two together. An input given as nothing takes its default. */
export const inputDefaults: Partial<Record<keyof typeof readers, string>> = {
  cluster: 'kind',
  'ip-families': 'ipv4,ipv6',
  'istio-hub': defaultHub,
  tuned: 'true',
  'dataplane-mode': 'sidecar',
  'istio-cni': 'auto',
  'upgrade-strategy': 'InPlace',
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
  setHiddenTexts(urlInputs.flatMap(name => findUrlSecrets(getInputValue(name))));
  const {inputs, problems} = readAllInputs(readers, getInputValue, (name, value) =>
    isInlineYaml(name, value) ? `${value.length} characters` : redactInput(value)
  );
  addHiddenTexts(yamlInputs.flatMap(name => findYamlSecrets(inputs[name])));
  if (problems.length === 0) problems.push(...findConflicts(inputs as Inputs));
  if (problems.length > 0) throw createInputFault(problems.join('\n'));
  return inputs as Inputs;
}

/** Of the kind cluster that is made, and of the one that is there already. */
const clusterInputs: Record<Inputs['cluster'], (keyof typeof readers)[]> = {
  kind: [
    ...(['cluster-name', 'kubernetes-version', 'node-image', 'kind-config'] as const),
    ...(['kind-version', 'ip-families', 'tuned', 'dataplane-mode'] as const),
    ...(['upgrade-from', 'upgrade-strategy'] as const) // the mesh of others is theirs to upgrade
  ],
  existing: ['kubeconfig', 'context', 'targets']
};

/** All that counts where Services are only looked at: nothing is made then, and nothing asked of a pod. */
const targetInputs: (keyof typeof readers)[] = [
  ...(['cluster', 'kubeconfig', 'context', 'targets', 'kubectl-version'] as const),
  ...(['checks', 'timeout', 'results-dir', 'mirror'] as const)
];

/** An input that would count for nothing. */
function findConflicts(inputs: Inputs): string[] {
  const {cluster, targets, 'upgrade-from': from} = inputs;
  const other = cluster === 'kind' ? 'existing' : 'kind';
  const elsewhere = clusterInputs[other].filter(isInputSet);
  const unused = targets === null ? [] : inputNames.filter(name => !targetInputs.includes(name));
  const strategy = from === null && isInputSet('upgrade-strategy') && elsewhere.length === 0;
  return [
    ...elsewhere.map(
      name =>
        `${name}: found a value, and \`cluster: ${cluster}\`; accepted is it with \`cluster: ${other}\``
    ),
    ...unused
      .filter(name => isInputSet(name) && !elsewhere.includes(name))
      .map(
        name =>
          `${name}: found a value, and \`targets\`, by which Services are only looked at; accepted is one of the two`
      ),
    ...(strategy
      ? ['upgrade-strategy: found a value, and no `upgrade-from`; accepted is it with one']
      : []),
    ...(inputs['dataplane-mode'] === 'ambient' ? findAmbientConflicts(inputs) : [])
  ];
}

/** What ambient has not, or not without. */
const findAmbientConflicts = (inputs: Inputs): string[] => [
  ...(inputs['istio-cni'] === 'false'
    ? [
        'istio-cni: found "false", and `dataplane-mode: ambient`; accepted is `auto` or `true`: without IstioCNI nothing reaches ztunnel'
      ]
    : []),
  ...(['injection-label', 'upgrade-from'] as const)
    .filter(isInputSet)
    .map(
      name =>
        `${name}: found a value, and \`dataplane-mode: ambient\`; accepted is it with \`dataplane-mode: sidecar\``
    )
];

/** Whether an input says something else than its default. */
export const isInputSet = (name: keyof Inputs): boolean =>
  getInputValue(name) !== (inputDefaults[name] ?? '');

/** Where the results go, which is wanted even when another input is bad; null: nowhere in particular, or that is bad itself. */
export function readResultsDir(): string | null {
  try {
    return readers['results-dir'](getInputValue('results-dir'));
  } catch {
    return null;
  }
}

/** The inputs that were given, as they may be shown: YAML as a digest, URLs without credentials. */
export function collectSetInputs(): Record<string, string> {
  const names = inputNames.filter(isInputSet);
  return Object.fromEntries(names.map(name => [name, redactInputValue(name, getInputValue(name))]));
}

const getInputValue = (name: keyof Inputs): string =>
  core.getInput(name) || (inputDefaults[name] ?? '');

const urlInputs = ['operator-chart', 'samples', 'mirror'] as const;

const yamlInputs = ['kind-config', 'operator-values', 'istio-values'] as const;

/** What people look for in diagnostics, and what an image or a version is called is no secret. */
const publicName =
  /^(hub|tag|image|variant|profile|revision|version|name|namespace|network|role|ip_?famil\w*|\w*path|apiVersion|kind)$/i;

/**
 * The texts of a YAML input that nobody is to read: under a key that says so; and from eight characters on under every
 * key but a few, where they are no word of letters alone, as `RequireDualStack` is.
 */
function findYamlSecrets(value: unknown, key = ''): string[] {
  if (typeof value === 'string' || typeof value === 'number') {
    const text = String(value);
    const secret =
      isSecretName(key) ||
      (text.length >= 8 && !publicName.test(key) && !/^[A-Za-z_]*$/.test(text));
    return secret ? [text] : [];
  }
  if (Array.isArray(value)) return value.flatMap(item => findYamlSecrets(item, key));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, item]) => findYamlSecrets(item, name));
}

/** It may hold credentials. */
const isInlineYaml = (name: keyof Inputs, value: string): boolean =>
  name.endsWith('-values') || (name === 'kind-config' && !isReadableAsPath(value));

function isReadableAsPath(value: string): boolean {
  try {
    return isPath(value);
  } catch {
    return false;
  }
}

function redactInputValue(name: keyof Inputs, value: string): string {
  if (isInlineYaml(name, value))
    return `sha256:${createHash('sha256').update(value).digest('hex').slice(0, 16)}`;
  if (!isUrl(value)) return value;
  return redactUrl(value) + (value.endsWith(ownChecksumsSuffix) ? ownChecksumsSuffix : '');
}

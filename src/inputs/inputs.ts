/** Reads the inputs of the main action, and rejects combinations in which an input has no effect. */
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
  /^(?!.*\.private$)[a-z0-9]([a-z0-9.-]{0,46}[a-z0-9])?$/, // a name with this end is the private directory of another run
  'at most 48 lower-case letters, digits, dots and dashes, without `.private` at the end'
);

/** A random name, so that two runs on one Docker host do not collide. */
const generateClusterName = (): string => `istio-ds-${randomBytes(4).toString('hex')}`;

/** The reader of each input in action.yml. A test compares the keys with action.yml. */
const readers = {
  cluster: parseOneOf('kind', 'existing'),
  kubeconfig: withDefault(null, parseExistingFile),
  context: withDefault(
    null,
    parseMatching(/^[^\s\p{Cc}]+$/u, 'the name of a context in the kubeconfig')
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

/** The defaults of action.yml, which a test compares. An empty input takes its default. */
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

/** Returns every input, parsed. Throws one Fault of class `input` with a line for each invalid input. */
export function readInputs(): Inputs {
  setHiddenTexts(urlInputs.flatMap(name => findUrlSecrets(getInputValue(name))));
  const {inputs, problems} = readAllInputs(readers, getInputValue, describeValue);
  addHiddenTexts(yamlInputs.flatMap(name => findYamlSecrets(inputs[name])));
  if (problems.length === 0) problems.push(...findConflicts(inputs as Inputs));
  if (problems.length > 0) throw createInputFault(problems.join('\n'));
  return inputs as Inputs;
}

/** The inputs that apply to only one value of `cluster`. */
const clusterInputs: Record<Inputs['cluster'], (keyof typeof readers)[]> = {
  kind: [
    ...(['cluster-name', 'kubernetes-version', 'node-image', 'kind-config'] as const),
    ...(['kind-version', 'ip-families', 'tuned', 'dataplane-mode'] as const),
    ...(['upgrade-from', 'upgrade-strategy'] as const) // the run never upgrades an existing mesh
  ],
  existing: ['kubeconfig', 'context', 'targets']
};

/** The inputs that have an effect with `targets`: such a run creates nothing and sends no requests to pods. */
const targetInputs: (keyof typeof readers)[] = [
  ...(['cluster', 'kubeconfig', 'context', 'targets', 'kubectl-version'] as const),
  ...(['checks', 'timeout', 'results-dir', 'mirror'] as const)
];

const combinable = targetInputs
  .filter(name => name !== 'targets')
  .map(name => `\`${name}\``)
  .join(', ');

/** The value of an input as an error shows it: inline YAML, which may hold credentials, as its length. */
const describeValue = (name: keyof Inputs, value: string): string =>
  isInlineYaml(name, value) ? `(${value.length} characters)` : redactInput(value);

const createConflict = (name: keyof Inputs, expected: string): string =>
  `Invalid \`${name}\` ${describeValue(name, getInputValue(name))}: expected ${expected}`;

/** One line for each input that has no effect beside the other inputs. */
function findConflicts(inputs: Inputs): string[] {
  const {cluster, targets, 'upgrade-from': from} = inputs;
  const other = cluster === 'kind' ? 'existing' : 'kind';
  const elsewhere = clusterInputs[other].filter(isInputSet);
  const unused = targets === null ? [] : inputNames.filter(name => !targetInputs.includes(name));
  const strategy = from === null && isInputSet('upgrade-strategy') && elsewhere.length === 0;
  return [
    ...elsewhere.map(name =>
      createConflict(
        name,
        `no value with \`cluster: ${cluster}\`; this input needs \`cluster: ${other}\``
      )
    ),
    ...unused
      .filter(name => isInputSet(name) && !elsewhere.includes(name))
      .map(name =>
        createConflict(
          name,
          `no value with \`targets\`, which can be combined only with ${combinable}`
        )
      ),
    ...(strategy
      ? [createConflict('upgrade-strategy', '`upgrade-from` to have a value, or no value here')]
      : []),
    ...(inputs['dataplane-mode'] === 'ambient' ? findAmbientConflicts(inputs) : [])
  ];
}

/** One line for each input that excludes ambient. */
const findAmbientConflicts = (inputs: Inputs): string[] => [
  ...(inputs['istio-cni'] === 'false'
    ? [
        createConflict(
          'istio-cni',
          '`auto` or `true` with `dataplane-mode: ambient`; without IstioCNI no traffic reaches ztunnel'
        )
      ]
    : []),
  ...(['injection-label', 'upgrade-from'] as const)
    .filter(isInputSet)
    .map(name =>
      createConflict(
        name,
        'no value with `dataplane-mode: ambient`; this input needs `dataplane-mode: sidecar`'
      )
    )
];

/** Whether an input differs from its default. */
export const isInputSet = (name: keyof Inputs): boolean =>
  getInputValue(name) !== (inputDefaults[name] ?? '');

/** The directory for the results, readable although another input is invalid; null when it is not set or is invalid itself. */
export function readResultsDir(): string | null {
  try {
    return readers['results-dir'](getInputValue('results-dir'));
  } catch {
    return null;
  }
}

/** The inputs that differ from their defaults, safe to show: YAML as a digest, URLs without credentials. */
export function collectSetInputs(): Record<string, string> {
  const names = inputNames.filter(isInputSet);
  return Object.fromEntries(names.map(name => [name, redactInputValue(name, getInputValue(name))]));
}

const getInputValue = (name: keyof Inputs): string =>
  core.getInput(name) || (inputDefaults[name] ?? '');

const urlInputs = ['operator-chart', 'samples', 'mirror'] as const;

const yamlInputs = ['kind-config', 'operator-values', 'istio-values'] as const;

/** Keys whose values are never secret. People need image names and versions to read diagnostics. */
const publicName =
  /^(hub|tag|image|variant|profile|revision|version|name|namespace|network|role|ip_?famil\w*|\w*path|apiVersion|kind)$/i;

/**
 * The texts of a YAML input to hide. A text under a key that names a secret is one. So is a text of eight or more
 * characters under any key but the public ones, unless it has letters only, such as `RequireDualStack`.
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

/** Whether the input is YAML in the workflow itself, which may hold credentials. */
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

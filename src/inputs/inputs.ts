import {createHash, randomBytes} from 'node:crypto';
import * as core from '@actions/core';
import {isUrl, ownChecksums, secretsInUrl, shownUrl} from '../base/download.ts';
import {badInput} from '../base/fault.ts';
import {alsoHide, hide, isSecretName} from '../base/log.ts';
import {defaultHub} from '../versions/hub.ts';
import {operatorVersion, tools} from '../versions/pins.ts';
import {
  boolean,
  chart,
  count,
  duration,
  existingFile,
  families,
  fileOrUrl,
  hub,
  image,
  isPath,
  istioRelease,
  kubernetesRelease,
  matching,
  mirrorUrl,
  oneOf,
  or,
  pattern,
  readAll,
  release,
  resultsDir,
  shownInput,
  targets,
  toolVersion,
  yaml,
  yamlOrFile
} from './readers.ts';

const clusterName = matching(
  /^(?!.*\.private$)[a-z0-9]([a-z0-9.-]{0,46}[a-z0-9])?$/, // with that end it would be a directory of ours
  'at most 48 lower-case letters, digits, dots and dashes, and not `.private` at the end'
);

/** A name that no other run on this Docker host has. */
const nameOfItsOwn = (): string => `istio-ds-${randomBytes(4).toString('hex')}`;

/** How each input of action.yml is read. The keys are the inputs, and a test holds them to it. */
const readers = {
  cluster: oneOf('kind', 'existing'),
  kubeconfig: or(null, existingFile),
  context: or(null, matching(/^[^\s\p{Cc}]+$/u, "the name of one of the kubeconfig's contexts")),
  targets: or(null, targets),
  'cluster-name': (value: string) => clusterName(value || nameOfItsOwn()),
  'kubernetes-version': or(null, kubernetesRelease),
  'node-image': or(null, image),
  'kind-config': or(null, yamlOrFile),
  'ip-families': families,
  tuned: boolean,
  'kind-version': or(tools.kind.version, toolVersion),
  'kubectl-version': or(tools.kubectl.version, toolVersion),
  'helm-version': or(tools.helm.version, toolVersion),
  'operator-version': or(operatorVersion, release),
  'operator-chart': or(null, chart),
  'operator-image': or(null, image),
  'operator-values': or(null, yaml),
  'istio-version': or(null, istioRelease),
  'istio-values': or(null, yaml),
  'istio-hub': hub,
  'dataplane-mode': oneOf('sidecar', 'ambient'),
  'istio-cni': oneOf('auto', 'true', 'false'),
  'upgrade-from': or(null, istioRelease),
  'upgrade-strategy': oneOf('InPlace', 'RevisionBased'),
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
  mirror: or(null, mirrorUrl),
  'dry-run': boolean
} as const;

/** As action.yml has them; a test holds the two together. An input given as nothing takes its default. */
export const defaults: Partial<Record<keyof typeof readers, string>> = {
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
  hide(urlInputs.flatMap(name => secretsInUrl(given(name))));
  const {inputs, problems} = readAll(readers, given, (name, value) =>
    holdsYaml(name, value) ? `${value.length} characters` : shownInput(value)
  );
  alsoHide(yamlInputs.flatMap(name => secretsIn(inputs[name])));
  if (problems.length === 0) problems.push(...misplaced(inputs as Inputs));
  if (problems.length > 0) throw badInput(problems.join('\n'));
  return inputs as Inputs;
}

/** Of the kind cluster that is made, and of the one that is there already. */
const only: Record<Inputs['cluster'], (keyof typeof readers)[]> = {
  kind: [
    ...(['cluster-name', 'kubernetes-version', 'node-image', 'kind-config'] as const),
    ...(['kind-version', 'ip-families', 'tuned', 'dataplane-mode'] as const),
    ...(['upgrade-from', 'upgrade-strategy'] as const) // the mesh of others is theirs to upgrade
  ],
  existing: ['kubeconfig', 'context', 'targets']
};

/** All that counts where Services are only looked at: nothing is made then, and nothing asked of a pod. */
const ofTargets: (keyof typeof readers)[] = [
  ...(['cluster', 'kubeconfig', 'context', 'targets', 'kubectl-version'] as const),
  ...(['checks', 'timeout', 'results-dir', 'mirror'] as const)
];

/** An input that would count for nothing. */
function misplaced(inputs: Inputs): string[] {
  const {cluster, targets, 'upgrade-from': from} = inputs;
  const other = cluster === 'kind' ? 'existing' : 'kind';
  const elsewhere = only[other].filter(isGiven);
  const unused = targets === null ? [] : inputNames.filter(name => !ofTargets.includes(name));
  const strategy = from === null && isGiven('upgrade-strategy') && elsewhere.length === 0;
  return [
    ...elsewhere.map(
      name =>
        `${name}: found a value, and \`cluster: ${cluster}\`; accepted is it with \`cluster: ${other}\``
    ),
    ...unused
      .filter(name => isGiven(name) && !elsewhere.includes(name))
      .map(
        name =>
          `${name}: found a value, and \`targets\`, by which Services are only looked at; accepted is one of the two`
      ),
    ...(strategy
      ? ['upgrade-strategy: found a value, and no `upgrade-from`; accepted is it with one']
      : []),
    ...(inputs['dataplane-mode'] === 'ambient' ? ofSidecars(inputs) : [])
  ];
}

/** What ambient has not, or not without. */
const ofSidecars = (inputs: Inputs): string[] => [
  ...(inputs['istio-cni'] === 'false'
    ? [
        'istio-cni: found "false", and `dataplane-mode: ambient`; accepted is `auto` or `true`: without IstioCNI nothing reaches ztunnel'
      ]
    : []),
  ...(['injection-label', 'upgrade-from'] as const)
    .filter(isGiven)
    .map(
      name =>
        `${name}: found a value, and \`dataplane-mode: ambient\`; accepted is it with \`dataplane-mode: sidecar\``
    )
];

/** Whether an input says something else than its default. */
export const isGiven = (name: keyof Inputs): boolean => given(name) !== (defaults[name] ?? '');

/** Where the results go, which is wanted even when another input is bad; null: nowhere in particular, or that is bad itself. */
export function readResultsDir(): string | null {
  try {
    return readers['results-dir'](given('results-dir'));
  } catch {
    return null;
  }
}

/** The inputs that were given, as they may be shown: YAML as a digest, URLs without credentials. */
export function givenInputs(): Record<string, string> {
  const names = inputNames.filter(isGiven);
  return Object.fromEntries(names.map(name => [name, shown(name, given(name))]));
}

const given = (name: keyof Inputs): string => core.getInput(name) || (defaults[name] ?? '');

const urlInputs = ['operator-chart', 'samples', 'mirror'] as const;

const yamlInputs = ['kind-config', 'operator-values', 'istio-values'] as const;

/** What people look for in diagnostics, and what an image or a version is called is no secret. */
const publicName =
  /^(hub|tag|image|variant|profile|revision|version|name|namespace|network|role|ip_?famil\w*|\w*path|apiVersion|kind)$/i;

/**
 * The texts of a YAML input that nobody is to read: under a key that says so; and from eight characters on under every
 * key but a few, where they are no word of letters alone, as `RequireDualStack` is.
 */
function secretsIn(value: unknown, key = ''): string[] {
  if (typeof value === 'string' || typeof value === 'number') {
    const text = String(value);
    const secret =
      isSecretName(key) ||
      (text.length >= 8 && !publicName.test(key) && !/^[A-Za-z_]*$/.test(text));
    return secret ? [text] : [];
  }
  if (Array.isArray(value)) return value.flatMap(item => secretsIn(item, key));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, item]) => secretsIn(item, name));
}

/** It may hold credentials. */
const holdsYaml = (name: keyof Inputs, value: string): boolean =>
  name.endsWith('-values') || (name === 'kind-config' && !readsAsPath(value));

function readsAsPath(value: string): boolean {
  try {
    return isPath(value);
  } catch {
    return false;
  }
}

function shown(name: keyof Inputs, value: string): string {
  if (holdsYaml(name, value))
    return `sha256:${createHash('sha256').update(value).digest('hex').slice(0, 16)}`;
  if (!isUrl(value)) return value;
  return shownUrl(value) + (value.endsWith(ownChecksums) ? ownChecksums : '');
}

import {satisfies, validRange} from 'semver';
import {createInputFault} from '../base/fault.ts';
import type {Family} from '../results/results.ts';
import {findNewestPatch, getMinor} from './istio-versions.ts';
import {
  getSupportedRange,
  getSupportedVersions,
  kubernetesVersions,
  resolveKubernetesVersion
} from './kubernetes.ts';
import {describeMissingAmbient} from './operator-versions.ts';

/** One job of a matrix: what the main action is to be given, and a name that may be an artifact's. */
export interface Cell {
  name: string;
  /** `v1.30.3`. */
  istio: string;
  /** `1.36.4`. */
  kubernetes: string;
  'ip-families': string;
  'dataplane-mode': string;
  /** Version of the Sail Operator. */
  operator: string;
}

/** What is not tested, though it was asked for. */
export interface LeftOut {
  name: string;
  reason: string;
}

export interface MatrixRequest {
  /** What the operator can install, in its order. */
  installable: string[];
  operator: string;
  /** `latest-patches`, `all`, or a range. */
  istio: string;
  /** `newest`, `all`, versions with commas between them, or a range. */
  kubernetes: string;
  families: [Family, Family][];
  modes: string[];
  /** The most cells. */
  max: number;
}

/**
 * The cells, at most `max`. In breadth first: every Istio version on its newest Kubernetes comes before any on its
 * second newest, and before any other order of families, so that what a cap leaves out is what is asked for least.
 * Throws a Fault where nothing is left to test.
 */
export function planCells(wanted: MatrixRequest): {cells: Cell[]; leftOut: LeftOut[]} {
  const versions = chooseIstioVersions(wanted);
  const kubernetes = new Map(
    versions.map(istio => [istio, chooseKubernetesVersions(istio, wanted.kubernetes)])
  );
  const deepest = Math.max(...[...kubernetes.values()].map(list => list.length));
  const ranks = Array.from({length: deepest}, (_, rank) => rank);
  const modes = chooseModes(wanted);
  const all = modes.flatMap(mode =>
    wanted.families.flatMap(families =>
      ranks.flatMap(rank =>
        versions.flatMap(istio => {
          const version = kubernetes.get(istio)?.[rank];
          return version ? [createCell(istio, version, families, mode, wanted.operator)] : [];
        })
      )
    )
  );
  const without = versions.filter(istio => kubernetes.get(istio)?.length === 0);
  const leftOut = [
    ...wanted.modes
      .filter(mode => !modes.includes(mode))
      .map(name => ({name, reason: describeMissingAmbient(wanted.operator) ?? ''})),
    ...without.map(istio => ({
      name: `istio-${istio.slice(1)}`,
      reason: explainNoKubernetes(istio, wanted)
    })),
    ...all.slice(wanted.max).map(({name}) => ({name, reason: `more than ${wanted.max}`}))
  ];
  if (all.length > 0) return {cells: all.slice(0, wanted.max), leftOut};
  throw createInputFault(
    `kubernetes-versions: found "${wanted.kubernetes}", which leaves nothing to test: ${leftOut.map(({reason}) => reason).join('; ')}`
  );
}

function createCell(
  istio: string,
  kubernetes: string,
  families: [Family, Family],
  mode: string,
  operator: string
): Cell {
  return {
    name: `istio-${istio.slice(1)}-kubernetes-${kubernetes}-${families.join('-')}-${mode}`,
    istio,
    kubernetes,
    'ip-families': families.join(),
    'dataplane-mode': mode,
    operator
  };
}

/** The data planes that the operator has. */
function chooseModes({modes, operator}: MatrixRequest): string[] {
  const lacks = modes.includes('ambient') ? describeMissingAmbient(operator) : null;
  const left = lacks === null ? modes : modes.filter(mode => mode !== 'ambient');
  if (left.length > 0) return left;
  throw createInputFault(
    `dataplane-modes: found "ambient", and ${lacks}; accepted is \`sidecar\`, or a newer operator`
  );
}

/** The Istio versions asked for, in the operator's order. */
function chooseIstioVersions({installable, operator, istio}: MatrixRequest): string[] {
  const chosen =
    istio === 'all'
      ? installable
      : istio === 'latest-patches'
        ? installable.filter(version => version === findNewestPatch(getMinor(version), installable))
        : installable.filter(version => satisfies(version, istio));
  if (chosen.length > 0) return chosen;
  throw createInputFault(
    `istio-versions: found "${istio}", which leaves none; accepted is \`latest-patches\`, \`all\`, or a range that holds one of what the Sail Operator ${operator} can install: ${installable.join(', ')}`
  );
}

/** What is asked for by its version is taken as it is; the rest stays within what Istio supports. */
function chooseKubernetesVersions(istio: string, requested: string): string[] {
  const supported = getSupportedVersions(istio);
  if (requested === 'newest') return supported.slice(0, 1);
  if (requested === 'all') return supported;
  if (isVersionList(requested))
    return [
      ...new Set(
        requested.split(',').map(one => resolveKubernetesVersion(one.trim(), 'kubernetes-versions'))
      )
    ];
  return supported.filter(version => satisfies(version, requested));
}

function explainNoKubernetes(istio: string, {kubernetes}: MatrixRequest): string {
  const [oldest, newest] = getSupportedRange(istio) ?? [];
  return `Istio ${istio} supports Kubernetes ${oldest} to ${newest}, of which \`${kubernetes}\` leaves none (there are node images of ${kubernetesVersions.join(', ')})`;
}

/** `1.36` or `1.35, 1.36.4`. */
export const isVersionList = (text: string): boolean =>
  /^\d+\.\d+(\.\d+)?(\s*,\s*\d+\.\d+(\.\d+)?)*$/.test(text);

/** A range of versions as npm has it, `>=1.29 <1.31`. */
export const isVersionRange = (text: string): boolean =>
  validRange(text) !== null && /\d/.test(text);

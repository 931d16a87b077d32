/** Chooses the cells of a version matrix from what the operator installs and Istio supports. */
import {satisfies, validRange} from 'semver';
import {createInputFault} from '../base/fault.ts';
import type {Family} from '../results/results.ts';
import {findNewestPatch, getMinor, listNewestPatches} from './istio-versions.ts';
import {
  getSupportedRange,
  getSupportedVersions,
  kubernetesVersions,
  resolveKubernetesVersion
} from './kubernetes.ts';
import {describeMissingAmbient} from './operator-versions.ts';

/** One job of a matrix: the inputs of the main action, and a name that is valid for an artifact. */
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

/** A requested combination that the matrix does not test. */
export interface LeftOut {
  name: string;
  reason: string;
}

export interface MatrixRequest {
  /** The Istio versions that the operator can install, in its order. */
  installable: string[];
  operator: string;
  /** `latest-patches`, `all`, or a range. */
  istio: string;
  /** `newest`, `all`, comma-separated versions, or a range. */
  kubernetes: string;
  families: [Family, Family][];
  modes: string[];
  /** The limit of cells. */
  max: number;
}

/**
 * The cells, at most `max`, and the combinations left out. Breadth first: every Istio version on its newest Kubernetes
 * comes before the second newest and before another family order, so `max` drops the least important cells.
 * Throws a Fault when no cell is left.
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
    ...all
      .slice(wanted.max)
      .map(({name}) => ({name, reason: `over the limit \`max: ${wanted.max}\``}))
  ];
  if (all.length > 0) return {cells: all.slice(0, wanted.max), leftOut};
  throw createInputFault(
    `Invalid \`kubernetes-versions\` "${wanted.kubernetes}": expected versions that leave at least one cell: ${leftOut.map(({reason}) => reason).join('; ')}`
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

/** The requested data planes that the operator supports. Throws a Fault when none is left. */
function chooseModes({modes, operator}: MatrixRequest): string[] {
  const lacks = modes.includes('ambient') ? describeMissingAmbient(operator) : null;
  const left = lacks === null ? modes : modes.filter(mode => mode !== 'ambient');
  if (left.length > 0) return left;
  throw createInputFault(
    `Invalid \`dataplane-modes\` "ambient": expected \`sidecar\` or a newer operator, because ${lacks}`
  );
}

/** The requested Istio versions, in the operator's order. Throws a Fault when none is left. */
function chooseIstioVersions({installable, operator, istio}: MatrixRequest): string[] {
  const chosen =
    istio === 'all'
      ? installable
      : istio === 'latest-patches'
        ? installable.filter(version => version === findNewestPatch(getMinor(version), installable))
        : installable.filter(version => satisfies(version, istio));
  if (chosen.length > 0) return chosen;
  throw createInputFault(
    `Invalid \`istio-versions\` "${istio}": expected \`latest-patches\`, \`all\`, or a range with a version that the Sail Operator ${operator} can install, such as ${listNewestPatches(installable).join(', ')}`
  );
}

/** The Kubernetes versions for an Istio version. A version list is taken unchanged; other requests stay within what Istio supports. */
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
  return `Istio ${istio} supports Kubernetes ${oldest} to ${newest}, but \`${kubernetes}\` matches no node image in that range (available: ${kubernetesVersions.join(', ')})`;
}

/** `1.36` or `1.35, 1.36.4`. */
export const isVersionList = (text: string): boolean =>
  /^\d+\.\d+(\.\d+)?(\s*,\s*\d+\.\d+(\.\d+)?)*$/.test(text);

/** A version range in npm syntax, `>=1.29 <1.31`. */
export const isVersionRange = (text: string): boolean =>
  validRange(text) !== null && /\d/.test(text);

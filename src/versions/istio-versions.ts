/** Resolves an Istio version to one that the operator can install. */
import {maxSatisfying, rcompare, valid} from 'semver';
import {createInputFault, type Fault} from '../base/fault.ts';
import {isVersion} from './lists.ts';
import {type Chart, createReleaseWithoutImages, type IstioRelease} from './read-chart.ts';
import {released} from './released.ts';

/** Sail Operator release → the Istio versions that it can install, default first. The newest release comes first. */
export const operatorReleases: Record<string, string[]> = Object.fromEntries(
  Object.entries(released)
    .filter(([operator]) => !operator.startsWith('0.')) // the Action rejects these
    .sort(([one], [other]) => rcompare(one, other))
    .map(([operator, versions]) => [operator, versions.split(' ')])
);

/** `v1.30.3` → `1.30`. */
export const getMinor = (version: string): string => /^v?(\d+\.\d+)/.exec(version)?.[1] ?? version;

/** The newest version of a minor; a pre-release only if the minor has no release. */
export const findNewestPatch = (minor: string, versions: string[]): string | null =>
  maxSatisfying(versions, `~${minor}.0`) ??
  maxSatisfying(versions, `~${minor}.0-0`, {includePrerelease: true});

/** The newest version of each minor, in the order of the list. */
export const listNewestPatches = (versions: string[]): string[] =>
  versions.filter(version => version === (findNewestPatch(getMinor(version), versions) ?? version));

/**
 * The release to install for a whole version with or without `v`, a minor, or an alias of this operator.
 * Null when no version is requested and the chart does not name its default. Throws a Fault that lists the newest
 * version of each minor, and names another released operator that can install the requested version.
 */
export function resolveIstioVersion(
  requested: string | null,
  chart: Chart,
  input = 'istio-version'
): IstioRelease | null {
  const {istioReleases, aliases} = chart;
  if (requested === null) return istioReleases[0] ?? null;
  const versions = istioReleases.map(offer => offer.version);
  const chosen =
    aliases[requested] ??
    aliases[`v${requested}`] ??
    (isVersion(requested) ? `v${requested}` : findNewestPatch(requested, versions));
  const offer = istioReleases.find(offer => offer.version === chosen);
  if (offer) return offer;
  if (istioReleases.length > 0) throw createVersionFault(requested, chart, input);
  if (valid(requested) !== null) return createReleaseWithoutImages(`v${requested}`);
  throw createInputFault(
    `Invalid \`${input}\` "${requested}": expected a whole version such as \`1.24.6\`, because this chart does not list its versions`
  );
}

function createVersionFault(
  requested: string,
  {version, istioReleases, aliases, endOfLife}: Chart,
  input: string
): Fault {
  const over = endOfLife.some(name => [name, name.slice(1), getMinor(name)].includes(requested));
  const names = isVersion(requested) || /^\d/.test(requested) ? [] : Object.keys(aliases);
  const newest = listNewestPatches(istioReleases.map(offer => offer.version));
  return createInputFault(
    `Invalid \`${input}\` "${requested}"${over ? ' (end-of-life)' : ''}: expected a version that the Sail Operator ${version} can install, such as ${[...newest, ...names].join(', ')}${suggestOperator(requested, version)}`
  );
}

/** A sentence on the newest other operator that can install the requested version; empty if there is none. */
function suggestOperator(requested: string, refusing: string): string {
  for (const [operator, versions] of Object.entries(operatorReleases)) {
    if (operator === refusing) continue; // its chart here may list other versions than its release
    const found = isVersion(requested)
      ? versions.find(version => version === `v${requested}`)
      : findNewestPatch(getMinor(requested), versions);
    if (found)
      return `. The Sail Operator ${operator} can install ${found}: \`operator-version: ${operator}\``;
  }
  return '';
}

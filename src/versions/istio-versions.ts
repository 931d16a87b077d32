import {maxSatisfying, rcompare, valid} from 'semver';
import {createInputFault, type Fault} from '../base/fault.ts';
import {isVersion} from './lists.ts';
import {type Chart, createReleaseWithoutImages, type IstioRelease} from './read-chart.ts';
import {released} from './released.ts';

/** Release of the Sail Operator → the Istio versions that it can install, its default first; the newest release first. */
export const operatorReleases: Record<string, string[]> = Object.fromEntries(
  Object.entries(released)
    .filter(([operator]) => !operator.startsWith('0.')) // those are not installed any more
    .sort(([one], [other]) => rcompare(one, other))
    .map(([operator, versions]) => [operator, versions.split(' ')])
);

/** `v1.30.3` → `1.30`. */
export const getMinor = (version: string): string => /^v?(\d+\.\d+)/.exec(version)?.[1] ?? version;

/** The newest version of a minor; a pre-release only where there is nothing else. */
export const findNewestPatch = (minor: string, versions: string[]): string | null =>
  maxSatisfying(versions, `~${minor}.0`) ??
  maxSatisfying(versions, `~${minor}.0-0`, {includePrerelease: true});

/**
 * The version to install, as the Istio resource names it: for a whole version, with or without its `v`, a minor's
 * newest, or an alias that this operator has. Null where nothing was asked for and the chart does not tell its default.
 * Throws a Fault that lists what there is, and names another released operator that has what was asked for.
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
    `${input}: found "${requested}"; this chart does not list its versions, so accepted is a whole version such as \`1.24.6\``
  );
}

function createVersionFault(
  requested: string,
  {version, istioReleases, aliases, endOfLife}: Chart,
  input: string
): Fault {
  const over = endOfLife.some(name => [name, name.slice(1), getMinor(name)].includes(requested));
  const found = `found "${requested}"${over ? `, which is end-of-life in the Sail Operator ${version}` : ''}`;
  const names = isVersion(requested) || /^\d/.test(requested) ? [] : Object.keys(aliases);
  const installable = [...istioReleases.map(offer => offer.version), ...names].join(', ');
  return createInputFault(
    `${input}: ${found}; accepted is what the Sail Operator ${version} can install: ${installable}${suggestOperator(requested)}`
  );
}

/** The newest released operator that can install what this one cannot. */
function suggestOperator(requested: string): string {
  for (const [operator, versions] of Object.entries(operatorReleases)) {
    const found = isVersion(requested)
      ? versions.find(version => version === `v${requested}`)
      : findNewestPatch(getMinor(requested), versions);
    if (found)
      return `. The Sail Operator ${operator} can install ${found}: \`operator-version: ${operator}\``;
  }
  return '';
}

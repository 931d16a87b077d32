import {maxSatisfying, rcompare, valid} from 'semver';
import {badInput, type Fault} from '../base/fault.ts';
import {isVersion} from './lists.ts';
import {type Chart, type Offer, unnamed} from './read-chart.ts';
import {released} from './released.ts';

/** Release of the Sail Operator → the Istio versions that it can install, its default first; the newest release first. */
export const releases: Record<string, string[]> = Object.fromEntries(
  Object.entries(released)
    .filter(([operator]) => !operator.startsWith('0.')) // those are not installed any more
    .sort(([one], [other]) => rcompare(one, other))
    .map(([operator, versions]) => [operator, versions.split(' ')])
);

/** `v1.30.3` → `1.30`. */
export const minorOf = (version: string): string => /^v?(\d+\.\d+)/.exec(version)?.[1] ?? version;

/** The newest version of a minor; a pre-release only where there is nothing else. */
export const newestOf = (minor: string, versions: string[]): string | null =>
  maxSatisfying(versions, `~${minor}.0`) ??
  maxSatisfying(versions, `~${minor}.0-0`, {includePrerelease: true});

/**
 * The version to install, as the Istio resource names it: for a whole version, with or without its `v`, a minor's
 * newest, or an alias that this operator has. Null where nothing was asked for and the chart does not tell its default.
 * Throws a Fault that lists what there is, and names another released operator that has what was asked for.
 */
export function chooseIstio(
  asked: string | null,
  chart: Chart,
  input = 'istio-version'
): Offer | null {
  const {offers, aliases} = chart;
  if (asked === null) return offers[0] ?? null;
  const versions = offers.map(offer => offer.version);
  const chosen =
    aliases[asked] ??
    aliases[`v${asked}`] ??
    (isVersion(asked) ? `v${asked}` : newestOf(asked, versions));
  const offer = offers.find(offer => offer.version === chosen);
  if (offer) return offer;
  if (offers.length > 0) throw refusal(asked, chart, input);
  if (valid(asked) !== null) return unnamed(`v${asked}`);
  throw badInput(
    `${input}: found "${asked}"; this chart does not list its versions, so accepted is a whole version such as \`1.24.6\``
  );
}

function refusal(
  asked: string,
  {version, offers, aliases, endOfLife}: Chart,
  input: string
): Fault {
  const over = endOfLife.some(name => [name, name.slice(1), minorOf(name)].includes(asked));
  const found = `found "${asked}"${over ? `, which is end-of-life in the Sail Operator ${version}` : ''}`;
  const names = isVersion(asked) || /^\d/.test(asked) ? [] : Object.keys(aliases);
  const installable = [...offers.map(offer => offer.version), ...names].join(', ');
  return badInput(
    `${input}: ${found}; accepted is what the Sail Operator ${version} can install: ${installable}${elsewhere(asked)}`
  );
}

/** The newest released operator that can install what this one cannot. */
function elsewhere(asked: string): string {
  for (const [operator, versions] of Object.entries(releases)) {
    const found = isVersion(asked)
      ? versions.find(version => version === `v${asked}`)
      : newestOf(minorOf(asked), versions);
    if (found)
      return `. The Sail Operator ${operator} can install ${found}: \`operator-version: ${operator}\``;
  }
  return '';
}

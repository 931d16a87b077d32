/** Resolves the version of the Sail Operator, and describes what old versions lack. */
import {gte, lt, maxSatisfying, rcompare, valid} from 'semver';
import {createInputFault} from '../base/fault.ts';
import {listNewestPatches} from './istio-versions.ts';

/** The published release for a whole version or a minor. Throws a Fault that lists the newest release of each minor. */
export function resolveOperatorVersion(requested: string, published: string[]): string {
  const exact = valid(requested) !== null;
  const chosen = exact
    ? published.find(version => version === requested)
    : maxSatisfying(published, `~${requested}.0`);
  if (chosen) return chosen;
  const all = published.filter(version => gte(version, '1.0.0')).sort(rcompare);
  throw createInputFault(
    `Invalid \`operator-version\` "${requested}": expected a published version, such as ${listNewestPatches(all).join(', ')}`
  );
}

/** Why an operator cannot install ambient; null if it can. 1.28.0 is the first release with the ZTunnel resource in v1. */
export const describeMissingAmbient = (version: string): string | null =>
  lt(version, '1.28.0-0')
    ? `the Sail Operator ${version} has no ZTunnel resource in API version v1 (1.28.0 and newer have it)`
    : null;

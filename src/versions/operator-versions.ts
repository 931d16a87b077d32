import {gte, lt, maxSatisfying, rcompare, valid} from 'semver';
import {createInputFault} from '../base/fault.ts';

/** The release to install, of those published: a whole version, or a minor's newest. Throws a Fault that lists them. */
export function resolveOperatorVersion(requested: string, published: string[]): string {
  const exact = valid(requested) !== null;
  const chosen = exact
    ? published.find(version => version === requested)
    : maxSatisfying(published, `~${requested}.0`);
  if (chosen) return chosen;
  const all = published.filter(version => gte(version, '1.0.0')).sort(rcompare);
  throw createInputFault(
    `operator-version: found "${requested}"; accepted is one of ${all.join(', ')}, or the minor of one`
  );
}

/** What an operator lacks for ambient; null where it has it. 1.28.0 is the first with v1 of its resource. */
export const describeMissingAmbient = (version: string): string | null =>
  lt(version, '1.28.0-0')
    ? `the Sail Operator ${version} has no ZTunnel resource of version v1; 1.28.0 and newer have`
    : null;

import {gte, lt, maxSatisfying, rcompare, valid} from 'semver';
import {badInput} from '../base/fault.ts';

/** The release to install, of those published: a whole version, or a minor's newest. Throws a Fault that lists them. */
export function chooseOperator(asked: string, published: string[]): string {
  const exact = valid(asked) !== null;
  const chosen = exact
    ? published.find(version => version === asked)
    : maxSatisfying(published, `~${asked}.0`);
  if (chosen) return chosen;
  const all = published.filter(version => gte(version, '1.0.0')).sort(rcompare);
  throw badInput(
    `operator-version: found "${asked}"; accepted is one of ${all.join(', ')}, or the minor of one`
  );
}

/** What an operator lacks for ambient; null where it has it. 1.28.0 is the first with v1 of its resource. */
export const lacksForAmbient = (version: string): string | null =>
  lt(version, '1.28.0-0')
    ? `the Sail Operator ${version} has no ZTunnel resource of version v1; 1.28.0 and newer have`
    : null;

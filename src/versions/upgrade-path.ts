/** Chooses the version to upgrade from, and warns about unsupported upgrade steps. */
import {lt, minor, valid} from 'semver';
import {createInputFault} from '../base/fault.ts';
import {getMinor, listNewestPatches, resolveIstioVersion} from './istio-versions.ts';
import type {Chart, IstioRelease} from './read-chart.ts';

/** The values of `spec.updateStrategy.type` in the Istio resource. */
export type UpdateStrategy = 'InPlace' | 'RevisionBased';

/** The number of minors that one upgrade may span. Source: istio.io/latest/docs/setup/upgrade, pages in-place and canary, 2026-11-24. */
const maxMinors: Record<UpdateStrategy, number> = {InPlace: 1, RevisionBased: 2};

/** The release to upgrade from, older than `to`. Throws a Fault that lists older versions. */
export function resolveUpgradeFrom(
  requested: string,
  to: IstioRelease | null,
  chart: Chart
): IstioRelease {
  if (to === null)
    throw createInputFault(
      'Invalid `istio-version` "": expected a whole version such as `1.24.6` with `upgrade-from`, because the chart does not name its default version'
    );
  const from = resolveIstioVersion(requested, chart, 'upgrade-from');
  const isOlder = (version: string) =>
    valid(version) !== null && valid(to.version) !== null && lt(version, to.version);
  if (from !== null && isOlder(from.version)) return from;
  const older = listNewestPatches(chart.istioReleases.map(({version}) => version).filter(isOlder));
  const those =
    older.length > 0 ? `, such as ${older.join(', ')}` : ', but this operator can install none';
  throw createInputFault(
    `Invalid \`upgrade-from\` "${requested}": expected a version older than ${to.version}, the target of the upgrade (\`istio-version\`)${those}`
  );
}

/** A warning if an upgrade spans more minors than Istio supports; else null. */
export function describeSkippedMinors(
  from: string,
  to: string,
  strategy: UpdateStrategy
): string | null {
  const most = maxMinors[strategy];
  if (minor(to) - minor(from) <= most) return null;
  const limit = most === 1 ? 'one minor' : `${most} minors`;
  return `The upgrade from Istio ${getMinor(from)} to ${getMinor(to)} spans too many minors, because Istio supports ${limit} ${strategy === 'InPlace' ? 'in place' : 'by revisions'}: a failure of this run may not occur in smaller steps.`;
}

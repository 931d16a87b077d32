import {lt, minor, valid} from 'semver';
import {createInputFault} from '../base/fault.ts';
import {getMinor, resolveIstioVersion} from './istio-versions.ts';
import type {Chart, IstioRelease} from './read-chart.ts';

/** How the operator upgrades, as `spec.updateStrategy.type` of the Istio resource names it. */
export type UpdateStrategy = 'InPlace' | 'RevisionBased';

/** How many minors an upgrade may go at once. istio.io/latest/docs/setup/upgrade, its pages in-place and canary, 2026-11-24. */
const maxMinors: Record<UpdateStrategy, number> = {InPlace: 1, RevisionBased: 2};

/** The version to upgrade from, older than the one to upgrade to. Throws a Fault that lists what would be accepted. */
export function resolveUpgradeFrom(
  requested: string,
  to: IstioRelease | null,
  chart: Chart
): IstioRelease {
  if (to === null)
    throw createInputFault(
      'istio-version: found nothing, and the chart does not tell its default; with `upgrade-from` accepted is a whole version such as `1.24.6`'
    );
  const from = resolveIstioVersion(requested, chart, 'upgrade-from');
  const isOlder = (version: string) =>
    valid(version) !== null && valid(to.version) !== null && lt(version, to.version);
  if (from !== null && isOlder(from.version)) return from;
  const older = chart.istioReleases.map(({version}) => version).filter(isOlder);
  const those = older.length > 0 ? `: ${older.join(', ')}` : ', and this operator has none';
  throw createInputFault(
    `upgrade-from: found "${requested}", which is not older than ${to.version}, to which it is upgraded (\`istio-version\`); accepted is what is older${those}`
  );
}

/** One sentence where an upgrade goes over more minors at once than Istio supports; null where it does not. */
export function describeSkippedMinors(
  from: string,
  to: string,
  strategy: UpdateStrategy
): string | null {
  const most = maxMinors[strategy];
  if (minor(to) - minor(from) <= most) return null;
  return `From Istio ${getMinor(from)} to ${getMinor(to)} at once is more than Istio supports, which is ${most === 1 ? 'one minor' : `${most} minors`} ${strategy === 'InPlace' ? 'in place' : 'by revisions'}: a failure here may not occur in steps.`;
}

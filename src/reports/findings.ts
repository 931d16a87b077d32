import {groupBy} from '../base/group.ts';
import {
  type CheckResult,
  type Failure,
  isPassing,
  type Layer,
  layers,
  type Results
} from '../results/results.ts';
import {findCarryingFamily, sanitizeLine} from './words.ts';

/** The checks as the reports show them: what failed by itself, what follows, layer by layer. Pure. */

/** `none`: the Service must not have this family, and a check says that it has not. */
export type DisplayState = 'passed' | 'flaky' | 'failed' | 'skipped' | 'none';

/** The check that the failure names; null where none was reached. */
export function findBrokenCheck(results: Results): CheckResult | null {
  const named = results.checks.filter(check => check.id === results.failure?.check);
  return named.find(check => check.verdict === 'failed') ?? named[0] ?? null;
}

/** What happened, in one sentence; of several bad inputs, one each. */
export const splitSentences = ({message}: Failure): string[] => {
  const all = message.split('\n').filter(one => one.trim() !== '');
  return all.length === 0 ? [message] : all;
};

export const findFlakyChecks = (results: Results): CheckResult[] =>
  results.checks.filter(check => check.verdict === 'flaky');

/** Failures of their own, the broken check first; then what only follows from another check. */
export function groupFailures(results: Results): {own: CheckResult[]; follow: CheckResult[]} {
  const failed = results.checks.filter(check => check.verdict === 'failed');
  const first = findBrokenCheck(results);
  const own = failed.filter(check => check.because === null && check !== first);
  return {
    own: first?.verdict === 'failed' ? [first, ...own] : own,
    follow: failed.filter(check => check.because !== null && check !== first)
  };
}

/** Echoes of the broken family that are green only because the other family carried them. */
export function findMaskedChecks(results: Results): CheckResult[] {
  const family = findBrokenCheck(results)?.family;
  if (!family || results.result === 'passed') return [];
  return results.checks.filter(
    check =>
      check.layer === 'echo' &&
      isPassing(check) &&
      check.family === family &&
      findCarryingFamily(check) !== null
  );
}

export interface AttemptGroup {
  /** Seconds since the start of the run. */
  at: number;
  /** How often in a row the same was observed. */
  times: number;
  observed: string;
}

/** A check's attempts, those in a row that observed the same as one. */
export function groupAttempts(check: CheckResult): AttemptGroup[] {
  const tries: AttemptGroup[] = [];
  for (const {at, observed} of check.attempts) {
    const last = tries.at(-1);
    if (last?.observed === observed) last.times++;
    else tries.push({at, times: 1, observed});
  }
  return tries;
}

/** `at 28.1 s, 5 times`. */
export const formatAttemptGroup = ({at, times}: AttemptGroup): string =>
  `at ${at.toFixed(1)} s${times > 1 ? `, ${times} times` : ''}`;

export interface LayerRow {
  layer: Layer;
  state: DisplayState;
  checks: CheckResult[];
  passedCount: number;
  /** How many failed only because of a broken check below. */
  consequenceCount: number;
  /** Why the layer was skipped; empty where it was not, or not for one reason. */
  skipReason: string;
}

/** The layers that have checks, in their order, each with its state. */
export function buildLayerRows(results: Results): LayerRow[] {
  const byLayer = groupBy(results.checks, check => check.layer);
  return layers.flatMap(layer => {
    const checks = byLayer.get(layer);
    if (!checks) return [];
    const passedCount = checks.filter(isPassing).length;
    const consequenceCount = checks.filter(
      check => check.verdict === 'failed' && check.because
    ).length;
    const reasons = new Set(checks.map(check => check.verdict === 'skipped' && check.reason));
    const [skipReason] = reasons.size === 1 ? reasons : [];
    return [
      {
        layer,
        state: getWorstVerdict(checks),
        checks,
        passedCount,
        consequenceCount,
        skipReason: sanitizeLine(skipReason || '', 100)
      }
    ];
  });
}

/** `14 of 15 hold`; layers of which every check was skipped are not counted. */
export function formatLayersHeld(rows: LayerRow[]): string {
  const asked = rows.filter(row => row.state !== 'skipped');
  const held = asked.filter(row => row.state !== 'failed').length;
  return `${held} of ${asked.length} hold`;
}

/** Skipped checks by their reason, in the order of their first check. */
export const groupSkippedByReason = (results: Results): [string, CheckResult[]][] => [
  ...groupBy(
    results.checks.filter(check => check.verdict === 'skipped'),
    check => sanitizeLine(check.reason ?? 'no reason given')
  )
];

/** The verdict that matters most. */
export function getWorstVerdict(checks: CheckResult[]): Exclude<DisplayState, 'none'> {
  const found = new Set(checks.map(check => check.verdict));
  return (['failed', 'flaky', 'passed'] as const).find(state => found.has(state)) ?? 'skipped';
}

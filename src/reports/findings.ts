/** Groups the checks of a run as the reports show them: independent failures, consequences, layers. */
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

/** `none`: the Service must not have this family, and a check confirms it. */
export type DisplayState = 'passed' | 'flaky' | 'failed' | 'skipped' | 'none';

/** Returns the check that the failure names; null if there is none. */
export function findBrokenCheck(results: Results): CheckResult | null {
  const named = results.checks.filter(check => check.id === results.failure?.check);
  return named.find(check => check.verdict === 'failed') ?? named[0] ?? null;
}

/** Splits the message: one sentence, or one for each of several invalid inputs. */
export const splitSentences = ({message}: Failure): string[] => {
  const all = message.split('\n').filter(one => one.trim() !== '');
  return all.length === 0 ? [message] : all;
};

export const findFlakyChecks = (results: Results): CheckResult[] =>
  results.checks.filter(check => check.verdict === 'flaky');

/** Returns independent failures (`own`, the broken check first) and consequences of other checks (`follow`). */
export function groupFailures(results: Results): {own: CheckResult[]; follow: CheckResult[]} {
  const failed = results.checks.filter(check => check.verdict === 'failed');
  const first = findBrokenCheck(results);
  const own = failed.filter(check => check.because === null && check !== first);
  return {
    own: first?.verdict === 'failed' ? [first, ...own] : own,
    follow: failed.filter(check => check.because !== null && check !== first)
  };
}

/** Returns echo checks of the broken family that passed only because the other family carried them. */
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
  /** Number of consecutive attempts with the same observation. */
  times: number;
  observed: string;
}

/** Returns the attempts of a check; consecutive ones with the same observation form one group. */
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
  /** Number of failures that are consequences of another check. */
  consequenceCount: number;
  /** Why the layer was skipped; empty if it was not, or for several reasons. */
  skipReason: string;
}

/** Returns the layers that have checks, in order, each with its state. */
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

/** Returns `14 of 15 passed`, without layers that were skipped. */
export function formatLayersHeld(rows: LayerRow[]): string {
  const ran = rows.filter(row => row.state !== 'skipped');
  const held = ran.filter(row => row.state !== 'failed').length;
  return `${held} of ${ran.length} passed`;
}

/** Returns the skipped checks by reason, in the order of their first check. */
export const groupSkippedByReason = (results: Results): [string, CheckResult[]][] => [
  ...groupBy(
    results.checks.filter(check => check.verdict === 'skipped'),
    check => sanitizeLine(check.reason ?? 'no reason given')
  )
];

/** Returns the worst verdict. */
export function getWorstVerdict(checks: CheckResult[]): Exclude<DisplayState, 'none'> {
  const found = new Set(checks.map(check => check.verdict));
  return (['failed', 'flaky', 'passed'] as const).find(state => found.has(state)) ?? 'skipped';
}

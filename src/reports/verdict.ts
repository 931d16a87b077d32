/** Builds the verdict: the first line of every report. */
import {getPhaseKind} from '../results/phases.ts';
import type {Failure, Results} from '../results/results.ts';
import {findFlakyChecks, splitSentences} from './findings.ts';
import {isTargetsRun} from './versions.ts';
import {formatCount, formatDuration, sanitizeLine} from './words.ts';

export interface Headline {
  icon: '✅' | '❌';
  /** The verdict in a few words, which may hold foreign text. */
  words: string;
  /** Versions and numbers, which may hold foreign text. */
  facts: string[];
  /** A note for a run without a real cluster. */
  rehearsal: string | null;
}

/** Returns the verdict of a run. */
export const buildHeadline = (results: Results): Headline => ({
  icon: results.result === 'passed' ? '✅' : '❌',
  words: describeVerdict(results),
  facts: [
    ...formatVersionFact(results, 'Istio', 'istio'),
    ...formatVersionFact(results, 'Kubernetes', 'kubernetes'),
    describeCounts(results)
  ],
  rehearsal:
    results.rehearsal &&
    `Rehearsal: recorded answers of "${sanitizeLine(results.rehearsal.recording, 100)}", no real cluster.`
});

function formatVersionFact(results: Results, title: string, name: string): string[] {
  const found = results.versions[name]?.found;
  return found ? [`${title} ${addVersionPrefix(sanitizeLine(found, 60))}`] : [];
}

const addVersionPrefix = (version: string): string =>
  /^\d/.test(version) ? `v${version}` : version;

function describeCounts(results: Results): string {
  const ran = results.checks.filter(check => check.verdict !== 'skipped');
  const failed = ran.filter(check => check.verdict === 'failed').length;
  const checks = formatCount(ran.length, 'check');
  const took = formatDuration(results.seconds);
  if (ran.length === 0) return `no checks ran in ${took}`;
  if (results.result === 'error' && failed === 0) return `only ${checks} ran in ${took}`;
  return failed === 0 ? `${checks} in ${took}` : `${failed} of ${checks} failed in ${took}`;
}

function describeVerdict(results: Results): string {
  if (results.result === 'passed')
    return isTargetsRun(results) ? 'All targets are dual-stack' : 'Dual-stack works';
  if (results.failure === null) return 'Dual-stack was not proven';
  return results.result === 'error'
    ? describeError(results, results.failure)
    : describeBrokenCheck(results, results.failure);
}

function describeError(results: Results, failure: Failure): string {
  const message = `: ${sanitizeLine(failure.message, 160).replace(/\.$/, '')}`;
  const took = formatDuration(results.seconds);
  if (failure.class === 'cancelled')
    return `Cancelled after ${took}${describeRunningPhases(results)}`;
  if (failure.class === 'timeout')
    return `Timed out after ${took}${describeRunningPhases(results)}${message}`;
  if (failure.class === 'input') return describeInvalidInputs(failure) ?? `Invalid input${message}`;
  if (failure.class === 'internal') return `Bug in this Action${message}`;
  return failure.headline
    ? sanitizeLine(failure.headline, 160)
    : `${describeFailedPhase(results, failure)}${message}`;
}

/** Names several invalid inputs, or quotes the sentence about one; null for a message of another form. */
function describeInvalidInputs(failure: Failure): string | null {
  const sentences = splitSentences(failure);
  const names = sentences.flatMap(one => /^Invalid `([^`]{1,60})`/.exec(one)?.[1] ?? []);
  if (names.length === 0 || names.length < sentences.length) return null;
  const words = names.length > 1 ? `Invalid inputs: ${names.join(', ')}` : failure.message;
  return sanitizeLine(words, 160).replace(/\.$/, '');
}

function describeFailedPhase(results: Results, failure: Failure): string {
  // several phases can fail; the failure names one
  const phase = failure.phase ?? results.phases.find(({status}) => status === 'failed')?.name;
  if (!phase) return 'The checks did not run';
  return getPhaseKind(phase)?.failureHeadline ?? `Phase ${sanitizeLine(phase, 60)} failed`;
}

/** Names the phases that ran when the run was stopped. */
function describeRunningPhases(results: Results): string {
  const names = results.phases
    .filter(phase => phase.at !== null && !['passed', 'skipped'].includes(phase.status))
    .map(phase => sanitizeLine(phase.name, 60));
  return names.length === 0 ? '' : `, in ${names.slice(0, 4).join(' and ')}`;
}

function describeBrokenCheck(results: Results, failure: Failure): string {
  const failed = results.checks.some(check => check.verdict === 'failed');
  if (!failed) return describeFlakyFailure(findFlakyChecks(results).length);
  const several = isTargetsRun(results) ? describeBrokenTargets(results) : null;
  if (several !== null) return sanitizeLine(several, 160);
  return sanitizeLine(failure.headline ?? 'Dual-stack does not work', 160);
}

/** Names the `targets` that are not dual-stack; null for fewer than two. */
function describeBrokenTargets({checks}: Results): string | null {
  const of = (some: typeof checks) => [
    ...new Set(some.map(({to}) => `${to?.namespace}/${to?.name}`))
  ];
  const red = of(checks.filter(({verdict}) => verdict === 'failed'));
  if (red.length < 2) return null;
  return `${red.length} of ${of(checks).length} targets are not dual-stack: ${red.join(', ')}`;
}

/** Only `fail-on-flaky` fails a run without failed checks. */
const describeFlakyFailure = (flaky: number): string =>
  flaky === 0
    ? 'Dual-stack was not proven'
    : `${formatCount(flaky, 'check')} passed only after a retry, and fail-on-flaky is set`;

/** Builds the annotations that GitHub shows on the page of a run. */
import {toSingleLine} from '../base/log.ts';
import type {CheckResult, Results} from '../results/results.ts';
import {
  findBrokenCheck,
  findFlakyChecks,
  formatAttemptGroup,
  groupAttempts,
  groupFailures,
  splitSentences
} from './findings.ts';
import {buildHeadline} from './verdict.ts';
import {isClusterCommand, rerunCommand} from './versions.ts';
import {formatCount, sanitizeLine, sanitizeText, truncate} from './words.ts';

export interface Annotation {
  level: 'error' | 'warning' | 'notice';
  title: string;
  /** Plain text; may have several lines. */
  message: string;
}

/** GitHub shows ten of each level for a step. */
const maxPerLevel = 10;

/** GitHub's limits are 255 characters for a title and 64 KB for a message. */
const maxTitleLength = 250;
const maxMessageLength = 8000;

/**
 * Returns the annotations of a run: the failure, other independent failures, one warning for all flaky checks, and
 * one for each version warning. Consequences are only counted.
 */
export const buildAnnotations = (results: Results): Annotation[] =>
  [
    ...annotateFailure(results),
    ...annotateOtherFailures(results),
    ...annotateFlakyChecks(results),
    ...annotateWarnings(results)
  ].map(sanitizeAnnotation);

/** Returns the annotation within GitHub's limits, and without control characters. */
export const sanitizeAnnotation = (one: Annotation): Annotation => ({
  ...one,
  title: toSingleLine(sanitizeLine(one.title, maxTitleLength)),
  message: truncate(sanitizeText(one.message.slice(0, maxMessageLength)), maxMessageLength)
});

function formatVerdictLine(results: Results): string {
  const {words, facts, rehearsal} = buildHeadline(results);
  return `${rehearsal ? 'Rehearsal: ' : ''}${[words, ...facts].join(' · ')}`;
}

function annotateFailure(results: Results): Annotation[] {
  if (results.failure === null) return [];
  const {hint, reproduce} = results.failure;
  const messages = splitSentences(results.failure);
  const {follow} = groupFailures(results);
  const lines = [
    ...(messages.length > 1 ? messages.map(one => `• ${one}`) : messages),
    hint,
    follow.length > 0 ? `Consequences: ${formatCount(follow.length, 'failed check')}.` : '',
    reproduce
      ? `To reproduce it${isClusterCommand(reproduce, results) ? ` on a cluster that \`${rerunCommand}\` creates (KEEP=1 keeps it)` : ''}:\n${reproduce}`
      : ''
  ];
  return [
    {level: 'error', title: formatVerdictLine(results), message: lines.filter(Boolean).join('\n')}
  ];
}

function annotateOtherFailures(results: Results): Annotation[] {
  const cause = findBrokenCheck(results);
  const others = groupFailures(results).own.filter(check => check !== cause);
  const room = maxPerLevel - (results.failure === null ? 0 : 1);
  if (others.length <= room) return others.map(annotateCheck);
  const ids = others.slice(room - 1).map(check => check.id);
  return [
    ...others.slice(0, room - 1).map(annotateCheck),
    {level: 'error', title: `${ids.length} more checks failed`, message: ids.join('\n')}
  ];
}

const annotateCheck = (check: CheckResult): Annotation => ({
  level: 'error',
  title: `${check.id} failed`,
  message: [
    `Expected: ${sanitizeLine(check.expected)}`,
    `Observed: ${sanitizeLine(check.observed)}`,
    ...(check.reason ? [sanitizeLine(check.reason)] : []),
    ...(check.hint ? [sanitizeLine(check.hint)] : [])
  ].join('\n')
});

const annotateWarnings = (results: Results): Annotation[] =>
  results.warnings.map(message => ({level: 'warning', title: 'Versions', message}));

function annotateFlakyChecks(results: Results): Annotation[] {
  const checks = findFlakyChecks(results);
  if (checks.length === 0) return [];
  const lines = checks.map(check => `${check.id}: ${describeWrongAttempt(check)}`);
  const title = `${formatCount(checks.length, 'check')} passed only after a retry`;
  return [{level: 'warning', title, message: lines.join('\n')}];
}

/** The observation before the check passed. */
function describeWrongAttempt(check: CheckResult): string {
  const tries = groupAttempts(check);
  const wrong = tries.find(one => one.observed !== check.observed) ?? tries[0];
  return wrong
    ? `${sanitizeLine(wrong.observed) || 'nothing'} ${formatAttemptGroup(wrong)}`
    : 'no attempt recorded';
}

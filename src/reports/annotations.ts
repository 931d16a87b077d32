import {oneLine} from '../base/log.ts';
import type {CheckResult, Results} from '../results/results.ts';
import {brokenCheck, failures, flakyChecks, sentences, triesOf, tryWords} from './findings.ts';
import {headline} from './verdict.ts';
import {asksCluster, rerun} from './versions.ts';
import {clip, count, line, plain} from './words.ts';

export interface Annotation {
  level: 'error' | 'warning' | 'notice';
  title: string;
  /** Plain text; may have several lines. */
  message: string;
}

/** GitHub shows ten of each level for a step. */
const mostOfOneLevel = 10;

/** GitHub's limits are 255 characters for a title and 64 KB for a message. */
const mostOfTitle = 250;
const mostOfMessage = 8000;

/**
 * What GitHub shows on the run's page: the failure first, other failures of their own, one warning
 * for all flaky checks, one for each warning. What follows from another check is counted, not repeated.
 */
export const annotations = (results: Results): Annotation[] =>
  [...failure(results), ...otherFailures(results), ...flaky(results), ...warnings(results)].map(
    clean
  );

/** Within GitHub's limits, and without what is not text. */
export const clean = (one: Annotation): Annotation => ({
  ...one,
  title: oneLine(line(one.title, mostOfTitle)),
  message: clip(plain(one.message.slice(0, mostOfMessage)), mostOfMessage)
});

function verdictLine(results: Results): string {
  const {words, facts, rehearsal} = headline(results);
  return `${rehearsal ? 'Rehearsal: ' : ''}${[words, ...facts].join(' · ')}`;
}

function failure(results: Results): Annotation[] {
  if (results.failure === null) return [];
  const {hint, reproduce} = results.failure;
  const said = sentences(results.failure);
  const {follow} = failures(results);
  const lines = [
    ...(said.length > 1 ? said.map(one => `• ${one}`) : said),
    hint,
    follow.length > 0 ? `${count(follow.length, 'failed check')} only because of this.` : '',
    reproduce
      ? `To see it by hand${asksCluster(reproduce, results) ? `, on a cluster made by \`${rerun}\` (KEEP=1 keeps it)` : ''}:\n${reproduce}`
      : ''
  ];
  return [{level: 'error', title: verdictLine(results), message: lines.filter(Boolean).join('\n')}];
}

function otherFailures(results: Results): Annotation[] {
  const cause = brokenCheck(results);
  const others = failures(results).own.filter(check => check !== cause);
  const room = mostOfOneLevel - (results.failure === null ? 0 : 1);
  if (others.length <= room) return others.map(annotate);
  const ids = others.slice(room - 1).map(check => check.id);
  return [
    ...others.slice(0, room - 1).map(annotate),
    {level: 'error', title: `${ids.length} more checks failed`, message: ids.join('\n')}
  ];
}

const annotate = (check: CheckResult): Annotation => ({
  level: 'error',
  title: `${check.id} failed`,
  message: [
    `Expected: ${line(check.expected)}`,
    `Observed: ${line(check.observed)}`,
    ...(check.reason ? [line(check.reason)] : []),
    ...(check.hint ? [line(check.hint)] : [])
  ].join('\n')
});

const warnings = (results: Results): Annotation[] =>
  results.warnings.map(message => ({level: 'warning', title: 'Versions', message}));

function flaky(results: Results): Annotation[] {
  const checks = flakyChecks(results);
  if (checks.length === 0) return [];
  const lines = checks.map(check => `${check.id}: ${wrongTry(check)}`);
  const title = `${count(checks.length, 'check')} needed another try`;
  return [{level: 'warning', title, message: lines.join('\n')}];
}

/** What was observed before it passed. */
function wrongTry(check: CheckResult): string {
  const tries = triesOf(check);
  const wrong = tries.find(one => one.observed !== check.observed) ?? tries[0];
  return wrong ? `${line(wrong.observed) || 'nothing'} ${tryWords(wrong)}` : 'no try recorded';
}

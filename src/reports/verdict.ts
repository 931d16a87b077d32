import {phaseKind} from '../results/phases.ts';
import type {Failure, Results} from '../results/results.ts';
import {flakyChecks, sentences} from './findings.ts';
import {onlyLooks} from './versions.ts';
import {count, duration, line} from './words.ts';

/** The verdict as the first line of every report says it. Pure. */

export interface Headline {
  icon: '✅' | '❌';
  /** What holds or is broken, in plain words. Holds foreign text. */
  words: string;
  /** Versions and numbers, each a few words. Holds foreign text. */
  facts: string[];
  /** Said beside the verdict when no real cluster was there. */
  rehearsal: string | null;
}

/** The verdict as the first line of every report says it. */
export const headline = (results: Results): Headline => ({
  icon: results.result === 'passed' ? '✅' : '❌',
  words: words(results),
  facts: [
    ...versionFact(results, 'Istio', 'istio'),
    ...versionFact(results, 'Kubernetes', 'kubernetes'),
    numbers(results)
  ],
  rehearsal:
    results.rehearsal &&
    `Rehearsal: recorded answers of "${line(results.rehearsal.recording, 100)}", no real cluster.`
});

function versionFact(results: Results, title: string, name: string): string[] {
  const found = results.versions[name]?.found;
  return found ? [`${title} ${withV(line(found, 60))}`] : [];
}

const withV = (version: string): string => (/^\d/.test(version) ? `v${version}` : version);

function numbers(results: Results): string {
  const ran = results.checks.filter(check => check.verdict !== 'skipped');
  const failed = ran.filter(check => check.verdict === 'failed').length;
  const checks = count(ran.length, 'check');
  const took = duration(results.seconds);
  if (ran.length === 0) return `no check reached in ${took}`;
  if (results.result === 'error' && failed === 0) return `only ${checks} reached in ${took}`;
  return failed === 0 ? `${checks} in ${took}` : `${failed} of ${checks} failed in ${took}`;
}

function words(results: Results): string {
  if (results.result === 'passed')
    return onlyLooks(results) ? 'All targets are dual-stack' : 'Dual-stack works';
  if (results.failure === null) return 'Dual-stack was not proven';
  return results.result === 'error'
    ? errorWords(results, results.failure)
    : brokenWords(results, results.failure);
}

function errorWords(results: Results, failure: Failure): string {
  const message = `: ${line(failure.message, 160).replace(/\.$/, '')}`;
  const took = duration(results.seconds);
  if (failure.class === 'cancelled') return `Cancelled after ${took}${during(results)}`;
  if (failure.class === 'timeout') return `Timed out after ${took}${during(results)}${message}`;
  if (failure.class === 'input') return `Inputs were refused${refused(failure) ?? message}`;
  if (failure.class === 'internal') return `A bug of this action${message}`;
  return failure.headline
    ? line(failure.headline, 160)
    : `${failedPhaseWords(results, failure)}${message}`;
}

/** The names of several bad inputs; each sentence begins with one. */
function refused(failure: Failure): string | null {
  const names = sentences(failure).map(one => line(one.split(':')[0] ?? '', 60));
  return names.length > 1 ? `: ${line(names.join(', '), 160)}` : null;
}

function failedPhaseWords(results: Results, failure: Failure): string {
  // of several that failed, the one that the failure is of
  const phase = failure.phase ?? results.phases.find(({status}) => status === 'failed')?.name;
  if (!phase) return 'The checks could not be reached';
  return phaseKind(phase)?.couldNot ?? `Phase ${line(phase, 60)} failed`;
}

/** What was under way when the run was ended from outside. */
function during(results: Results): string {
  const names = results.phases
    .filter(phase => phase.at !== null && !['passed', 'skipped'].includes(phase.status))
    .map(phase => line(phase.name, 60));
  return names.length === 0 ? '' : `, in ${names.slice(0, 4).join(' and ')}`;
}

function brokenWords(results: Results, failure: Failure): string {
  const failed = results.checks.some(check => check.verdict === 'failed');
  if (!failed) return needed(flakyChecks(results).length);
  const several = onlyLooks(results) ? severalTargets(results) : null;
  if (several !== null) return line(several, 160);
  return line(failure.headline ?? 'Dual-stack does not work', 160);
}

/** Of Services that were looked at: which are not dual-stack; null where one is. */
function severalTargets({checks}: Results): string | null {
  const of = (some: typeof checks) => [
    ...new Set(some.map(({to}) => `${to?.namespace}/${to?.name}`))
  ];
  const red = of(checks.filter(({verdict}) => verdict === 'failed'));
  if (red.length < 2) return null;
  return `${red.length} of ${of(checks).length} targets are not dual-stack: ${red.join(', ')}`;
}

/** Only `fail-on-flaky` fails a run in which every check holds. */
const needed = (flaky: number): string =>
  flaky === 0
    ? 'Dual-stack was not proven'
    : `${count(flaky, 'check')} needed another try, and fail-on-flaky is set`;

/** Renders junit.xml of a run. */
import Builder from 'fast-xml-builder';
import type {Attempt, CheckResult, PhaseResult, Results} from '../results/results.ts';
import {buildHeadline} from './verdict.ts';
import {sanitizeLine, sanitizeText} from './words.ts';

/** An element: `@name` is an attribute, `#text` is the text, all other keys are child elements. */
type Element = {[name: string]: string | number | Element | Element[]};

export interface Suite {
  name: string;
  /** ISO time of the start of its run. */
  started: string;
  /** Seconds since the start of the run; null if no check ran. */
  at: number | null;
  cases: Case[];
}

export interface Case {
  outcome: 'passed' | 'failed' | 'error' | 'skipped';
  seconds: number;
  element: Element;
}

const builder = new Builder({
  attributeNamePrefix: '@',
  ignoreAttributes: false,
  // else `name="true"` becomes `name`, which is invalid XML
  suppressBooleanAttributes: false,
  suppressEmptyNode: true,
  format: true
});

/**
 * Returns JUnit XML: a suite for each layer, a test case for each check, and a suite `run` with the error if the
 * checks could not run. It has no characters that are illegal in XML 1.0.
 */
export const renderJunit = (results: Results): string =>
  renderSuites(buildSuites(results, 'dual-stack'), results.seconds, results.started);

/** Returns the suites of a run. `classname` begins the class of each test case. */
export const buildSuites = (results: Results, classname: string): Suite[] =>
  [...buildErrorSuites(results), ...buildLayerSuites(results)].map(suite => ({
    ...suite,
    cases: suite.cases.map(one => ({
      ...one,
      element: {'@classname': `${classname}.${suite.name}`, ...one.element}
    }))
  }));

/** Returns the file. `seconds` is the total duration. */
export function renderSuites(suites: Suite[], seconds: number, started: string): string {
  const root = {
    '@name': 'dual-stack',
    ...countOutcomes(suites.flatMap(suite => suite.cases)),
    '@time': formatTime(seconds),
    ...buildTimestamp(started, 0),
    testsuite: suites.map(buildSuiteElement)
  };
  return `<?xml version="1.0" encoding="UTF-8"?>\n${builder.build({testsuites: root})}`;
}

const buildSuiteElement = ({name, started, at, cases}: Suite): Element => ({
  '@name': sanitizeLine(name),
  ...countOutcomes(cases),
  '@time': formatTime(cases.reduce((sum, one) => sum + one.seconds, 0)),
  ...buildTimestamp(started, at ?? 0),
  testcase: cases.map(one => one.element)
});

const countOutcomes = (cases: Case[]): Element => ({
  '@tests': cases.length,
  '@failures': cases.filter(one => one.outcome === 'failed').length,
  '@errors': cases.filter(one => one.outcome === 'error').length,
  '@skipped': cases.filter(one => one.outcome === 'skipped').length
});

const formatTime = (seconds: number): string => seconds.toFixed(3);

/** The schema requires UTC without a zone; omitted if the start is unknown. */
function buildTimestamp(started: string, at: number): Element {
  const moment = new Date(Date.parse(started) + 1000 * at);
  return Number.isNaN(moment.getTime()) ? {} : {'@timestamp': moment.toISOString().slice(0, 19)};
}

// ---- Checks ----

/** One suite for each layer of each stage, in the order of the checks. */
function buildLayerSuites(results: Results): Suite[] {
  const suites = new Map<string, Suite>();
  for (const check of results.checks) {
    const name = getSuiteName(check);
    const suite = suites.get(name) ?? {name, started: results.started, at: null, cases: []};
    const starts = check.attempts.map(({at}) => at).concat(suite.at ?? []);
    suite.at = starts.length > 0 ? Math.min(...starts) : null;
    suite.cases.push(buildCase(check));
    suites.set(name, suite);
  }
  return [...suites.values()];
}

/** Ids are unique in a stage only, so the later stage has names of its own. */
const getSuiteName = ({stage, layer}: CheckResult): string =>
  stage === 'upgrade' ? `upgrade.${layer}` : layer;

function buildCase(check: CheckResult): Case {
  const seconds = check.attempts.reduce((sum, attempt) => sum + attempt.seconds, 0);
  const element: Element = {
    '@name': sanitizeLine(check.id),
    '@time': formatTime(seconds),
    ...buildOutcomeElement(check)
  };
  const outcome = check.verdict === 'flaky' ? 'passed' : check.verdict;
  return {outcome, seconds, element};
}

function buildOutcomeElement(check: CheckResult): Element {
  if (check.verdict === 'failed') return {failure: buildFailureElement(check)};
  if (check.verdict === 'skipped') return {skipped: {'@message': sanitizeLine(check.reason ?? '')}};
  if (check.verdict === 'passed')
    return check.load === undefined ? {} : {'system-out': {'#text': sanitizeText(check.observed)}};
  return {
    properties: {property: [{'@name': 'flaky', '@value': 'true'}]},
    'system-out': {
      '#text': sanitizeText(`Passed after a retry.\n${formatAttempts(check.attempts)}`)
    }
  };
}

function buildFailureElement(check: CheckResult): Element {
  const why = check.because ? `caused by ${check.because}` : check.reason;
  return {
    '@message': sanitizeLine([check.observed || 'no answer', why].filter(Boolean).join(': ')),
    '@type': check.because ? 'consequence' : check.layer,
    '#text': sanitizeText(formatBody(check))
  };
}

const formatBody = (check: CheckResult): string =>
  [
    check.title,
    `Expected: ${check.expected}`,
    `Observed: ${check.observed}`,
    ...(check.reason ? [`Reason: ${check.reason}`] : []),
    ...(check.because ? [`Caused by: ${check.because}`] : []),
    formatAttempts(check.attempts),
    ...(check.reproduce ? ['Reproduce:', check.reproduce] : [])
  ].join('\n');

const formatAttempts = (attempts: Attempt[]): string =>
  attempts
    .map(
      ({at, seconds, observed}, index) =>
        `Attempt ${index + 1}, at ${at.toFixed(2)} s, took ${seconds.toFixed(2)} s: ${sanitizeLine(observed) || '(nothing)'}`
    )
    .join('\n');

// ---- The checks could not run ----

/** Returns the phases as test cases; the failed phase has the error. */
function buildErrorSuites(results: Results): Suite[] {
  if (results.result !== 'error') return [];
  const ran = results.phases.filter(phase => phase.at !== null || phase.status !== 'skipped');
  const broke = ran.filter(phase => phase.status === 'failed');
  const failed = broke.find(({name}) => name === results.failure?.phase) ?? broke[0];
  const cases = ran.map(phase => buildPhaseCase(phase, phase === failed ? results : null));
  const {started} = results;
  return [{name: 'run', started, at: 0, cases: failed ? cases : [...cases, buildRunCase(results)]}];
}

function buildPhaseCase(phase: PhaseResult, results: Results | null): Case {
  const element = {
    '@name': sanitizeLine(phase.name),
    '@time': formatTime(phase.seconds)
  };
  const {seconds} = phase;
  if (results)
    return {outcome: 'error', seconds, element: {...element, ...buildErrorElement(results)}};
  if (phase.status === 'passed') return {outcome: 'passed', seconds, element};
  return {
    outcome: 'skipped',
    seconds,
    element: {...element, skipped: {'@message': phase.status}}
  };
}

const buildRunCase = (results: Results): Case => ({
  outcome: 'error',
  seconds: 0,
  element: {
    '@name': 'run',
    '@time': formatTime(0),
    ...buildErrorElement(results)
  }
});

function buildErrorElement(results: Results): Element {
  const {failure} = results;
  return {
    error: {
      '@message': sanitizeLine(buildHeadline(results).words),
      '@type': failure?.class ?? 'internal',
      '#text': sanitizeText(
        [failure?.message, failure?.hint, failure?.reproduce].filter(Boolean).join('\n')
      )
    }
  };
}

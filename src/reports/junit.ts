import Builder from 'fast-xml-builder';
import type {Attempt, CheckResult, PhaseResult, Results} from '../results/results.ts';
import {headline} from './verdict.ts';
import {line, plain} from './words.ts';

/** An element: `@name` is an attribute, `#text` the text, anything else child elements. */
type Element = {[name: string]: string | number | Element | Element[]};

export interface Suite {
  name: string;
  /** ISO time of the start of its run. */
  started: string;
  /** Seconds since the start of the run; null where it did nothing. */
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
  // Without it `name="true"` comes out as `name`, which is no XML.
  suppressBooleanAttributes: false,
  suppressEmptyNode: true,
  format: true
});

/**
 * The run as JUnit XML: a suite for each layer, a test case for each check; where the checks were
 * not reached, a suite `run` with the error. Text is clean: nothing in it is illegal in XML 1.0.
 */
export const junit = (results: Results): string =>
  junitXml(suitesOf(results, 'dual-stack'), results.seconds, results.started);

/** The suites of a run, their test cases of this class. */
export const suitesOf = (results: Results, classname: string): Suite[] =>
  [...errorSuites(results), ...layerSuites(results)].map(suite => ({
    ...suite,
    cases: suite.cases.map(one => ({
      ...one,
      element: {'@classname': `${classname}.${suite.name}`, ...one.element}
    }))
  }));

/** Suites as a file. `seconds` is how long it all took. */
export function junitXml(suites: Suite[], seconds: number, started: string): string {
  const root = {
    '@name': 'dual-stack',
    ...totals(suites.flatMap(suite => suite.cases)),
    '@time': time(seconds),
    ...timestamp(started, 0),
    testsuite: suites.map(suiteElement)
  };
  return `<?xml version="1.0" encoding="UTF-8"?>\n${builder.build({testsuites: root})}`;
}

const suiteElement = ({name, started, at, cases}: Suite): Element => ({
  '@name': line(name),
  ...totals(cases),
  '@time': time(cases.reduce((sum, one) => sum + one.seconds, 0)),
  ...timestamp(started, at ?? 0),
  testcase: cases.map(one => one.element)
});

const totals = (cases: Case[]): Element => ({
  '@tests': cases.length,
  '@failures': cases.filter(one => one.outcome === 'failed').length,
  '@errors': cases.filter(one => one.outcome === 'error').length,
  '@skipped': cases.filter(one => one.outcome === 'skipped').length
});

const time = (seconds: number): string => seconds.toFixed(3);

/** As the schema has it, in UTC, without a zone; left out where the start is not known. */
function timestamp(started: string, at: number): Element {
  const moment = new Date(Date.parse(started) + 1000 * at);
  return Number.isNaN(moment.getTime()) ? {} : {'@timestamp': moment.toISOString().slice(0, 19)};
}

// ---- Checks ----

/** One suite for each layer of each stage, in the order of the checks. */
function layerSuites(results: Results): Suite[] {
  const suites = new Map<string, Suite>();
  for (const check of results.checks) {
    const name = suiteName(check);
    const suite = suites.get(name) ?? {name, started: results.started, at: null, cases: []};
    const starts = check.attempts.map(({at}) => at).concat(suite.at ?? []);
    suite.at = starts.length > 0 ? Math.min(...starts) : null;
    suite.cases.push(caseOf(check));
    suites.set(name, suite);
  }
  return [...suites.values()];
}

/** Ids are unique in a stage only, so the later stage has names of its own. */
const suiteName = ({stage, layer}: CheckResult): string =>
  stage === 'upgrade' ? `upgrade.${layer}` : layer;

function caseOf(check: CheckResult): Case {
  const seconds = check.attempts.reduce((sum, attempt) => sum + attempt.seconds, 0);
  const element: Element = {
    '@name': line(check.id),
    '@time': time(seconds),
    ...outcomeElement(check)
  };
  const outcome = check.verdict === 'flaky' ? 'passed' : check.verdict;
  return {outcome, seconds, element};
}

function outcomeElement(check: CheckResult): Element {
  if (check.verdict === 'failed') return {failure: failureElement(check)};
  if (check.verdict === 'skipped') return {skipped: {'@message': line(check.reason ?? '')}};
  if (check.verdict === 'passed')
    return check.load === undefined ? {} : {'system-out': {'#text': plain(check.observed)}};
  return {
    properties: {property: [{'@name': 'flaky', '@value': 'true'}]},
    'system-out': {'#text': plain(`Passed at a later try.\n${tries(check.attempts)}`)}
  };
}

function failureElement(check: CheckResult): Element {
  const why = check.because ? `follows from ${check.because}` : check.reason;
  return {
    '@message': line([check.observed || 'no answer', why].filter(Boolean).join(': ')),
    '@type': check.because ? 'consequence' : check.layer,
    '#text': plain(body(check))
  };
}

const body = (check: CheckResult): string =>
  [
    check.title,
    `Expected: ${check.expected}`,
    `Observed: ${check.observed}`,
    ...(check.reason ? [`Reason: ${check.reason}`] : []),
    ...(check.because ? [`Because of: ${check.because}`] : []),
    tries(check.attempts),
    ...(check.reproduce ? ['By hand:', check.reproduce] : [])
  ].join('\n');

const tries = (attempts: Attempt[]): string =>
  attempts
    .map(
      ({at, seconds, observed}, index) =>
        `Try ${index + 1}, at ${at.toFixed(2)} s, took ${seconds.toFixed(2)} s: ${line(observed) || '(nothing)'}`
    )
    .join('\n');

// ---- Where the checks were not reached ----

/** The phases as test cases, so that the error stands where it happened. */
function errorSuites(results: Results): Suite[] {
  if (results.result !== 'error') return [];
  const ran = results.phases.filter(phase => phase.at !== null || phase.status !== 'skipped');
  const broke = ran.filter(phase => phase.status === 'failed');
  const failed = broke.find(({name}) => name === results.failure?.phase) ?? broke[0];
  const cases = ran.map(phase => phaseCase(phase, phase === failed ? results : null));
  const {started} = results;
  return [{name: 'run', started, at: 0, cases: failed ? cases : [...cases, runCase(results)]}];
}

function phaseCase(phase: PhaseResult, results: Results | null): Case {
  const element = {
    '@name': line(phase.name),
    '@time': time(phase.seconds)
  };
  const {seconds} = phase;
  if (results) return {outcome: 'error', seconds, element: {...element, ...errorElement(results)}};
  if (phase.status === 'passed') return {outcome: 'passed', seconds, element};
  return {
    outcome: 'skipped',
    seconds,
    element: {...element, skipped: {'@message': phase.status}}
  };
}

const runCase = (results: Results): Case => ({
  outcome: 'error',
  seconds: 0,
  element: {
    '@name': 'run',
    '@time': time(0),
    ...errorElement(results)
  }
});

function errorElement(results: Results): Element {
  const {failure} = results;
  return {
    error: {
      '@message': line(headline(results).words),
      '@type': failure?.class ?? 'internal',
      '#text': plain(
        [failure?.message, failure?.hint, failure?.reproduce].filter(Boolean).join('\n')
      )
    }
  };
}

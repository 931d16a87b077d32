import {stripVTControlCharacters} from 'node:util';
import {groupBy} from '../base/group.ts';
import {
  type CheckResult,
  type Failure,
  type Family,
  holds,
  type Layer,
  layers,
  type PhaseResult,
  type Results
} from '../results/results.ts';
import {files} from './files.ts';

/** What the summary, the HTML report and the annotations all show, derived once. Pure. */

/** Marks that reorder what is read, so that text could hide behind them; and what XML cannot hold. */
const unwanted = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]/g;

/** Foreign text without colours, control characters and unwanted marks; line ends and tabs stay. */
export const plain = (foreign: string): string =>
  stripVTControlCharacters(foreign.replace(/\r\n?/g, '\n'))
    .replace(/[^\P{Cc}\n\t]/gu, '')
    .replace(unwanted, '')
    .replace(/\p{Cs}/gu, '\ufffd');

/** Foreign text as one line of at most so many characters. */
export const line = (foreign: string, most = 300): string =>
  clip(
    plain(clip(foreign, 10 * most))
      .replace(/\s+/g, ' ')
      .trim(),
    most
  );

/** The text's beginning, with … where more was left out. Never half a character. */
export const clip = (text: string, most: number): string =>
  text.length <= most ? text : `${text.slice(0, most - 1).replace(/\p{Cs}$/u, '')}…`;

export interface Span {
  code: boolean;
  text: string;
}

/** What people write between backticks is code; the rest is prose. */
export const spans = (text: string): Span[] =>
  text
    .split(/`([^`]+)`/)
    .map((part, index) => ({code: index % 2 === 1, text: part}))
    .filter(span => span.text !== '');

/** Seconds for people: `4 ms`, `0.31 s`, `4.2 s`, `31 s`, `4 min 12 s`. */
export function duration(seconds: number): string {
  if (seconds > 0 && seconds < 0.0995) return `${Math.round(1000 * seconds)} ms`;
  if (seconds < 1) return `${Number(seconds.toFixed(2))} s`;
  if (seconds < 9.95) return `${Number(seconds.toFixed(1))} s`;
  const whole = Math.round(seconds);
  if (whole < 100) return `${whole} s`;
  const rest = whole % 60;
  return rest === 0 ? `${whole / 60} min` : `${Math.floor(whole / 60)} min ${rest} s`;
}

/** `1 check`, `2 checks`. */
export const count = (number: number, noun: string): string =>
  `${number} ${noun}${number === 1 ? '' : 's'}`;

export const familyNames: Record<Family, string> = {ipv4: 'IPv4', ipv6: 'IPv6'};

/** The family of `10.0.0.1`, `10.0.0.1:9000`, `fd00::1` or `[fd00::1]:9000`; null for a name. */
export function familyOf(address: string | null): Family | null {
  const bare = (address ?? '').replace(/^\[([^\]]*)\].*$/, '$1').replace(/^::ffff:(?=\d+\.)/i, '');
  if (/^\d+(\.\d+){3}(:\d+)?$/.test(bare)) return 'ipv4';
  return /^[\da-f]*:[\da-f]*:[\da-f:.%\w]*$/i.test(bare) ? 'ipv6' : null;
}

/** The family that really carried an answer, where it is not the one that was asked. */
export function carriedOver(check: CheckResult): Family | null {
  const asked = familyOf(check.address) ?? check.family;
  const took = (check.upstream ?? '').split(', ').map(familyOf);
  const [carried = null] = took;
  const alike = took.every(family => family === carried);
  return asked !== null && alike && asked !== carried ? carried : null;
}

// ---- The verdict ----

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
  if (results.result === 'passed') return 'Dual-stack works';
  if (results.failure === null) return 'Dual-stack was not proven';
  return results.result === 'error'
    ? errorWords(results, results.failure)
    : brokenWords(results, results.failure);
}

/** What could not be done when a phase failed, by the beginning of the phase's name. */
const couldNot: [string, string][] = [
  ['kind', 'kind could not be provided'],
  ['kubectl', 'kubectl could not be provided'],
  ['helm', 'Helm could not be provided'],
  ['tools', 'Tools could not be provided'],
  ['chart', 'The chart of the Sail Operator could not be provided'],
  ['sample files', 'The sample manifests could not be provided'],
  ['name', 'Cluster could not be made'],
  ['cluster', 'Cluster could not be made'],
  ['containerd', 'Cluster did not come up'],
  ['api', 'Cluster did not come up'],
  ['images', 'Images could not be transferred'],
  ['save', 'Images could not be transferred'],
  ['operator', 'Sail Operator could not be installed'],
  ['strict', 'STRICT mutual TLS could not be asked for'],
  ['istiod', 'Istio could not be installed'],
  ['mesh', 'Istio did not become healthy'],
  ['control', 'Istio could not be installed'],
  ['namespaces', 'Samples could not be deployed'],
  ['services', 'Samples could not be deployed'],
  ['plain samples', 'Samples could not be deployed'],
  ['samples', 'Samples could not be deployed'],
  ['look', 'Cluster could not be read'],
  ['check', 'Checks could not be made']
];

function errorWords(results: Results, failure: Failure): string {
  const message = `: ${line(failure.message, 160).replace(/\.$/, '')}`;
  const took = duration(results.seconds);
  if (failure.class === 'cancelled') return `Cancelled after ${took}${during(results)}`;
  if (failure.class === 'timeout') return `Timed out after ${took}${during(results)}${message}`;
  if (failure.class === 'input') return `Inputs were refused${message}`;
  if (failure.class === 'internal') return `A bug of this action${message}`;
  const found = brokenCheck(results)?.verdict === 'failed';
  return `${found ? brokenWords(results, failure) : failedPhaseWords(results, failure)}${message}`;
}

function failedPhaseWords(results: Results, failure: Failure): string {
  const phase = results.phases.find(({status}) => status === 'failed');
  const [, words] = couldNot.find(([start]) => phase?.name.startsWith(start)) ?? [];
  if (phase) return words ?? `Phase ${line(phase.name, 60)} failed`;
  return failure.layer ? broken[failure.layer]('') : 'The checks could not be reached';
}

/** What was under way when the run was ended from outside. */
function during(results: Results): string {
  const names = results.phases
    .filter(phase => phase.at !== null && !['passed', 'skipped'].includes(phase.status))
    .map(phase => line(phase.name, 60));
  return names.length === 0 ? '' : `, in ${names.slice(0, 4).join(' and ')}`;
}

/** What is broken when a layer is, for one family or (an empty name) for both. */
const broken: Record<Layer, (family: string) => string> = {
  runner: family => `The runner is not fit for ${family || 'dual-stack'}`,
  network: family => `The kind network has no ${family || 'two families'}`,
  node: family => `The nodes do not carry ${family || 'both families'}`,
  operator: () => 'The Sail Operator does not run as it should',
  'control-plane': () => 'Istio’s control plane is not as it should be',
  workload: family => `The sample pods are not ready${family && ` with ${family}`}`,
  service: family => `Services do not have ${family || 'the IP families'} as they should`,
  endpoints: family => `Services do not have the ${family && `${family} `}endpoints they should`,
  dns: family => `Names do not resolve${family && ` to ${family}`} as they should`,
  cluster: family => `${family || 'Traffic'} between pods is dead`,
  proxy: family => `The proxies are not set up for ${family || 'both families'}`,
  echo: family => `Services do not answer${family && ` over ${family}`}`,
  path: family => `${family || 'Traffic'} between sidecars is dead`,
  mtls: family => `Mutual TLS does not hold${family && ` over ${family}`}`,
  failover: family => `With ${family || 'a family'} cut, the other does not take over`,
  uninstall: () => 'Istio does not uninstall cleanly'
};

function brokenWords(results: Results, failure: Failure): string {
  const failed = results.checks.filter(check => check.verdict === 'failed');
  if (failed.length === 0) return needed(flakyChecks(results).length);
  const check = brokenCheck(results) ?? failed[0];
  const layer = failure.layer ?? check?.layer;
  if (!layer) return 'Dual-stack does not work';
  const own = failed.filter(one => one.layer === layer && one.because === null);
  const families = new Set(own.flatMap(one => one.family ?? []));
  const [family] = families;
  return broken[layer](families.size === 1 && family ? familyNames[family] : '');
}

/** Only `fail-on-flaky` fails a run in which every check holds. */
const needed = (flaky: number): string =>
  flaky === 0
    ? 'Dual-stack was not proven'
    : `${count(flaky, 'check')} needed another try, and fail-on-flaky is set`;

// ---- Checks ----

/** The check that the failure names; null where none was reached. */
export function brokenCheck(results: Results): CheckResult | null {
  const named = results.checks.filter(check => check.id === results.failure?.check);
  return named.find(check => check.verdict === 'failed') ?? named[0] ?? null;
}

export const flakyChecks = (results: Results): CheckResult[] =>
  results.checks.filter(check => check.verdict === 'flaky');

/** Failures of their own, the broken check first; then what only follows from another check. */
export function failures(results: Results): {own: CheckResult[]; follow: CheckResult[]} {
  const failed = results.checks.filter(check => check.verdict === 'failed');
  const first = brokenCheck(results);
  const own = failed.filter(check => check.because === null && check !== first);
  return {
    own: first?.verdict === 'failed' ? [first, ...own] : own,
    follow: failed.filter(check => check.because !== null && check !== first)
  };
}

/** Echoes of the broken family that are green only because the other family carried them. */
export function greenAllTheSame(results: Results): CheckResult[] {
  const family = brokenCheck(results)?.family;
  if (!family || results.result === 'passed') return [];
  return results.checks.filter(
    check =>
      check.layer === 'echo' &&
      holds(check) &&
      check.family === family &&
      carriedOver(check) !== null
  );
}

export interface Try {
  /** Seconds since the start of the run. */
  at: number;
  /** How often in a row the same was observed. */
  times: number;
  observed: string;
}

/** A check's attempts, those in a row that observed the same as one. */
export function triesOf(check: CheckResult): Try[] {
  const tries: Try[] = [];
  for (const {at, observed} of check.attempts) {
    const last = tries.at(-1);
    if (last?.observed === observed) last.times++;
    else tries.push({at, times: 1, observed});
  }
  return tries;
}

/** `at 28.1 s, 5 times`. */
export const tryWords = ({at, times}: Try): string =>
  `at ${at.toFixed(1)} s${times > 1 ? `, ${times} times` : ''}`;

export interface LayerRow {
  layer: Layer;
  state: State;
  checks: CheckResult[];
  held: number;
  /** How many failed only because of a broken check below. */
  follow: number;
  /** Why the layer was skipped; empty where it was not, or not for one reason. */
  why: string;
}

/** The layers that have checks, in their order, each with its state. */
export function layerRows(results: Results): LayerRow[] {
  const byLayer = groupBy(results.checks, check => check.layer);
  return layers.flatMap(layer => {
    const checks = byLayer.get(layer);
    if (!checks) return [];
    const held = checks.filter(holds).length;
    const follow = checks.filter(check => check.verdict === 'failed' && check.because).length;
    const reasons = new Set(checks.map(check => check.verdict === 'skipped' && check.reason));
    const [why] = reasons.size === 1 ? reasons : [];
    return [{layer, state: worst(checks), checks, held, follow, why: line(why || '', 100)}];
  });
}

/** `14 of 15 hold`; layers of which every check was skipped are not counted. */
export function layersHold(rows: LayerRow[]): string {
  const asked = rows.filter(row => row.state !== 'skipped');
  const held = asked.filter(row => row.state !== 'failed').length;
  return `${held} of ${asked.length} hold`;
}

/** Skipped checks by their reason, in the order of their first check. */
export const skippedByReason = (results: Results): [string, CheckResult[]][] => [
  ...groupBy(
    results.checks.filter(check => check.verdict === 'skipped'),
    check => line(check.reason ?? 'no reason given')
  )
];

// ---- The grid ----

/** `none`: the Service must not have this family, and a check says that it has not. */
export type State = 'passed' | 'flaky' | 'failed' | 'skipped' | 'none';

export interface Cell {
  state: State;
  /** An address or an answer. Foreign text. */
  value: string;
  /** A few words. Holds foreign text. */
  note: string;
  /** Whether it is the check that the failure names. */
  cause: boolean;
}

export interface Row {
  title: string;
  /** The workload's name; empty where the title says it all. */
  target: string;
  cells: Record<Column, Cell | null>;
}

export type Column = Family | 'name';
export const columns: {column: Column; title: string}[] = [
  {column: 'ipv4', title: 'IPv4'},
  {column: 'ipv6', title: 'IPv6'},
  {column: 'name', title: 'by name'}
];

export interface Grid {
  stage: CheckResult['stage'];
  rows: Row[];
}

/** What the grid's first column holds; of two grids, which one it is. */
export const gridTitle = ({stage}: Grid, several: boolean): string =>
  several ? `${stage === 'install' ? 'before' : 'after'} the upgrade, to` : 'from the mesh to';

/** The layers that connect to something, in the grid's order. */
const gridLayers: {layer: Layer; title: string; named: boolean}[] = [
  {layer: 'echo', title: 'Service', named: true},
  {layer: 'path', title: 'Pods of', named: true},
  {layer: 'failover', title: 'one family cut', named: false},
  {layer: 'mtls', title: 'under STRICT mutual TLS', named: false},
  {layer: 'cluster', title: 'without any sidecar', named: false}
];

/** Targets × families, one grid for each stage in which something was connected to. */
export const grids = (results: Results): Grid[] =>
  [...groupBy(results.checks, check => check.stage)]
    .map(([stage, checks]) => ({stage, rows: gridRows(checks, brokenCheck(results))}))
    .filter(grid => grid.rows.some(reached));

const reached = (row: Row): boolean =>
  Object.values(row.cells).some(cell => cell && cell.state !== 'skipped' && cell.state !== 'none');

function gridRows(checks: CheckResult[], cause: CheckResult | null): Row[] {
  const byLayer = groupBy(checks, check => check.layer);
  const absences = groupBy(checks.filter(asksForNone), check => check.target);
  return gridLayers.flatMap(({layer, title, named}) => {
    const targets = groupBy(byLayer.get(layer) ?? [], check => check.target);
    return [...targets].map(([target, own]) => ({
      title,
      target: named || targets.size > 1 ? line(target, 80) : '',
      cells: cellsOf(own, layer === 'echo' ? (absences.get(target) ?? []) : [], cause)
    }));
  });
}

/** A check that a Service has nothing of a family: no ClusterIP, no endpoints, no record. */
const asksForNone = (check: CheckResult): boolean =>
  ['service', 'endpoints', 'dns'].includes(check.layer) &&
  check.family !== null &&
  check.expected === 'none';

function cellsOf(
  own: CheckResult[],
  absences: CheckResult[],
  cause: CheckResult | null
): Row['cells'] {
  const cell = (column: Column): Cell | null => {
    const checks = own.filter(check => (check.family ?? 'name') === column);
    const absent = absences.filter(check => check.family === column);
    if (checks.length > 0) return cellOf(checks, cause);
    return absent.length > 0 ? absenceCell(absent, cause) : null;
  };
  return {ipv4: cell('ipv4'), ipv6: cell('ipv6'), name: cell('name')};
}

function absenceCell(checks: CheckResult[], cause: CheckResult | null): Cell {
  const shown = cellOf(checks, cause);
  if (shown.state !== 'passed' && shown.state !== 'flaky') return shown;
  return {state: 'none', value: '', note: 'none, as it should be', cause: false};
}

/** One cell shows the worst of its checks, and the others as a number. */
function cellOf(checks: CheckResult[], cause: CheckResult | null): Cell {
  const state = worst(checks);
  const alike = checks.filter(check => check.verdict === state);
  const shown = alike.find(check => check === cause) ?? alike[0];
  if (!shown) return {state, value: '', note: '', cause: false};
  const others = `${alike.length} of ${checks.length}`;
  const {value, note} = shownBy(shown);
  return {
    state,
    value,
    note: [note, checks.length > 1 ? others : ''].filter(Boolean).join(', '),
    cause: cause !== null && alike.includes(cause)
  };
}

function shownBy(check: CheckResult): {value: string; note: string} {
  if (check.verdict === 'skipped') return {value: '', note: 'skipped'};
  if (check.verdict === 'failed') return {value: '', note: line(check.observed || 'failed', 80)};
  const carried = carriedOver(check);
  const note = [
    carried && `carried over ${familyNames[carried]}`,
    check.verdict === 'flaky' && 'at a later try'
  ].filter(Boolean);
  if (check.address === null || check.layer === 'failover')
    return {value: '', note: [line(check.observed, 80), ...note].join(', ')};
  // By name the answer is of interest; of a literal address, which one it was.
  const value = check.family === null ? check.observed : check.address;
  return {value: line(value, 80), note: note.join(', ')};
}

/** A longer grid shows the rows with trouble, and folds the others. */
const mostRows = 24;

/** A grid's rows: those to show, and those to fold because there is nothing to look at. */
export const foldRows = (rows: Row[]): {shown: Row[]; folded: Row[]; title: string} => {
  if (rows.length <= mostRows) return {shown: rows, folded: [], title: ''};
  const shown = rows.filter(troubled);
  const folded = rows.filter(row => !troubled(row));
  const title = `${count(folded.length, shown.length > 0 ? 'more row' : 'row')} without trouble`;
  return {shown, folded, title};
};

const troubled = (row: Row): boolean =>
  Object.values(row.cells).some(cell => cell?.state === 'failed' || cell?.state === 'flaky');

function worst(checks: CheckResult[]): Exclude<State, 'none'> {
  const found = new Set(checks.map(check => check.verdict));
  return (['failed', 'flaky', 'passed'] as const).find(state => found.has(state)) ?? 'skipped';
}

// ---- The timeline ----

export interface Bar {
  name: string;
  status: PhaseResult['status'];
  at: number;
  seconds: number;
  critical: boolean;
}

/** The phases that were started, by their start, those that made the run as long as it was marked. */
export function timeline(results: Results): Bar[] {
  const critical = new Set(criticalPath(results.phases));
  return started(results.phases)
    .map(({name, status, at, seconds}) => ({
      name: line(name, 60),
      status,
      at,
      seconds,
      critical: critical.has(name)
    }))
    .sort((one, other) => one.at - other.at);
}

/** Names from the first phase to the one that ended last, each the need that kept the next waiting. */
export function criticalPath(phases: PhaseResult[]): string[] {
  const byName = new Map(started(phases).map(phase => [phase.name, phase]));
  const path = new Set<string>();
  let phase = endedLast([...byName.values()]);
  while (phase && !path.has(phase.name)) {
    path.add(phase.name);
    phase = endedLast(phase.needs.flatMap(name => byName.get(name) ?? []));
  }
  return [...path].reverse();
}

type Started = PhaseResult & {at: number};

const started = (phases: PhaseResult[]): Started[] =>
  phases.filter((phase): phase is Started => phase.at !== null);

const endedLast = (phases: Started[]): Started | undefined =>
  phases.reduce<Started | undefined>(
    (last, phase) => (last && last.at + last.seconds >= phase.at + phase.seconds ? last : phase),
    undefined
  );

/** What was waited for longest, at most so many. */
export const longestWaits = (
  results: Results,
  most = 5
): {phase: string; for: string; seconds: number}[] =>
  results.phases
    .flatMap(({name, waits}) => waits.map(wait => ({phase: line(name, 60), ...wait})))
    .sort((one, other) => other.seconds - one.seconds)
    .slice(0, most);

// ---- Versions, and how to run it again ----

const versionTitles: Record<string, string> = {
  action: 'Action',
  kubectl: 'kubectl',
  kubernetes: 'Kubernetes',
  kind: 'kind',
  helm: 'Helm',
  operator: 'Sail Operator',
  istio: 'Istio'
};

/** Every version with its title: what was asked for, and what was found. */
export const versionRows = (results: Results): {title: string; asked: string; found: string}[] =>
  Object.entries(results.versions).map(([name, {asked, found}]) => ({
    title: versionTitles[name] ?? line(name, 60),
    asked: line(asked ?? '', 200),
    found: line(found ?? '', 200)
  }));

export const rerun = `bash ${files.script}`;

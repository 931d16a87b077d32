/** Builds the cells of a matrix from the plan and the results that were found. */
import {rcompare, valid} from 'semver';
import {groupBy} from '../base/group.ts';
import {inputDefaults} from '../inputs/inputs.ts';
import type {PlannedCell} from '../inputs/report-inputs.ts';
import type {CellClass, CellResult, FamilyResult, LayerResult} from '../results/merged.ts';
import {
  type CheckResult,
  type Family,
  familyNames,
  isPassing,
  type Layer,
  layers,
  type Results
} from '../results/results.ts';
import {findBrokenCheck, getWorstVerdict, groupFailures} from './findings.ts';
import {formatCount, sanitizeLine} from './words.ts';

/** A results.json below the directory: its folder, and its results or the problem with it. */
export interface FoundResults {
  directory: string;
  results: Results | null;
  /** May hold foreign text. */
  problem: string;
}

export interface Cell extends CellResult {
  /** Null if there are none. */
  results: Results | null;
}

/** Returns every cell, planned or found, the newest Istio first. */
export function buildMatrixCells(
  found: FoundResults[],
  planned: PlannedCell[],
  failOn: CellClass[]
): Cell[] {
  const {pairs, rest} = matchPlanned(found, planned.map(renameToInputs));
  const cells = [
    ...pairs.map(([plan, one]) =>
      one === null ? buildMissingCell(plan) : buildMatrixCell(one, plan)
    ),
    ...rest.map(one => buildMatrixCell(one, {}))
  ].map(cell => ({...cell, counts: cell.class !== null && failOn.includes(cell.class)}));
  return assignNames(cells.sort(compareCells));
}

// ---- Planned and found ----

/** Pairs each planned cell with its results; `rest` has results that belong to no planned cell. */
function matchPlanned(
  found: FoundResults[],
  planned: PlannedCell[]
): {pairs: [PlannedCell, FoundResults | null][]; rest: FoundResults[]} {
  const left = new Set(found.toSorted(compareStart));
  const find = createFinder([...left]);
  const pairs = planned
    .toSorted(comparePrecision)
    .map((plan): [PlannedCell, FoundResults | null] => {
      const own = find(plan).filter(one => left.has(one));
      const taken = own.find(({results}) => results !== null) ?? own[0] ?? null;
      for (const one of own) if (one === taken || isEarlierAttempt(one, taken)) left.delete(one);
      return [plan, taken];
    });
  return {pairs, rest: [...left]};
}

/**
 * Returns a function that finds the results of a planned cell by the inputs of the run. Results without any of these
 * inputs match by the end of the directory's name. An index for each set of inputs avoids comparing all pairs.
 */
function createFinder(found: FoundResults[]): (plan: PlannedCell) => FoundResults[] {
  const reportedInputs = new Set(found.flatMap(({results}) => Object.keys(results?.inputs ?? {})));
  const unread = found.filter(({results}) => results === null);
  const indices = new Map<string, Map<string | null, FoundResults[]>>();
  return ({name = '', ...plan}) => {
    const byName = (all: FoundResults[]) =>
      name === '' ? [] : all.filter(one => `-${one.directory}`.endsWith(`-${name}`));
    const keys = Object.keys(plan).filter(key => reportedInputs.has(key) || isCellInput(key));
    if (keys.length === 0) return byName(found);
    const index =
      indices.get(keys.join()) ??
      groupBy(found, ({results}) => results && buildInputKey(keys, key => getInput(results, key)));
    indices.set(keys.join(), index);
    return [...(index.get(buildInputKey(keys, key => plan[key] ?? '')) ?? []), ...byName(unread)];
  };
}

const buildInputKey = (keys: string[], value: (key: string) => string): string =>
  JSON.stringify(keys.map(key => stripVersionPrefix(value(key))));

/** The more precise plan chooses first, because `very-old` also ends with `old`. */
const comparePrecision = (one: PlannedCell, other: PlannedCell): number =>
  Object.keys(other).length - Object.keys(one).length ||
  (other.name ?? '').length - (one.name ?? '').length;

/** A rerun job leaves two results. Any other second result is a separate cell. */
function isEarlierAttempt(one: FoundResults, taken: FoundResults | null): boolean {
  const [run, last] = [one.results?.run, taken?.results?.run];
  return Boolean(run?.id && run.id === last?.id && Number(run.attempt) < Number(last.attempt));
}

const compareStart = (one: FoundResults, other: FoundResults): number =>
  (other.results?.started ?? '').localeCompare(one.results?.started ?? '') ||
  one.directory.localeCompare(other.directory);

/** The matrix action's short names of two inputs. The operator is the same in all cells, and may come from a chart. */
const shortWords = new Map([
  ['istio', 'istio-version'],
  ['kubernetes', 'kubernetes-version']
]);

const renameToInputs = (plan: PlannedCell): PlannedCell =>
  Object.fromEntries(
    Object.entries(plan).map(([key, value]) => [shortWords.get(key) ?? key, value])
  );

/** Whether a matrix can set this input for a cell. */
const isCellInput = (key: string): boolean =>
  ['istio-version', 'kubernetes-version', 'node-image', 'operator-version'].includes(key) ||
  Object.hasOwn(inputDefaults, key);

/** Returns the value of an input, or its default. */
const getInput = (results: Results, key: string): string =>
  (Object.hasOwn(results.inputs, key) ? results.inputs[key] : getDefault(key)) ?? '';

const getDefault = (key: string): string | undefined =>
  Object.hasOwn(inputDefaults, key) ? inputDefaults[key as keyof typeof inputDefaults] : undefined;

const stripVersionPrefix = (version: string): string => version.trim().replace(/^v(?=\d)/, '');

// ---- One cell ----

const emptyCell: Omit<
  Cell,
  'directory' | 'istio' | 'kubernetes' | 'operator' | 'ipFamilies' | 'dataplane'
> = {
  name: '',
  outcome: 'missing',
  class: 'missing',
  layer: null,
  check: null,
  message: '',
  hint: '',
  reproduce: null,
  counts: false,
  families: {ipv4: null, ipv6: null},
  layers: {},
  seconds: null,
  rehearsal: false,
  change: null,
  results: null
};

const buildMissingCell = (plan: PlannedCell): Cell => ({
  ...emptyCell,
  ...getDimensions(plan, null),
  directory: null,
  message: 'The matrix has this cell, but it has no results.',
  hint: 'Check its job: it was cancelled, or it ended before it uploaded the results. Upload them with `if: always()`.'
});

function buildMatrixCell({directory, results, problem}: FoundResults, plan: PlannedCell): Cell {
  const cell = {...emptyCell, ...getDimensions(plan, results), directory};
  if (results === null)
    return {
      ...cell,
      message: `${sanitizeLine(directory, 100) || 'results.json'} cannot be read: ${sanitizeLine(problem)}.`,
      hint: 'Use the same release of this Action in the cells and in the report.'
    };
  const failed = results.checks.filter(check => check.verdict === 'failed');
  if (results.result === 'passed' && (failed.length > 0 || results.failure !== null))
    return {
      ...cell,
      message: `${sanitizeLine(directory, 100) || 'results.json'} contradicts itself: the result is passed, but the file has ${failed.length > 0 ? formatCount(failed.length, 'failed check') : 'a failure'}.`,
      hint: 'Run this cell again, and upload results.json unchanged.'
    };
  return {
    ...cell,
    ...describeFailure(results),
    ...summarizeReached(results),
    outcome: results.result,
    results
  };
}

function describeFailure({result, failure}: Results): Partial<Cell> {
  if (result === 'passed') return {class: null};
  return {
    class: failure?.class ?? 'internal',
    layer: failure?.layer ?? null,
    check: failure?.check ?? null,
    message: failure?.message ?? 'The results do not name the failure.',
    hint: failure?.hint ?? '',
    reproduce: failure?.reproduce ?? null
  };
}

const summarizeReached = (results: Results): Partial<Cell> => ({
  families: {ipv4: getFamilyResult(results, 'ipv4'), ipv6: getFamilyResult(results, 'ipv6')},
  layers: getLayerResults(results),
  seconds: results.seconds,
  rehearsal: results.rehearsal !== null
});

/** Returns a plain version or null, because names of cells go into outputs, which workflows put into scripts. */
const parseVersion = (found: string | null | undefined): string | null => {
  const [, number] =
    /(?:^|[v:])(\d{1,4}\.\d{1,4}(?:\.\d{1,4})?(?:-[0-9A-Za-z.-]{1,40})?)(?:$|@)/.exec(
      found ?? ''
    ) ?? [];
  return number ?? null;
};

/** Returns the values that distinguish a cell: the actual, else the requested, else the planned ones. */
function getDimensions(plan: PlannedCell, results: Results | null) {
  const findVersion = (name: string, ...keys: string[]): string | null => {
    const {found, asked} = results?.versions[name] ?? {};
    return [found, asked, ...keys.map(key => plan[key])].map(parseVersion).find(Boolean) ?? null;
  };
  const familyOrder =
    results?.cluster?.ipFamilies.join() ??
    plan['ip-families'] ??
    (results ? getInput(results, 'ip-families') : '');
  const mode =
    plan['dataplane-mode'] ?? (results ? getInput(results, 'dataplane-mode') : 'sidecar');
  return {
    istio: findVersion('istio', 'istio-version'),
    kubernetes: findVersion('kubernetes', 'kubernetes-version', 'node-image'),
    operator: findVersion('operator', 'operator-version', 'operator'),
    ipFamilies: (familyOrder === 'ipv6,ipv4' ? ['ipv6', 'ipv4'] : ['ipv4', 'ipv6']) as Family[],
    dataplane: mode === 'ambient' ? 'ambient' : 'sidecar'
  };
}

// ---- Families and layers ----

/** Returns null if no check of the family ran. */
function getFamilyResult(results: Results, family: Family): FamilyResult | null {
  const checks = results.checks.filter(
    check => check.family === family && check.verdict !== 'skipped'
  );
  const byId = new Map(results.checks.map(check => [check.id, check]));
  const cause = (check: CheckResult) => byId.get(check.because ?? '') ?? check;
  // A failover from IPv4 fails if IPv6 is broken; then the cause is a check of IPv6.
  const [first] = checks
    .filter(check => check.verdict === 'failed')
    .map(cause)
    .filter(check => check.family === family || check.family === null);
  if (first) return {state: 'failed', layer: first.layer};
  if (!checks.some(({layer}) => layers.indexOf(layer) >= layers.indexOf('service'))) return null;
  const proven = checks.some(check => check.layer === 'path' && isPassing(check));
  return {state: proven ? 'proven' : 'unproven', layer: null};
}

function getLayerResults(results: Results): CellResult['layers'] {
  const own = new Set(groupFailures(results).own);
  const broken = findBrokenCheck(results)?.layer ?? results.failure?.layer;
  const byLayer = [...groupBy(results.checks, check => check.layer)].map(
    ([layer, checks]): [Layer, LayerResult] => [layer, getLayerResult(checks, own)]
  );
  const found = Object.fromEntries(byLayer) as CellResult['layers'];
  if (broken && found[broken]?.state !== 'failed' && results.result !== 'passed')
    found[broken] = {state: 'failed', family: null};
  return found;
}

function getLayerResult(checks: CheckResult[], own: Set<CheckResult>): LayerResult {
  const state = getWorstVerdict(checks);
  const causes = checks.filter(check => own.has(check));
  const families = new Set(causes.map(check => check.family));
  const [family = null] = families.size === 1 ? families : [];
  return {state: state === 'failed' && causes.length === 0 ? 'follows' : state, family};
}

// ---- Order and names ----

/** Newest versions first. A minor version sorts as its .0, an unknown one comes last. */
function compareCells(one: Cell, other: Cell): number {
  return (
    compareVersions(one.istio, other.istio) ||
    compareVersions(one.kubernetes, other.kubernetes) ||
    compareVersions(one.operator, other.operator) ||
    one.ipFamilies.join().localeCompare(other.ipFamilies.join()) ||
    other.dataplane.localeCompare(one.dataplane) ||
    (one.directory ?? '').localeCompare(other.directory ?? '')
  );
}

function compareVersions(one: string | null, other: string | null): number {
  const [first, second] = [one, other].map(text =>
    valid(/^\d+\.\d+$/.test(text ?? '') ? `${text}.0` : text)
  );
  if (first && second) return rcompare(first, second);
  return Number(!first) - Number(!second);
}

export const formatFamilyOrder = ({ipFamilies: [first = 'ipv4']}: CellResult): string =>
  `${familyNames[first]} first`;

/** Returns the name from the versions. `assignNames` adds the operator or the directory to equal ones. */
export const getBaseName = ({istio, kubernetes, ...cell}: CellResult): string =>
  [
    istio ? `Istio ${istio}` : 'Istio',
    ...(kubernetes ? [`Kubernetes ${kubernetes}`] : []),
    formatFamilyOrder({istio, kubernetes, ...cell}),
    cell.dataplane
  ].join(', ');

function assignNames(cells: Cell[]): Cell[] {
  const longer: ((cell: Cell) => string)[] = [
    getBaseName,
    cell => `${getBaseName(cell)}, operator ${cell.operator ?? 'unknown'}`,
    cell => `${getBaseName(cell)}, ${formatFolder(cell)}`
  ];
  const taken = new Set<string>();
  const alike = longer.map(name => groupBy(cells, name));
  return cells.map(cell => {
    const level = longer.findIndex((name, at) => alike[at]?.get(name(cell))?.length === 1);
    const name = (longer[level] ?? longer[2] ?? getBaseName)(cell);
    let unique = name;
    for (let number = 2; taken.has(unique); number++) unique = `${name}, ${number}`;
    taken.add(unique);
    return {...cell, name: unique};
  });
}

/** Returns the directory's name with characters that are safe in an output. */
const formatFolder = ({directory}: Cell): string =>
  directory === null
    ? 'without results'
    : sanitizeLine(directory, 80).replace(/[^\p{L}\p{N} ._/-]+/gu, '_') || 'results.json';

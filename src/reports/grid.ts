/** Builds the grid of targets and families. */
import {groupBy} from '../base/group.ts';
import {
  type CheckResult,
  type Family,
  familyNames,
  layers,
  type Results
} from '../results/results.ts';
import {type DisplayState, findBrokenCheck, getWorstVerdict} from './findings.ts';
import {isTargetsRun} from './versions.ts';
import {findCarryingFamily, formatCount, sanitizeLine} from './words.ts';

export interface GridCell {
  state: DisplayState;
  /** An address or an answer: foreign text. */
  value: string;
  /** A few words, which may hold foreign text. */
  note: string;
  /** Whether the failure names this check. */
  isCause: boolean;
}

export interface GridRow {
  title: string;
  /** The name of the workload; empty if the title suffices. */
  target: string;
  cells: Record<Column, GridCell | null>;
}

export type Column = Family | 'name';
export const columns: {column: Column; title: string}[] = [
  {column: 'ipv4', title: 'IPv4'},
  {column: 'ipv6', title: 'IPv6'},
  {column: 'name', title: 'by name'}
];

export interface Grid {
  stage: CheckResult['stage'];
  rows: GridRow[];
}

/** Returns the title of the first column, which also distinguishes two grids. */
export const getGridTitle = (results: Results, {stage}: Grid, several: boolean): string =>
  isTargetsRun(results)
    ? 'target'
    : several
      ? `${stage === 'install' ? 'before' : 'after'} the upgrade, to`
      : 'from the mesh to';

/** Returns targets × families, one grid for each stage with connections. */
export const buildGrids = (results: Results): Grid[] =>
  [...groupBy(results.checks, check => check.stage)]
    .map(([stage, checks]) => ({stage, rows: buildGridRows(checks, findBrokenCheck(results))}))
    .filter(grid => grid.rows.some(isReached));

const isReached = (row: GridRow): boolean =>
  Object.values(row.cells).some(cell => cell && cell.state !== 'skipped' && cell.state !== 'none');

function buildGridRows(checks: CheckResult[], cause: CheckResult | null): GridRow[] {
  const absences = groupBy(checks.filter(isAbsenceCheck), check => check.target);
  const byTitle = groupBy(
    checks.filter(({grid}) => grid !== undefined),
    ({grid}) => grid?.title ?? ''
  );
  return sortRows([...byTitle]).flatMap(([title, shown]) => {
    const targets = groupBy(shown, check => check.target);
    return [...targets].map(([target, own]) => ({
      title: sanitizeLine(title, 80),
      target: isNamed(shown) || targets.size > 1 ? sanitizeLine(target, 80) : '',
      cells: buildRowCells(own, own[0]?.layer === 'echo' ? (absences.get(target) ?? []) : [], cause)
    }));
  });
}

const isNamed = (checks: CheckResult[]): boolean => checks[0]?.grid?.named ?? false;

/** Sorts rows that name their target from the lowest layer up, then the others from the highest layer down. */
function sortRows(rows: [string, CheckResult[]][]): [string, CheckResult[]][] {
  const height = ([, [check]]: [string, CheckResult[]]) => layers.indexOf(check?.layer ?? 'runner');
  const sorted = rows.toSorted((one, other) => height(one) - height(other));
  return [
    ...sorted.filter(([, checks]) => isNamed(checks)),
    ...sorted.filter(([, checks]) => !isNamed(checks)).reverse()
  ];
}

/** Whether the check expects that a Service has no ClusterIP, endpoints or record of a family. */
const isAbsenceCheck = (check: CheckResult): boolean =>
  ['service', 'endpoints', 'dns'].includes(check.layer) &&
  check.family !== null &&
  check.expected === 'none';

function buildRowCells(
  own: CheckResult[],
  absences: CheckResult[],
  cause: CheckResult | null
): GridRow['cells'] {
  const cell = (column: Column): GridCell | null => {
    const checks = own.filter(check => (check.family ?? 'name') === column);
    const absent = absences.filter(check => check.family === column);
    if (checks.length > 0) return buildGridCell(checks, cause);
    return absent.length > 0 ? buildAbsenceCell(absent, cause) : null;
  };
  return {ipv4: cell('ipv4'), ipv6: cell('ipv6'), name: cell('name')};
}

function buildAbsenceCell(checks: CheckResult[], cause: CheckResult | null): GridCell {
  const shown = buildGridCell(checks, cause);
  if (shown.state !== 'passed' && shown.state !== 'flaky') return shown;
  return {state: 'none', value: '', note: 'none, as expected', isCause: false};
}

/** Returns a cell with the worst of its checks, and the number of those. */
function buildGridCell(checks: CheckResult[], cause: CheckResult | null): GridCell {
  const state = getWorstVerdict(checks);
  const alike = checks.filter(check => check.verdict === state);
  const shown = alike.find(check => check === cause) ?? alike[0];
  if (!shown) return {state, value: '', note: '', isCause: false};
  const others = `${alike.length} of ${checks.length}`;
  const {value, note} = describeCheck(shown);
  return {
    state,
    value,
    note: [note, checks.length > 1 && state !== 'skipped' ? others : ''].filter(Boolean).join(', '),
    isCause: cause !== null && alike.includes(cause)
  };
}

function describeCheck(check: CheckResult): {value: string; note: string} {
  if (check.verdict === 'skipped') return {value: '', note: 'skipped'};
  if (check.verdict === 'failed')
    return {value: '', note: sanitizeLine(check.observed || 'failed', 80)};
  const carried = findCarryingFamily(check);
  const note = [
    carried && `carried over ${familyNames[carried]}`,
    check.verdict === 'flaky' && 'after a retry'
  ].filter(Boolean);
  if (check.address === null || check.observed !== check.expected)
    return {value: '', note: [sanitizeLine(check.observed, 80), ...note].join(', ')};
  // A check by name shows the answer, a check by address shows the address.
  const value = check.family === null ? check.observed : check.address;
  return {value: sanitizeLine(value, 80), note: note.join(', ')};
}

/** A longer grid shows the rows with problems, and folds the others. */
const maxRows = 24;

/** Splits the rows of a grid into shown and folded ones. */
export const foldRows = (rows: GridRow[]): {shown: GridRow[]; folded: GridRow[]; title: string} => {
  if (rows.length <= maxRows) return {shown: rows, folded: [], title: ''};
  const shown = rows.filter(hasProblem);
  const folded = rows.filter(row => !hasProblem(row));
  const title = `${formatCount(folded.length, shown.length > 0 ? 'more row' : 'row')} without problems`;
  return {shown, folded, title};
};

const hasProblem = (row: GridRow): boolean =>
  Object.values(row.cells).some(cell => cell?.state === 'failed' || cell?.state === 'flaky');

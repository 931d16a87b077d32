import {groupBy} from '../base/group.ts';
import {
  type CheckResult,
  type Family,
  familyNames,
  layers,
  type Results
} from '../results/results.ts';
import {brokenCheck, type State, worst} from './findings.ts';
import {onlyLooks} from './versions.ts';
import {carriedOver, count, line} from './words.ts';

/** Targets and families. Pure. */

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
export const gridTitle = (results: Results, {stage}: Grid, several: boolean): string =>
  onlyLooks(results)
    ? 'looked at'
    : several
      ? `${stage === 'install' ? 'before' : 'after'} the upgrade, to`
      : 'from the mesh to';

/** Targets × families, one grid for each stage in which something was connected to. */
export const grids = (results: Results): Grid[] =>
  [...groupBy(results.checks, check => check.stage)]
    .map(([stage, checks]) => ({stage, rows: gridRows(checks, brokenCheck(results))}))
    .filter(grid => grid.rows.some(reached));

const reached = (row: Row): boolean =>
  Object.values(row.cells).some(cell => cell && cell.state !== 'skipped' && cell.state !== 'none');

function gridRows(checks: CheckResult[], cause: CheckResult | null): Row[] {
  const absences = groupBy(checks.filter(asksForNone), check => check.target);
  const byTitle = groupBy(
    checks.filter(({grid}) => grid !== undefined),
    ({grid}) => grid?.title ?? ''
  );
  return inOrder([...byTitle]).flatMap(([title, shown]) => {
    const targets = groupBy(shown, check => check.target);
    return [...targets].map(([target, own]) => ({
      title: line(title, 80),
      target: isNamed(shown) || targets.size > 1 ? line(target, 80) : '',
      cells: cellsOf(own, own[0]?.layer === 'echo' ? (absences.get(target) ?? []) : [], cause)
    }));
  });
}

const isNamed = (checks: CheckResult[]): boolean => checks[0]?.grid?.named ?? false;

/** First what is named by its target, from the ground up; then what is asked under some condition, from the top down. */
function inOrder(rows: [string, CheckResult[]][]): [string, CheckResult[]][] {
  const height = ([, [check]]: [string, CheckResult[]]) => layers.indexOf(check?.layer ?? 'runner');
  const sorted = rows.toSorted((one, other) => height(one) - height(other));
  return [
    ...sorted.filter(([, checks]) => isNamed(checks)),
    ...sorted.filter(([, checks]) => !isNamed(checks)).reverse()
  ];
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
    note: [note, checks.length > 1 && state !== 'skipped' ? others : ''].filter(Boolean).join(', '),
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
  if (check.address === null || check.observed !== check.expected)
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

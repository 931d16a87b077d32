/** Reads the inputs of the report action. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as core from '@actions/core';
import {createInputFault} from '../base/fault.ts';
import {type CellClass, cellClasses} from '../results/merged.ts';
import {
  createExpectedError,
  parseResultsDir,
  quoteValue,
  readAllInputs,
  resolveInWorkspace,
  withDefault
} from './readers.ts';

/** A planned cell of the matrix: the value of each input by its name. */
export type PlannedCell = Record<string, string>;

/** The reader of each input in report/action.yml, which a test compares. */
const readers = {
  directory: resolveInWorkspace,
  matrix: withDefault([], parsePlannedCells),
  previous: withDefault(null, resolveInWorkspace),
  'fail-on': parseCellClasses,
  'results-dir': withDefault(null, parseResultsDir)
};

export const reportDefaults: Partial<Record<keyof typeof readers, string>> = {
  directory: 'cells',
  'fail-on': 'all'
};

export type ReportInputs = {[Name in keyof typeof readers]: ReturnType<(typeof readers)[Name]>};

export const reportInputNames = Object.keys(readers) as (keyof ReportInputs)[];

/** Returns every input, parsed. Throws one Fault of class `input` with a line for each invalid input. */
export function readReportInputs(): ReportInputs {
  const {inputs, problems} = readAllInputs(
    readers,
    name => core.getInput(name) || (reportDefaults[name] ?? '')
  );
  if (problems.length === 0) problems.push(...findConflicts(inputs as ReportInputs));
  if (problems.length > 0) throw createInputFault(problems.join('\n'));
  return inputs as ReportInputs;
}

/** One line for each input that does not fit the others. */
function findConflicts(inputs: ReportInputs): string[] {
  const {directory, matrix, 'results-dir': results} = inputs;
  const there = isDirectory(directory);
  return [
    ...(there || matrix.length > 0
      ? []
      : [
          `Invalid \`directory\` ${quoteValue(directory)}: expected an existing directory, unless \`matrix\` has a value`
        ]),
    ...(results !== null && [directory, inputs.previous].some(one => one && isWithin(results, one))
      ? [
          `Invalid \`results-dir\` ${quoteValue(results)}: expected a directory outside \`directory\` and \`previous\``
        ]
      : [])
  ];
}

const isDirectory = (file: string): boolean =>
  fs.statSync(file, {throwIfNoEntry: false})?.isDirectory() ?? false;

const isWithin = (file: string, directory: string): boolean =>
  `${file}${path.sep}`.startsWith(`${directory}${path.sep}`);

/** The limit of planned cells: one report may merge several matrices of 256 jobs. */
const mostPlanned = 4096;

function parsePlannedCells(value: string): PlannedCell[] {
  const accepted = createExpectedError(
    'the JSON of a matrix, `{"include": [{"istio-version": "1.30", …}, …]}`'
  );
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch {
    throw accepted;
  }
  const include = (parsed as {include?: unknown} | null)?.include;
  if (!Array.isArray(include) || include.length > mostPlanned) throw accepted;
  return include.map(one => {
    if (typeof one !== 'object' || one === null || Array.isArray(one)) throw accepted;
    const entries = Object.entries(one).filter(([, value]) => typeof value !== 'object');
    if (entries.length === 0) throw accepted;
    return Object.fromEntries(entries.map(([name, value]) => [name, String(value)]));
  });
}

function parseCellClasses(value: string): CellClass[] {
  if (value === 'all') return [...cellClasses];
  if (value === 'none') return [];
  const leaveOut = value.startsWith('!');
  const names = value
    .replace(/^!/, '')
    .split(',')
    .map(name => name.trim());
  const known: readonly string[] = cellClasses;
  if (names.some(name => !known.includes(name)))
    throw createExpectedError(
      `\`all\`, \`none\`, or a comma-separated list of ${cellClasses.join(', ')}; a leading \`!\` inverts the list`
    );
  return cellClasses.filter(one => names.includes(one) !== leaveOut);
}

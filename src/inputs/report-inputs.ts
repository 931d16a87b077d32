import * as fs from 'node:fs';
import * as path from 'node:path';
import * as core from '@actions/core';
import {createInputFault} from '../base/fault.ts';
import {type CellClass, cellClasses} from '../results/merged.ts';
import {
  parseResultsDir,
  quoteValue,
  readAllInputs,
  resolveInWorkspace,
  withDefault
} from './readers.ts';

/** A cell of the matrix as it was planned: inputs by name. */
export type PlannedCell = Record<string, string>;

/** How each input of report/action.yml is read; a test holds the two together. */
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

/** Reads every input of the report action. Throws one Fault of class `input` that names every bad one. */
export function readReportInputs(): ReportInputs {
  const {inputs, problems} = readAllInputs(
    readers,
    name => core.getInput(name) || (reportDefaults[name] ?? '')
  );
  if (problems.length === 0) problems.push(...findConflicts(inputs as ReportInputs));
  if (problems.length > 0) throw createInputFault(problems.join('\n'));
  return inputs as ReportInputs;
}

/** What is wrong with inputs beside each other. */
function findConflicts(inputs: ReportInputs): string[] {
  const {directory, matrix, 'results-dir': results} = inputs;
  const there = isDirectory(directory);
  return [
    ...(there || matrix.length > 0
      ? []
      : [
          `directory: found ${quoteValue(directory)}; accepted is a directory that exists, or one that is missing beside a \`matrix\``
        ]),
    ...(results !== null && [directory, inputs.previous].some(one => one && isWithin(results, one))
      ? [
          `results-dir: found ${quoteValue(results)}; accepted is one outside \`directory\` and \`previous\``
        ]
      : [])
  ];
}

const isDirectory = (file: string): boolean =>
  fs.statSync(file, {throwIfNoEntry: false})?.isDirectory() ?? false;

const isWithin = (file: string, directory: string): boolean =>
  `${file}${path.sep}`.startsWith(`${directory}${path.sep}`);

/** GitHub allows 256 jobs in a matrix; several matrices may be merged. */
const mostPlanned = 4096;

function parsePlannedCells(value: string): PlannedCell[] {
  const accepted = new Error(
    'accepted is the JSON of a matrix, `{"include": [{"istio-version": "1.30", …}, …]}`'
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
    throw new Error(
      `accepted is \`all\`, \`none\`, or of ${cellClasses.join(', ')} those that fail the step, with commas between; after a \`!\`, those that do not`
    );
  return cellClasses.filter(one => names.includes(one) !== leaveOut);
}

import type {PlannedCell} from '../src/inputs/report-inputs.ts';
import {type Matrix, mergeCells} from '../src/reports/merge-results.ts';
import {buildMatrixCells, type FoundResults} from '../src/reports/merged-cells.ts';
import {type CellClass, cellClasses} from '../src/results/merged.ts';
import type {Results} from '../src/results/results.ts';
import {error, failed, passed} from './sample-results.ts';

/** Cells for tests of the report action. */

const versions = passed().versions;

/** A run's results as those of a cell with these inputs, which found what it was asked for. */
export function cell(results: Results, inputs: Record<string, string>): Results {
  const [first = '', second = ''] = (inputs['ip-families'] ?? 'ipv4,ipv6').split(',');
  return {
    ...results,
    inputs,
    versions: {
      ...versions,
      istio: {asked: inputs['istio-version'] ?? null, found: inputs['istio-version'] ?? 'v1.30.3'},
      kubernetes: {
        asked: inputs['node-image'] ?? null,
        found: inputs['node-image']?.split(':')[1] ?? 'v1.34.4'
      }
    },
    cluster: results.cluster && {
      ...results.cluster,
      ipFamilies: [first, second] as ['ipv4', 'ipv6']
    }
  };
}

export const found = (directory: string, results: Results): FoundResults => ({
  directory,
  results,
  problem: ''
});

export const unread = (directory: string, problem = 'it is not valid JSON'): FoundResults => ({
  directory,
  results: null,
  problem
});

/** What the matrix action would have planned: Istio × families. */
export const planned: PlannedCell[] = ['v1.30.3', 'v1.29.6', 'v1.28.8'].flatMap(istio =>
  ['ipv4,ipv6', 'ipv6,ipv4'].map(families => ({
    name: `${istio}-${families.replace(',', '-')}`,
    'istio-version': istio,
    'ip-families': families
  }))
);

export const folderOf = ({name = ''}: PlannedCell): string => `dual-stack-${name}`;

/** All planned cells as found, changed by name. */
export const allFound = (changes: Record<string, Results | null> = {}): FoundResults[] =>
  planned.flatMap(plan => {
    const {name = '', ...inputs} = plan;
    const results = Object.hasOwn(changes, name) ? changes[name] : passed();
    return results ? [found(folderOf(plan), cell(results, inputs))] : [];
  });

export const run: Results['run'] = passed().run;

export const matrix = (
  all: FoundResults[],
  {
    plan = planned,
    failOn = [...cellClasses],
    before = null
  }: {plan?: PlannedCell[]; failOn?: CellClass[]; before?: Matrix | null} = {}
): Matrix => mergeCells(buildMatrixCells(all, plan, failOn), failOn, before?.cells ?? null, run);

/** One of each: a family that is dead, an infrastructure fault, a cell that is missing. */
export const mixed = (failOn: CellClass[] = [...cellClasses]): Matrix =>
  matrix(
    allFound({
      'v1.29.6-ipv6-ipv4': failed(),
      'v1.28.8-ipv4-ipv6': error(),
      'v1.28.8-ipv6-ipv4': null
    }),
    {failOn, before: matrix(allFound({'v1.30.3-ipv4-ipv6': failed()}))}
  );

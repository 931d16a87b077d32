/** Builds the outputs of the report action. */
import * as path from 'node:path';
import {files} from '../results/files.ts';
import {countCells, type Matrix} from './merge-results.ts';

/** Returns every output of report/action.yml. `directory` is empty if no files were written. */
export function buildMergedOutputs(matrix: Matrix, directory: string): Record<string, string> {
  const file = (name: string) => (directory === '' ? '' : path.join(directory, name));
  const names = (change: string) =>
    JSON.stringify(matrix.cells.filter(cell => cell.change === change).map(({name}) => name));
  return {
    result: matrix.result,
    'failed-cells': JSON.stringify(
      matrix.cells.filter(({outcome}) => outcome !== 'passed').map(({name}) => name)
    ),
    counts: JSON.stringify(countCells(matrix.cells)),
    broke: names('broke'),
    mended: names('mended'),
    'results-dir': directory,
    results: file(files.results),
    junit: file(files.junit),
    report: file(files.report),
    summary: file(files.summary)
  };
}

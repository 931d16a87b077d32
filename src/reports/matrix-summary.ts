/** Renders the job summary of the matrix action. */
import type {Cell, LeftOut} from '../versions/cells.ts';
import {code, row} from './markdown.ts';
import {formatCount} from './words.ts';

/** Returns the cells, and the excluded cells with reasons. */
export function renderMatrixSummary(operator: string, cells: Cell[], leftOut: LeftOut[]): string {
  const table = cells.map(cell =>
    row(code(cell.istio), cell.kubernetes, cell['ip-families'], cell['dataplane-mode'])
  );
  const gone = leftOut.map(({name, reason}) => `- ${code(name)}: ${reason}`);
  return [
    `## ${formatMatrixHeadline(operator, cells, leftOut)}\n`,
    '| Istio | Kubernetes | IP families | data plane |\n| --- | --- | --- | --- |',
    ...table,
    ...(gone.length === 0 ? [] : ['\n### Left out\n', ...gone]),
    ''
  ].join('\n');
}

/** Returns the number of cells and the operator, in one line. */
export const formatMatrixHeadline = (operator: string, cells: Cell[], leftOut: LeftOut[]): string =>
  `${formatCount(cells.length, 'cell')} with the Sail Operator ${operator}${leftOut.length === 0 ? '' : `, ${leftOut.length} left out`}`;

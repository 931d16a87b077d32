import type {Cell, LeftOut} from '../versions/cells.ts';
import {code, row} from './markdown.ts';
import {formatCount} from './words.ts';

/** A matrix as markdown, for the job summary: each cell, and what was left out and why. Pure. */
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

/** What is tested, in one line. */
export const formatMatrixHeadline = (operator: string, cells: Cell[], leftOut: LeftOut[]): string =>
  `${formatCount(cells.length, 'cell')} with the Sail Operator ${operator}${leftOut.length === 0 ? '' : `, ${leftOut.length} left out`}`;

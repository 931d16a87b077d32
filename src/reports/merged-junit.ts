import {type Case, junitXml, type Suite, suitesOf} from './junit.ts';
import type {Matrix} from './merge-results.ts';
import type {Cell} from './merged-cells.ts';
import {line, plain} from './words.ts';

/** A suite for each cell, with all its checks; a cell without results is an error. Pure. */
export function mergedJunit({cells}: Matrix): string {
  const starts = cells.flatMap(({results}) => results?.started ?? []).sort();
  const seconds = Math.max(0, ...cells.map(cell => cell.seconds ?? 0)); // they ran side by side
  return junitXml(cells.map(suite), seconds, starts[0] ?? '');
}

function suite({results, ...cell}: Cell): Suite {
  // Dots part packages in readers.
  const classname = `dual-stack.${cell.name.replaceAll('.', '-')}`;
  const cases = results
    ? suitesOf(results, classname).flatMap(one => one.cases)
    : [missingCase(cell, classname)];
  return {name: cell.name, started: results?.started ?? '', at: 0, cases};
}

const missingCase = ({message, hint}: Pick<Cell, 'message' | 'hint'>, classname: string): Case => ({
  outcome: 'error',
  seconds: 0,
  element: {
    '@classname': `${classname}.run`,
    '@name': 'results',
    '@time': '0.000',
    error: {
      '@message': line(message),
      '@type': 'missing',
      '#text': plain(`${message}\n${hint}`)
    }
  }
});

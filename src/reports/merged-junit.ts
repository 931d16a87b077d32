/** Renders junit.xml of the report action. */
import {buildSuites, type Case, renderSuites, type Suite} from './junit.ts';
import type {Matrix} from './merge-results.ts';
import type {Cell} from './merged-cells.ts';
import {sanitizeLine, sanitizeText} from './words.ts';

/** Returns JUnit XML with a suite for each cell; a cell without results is an error. */
export function renderMergedJunit({cells}: Matrix): string {
  const starts = cells.flatMap(({results}) => results?.started ?? []).sort();
  const seconds = Math.max(0, ...cells.map(cell => cell.seconds ?? 0)); // cells run in parallel
  return renderSuites(cells.map(buildCellSuite), seconds, starts[0] ?? '');
}

function buildCellSuite({results, ...cell}: Cell): Suite {
  // Readers split class names into packages at dots.
  const classname = `dual-stack.${cell.name.replaceAll('.', '-')}`;
  const cases = results
    ? buildSuites(results, classname).flatMap(one => one.cases)
    : [buildMissingCase(cell, classname)];
  return {name: cell.name, started: results?.started ?? '', at: 0, cases};
}

const buildMissingCase = (
  {message, hint}: Pick<Cell, 'message' | 'hint'>,
  classname: string
): Case => ({
  outcome: 'error',
  seconds: 0,
  element: {
    '@classname': `${classname}.run`,
    '@name': 'results',
    '@time': '0.000',
    error: {
      '@message': sanitizeLine(message),
      '@type': 'missing',
      '#text': sanitizeText(`${message}\n${hint}`)
    }
  }
});

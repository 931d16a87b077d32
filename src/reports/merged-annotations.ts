/** Builds the annotations of the report action. */
import {type Annotation, sanitizeAnnotation} from './annotations.ts';
import {type Cause, groupCauses, type Matrix} from './merge-results.ts';
import {buildMergedHeadline} from './merged-verdict.ts';
import {formatCount} from './words.ts';

/** GitHub shows ten of each level for a step. Here it is the limit for all levels together. */
const maxAnnotations = 10;

/** Returns one annotation for each cause: an error if it counts, else a warning. */
export function buildMergedAnnotations(matrix: Matrix): Annotation[] {
  const all = groupCauses(matrix.cells);
  if (all.length === 0)
    return matrix.result === 'passed'
      ? []
      : [{level: 'error', title: buildMergedHeadline(matrix).words, message: 'See the summary.'}];
  const shown = all.length > maxAnnotations ? all.slice(0, maxAnnotations - 1) : all;
  const rest = all.slice(shown.length);
  return [
    ...shown.map(annotateCause),
    ...(rest.length > 0
      ? [
          {
            level: rest.some(cause => cause.counts) ? ('error' as const) : ('warning' as const),
            title: `${rest.length} more causes`,
            message: rest.map(({first}) => first.message).join('\n')
          }
        ]
      : [])
  ].map(sanitizeAnnotation);
}

function annotateCause({counts, cells, first}: Cause): Annotation {
  const what = first.check ?? (first.layer ? `layer ${first.layer}` : `class ${first.class}`);
  return {
    level: counts ? 'error' : 'warning',
    title: `${formatCount(cells.length, 'cell')}: ${what}${counts ? '' : ', not counted'}`,
    message: [first.message, first.hint, `In: ${cells.map(({name}) => name).join(' | ')}`].join(
      '\n'
    )
  };
}

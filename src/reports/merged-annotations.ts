import {type Annotation, clean} from './annotations.ts';
import {type Cause, causes, type Matrix} from './merge-results.ts';
import {mergedHeadline} from './merged-verdict.ts';
import {count} from './words.ts';

/** GitHub shows ten of each level for a step; here that is the most of all. */
const most = 10;

/** One for each cause: an error where it counts, a warning where it does not. */
export function mergedAnnotations(matrix: Matrix): Annotation[] {
  const all = causes(matrix.cells);
  if (all.length === 0)
    return matrix.result === 'passed'
      ? []
      : [{level: 'error', title: mergedHeadline(matrix).words, message: 'See the summary.'}];
  const shown = all.length > most ? all.slice(0, most - 1) : all;
  const rest = all.slice(shown.length);
  return [
    ...shown.map(annotate),
    ...(rest.length > 0
      ? [
          {
            level: rest.some(cause => cause.counts) ? ('error' as const) : ('warning' as const),
            title: `${rest.length} more causes`,
            message: rest.map(({first}) => first.message).join('\n')
          }
        ]
      : [])
  ].map(clean);
}

function annotate({counts, cells, first}: Cause): Annotation {
  const what = first.check ?? (first.layer ? `layer ${first.layer}` : `class ${first.class}`);
  return {
    level: counts ? 'error' : 'warning',
    title: `${count(cells.length, 'cell')}: ${what}${counts ? '' : ', not counted'}`,
    message: [first.message, first.hint, `In: ${cells.map(({name}) => name).join(' | ')}`].join(
      '\n'
    )
  };
}

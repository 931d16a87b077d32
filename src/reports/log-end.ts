import {oneLine} from '../base/log.ts';
import {type Failure, holds, type Results} from '../results/results.ts';
import {failures, type LayerRow, layerRows, type State, sentences} from './findings.ts';
import {headline} from './verdict.ts';
import {onlyLooks, rerun} from './versions.ts';
import {count, line} from './words.ts';

/** The end of the log. Pure. */

/** Foreign text, as a part of a line that begins with a word of ours. */
const foreign = (text: string, most = 1000): string => oneLine(line(text, most));

/**
 * The last lines of the log: the verdict as the summary has it, each layer, what broke and what to do, and where
 * the results are. No line begins with foreign text, so that the runner can take none for a command.
 */
export const logEnd = (results: Results, directory: string): string[] => [
  '',
  verdict(results),
  '',
  ...layerRows(results).map(layer),
  ...(results.failure === null ? [] : ['', ...whatBroke(results, results.failure)]),
  '',
  directory === ''
    ? 'Results: none, they could not be written'
    : `Results: ${foreign(directory, 4000)}`
];

function verdict(results: Results): string {
  const {icon, words, facts, rehearsal} = headline(results);
  const said = [words, ...facts, ...(rehearsal ? [rehearsal] : [])];
  return `${icon} ${said.map(part => foreign(part)).join(' · ')}`;
}

const marks: Record<State, string> = {
  passed: '√',
  flaky: '√',
  failed: '×',
  skipped: '–',
  none: '–'
};

const layer = (row: LayerRow): string =>
  `${marks[row.state]} ${row.layer.padEnd(14)} ${layerSays(row)}`;

function layerSays({state, checks, follow, why}: LayerRow): string {
  const all = count(checks.length, 'check');
  if (state === 'skipped') return `${all} skipped${why && `: ${foreign(why, 100)}`}`;
  const of = (verdict: string) => checks.filter(check => check.verdict === verdict).length;
  const [failed, flaky, skipped] = [of('failed'), of('flaky'), of('skipped')];
  const said = [
    failed > 0 ? `${failed} of ${all} failed` : count(checks.filter(holds).length, 'check'),
    follow > 0 && `${follow === failed ? '' : `${follow} `}as a consequence`,
    flaky > 0 && `${flaky} of them at a later try`,
    skipped > 0 && `${skipped} skipped`
  ];
  return said.filter(Boolean).join(', ');
}

function whatBroke(results: Results, failure: Failure): string[] {
  const {hint, reproduce} = failure;
  const [first = '', ...more] = sentences(failure);
  const happened = results.result === 'failed' ? 'What broke' : 'What happened';
  const {follow} = failures(results);
  return [
    ...(more.length === 0
      ? [`${happened}: ${foreign(first, 2000)}`]
      : [`${happened}:`, ...[first, ...more].map(one => `• ${foreign(one, 2000)}`)]),
    ...(follow.length > 0 ? [`Follows from it: ${count(follow.length, 'failed check')}`] : []),
    `Next: ${foreign(hint, 2000)}`,
    ...byHand(results, reproduce === rerun ? null : (reproduce ?? null))
  ];
}

/** The script first: the cluster of the run is gone when this is read. */
function byHand(results: Results, reproduce: string | null): string[] {
  const {cluster, failure} = results;
  const shown = reproduce === null ? [] : [`See it: ${foreign(reproduce, 4000)}`];
  if (cluster === null || failure?.class === 'input' || onlyLooks(results)) return shown;
  const ends = reproduce === null ? '' : ', and ends with what failed';
  return [...shown, `Again: ${rerun}, in the results, makes the same run${ends}`];
}

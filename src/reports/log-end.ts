import {toSingleLine} from '../base/log.ts';
import {type Failure, isPassing, type Results} from '../results/results.ts';
import {
  buildLayerRows,
  type DisplayState,
  groupFailures,
  type LayerRow,
  splitSentences
} from './findings.ts';
import {buildHeadline} from './verdict.ts';
import {isTargetsRun, rerunCommand} from './versions.ts';
import {formatCount, sanitizeLine} from './words.ts';

/** The end of the log. Pure. */

/** Foreign text, as a part of a line that begins with a word of ours. */
const formatForeign = (text: string, most = 1000): string => toSingleLine(sanitizeLine(text, most));

/**
 * The last lines of the log: the verdict as the summary has it, each layer, what broke and what to do, and where
 * the results are. No line begins with foreign text, so that the runner can take none for a command.
 */
export const formatLogEnd = (results: Results, directory: string): string[] => [
  '',
  formatVerdict(results),
  '',
  ...buildLayerRows(results).map(layer),
  ...(results.failure === null ? [] : ['', ...formatFailure(results, results.failure)]),
  '',
  directory === ''
    ? 'Results: none, they could not be written'
    : `Results: ${formatForeign(directory, 4000)}`
];

function formatVerdict(results: Results): string {
  const {icon, words, facts, rehearsal} = buildHeadline(results);
  const said = [words, ...facts, ...(rehearsal ? [rehearsal] : [])];
  return `${icon} ${said.map(part => formatForeign(part)).join(' · ')}`;
}

const stateMarks: Record<DisplayState, string> = {
  passed: '√',
  flaky: '√',
  failed: '×',
  skipped: '–',
  none: '–'
};

const layer = (row: LayerRow): string =>
  `${stateMarks[row.state]} ${row.layer.padEnd(14)} ${describeLayer(row)}`;

function describeLayer({state, checks, consequenceCount, skipReason}: LayerRow): string {
  const all = formatCount(checks.length, 'check');
  if (state === 'skipped')
    return `${all} skipped${skipReason && `: ${formatForeign(skipReason, 100)}`}`;
  const of = (verdict: string) => checks.filter(check => check.verdict === verdict).length;
  const [failed, flaky, skipped] = [of('failed'), of('flaky'), of('skipped')];
  const said = [
    failed > 0
      ? `${failed} of ${all} failed`
      : formatCount(checks.filter(isPassing).length, 'check'),
    consequenceCount > 0 &&
      `${consequenceCount === failed ? '' : `${consequenceCount} `}as a consequence`,
    flaky > 0 && `${flaky} of them at a later try`,
    skipped > 0 && `${skipped} skipped`
  ];
  return said.filter(Boolean).join(', ');
}

function formatFailure(results: Results, failure: Failure): string[] {
  const {hint, reproduce} = failure;
  const [first = '', ...more] = splitSentences(failure);
  const happened = results.result === 'failed' ? 'What broke' : 'What happened';
  const {follow} = groupFailures(results);
  return [
    ...(more.length === 0
      ? [`${happened}: ${formatForeign(first, 2000)}`]
      : [`${happened}:`, ...[first, ...more].map(one => `• ${formatForeign(one, 2000)}`)]),
    ...(follow.length > 0
      ? [`Follows from it: ${formatCount(follow.length, 'failed check')}`]
      : []),
    `Next: ${formatForeign(hint, 2000)}`,
    ...formatReproduce(results, reproduce === rerunCommand ? null : (reproduce ?? null))
  ];
}

/** The script first: the cluster of the run is gone when this is read. */
function formatReproduce(results: Results, reproduce: string | null): string[] {
  const {cluster, failure} = results;
  const shown = reproduce === null ? [] : [`See it: ${formatForeign(reproduce, 4000)}`];
  if (cluster === null || failure?.class === 'input' || isTargetsRun(results)) return shown;
  const ends = reproduce === null ? '' : ', and ends with what failed';
  return [...shown, `Again: ${rerunCommand}, in the results, makes the same run${ends}`];
}

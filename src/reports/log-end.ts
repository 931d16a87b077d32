/** Formats the end of the log. */
import {toSingleLine} from '../base/log.ts';
import {type Failure, isPassing, type Results} from '../results/results.ts';
import {findLayerPage} from './checks-page.ts';
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

/** Returns foreign text for a line that begins with a word of the Action. */
const formatForeign = (text: string, most = 1000): string => toSingleLine(sanitizeLine(text, most));

/**
 * Returns the last lines of the log: verdict, layers, failure, next step, and the path of the results. No line
 * begins with foreign text, because the runner could execute it as a command.
 */
export const formatLogEnd = (results: Results, directory: string): string[] => [
  '',
  formatVerdict(results),
  '',
  ...buildLayerRows(results).map(layer),
  ...(results.failure === null ? [] : ['', ...formatFailure(results, results.failure)]),
  '',
  directory === '' ? 'Results: not written' : `Results: ${formatForeign(directory, 4000)}`
];

function formatVerdict(results: Results): string {
  const {icon, words, facts, rehearsal} = buildHeadline(results);
  const parts = [words, ...facts, ...(rehearsal ? [rehearsal] : [])];
  return `${icon} ${parts.map(part => formatForeign(part)).join(' · ')}`;
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
  const parts = [
    failed > 0
      ? `${failed} of ${all} failed`
      : formatCount(checks.filter(isPassing).length, 'check'),
    consequenceCount > 0 &&
      `${consequenceCount === failed ? '' : `${consequenceCount} `}as a consequence`,
    flaky > 0 && `${flaky} of them after a retry`,
    skipped > 0 && `${skipped} skipped`
  ];
  return parts.filter(Boolean).join(', ');
}

function formatFailure(results: Results, failure: Failure): string[] {
  const {layer, hint, reproduce} = failure;
  const page = layer && findLayerPage(layer);
  const [first = '', ...more] = splitSentences(failure);
  const happened = results.result === 'failed' ? 'What broke' : 'What happened';
  const {follow} = groupFailures(results);
  return [
    ...(more.length === 0
      ? [`${happened}: ${formatForeign(first, 2000)}`]
      : [`${happened}:`, ...[first, ...more].map(one => `• ${formatForeign(one, 2000)}`)]),
    ...(follow.length > 0 ? [`Consequences: ${formatCount(follow.length, 'failed check')}`] : []),
    `Next: ${formatForeign(hint, 2000)}`,
    ...(page ? [`About this layer: ${page.url ?? page.name}`] : []),
    ...formatReproduce(results, reproduce === rerunCommand ? null : (reproduce ?? null))
  ];
}

/** Also names the script, because the cluster of the run no longer exists. */
function formatReproduce(results: Results, reproduce: string | null): string[] {
  const {cluster, failure} = results;
  const shown = reproduce === null ? [] : [`Reproduce: ${formatForeign(reproduce, 4000)}`];
  if (cluster === null || failure?.class === 'input' || isTargetsRun(results)) return shown;
  const failed = reproduce === null ? '' : ', and ends with the failed check';
  return [...shown, `Rerun: ${rerunCommand}, in the results directory, repeats the run${failed}`];
}

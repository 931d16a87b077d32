/** Formats the counts of checks under load. */
import {type CheckResult, familyNames, type Load, type Results} from '../results/results.ts';

export interface LoadRow {
  /** The cause of the interruption, and the kind of connections. */
  title: string;
  family: string;
  verdict: CheckResult['verdict'];
  /** The counts, in the order of the columns. */
  counts: string[];
}

export const loadTitle = 'Traffic during the upgrade';
export const loadColumns = ['probes', 'failed', 'cut', 'longest gap'];

/** Returns a row for each check that ran under load. */
export const buildLoadRows = (results: Results): LoadRow[] =>
  results.checks.flatMap(({id, family, verdict, load}) =>
    load === undefined || family === null
      ? []
      : [
          {
            title: describeLoad(id, load),
            family: familyNames[family],
            verdict,
            counts: formatLoadCounts(load)
          }
        ]
  );

const describeLoad = (id: string, {connections}: Load): string =>
  `${id.split('/')[1] === 'istiod' ? 'istiod upgraded' : 'server restarted'}, ${connections === 'new' ? 'new connections' : 'one held connection'}`;

const formatLoadCounts = ({connections, sent, failed, cut, longestGap}: Load): string[] => [
  `${sent}`,
  `${failed}`,
  connections === 'held' ? `${cut}` : '',
  `${longestGap} ms`
];

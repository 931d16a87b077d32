import {type CheckResult, familyNames, type Load, type Results} from '../results/results.ts';

/** What was counted under load, as the reports show it. Pure. */

export interface LoadRow {
  /** What was going on meanwhile, and which connections. */
  title: string;
  family: string;
  verdict: CheckResult['verdict'];
  /** The counts, in the order of the columns. */
  counts: string[];
}

export const loadTitle = 'Traffic during the upgrade';
export const loadColumns = ['probes', 'failed', 'cut', 'longest gap'];

/** A row for each check that counted something. */
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
  `${id.split('/')[1] === 'istiod' ? 'istiod upgraded' : 'server restarted'}, ${connections === 'new' ? 'new connections' : 'one that is held'}`;

const formatLoadCounts = ({connections, sent, failed, cut, longestGap}: Load): string[] => [
  `${sent}`,
  `${failed}`,
  connections === 'held' ? `${cut}` : '',
  `${longestGap} ms`
];

import type {Thing} from '../base/kube.ts';
import type {Work} from '../base/schedule.ts';
import type {Sh} from '../base/sh.ts';
import type {Plan} from '../plan/plan.ts';
import type {Attempt, CheckResult, Layer} from '../results/results.ts';

/** A check before it is made: data, the same from run to run. */
export type Row = Pick<
  CheckResult,
  'id' | 'layer' | 'title' | 'family' | 'from' | 'to' | 'target' | 'expected'
>;

/** What a check found. */
export type Finding = Pick<CheckResult, 'observed' | 'verdict'> &
  Partial<Pick<CheckResult, 'address' | 'upstream' | 'reason' | 'because' | 'reproduce'>> & {
    attempts?: Attempt[];
  };

/** Tells what was found of a row. */
export type Tell = (id: string, finding: Finding) => void;

/** For the checks of what is there before a cluster is. */
export interface Preflight {
  work: Work;
  sh: Sh;
  tell: Tell;
}

/** For the checks of what stands before there are samples. */
export interface Standing extends Preflight {
  plan: Plan;
}

/** For the checks of the mesh; `things` is what the API server said once all samples were ready. */
export interface Checking extends Standing {
  things: Thing[];
  /** Tells post what to take back, should this run be cut off before it has done so itself. */
  undo: (commands: string[][]) => void;
}

/** The checks of one layer. */
export interface Checks<Given> {
  layer: Layer;
  rows: Row[];
  /** Tells a finding for each row that is asked for. */
  look: (given: Given, asked: Row[]) => Promise<void>;
}

/** A row with what most rows share. */
export function row(
  layer: Layer,
  id: string,
  title: string,
  expected: string,
  more: Partial<Row> = {}
): Row {
  const [, target = ''] = id.split('/');
  return {id, layer, title, family: null, from: null, to: null, target, expected, ...more};
}

/** Passed where the two are the same, else failed. */
export function compare(expected: string, observed: string, more: Partial<Finding> = {}): Finding {
  const passed = expected === observed;
  return {
    observed,
    verdict: passed ? 'passed' : 'failed',
    reason: passed ? null : `${observed} instead of ${expected}`,
    ...more
  };
}

export const skip = (reason: string): Finding => ({observed: '', verdict: 'skipped', reason});

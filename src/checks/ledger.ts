import type {CheckResult} from '../results/results.ts';
import {type Finding, type Made, type Row, skip} from './definition.ts';

/** Account of what was found of the rows that were asked for. */
export class Ledger {
  readonly #findings = new Map<string, Finding>();
  asked: Row[] = [];
  readonly stage: CheckResult['stage'];

  constructor(stage: CheckResult['stage'] = 'install') {
    this.stage = stage;
  }

  tell = (id: string, finding: Finding): void => {
    if (!this.#leftOut.has(id)) this.#findings.set(id, finding);
  };

  readonly #leftOut = new Set<string>();

  /** Tells that a check cannot be made here, and why: it is not asked for any more. */
  leaveOut(id: string, reason: string): void {
    this.tell(id, skip(reason));
    this.#leftOut.add(id);
  }

  /** Of one layer, what is to be made. */
  of(layer: string): Row[] {
    return this.asked.filter(row => row.layer === layer && !this.#leftOut.has(row.id));
  }

  failedIn(layer: string): Row | undefined {
    return this.of(layer).find(({id}) => this.#findings.get(id)?.verdict === 'failed');
  }

  /** The first of all that failed. */
  get failed(): Row | undefined {
    return this.asked.find(({id}) => this.#findings.get(id)?.verdict === 'failed');
  }

  /** Every row asked for; one that nothing was told of was not reached. */
  results(): Made[] {
    return this.asked.map(row => {
      const unreached: Finding = {observed: '', verdict: 'skipped', reason: 'not reached'};
      const finding = this.#findings.get(row.id) ?? unreached;
      return {
        ...row,
        stage: this.stage,
        address: null,
        upstream: null,
        reason: null,
        because: null,
        reproduce: null,
        attempts: [],
        ...finding,
        ...((row.blame || finding.blame) && {blame: {...row.blame, ...finding.blame}})
      };
    });
  }
}

import type {CheckResult} from '../results/results.ts';
import {type CheckDefinition, type EvaluatedCheck, type Outcome, skip} from './definition.ts';

/** Account of what was found of the rows that were asked for. */
export class Ledger {
  readonly #findings = new Map<string, Outcome>();
  selected: CheckDefinition[] = [];
  readonly stage: CheckResult['stage'];

  constructor(stage: CheckResult['stage'] = 'install') {
    this.stage = stage;
  }

  report = (id: string, outcome: Outcome): void => {
    if (!this.#leftOut.has(id)) this.#findings.set(id, outcome);
  };

  readonly #leftOut = new Set<string>();

  /** Tells that a check cannot be made here, and why: it is not asked for any more. */
  markSkipped(id: string, reason: string): void {
    this.report(id, skip(reason));
    this.#leftOut.add(id);
  }

  /** Of one layer, what is to be made. */
  getSelected(layer: string): CheckDefinition[] {
    return this.selected.filter(check => check.layer === layer && !this.#leftOut.has(check.id));
  }

  findFailedIn(layer: string): CheckDefinition | undefined {
    return this.getSelected(layer).find(({id}) => this.#findings.get(id)?.verdict === 'failed');
  }

  /** The first of all that failed. */
  get firstFailed(): CheckDefinition | undefined {
    return this.selected.find(({id}) => this.#findings.get(id)?.verdict === 'failed');
  }

  /** Every row asked for; one that nothing was told of was not reached. */
  getEvaluatedChecks(): EvaluatedCheck[] {
    return this.selected.map(check => {
      const unreached: Outcome = {observed: '', verdict: 'skipped', reason: 'not reached'};
      const outcome = this.#findings.get(check.id) ?? unreached;
      return {
        ...check,
        stage: this.stage,
        address: null,
        upstream: null,
        reason: null,
        because: null,
        reproduce: null,
        attempts: [],
        ...outcome,
        ...((check.attribution || outcome.attribution) && {
          attribution: {...check.attribution, ...outcome.attribution}
        })
      };
    });
  }
}

/** Collects the outcome of every selected check of one run. */
import type {CheckResult} from '../results/results.ts';
import {type CheckDefinition, type EvaluatedCheck, type Outcome, skip} from './definition.ts';

/** The outcomes of the selected checks. */
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

  /** Skips a check that cannot run here, with its reason; later outcomes of it are ignored. */
  markSkipped(id: string, reason: string): void {
    this.report(id, skip(reason));
    this.#leftOut.add(id);
  }

  /** The selected checks of one layer, without the skipped ones. */
  getSelected(layer: string): CheckDefinition[] {
    return this.selected.filter(check => check.layer === layer && !this.#leftOut.has(check.id));
  }

  findFailedIn(layer: string): CheckDefinition | undefined {
    return this.getSelected(layer).find(({id}) => this.#findings.get(id)?.verdict === 'failed');
  }

  /** The first failed check of all layers. */
  get firstFailed(): CheckDefinition | undefined {
    return this.selected.find(({id}) => this.#findings.get(id)?.verdict === 'failed');
  }

  /** Every selected check; a check without an outcome is skipped as `not reached`. */
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

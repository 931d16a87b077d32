/** Runs phases as soon as their needs have passed, and records their times, waits and errors. */
import type {PhaseResult} from '../results/results.ts';
import {RunStopped} from './fault.ts';
import {logLine} from './log.ts';

/** Seconds since the start of the run. */
export type Clock = () => number;

/** What a phase gets to work with. */
export interface PhaseContext {
  /** Aborted when the run is over, or another phase has failed. */
  signal: AbortSignal;
  clock: Clock;
  /** Logs and records what the phase waits for from now on; null ends the wait. */
  reportWait: (what: string | null) => void;
}

/** One stretch of work, and the phases that must have passed before it. */
export interface Phase {
  name: string;
  needs: string[];
  run: (work: PhaseContext) => Promise<void>;
}

/** Runs each phase as soon as its needs have passed, and records the results. */
export class Schedule {
  /** Results of all phases so far, in the order of declaration; valid at any moment. */
  readonly phases: PhaseResult[] = [];
  /** Errors that made phases fail, in the order of time. */
  readonly errors: {phase: string; error: unknown}[] = [];
  readonly #ended = new Map<string, Promise<PhaseResult>>();
  readonly #stop = new AbortController();

  readonly clock: Clock;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Runs these phases and resolves when all have ended. Rejects only if a need is not listed before its phase. */
  async run(phases: Phase[]): Promise<void> {
    const known = new Set(this.#ended.keys());
    for (const {name, needs} of phases) {
      const missing = needs.find(need => !known.has(need));
      if (missing) throw new Error(`${name} needs ${missing}, which is not listed before it`);
      known.add(name);
    }
    await Promise.all(phases.map(phase => this.#start(phase)));
  }

  /** Ends all waits; running phases are recorded as cancelled. */
  stop(): void {
    this.#stop.abort();
    const now = this.clock();
    for (const phase of this.phases.filter(phase => phase.status === 'cancelled'))
      phase.seconds = phase.at === null ? 0 : now - phase.at;
  }

  get failed(): boolean {
    return this.errors.length > 0;
  }

  #start(phase: Phase): Promise<PhaseResult> {
    const needed = phase.needs.flatMap(need => this.#ended.get(need) ?? []);
    const result: PhaseResult = {
      name: phase.name,
      status: 'skipped',
      needs: phase.needs,
      at: null,
      seconds: 0,
      waits: []
    };
    this.phases.push(result);
    const ended = this.#runOne(phase, result, needed);
    this.#ended.set(phase.name, ended);
    return ended;
  }

  async #runOne(phase: Phase, result: PhaseResult, needed: Promise<PhaseResult>[]) {
    const before = await Promise.all(needed);
    if (this.#stop.signal.aborted || before.some(({status}) => status !== 'passed')) return result;
    const start = this.clock();
    Object.assign(result, {at: start, status: 'cancelled'}); // until it ends
    logLine(start, phase.name, 'started');
    const waits = new Waits(phase.name, this.clock);
    result.waits = waits.list;
    try {
      await phase.run({
        signal: this.#stop.signal,
        clock: this.clock,
        reportWait: what => waits.next(what)
      });
      result.status = 'passed';
    } catch (error) {
      if (!(error instanceof RunStopped)) {
        result.status = 'failed';
        this.errors.push({phase: phase.name, error});
        this.#stop.abort();
      }
    }
    waits.next(null);
    result.seconds = this.clock() - start;
    logLine(this.clock(), phase.name, `${result.status} after ${result.seconds.toFixed(1)} s`);
    return result;
  }
}

/** What a phase waited for: each wait text once, with its total seconds. */
class Waits {
  readonly list: {for: string; seconds: number}[] = [];
  #current: {for: string; seconds: number} | null = null;
  #since = 0;

  readonly phase: string;
  readonly clock: Clock;

  constructor(phase: string, clock: Clock) {
    this.phase = phase;
    this.clock = clock;
  }

  next(what: string | null): void {
    if (what === (this.#current?.for ?? null)) return;
    const now = this.clock();
    if (this.#current) this.#current.seconds += now - this.#since;
    this.#since = now;
    this.#current = what === null ? null : this.#entry(what);
    if (what !== null) logLine(now, this.phase, `waits for ${what}`);
  }

  #entry(what: string) {
    const known = this.list.find(wait => wait.for === what);
    if (known) return known;
    const entry = {for: what, seconds: 0};
    this.list.push(entry);
    return entry;
  }
}

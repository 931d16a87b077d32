/** Polls until a condition holds, and distinguishes waiting, bad and lost states. */
import {setTimeout as sleep} from 'node:timers/promises';
import {type Fault, RunStopped} from './fault.ts';
import type {PhaseContext} from './schedule.ts';
import {CommandError} from './sh.ts';

/** What one poll found. */
export type PollResult<Value> =
  | {is: 'done'; value: Value}
  /** Not yet, and nothing is wrong. */
  | {is: 'waiting'; for: string}
  /** Bad, but may recover: the fault is thrown once this holds for `patience` seconds, its own or that of the options. */
  | {is: 'bad'; for: string; fault: Fault; patience?: number}
  /** Cannot recover. */
  | {is: 'lost'; fault: Fault};

export interface PollOptions {
  /** Minimum seconds between polls. */
  every?: number;
  /** Seconds for which a bad state must hold before its fault is thrown. */
  patience?: number;
}

// a restarting API server or a busy machine recovers within this time
const failuresInRow = 3;
const failingSeconds = 10;

/**
 * Polls until the result is `done`. Throws the fault of a lost or lasting bad state, and RunStopped when the run is over.
 * Throws a CommandError after at least three failed polls in a row, over at least 10 s.
 */
export async function pollUntil<Value>(
  work: PhaseContext,
  poll: () => Promise<PollResult<Value>>,
  {every = 0.3, patience = 15}: PollOptions = {}
): Promise<Value> {
  const badSince = new Map<number, number>(); // by patience: a state with a short patience must not inherit the time of one with a long patience
  let failing: FailureStreak | null = null;
  for (;;) {
    if (work.signal.aborted) throw new RunStopped();
    const found = await poll().catch((error: Error) => error);
    if (found instanceof Error) {
      failing = recordFailure(found, failing, work.clock());
      work.reportWait(`a retry after: ${found.message.slice(0, 300)}`);
      await pause(every, work.signal);
      continue;
    }
    failing = null;
    if (found.is === 'done') {
      work.reportWait(null);
      return found.value;
    }
    if (found.is === 'lost') throw found.fault;
    work.reportWait(found.for);
    if (found.is === 'waiting') badSince.clear();
    else {
      const {patience: given = patience} = found;
      const since = badSince.get(given) ?? work.clock();
      badSince.set(given, since);
      if (work.clock() - since >= given) throw found.fault;
    }
    await pause(every, work.signal);
  }
}

/** The longest wait in seconds, and its text by the last value. */
export interface PollLimit<Value> extends Pick<PollOptions, 'every'> {
  seconds: number;
  for: (found: Value) => string;
}

/** Polls until the value is enough or the time is over. Resolves to the last value. Throws as `pollUntil` does. */
export function pollForAtMost<Value>(
  work: PhaseContext,
  limit: PollLimit<Value>,
  poll: () => Promise<Value>,
  isEnough: (value: Value) => boolean
): Promise<Value> {
  const end = work.clock() + limit.seconds;
  return pollUntil(
    work,
    async () => {
      const value = await poll();
      return isEnough(value) || work.clock() > end
        ? {is: 'done', value}
        : {is: 'waiting', for: limit.for(value)};
    },
    limit
  );
}

/** Failed polls in a row. */
interface FailureStreak {
  times: number;
  since: number;
}

/** Counts a failed poll. Throws any error but a CommandError, and a CommandError that has lasted too long. */
function recordFailure(error: Error, before: FailureStreak | null, now: number): FailureStreak {
  if (!(error instanceof CommandError)) throw error;
  const failing = {times: (before?.times ?? 0) + 1, since: before?.since ?? now};
  if (failing.times >= failuresInRow && now - failing.since >= failingSeconds) throw error;
  return failing;
}

async function pause(seconds: number, signal: AbortSignal): Promise<void> {
  await sleep(seconds * 1000, undefined, {signal}).catch(() => {}); // the loop sees the abort
}

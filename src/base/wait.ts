import {setTimeout as sleep} from 'node:timers/promises';
import {type Fault, RunStopped} from './fault.ts';
import type {PhaseContext} from './schedule.ts';
import {CommandError} from './sh.ts';

/** What one look found. */
export type PollResult<Value> =
  | {is: 'done'; value: Value}
  /** Not yet, and nothing is wrong. */
  | {is: 'waiting'; for: string}
  /** Looks wrong, and may heal: told only when it holds, for its own `patience` in seconds where it has one. */
  | {is: 'bad'; for: string; fault: Fault; patience?: number}
  /** Cannot heal. */
  | {is: 'lost'; fault: Fault};

export interface PollOptions {
  /** Seconds between looks, at least. */
  every?: number;
  /** Seconds for which a bad state must hold before it is believed. */
  patience?: number;
}

// an API server that starts anew, or a machine that is busy, is back within this; it cannot be told from one that is gone sooner
const failuresInRow = 3;
const failingSeconds = 10;

/**
 * Looks again and again until it is done. Throws the fault that was found, or Stopped when the run is over; and a
 * CommandError of a look only when one look after the other has failed, for some seconds.
 */
export async function pollUntil<Value>(
  work: PhaseContext,
  poll: () => Promise<PollResult<Value>>,
  {every = 0.3, patience = 15}: PollOptions = {}
): Promise<Value> {
  const badSince = new Map<number, number>(); // of each patience by itself: what needs less has not been bad for long because of what may take longer
  let failing: FailureStreak | null = null;
  for (;;) {
    if (work.signal.aborted) throw new RunStopped();
    const found = await poll().catch((error: Error) => error);
    if (found instanceof Error) {
      failing = recordFailure(found, failing, work.clock());
      work.reportWait(`another look, after: ${found.message.slice(0, 300)}`);
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

/** How long is waited at most, in seconds, and what for, by what was found. */
export interface PollLimit<Value> extends Pick<PollOptions, 'every'> {
  seconds: number;
  for: (found: Value) => string;
}

/** Looks again and again until it is enough, or the time is over: what was found last. Throws as `until` does. */
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

/** Looks that failed one after the other. */
interface FailureStreak {
  times: number;
  since: number;
}

/** Throws what is no command's failure, or has been failing for long. */
function recordFailure(error: Error, before: FailureStreak | null, now: number): FailureStreak {
  if (!(error instanceof CommandError)) throw error;
  const failing = {times: (before?.times ?? 0) + 1, since: before?.since ?? now};
  if (failing.times >= failuresInRow && now - failing.since >= failingSeconds) throw error;
  return failing;
}

async function pause(seconds: number, signal: AbortSignal): Promise<void> {
  await sleep(seconds * 1000, undefined, {signal}).catch(() => {}); // the loop sees the abort
}

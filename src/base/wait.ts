import {setTimeout as sleep} from 'node:timers/promises';
import {type Fault, Stopped} from './fault.ts';
import type {Work} from './schedule.ts';

/** What one look found. */
export type Look<Value> =
  | {is: 'done'; value: Value}
  /** Not yet, and nothing is wrong. */
  | {is: 'waiting'; for: string}
  /** Looks wrong, and may heal: told only when it holds. */
  | {is: 'bad'; for: string; fault: Fault}
  /** Cannot heal. */
  | {is: 'lost'; fault: Fault};

export interface Pace {
  /** Seconds between looks, at least. */
  every?: number;
  /** Seconds for which a bad state must hold before it is believed. */
  patience?: number;
  /** True while something under way may heal a bad state, such as an image transfer. */
  busy?: () => boolean;
}

/** Looks again and again until it is done. Throws the fault that was found, or Stopped when the run is over. */
export async function until<Value>(
  work: Work,
  look: () => Promise<Look<Value>>,
  {every = 0.3, patience = 15, busy = () => false}: Pace = {}
): Promise<Value> {
  let badSince: number | null = null;
  for (;;) {
    if (work.signal.aborted) throw new Stopped();
    const found = await look();
    if (found.is === 'done') {
      work.waitFor(null);
      return found.value;
    }
    if (found.is === 'lost') throw found.fault;
    work.waitFor(found.for);
    if (found.is === 'waiting' || busy()) badSince = null;
    else if (badSince === null) badSince = work.clock();
    else if (work.clock() - badSince >= patience) throw found.fault;
    await pause(every, work.signal);
  }
}

async function pause(seconds: number, signal: AbortSignal): Promise<void> {
  await sleep(seconds * 1000, undefined, {signal}).catch(() => {}); // the loop sees the abort
}

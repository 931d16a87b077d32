/** Runs synchronous work on foreign text with a time limit. */
import {runInNewContext} from 'node:vm';

/** Work on foreign text exceeded its time limit. */
export class TimeLimitError extends Error {
  constructor(seconds: number) {
    super(`reading it takes more than ${seconds} s`);
    this.name = 'TooSlow';
  }
}

/** Runs synchronous work, such as a parser or a regular expression, and interrupts it after `seconds`. Throws TimeLimitError. */
export function runWithTimeLimit<Value>(work: () => Value, seconds = 5): Value {
  try {
    return runInNewContext('work()', {work}, {timeout: seconds * 1000}) as Value;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT')
      throw new TimeLimitError(seconds);
    throw error;
  }
}

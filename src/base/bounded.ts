import {runInNewContext} from 'node:vm';

/** Work on foreign text took longer than any honest text does. */
export class TimeLimitError extends Error {
  constructor(seconds: number) {
    super(`it takes more than ${seconds} s to read`);
    this.name = 'TooSlow';
  }
}

/** Does work that does not wait for anything, and ends it when it takes too long: a parser or a regular expression too. Throws TooSlow. */
export function runWithTimeLimit<Value>(work: () => Value, seconds = 5): Value {
  try {
    return runInNewContext('work()', {work}, {timeout: seconds * 1000}) as Value;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT')
      throw new TimeLimitError(seconds);
    throw error;
  }
}

import * as core from '@actions/core';
import {runWithTimeLimit, TimeLimitError} from '../base/bounded.ts';
import {createInputFault} from '../base/fault.ts';
import type {CheckDefinition} from '../checks/definition.ts';
import {quoteValue} from '../inputs/readers.ts';

/** The rows that `checks` asks for, at least one; an expression that explodes would never end. Throws a Fault of class `input`. */
export function selectChecks(choose: () => CheckDefinition[]): CheckDefinition[] {
  const found = `checks: found ${quoteValue(core.getInput('checks'))}, which`;
  const definitions = runBounded(choose, found);
  if (definitions.length === 0)
    throw createInputFault(`${found} leaves no check; accepted is what leaves at least one`);
  return definitions;
}

function runBounded(choose: () => CheckDefinition[], found: string): CheckDefinition[] {
  try {
    return runWithTimeLimit(choose);
  } catch (error) {
    if (!(error instanceof TimeLimitError)) throw error;
    throw createInputFault(
      `${found} takes too long; accepted is a regular expression without repetitions in repetitions`
    );
  }
}

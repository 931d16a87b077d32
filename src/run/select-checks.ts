/** Selects the checks of a run, with a time limit for the expression in `checks`. */
import * as core from '@actions/core';
import {runWithTimeLimit, TimeLimitError} from '../base/bounded.ts';
import {createInputFault} from '../base/fault.ts';
import type {CheckDefinition} from '../checks/definition.ts';
import {quoteValue} from '../inputs/readers.ts';

/** The checks that the input `checks` selects, at least one. Throws a Fault of class `input`, also after a time limit: some expressions never end. */
export function selectChecks(choose: () => CheckDefinition[]): CheckDefinition[] {
  const found = `Invalid \`checks\` ${quoteValue(core.getInput('checks'))}:`;
  const definitions = runBounded(choose, found);
  if (definitions.length === 0)
    throw createInputFault(
      `${found} no check matches; expected an expression that selects at least one`
    );
  return definitions;
}

function runBounded(choose: () => CheckDefinition[], found: string): CheckDefinition[] {
  try {
    return runWithTimeLimit(choose);
  } catch (error) {
    if (!(error instanceof TimeLimitError)) throw error;
    throw createInputFault(
      `${found} matching takes too long; expected a regular expression without nested repetitions`
    );
  }
}

import * as core from '@actions/core';
import {bounded, TooSlow} from '../base/bounded.ts';
import {badInput} from '../base/fault.ts';
import type {CheckDefinition} from '../checks/definition.ts';
import {quoted} from '../inputs/readers.ts';

/** The rows that `checks` asks for, at least one; an expression that explodes would never end. Throws a Fault of class `input`. */
export function selectChecks(choose: () => CheckDefinition[]): CheckDefinition[] {
  const found = `checks: found ${quoted(core.getInput('checks'))}, which`;
  const definitions = inTime(choose, found);
  if (definitions.length === 0)
    throw badInput(`${found} leaves no check; accepted is what leaves at least one`);
  return definitions;
}

function inTime(choose: () => CheckDefinition[], found: string): CheckDefinition[] {
  try {
    return bounded(choose);
  } catch (error) {
    if (!(error instanceof TooSlow)) throw error;
    throw badInput(
      `${found} takes too long; accepted is a regular expression without repetitions in repetitions`
    );
  }
}

/** Repeats failed probes until they pass or their time is over. */
import {setTimeout as sleep} from 'node:timers/promises';
import {RunStopped} from '../base/fault.ts';
import type {CheckDefinition, MeshCheckInput, Outcome} from './definition.ts';

/** Seconds until a change, such as a policy or a ServiceEntry, must be in force; measured: 0.8. */
export const settleSeconds = 10;

/** The outcome of one question. */
export interface QuestionOutcome<Question> {
  question: Question;
  outcome: Outcome;
}

/** Repeats failed questions for up to `seconds(check)`, then reports the last outcome of each. Throws RunStopped. */
export async function settle<Question extends {check: CheckDefinition}>(
  {work, report}: MeshCheckInput,
  questions: Question[],
  probe: (open: Question[]) => Promise<QuestionOutcome<Question>[]>,
  seconds: (check: CheckDefinition) => number = () => settleSeconds
): Promise<void> {
  const start = work.clock();
  for (let open = questions; open.length > 0; ) {
    const found = await probe(open);
    if (work.signal.aborted) throw new RunStopped();
    const passed = work.clock() - start;
    const maySettle = (check: CheckDefinition) => seconds(check) > 0 && passed <= seconds(check);
    const red = found.filter(({outcome}) => outcome.verdict === 'failed');
    const again = red.filter(({question}) => maySettle(question.check));
    for (const one of found) if (!again.includes(one)) report(one.question.check.id, one.outcome);
    open = again.map(({question}) => question);
    if (open.length > 0) await sleep(300);
  }
}

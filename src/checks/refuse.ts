import type {CheckDefinition, MeshCheckInput, Outcome} from './definition.ts';
import {
  type Answer,
  type Client,
  type Probe,
  plainClient,
  reproduceProbe,
  sendProbes,
  toAttempts
} from './probe.ts';
import {type QuestionOutcome, settle, settleSeconds} from './settle.ts';

/** What a row expects that nothing answers. */
export const noAnswer = 'no answer';

/** How long a probe waits for an answer, in seconds. */
const patience = 1;

/** Who refuses ends the connection at once; what was only too late for the patience may have been lost, and must be so each time. */
const times = 4;

/** Proves that nothing answers these probes. */
export async function proveNoAnswer(
  client: Client,
  proofs: Question[],
  input: MeshCheckInput
): Promise<void> {
  if (proofs.length === 0) return;
  const found = await judged(input, {client, ...never}, proofs);
  for (const {question, outcome} of found) input.report(question.check.id, outcome);
}

/** What nothing should answer. */
interface Question {
  check: CheckDefinition;
  probe: Probe;
}

/** Who asks, and what is told of an answer that should not have come. */
interface Refusal {
  client: Client;
  observed: (text: string) => string;
  reason: (probe: Probe, text: string) => string;
}

/** Nothing should have answered there. */
const never = {
  observed: (text: string) => text,
  reason: ({address, port}: Probe, text: string) =>
    `${address} port ${port} answered "${text}", expected none`
};

const plaintext: Refusal = {
  client: plainClient,
  observed: () => 'plaintext was answered, should be refused',
  reason: ({address, port}, text) =>
    `plaintext to ${address} port ${port} was answered "${text}" although STRICT was asked for ${settleSeconds} s ago`
};

/** Proves that something is refused, plaintext to STRICT ports or what else is said: asked until it is, for a policy takes a moment to be in force. */
export async function settleRefusals(
  proofs: Question[],
  input: MeshCheckInput,
  refusal: Refusal = plaintext
): Promise<void> {
  await settle(input, proofs, open => judged(input, refusal, open));
}

async function judged(
  input: MeshCheckInput,
  refusal: Refusal,
  questions: Question[]
): Promise<QuestionOutcome<Question>[]> {
  const answers = questions.map((): Answer[] => []);
  const isOpen = (given: Answer[]) =>
    given.length < times && given.every(({text, seconds}) => text === '' && seconds >= patience);
  for (let turn = 0; turn < times; turn++) {
    const open = questions.flatMap(({probe}, at) => {
      const given = answers[at] ?? [];
      return isOpen(given) ? [{probe, given}] : [];
    });
    if (open.length === 0) break;
    const probes = open.map(({probe}) => probe);
    const found = await sendProbes(input, refusal.client, probes, 1, patience);
    for (const [at, {given}] of open.entries()) given.push(...(found[at] ?? []));
  }
  return questions.map((question, at) => ({
    question,
    outcome: judge(refusal, question.probe, answers[at] ?? [])
  }));
}

function judge({client, observed, reason}: Refusal, probe: Probe, answers: Answer[]): Outcome {
  const text = answers.at(-1)?.text ?? '';
  return {
    observed: text === '' ? noAnswer : observed(text),
    verdict: text === '' ? 'passed' : 'failed',
    reason: text === '' ? null : reason(probe, text),
    address: probe.address,
    attempts: toAttempts(answers),
    reproduce: reproduceProbe(client, probe)
  };
}

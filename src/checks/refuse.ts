/** Proves that an address refuses connections. */
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

/** The expected value of a check that must get no answer. */
export const noAnswer = 'no answer';

/** Seconds that a probe waits for an answer. */
const patience = 1;

/** Number of probes. A refusal ends the connection at once; a timeout can be a lost packet, so it must repeat each time. */
const times = 4;

/** Proves that these probes get no answer. */
export async function proveNoAnswer(
  client: Client,
  proofs: Question[],
  input: MeshCheckInput
): Promise<void> {
  if (proofs.length === 0) return;
  const found = await judged(input, {client, ...never}, proofs);
  for (const {question, outcome} of found) input.report(question.check.id, outcome);
}

/** A check, and its probe that must get no answer. */
interface Question {
  check: CheckDefinition;
  probe: Probe;
}

/** The client, and the texts for an unexpected answer. */
interface Refusal {
  client: Client;
  observed: (text: string) => string;
  reason: (probe: Probe, text: string) => string;
}

const never = {
  observed: (text: string) => text,
  reason: ({address, port}: Probe, text: string) =>
    `${address} port ${port} answered "${text}", expected no answer`
};

const plaintext: Refusal = {
  client: plainClient,
  observed: () => 'answered plaintext',
  reason: ({address, port}, text) =>
    `${address} port ${port} answered plaintext with "${text}", ${settleSeconds} s after STRICT mutual TLS was set`
};

/** Proves a refusal, by default of plaintext to STRICT ports. Repeats failed probes for `settleSeconds`, until a policy is in force. */
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

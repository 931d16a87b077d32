import {
  type Answer,
  ask,
  attemptsOf,
  type Client,
  type Probe,
  plainClient,
  reproduceProbe
} from './probe.ts';
import type {Checking, Finding, Row} from './row.ts';
import {type Found, settle, settling} from './settle.ts';

/** What a row expects that nothing answers. */
export const refused = 'no answer';

/** Sees that nothing answers at an address; how long a probe waits for that, in seconds. */
const patience = 1;

/** Proves that nothing answers these probes. */
export async function refuse(
  client: Client,
  proofs: Question[],
  checking: Checking
): Promise<void> {
  if (proofs.length === 0) return;
  const found = await judged(checking, {client, ...never}, proofs);
  for (const {question, finding} of found) checking.tell(question.row.id, finding);
}

/** What nothing should answer. */
interface Question {
  row: Row;
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
    `plaintext to ${address} port ${port} was answered "${text}" although STRICT was asked for ${settling} s ago`
};

/** Proves that something is refused, plaintext to STRICT ports or what else is said: asked until it is, for a policy takes a moment to be in force. */
export async function untilRefused(
  proofs: Question[],
  checking: Checking,
  refusal: Refusal = plaintext
): Promise<void> {
  await settle(checking, proofs, open => judged(checking, refusal, open));
}

async function judged(
  checking: Checking,
  refusal: Refusal,
  questions: Question[]
): Promise<Found<Question>[]> {
  const probes = questions.map(({probe}) => probe);
  const answers = await ask(checking, refusal.client, probes, 1, patience);
  return questions.map((question, at) => ({
    question,
    finding: judge(refusal, question.probe, answers[at] ?? [])
  }));
}

function judge({client, observed, reason}: Refusal, probe: Probe, answers: Answer[]): Finding {
  const text = answers[0]?.text ?? '';
  return {
    observed: text === '' ? refused : observed(text),
    verdict: text === '' ? 'passed' : 'failed',
    reason: text === '' ? null : reason(probe, text),
    address: probe.address,
    attempts: attemptsOf(answers),
    reproduce: reproduceProbe(client, probe)
  };
}

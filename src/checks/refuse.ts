import {setTimeout as sleep} from 'node:timers/promises';
import {Stopped} from '../base/fault.ts';
import {ask, attemptsOf, type Client, type Probe, plainClient, reproduceProbe} from './probe.ts';
import type {Checking, Row} from './row.ts';

/** What a row expects that nothing answers. */
export const refused = 'no answer';

/** Sees that nothing answers at an address; how long a probe waits for that, in seconds. */
const patience = 1;

/** Proves that nothing answers these probes. */
export async function refuse(
  client: Client,
  proofs: {row: Row; probe: Probe}[],
  checking: Checking
): Promise<void> {
  if (proofs.length === 0) return;
  const answers = await ask(
    checking,
    client,
    proofs.map(({probe}) => probe),
    1,
    patience
  );
  for (const [at, {row, probe}] of proofs.entries()) {
    const text = answers[at]?.[0]?.text ?? '';
    checking.tell(row.id, {
      observed: text || refused,
      verdict: text === '' ? 'passed' : 'failed',
      reason:
        text === ''
          ? null
          : `${probe.address} port ${probe.port} answered "${text}", expected none`,
      address: probe.address,
      attempts: attemptsOf(answers[at] ?? []),
      reproduce: reproduceProbe(client, probe)
    });
  }
}

/** How long a policy, such as STRICT, may take until it is in force, in seconds; measured was 0.8. */
export const settling = 10;

/** Who asks, and what is told of an answer that should not have come. */
interface Refusal {
  client: Client;
  observed: (text: string) => string;
  reason: (probe: Probe, text: string) => string;
}

const plaintext: Refusal = {
  client: plainClient,
  observed: () => 'plaintext was answered, should be refused',
  reason: ({address, port}, text) =>
    `plaintext to ${address} port ${port} was answered "${text}" although STRICT was asked for ${settling} s ago`
};

/** Proves that something is refused, plaintext to STRICT ports or what else is said: asked until it is, for a policy takes a moment to be in force. */
export async function untilRefused(
  proofs: {row: Row; probe: Probe}[],
  checking: Checking,
  {client, observed, reason}: Refusal = plaintext
): Promise<void> {
  const {work, tell} = checking;
  const end = work.clock() + settling;
  for (let open = proofs; open.length > 0; ) {
    const probes = open.map(({probe}) => probe);
    const said = await ask(checking, client, probes, 1, patience);
    if (work.signal.aborted) throw new Stopped();
    const over = work.clock() > end;
    open = open.filter(({row, probe}, at) => {
      const answers = said[at] ?? [];
      const text = answers[0]?.text ?? '';
      if (text !== '' && !over) return true;
      tell(row.id, {
        observed: text === '' ? refused : observed(text),
        verdict: text === '' ? 'passed' : 'failed',
        reason: text === '' ? null : reason(probe, text),
        address: probe.address,
        attempts: attemptsOf(answers),
        reproduce: reproduceProbe(client, probe)
      });
      return false;
    });
    if (open.length > 0) await sleep(300);
  }
}

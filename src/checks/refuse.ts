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

/** How long STRICT may take until it is in force, in seconds; measured was 0.8. */
export const settling = 10;

/** Proves that plaintext to STRICT ports is refused: asked until it is, for a policy takes a moment to be in force. */
export async function untilRefused(
  proofs: {row: Row; probe: Probe}[],
  checking: Checking
): Promise<void> {
  const {work, tell} = checking;
  const end = work.clock() + settling;
  for (let open = proofs; open.length > 0; ) {
    const probes = open.map(({probe}) => probe);
    const said = await ask(checking, plainClient, probes, 1, patience);
    if (work.signal.aborted) throw new Stopped();
    const over = work.clock() > end;
    open = open.filter(({row, probe}, at) => {
      const answers = said[at] ?? [];
      const text = answers[0]?.text ?? '';
      if (text !== '' && !over) return true;
      tell(row.id, {
        observed: text === '' ? refused : 'plaintext was answered, should be refused',
        verdict: text === '' ? 'passed' : 'failed',
        reason:
          text === ''
            ? null
            : `plaintext to ${probe.address} port ${probe.port} was answered "${text}" although STRICT was asked for ${settling} s ago`,
        address: probe.address,
        attempts: attemptsOf(answers),
        reproduce: reproduceProbe(plainClient, probe)
      });
      return false;
    });
    if (open.length > 0) await sleep(300);
  }
}

import {ask, attemptsOf, type Client, type Probe, reproduceProbe} from './probe.ts';
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

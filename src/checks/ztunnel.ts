import {setTimeout as sleep} from 'node:timers/promises';
import {ztunnelNamespace} from '../manifests/istio.ts';
import type {Checking, Finding, Row} from './row.ts';

/** A connection of which ztunnel has logged the end, by the names that it has for its fields. */
export type Logged = Record<string, string>;

export const logged = async ({sh}: Checking): Promise<string[]> =>
  (await sh(logCommand, {seconds: 20})).stdout.split('\n');

export const logCommand = [
  ...['kubectl', 'logs', '--namespace', ztunnelNamespace, '--selector', 'app=ztunnel'],
  ...['--tail', '5000', '--max-log-requests', '100']
];

/** Lines such as `… info access connection complete src.addr=10.0.0.1:2 … dst.identity="spiffe://…" … duration="1ms"`. */
export const parseAccess = (lines: string[]): Logged[] =>
  lines
    .filter(line => /\baccess\s+connection complete\b/.test(line))
    .map(line =>
      Object.fromEntries(
        [...line.matchAll(/([\w.]+)=(?:"([^"]*)"|(\S+))/g)].map(([, name, quoted, bare]) => [
          name,
          quoted ?? bare ?? ''
        ])
      )
    );

/** How long ztunnel may take to log a connection that has ended, in seconds. */
const logging = 3;

/** Tells of connections by what was not logged before. */
export async function untilLogged(
  checking: Checking,
  asked: Row[],
  past: string[],
  judge: (row: Row, logged: Logged[]) => Finding
): Promise<void> {
  if (asked.length === 0) return;
  const end = checking.work.clock() + logging;
  for (;;) {
    const fresh = (await logged(checking)).filter(line => !past.includes(line));
    const findings = asked.map(row => ({row, finding: judge(row, parseAccess(fresh))}));
    const whole = findings.every(({finding}) => finding.verdict === 'passed');
    if (!whole && checking.work.clock() < end && !checking.work.signal.aborted) await sleep(300);
    else {
      for (const {row, finding} of findings) checking.tell(row.id, finding);
      return;
    }
  }
}

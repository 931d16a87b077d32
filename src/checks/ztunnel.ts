/** Reads the access log of ztunnel, and judges connections by it. */
import {ztunnelNamespace} from '../manifests/istio-resources.ts';
import type {CheckDefinition, MeshCheckInput, Outcome} from './definition.ts';
import {settle} from './settle.ts';

/** A completed connection in ztunnel's access log: values by field name. */
export type LoggedConnection = Record<string, string>;

export const fetchZtunnelLog = async ({sh}: MeshCheckInput): Promise<string[]> =>
  (await sh(logCommand, {seconds: 20})).stdout.split('\n');

export const logCommand = [
  ...['kubectl', 'logs', '--namespace', ztunnelNamespace, '--selector', 'app=ztunnel'],
  ...['--tail', '5000', '--max-log-requests', '100']
];

/** Parses lines such as `… info access connection complete src.addr=10.0.0.1:2 … dst.identity="spiffe://…" … duration="1ms"`. */
export const parseAccessLog = (lines: string[]): LoggedConnection[] =>
  lines
    .filter(line => /\baccess\s+connection complete\b/.test(line))
    .map(line =>
      Object.fromEntries(
        [...line.slice(0, 4000).matchAll(/(?<![\w.])([\w.]{1,100})=(?:"([^"]*)"|(\S+))/g)].map(
          ([, name, quoted, bare]) => [name, quoted ?? bare ?? '']
        )
      )
    );

/** Seconds until ztunnel must have logged a completed connection. */
const logging = 3;

/** Judges connections by the log lines that are not in `past`, and repeats until they pass or time is over. */
export async function settleByLog(
  input: MeshCheckInput,
  selected: CheckDefinition[],
  past: string[],
  judge: (check: CheckDefinition, logged: LoggedConnection[]) => Outcome
): Promise<void> {
  const questions = selected.map(check => ({check}));
  await settle(
    input,
    questions,
    async open => {
      const fresh = (await fetchZtunnelLog(input)).filter(line => !past.includes(line));
      const access = parseAccessLog(fresh);
      return open.map(question => ({question, outcome: judge(question.check, access)}));
    },
    () => logging
  );
}

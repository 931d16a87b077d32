import {ztunnelNamespace} from '../manifests/istio-resources.ts';
import type {CheckDefinition, MeshCheckInput, Outcome} from './definition.ts';
import {settle} from './settle.ts';

/** A connection of which ztunnel has logged the end, by the names that it has for its fields. */
export type Logged = Record<string, string>;

export const logged = async ({sh}: MeshCheckInput): Promise<string[]> =>
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
        [...line.slice(0, 4000).matchAll(/(?<![\w.])([\w.]{1,100})=(?:"([^"]*)"|(\S+))/g)].map(
          ([, name, quoted, bare]) => [name, quoted ?? bare ?? '']
        )
      )
    );

/** How long ztunnel may take to log a connection that has ended, in seconds. */
const logging = 3;

/** Tells of connections by what was not logged before. */
export async function untilLogged(
  input: MeshCheckInput,
  selected: CheckDefinition[],
  past: string[],
  judge: (check: CheckDefinition, logged: Logged[]) => Outcome
): Promise<void> {
  const questions = selected.map(check => ({row: check}));
  await settle(
    input,
    questions,
    async open => {
      const fresh = (await logged(input)).filter(line => !past.includes(line));
      const access = parseAccess(fresh);
      return open.map(question => ({question, finding: judge(question.row, access)}));
    },
    () => logging
  );
}

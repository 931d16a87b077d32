import {groupBy} from '../base/group.ts';
import type {Attempt} from '../results/results.ts';
import type {CheckDefinition, MeshCheckInput, Outcome} from './definition.ts';
import {
  type Answer,
  type Client,
  type Probe,
  reproduceProbe,
  sendProbes,
  toAttempts
} from './probe.ts';
import {settle} from './settle.ts';

/** A row, and the probe that decides it. */
export interface Proof {
  check: CheckDefinition;
  probe: Probe;
  /** Addresses of the pods behind it: which of them the connection took is told as `upstream`. */
  pods: string[];
  /** How often it must be answered, where that is not as often as all others; the same for all to the same pods. */
  times?: number;
}

/** How often an address must answer, each time. */
const times = 5;

/** How long the mesh may settle, in seconds of probing; until then a retry is allowed. */
const settling = 5;

/**
 * Proves that every probe is answered each time; those to the same pods go one after the other.
 * `retries` are for who comes first, while the mesh settles.
 */
export async function prove(
  client: Client,
  proofs: Proof[],
  input: MeshCheckInput,
  retries = 0
): Promise<void> {
  const lanes = groupBy(proofs, ({pods}) => pods.join());
  await Promise.all([...lanes.values()].map(lane => proveLane(client, lane, input, retries)));
}

/** Proves what takes a while to be so, for each row so many seconds: what is red until then is asked again, which is no retry. */
export const settleProofs = (
  client: Client,
  proofs: Proof[],
  input: MeshCheckInput,
  seconds: (check: CheckDefinition) => number
): Promise<void> =>
  settleProbes(
    client,
    proofs,
    input,
    (proof, answers) => judge(proof, client, answers, toAttempts(answers)),
    seconds
  );

/** The same with a judge of one's own. */
export const settleProbes = <One extends {check: CheckDefinition; probe: Probe}>(
  client: Client,
  proofs: One[],
  input: MeshCheckInput,
  judged: (proof: One, answers: Answer[]) => Outcome,
  seconds?: (check: CheckDefinition) => number
): Promise<void> =>
  settle(
    input,
    proofs,
    async open => {
      const probes = open.map(({probe}) => probe);
      const answers = await sendProbes(input, client, probes, times, input.plan.probes.seconds);
      return open.map((question, at) => ({question, outcome: judged(question, answers[at] ?? [])}));
    },
    seconds
  );

async function proveLane(
  client: Client,
  lane: Proof[],
  input: MeshCheckInput,
  retries: number
): Promise<void> {
  const {plan, report} = input;
  const past = new Map<Proof, Attempt[]>();
  let open = lane;
  for (let retry = 0; open.length > 0; retry++) {
    const probes = open.map(({probe}) => probe);
    const answers = await sendProbes(
      input,
      client,
      probes,
      lane[0]?.times ?? times,
      plan.probes.seconds
    );
    for (const [at, proof] of open.entries())
      past.set(proof, [...(past.get(proof) ?? []), ...toAttempts(answers[at] ?? [])]);
    const spent = [...past.values()].flat().reduce((sum, {seconds}) => sum + seconds, 0);
    const mayRetry = retry < retries && spent < settling;
    const findings = open.map((proof, at) =>
      judge(proof, client, answers[at] ?? [], past.get(proof) ?? [])
    );
    open = open.filter((proof, at) => {
      const outcome = findings[at];
      if (outcome?.verdict === 'failed' && mayRetry) return true;
      if (outcome) report(proof.check.id, outcome);
      return false;
    });
  }
}

function judge(
  {check, probe, pods}: Proof,
  client: Client,
  answers: Answer[],
  attempts: Attempt[]
): Outcome {
  const wrong = answers.filter(({text}) => text !== check.expected);
  const upstreams = [
    ...new Set(answers.flatMap(({peers}) => peers).filter(peer => pods.includes(peer)))
  ];
  const observed = wrong[0] ? wrong[0].text || 'no answer' : check.expected;
  const passed = wrong.length === 0;
  return {
    observed,
    verdict: !passed ? 'failed' : attempts.length > answers.length ? 'flaky' : 'passed',
    reason: passed
      ? null
      : `${probe.address} port ${probe.port} gave ${quoted(observed)}${afterRight(answers.length - 1)}, expected "${check.expected}"`,
    address: probe.address,
    upstream: upstreams.length > 0 ? upstreams.join(', ') : null,
    attempts,
    reproduce: reproduceProbe(client, probe)
  };
}

const quoted = (text: string): string => (text === 'no answer' ? text : `"${text}"`);

const afterRight = (answers: number): string =>
  answers === 0 ? '' : ` after ${answers} right answer${answers === 1 ? '' : 's'}`;

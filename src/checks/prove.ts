/** Proves that echo servers answer, with retries and waits, and reports each outcome. */
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

/** A check, and the probe that decides it. */
export interface Proof {
  check: CheckDefinition;
  probe: Probe;
  /** Addresses of the pods behind the probed address; the outcome reports the connected one as `upstream`. */
  pods: string[];
  /** Number of answers required, if not the default; the same for all proofs to the same pods. */
  times?: number;
}

/** Number of answers that a probe requires. */
const times = 5;

/** Seconds of probing during which a retry is allowed, because the mesh may still be settling. */
const settling = 5;

/**
 * Proves that every probe gets its expected answer each time. Probes to the same pods run one after the other.
 * Only the first layer to probe needs `retries`, while the mesh settles.
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

/** Repeats failed probes for up to `seconds(check)`, for state that takes time to apply; this does not count as a retry. */
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

/** As `settleProofs`, with a custom judge. */
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
      : `${probe.address} port ${probe.port} returned ${quoted(observed)}${afterRight(answers.length - 1)}, expected "${check.expected}"`,
    address: probe.address,
    upstream: upstreams.length > 0 ? upstreams.join(', ') : null,
    attempts,
    reproduce: reproduceProbe(client, probe)
  };
}

const quoted = (text: string): string => (text === 'no answer' ? text : `"${text}"`);

const afterRight = (answers: number): string =>
  answers === 0 ? '' : ` after ${answers} expected answer${answers === 1 ? '' : 's'}`;

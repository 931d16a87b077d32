/** Checks of failover between the families of a pod. */
import {getAddressFamily} from '../base/kube.ts';
import {runOrThrow} from '../base/sh.ts';
import {clientSample} from '../manifests/documented-samples.ts';
import {families} from '../results/results.ts';
import {
  type CheckDefinition,
  defineCheck,
  type LayerChecks,
  type MeshCheckInput,
  type Outcome
} from './definition.ts';
import {buildLookupCommand, describeMissingAddress, findClusterIp, listPodIps} from './echo.ts';
import {meshClient, reproduceProbe, sendProbes, toAttempts} from './probe.ts';

/** How soon the Service must answer over the other family, in seconds; Envoy tries it after 0.3. */
const limit = 1;

/** Checks that a dual-stack Service still answers while one family to its pods is blocked. They run last and alone. */
export const failover: LayerChecks<MeshCheckInput> = {
  layer: 'failover',
  grid: {title: 'one family blocked', named: false},
  attribution: {
    class: 'istio',
    hint: "Check `additional_addresses` in the endpoints of the client's Envoy. The Service did not answer over the pod's other address.",
    headline: family => `With ${family || 'one family'} blocked, the other does not take over`
  },
  definitions: families.map(family =>
    defineCheck(
      'failover',
      `failover/dual-stack/${family}`,
      `With ${family} to the dual-stack pod blocked, its Service answers over the other family`,
      `an answer within ${limit} s`,
      {
        family,
        from: {kind: 'Deployment', namespace: clientSample.namespace, name: clientSample.app},
        to: {kind: 'Service', namespace: 'dual-stack', name: 'tcp-echo'}
      }
    )
  ),
  run: async (input, selected) => {
    for (const check of selected) input.report(check.id, await withCut(input, check)); // in sequence: only one family may be blocked at a time
  }
};

async function withCut(input: MeshCheckInput, check: CheckDefinition): Promise<Outcome> {
  const family = check.family ?? 'ipv4';
  const pod = listPodIps(input, 'dual-stack').find(ip => getAddressFamily(ip) === family);
  // Envoy listens on each ClusterIP; the rules block only the pod's address
  const address = findClusterIp(input, 'dual-stack', 'tcp-echo', 'ipv4');
  if (pod === undefined || address === undefined) return describeMissingAddress(check);
  const rules = input.plan.cluster.nodes.map(
    node => (verb: '-I' | '-D') => buildCutCommand(node, verb, pod)
  );
  input.undo(rules.map(rule => rule('-D')));
  try {
    for (const rule of rules) await runOrThrow(input.sh, rule('-I'), {seconds: 20});
    return await answered(input, check, address, pod);
  } finally {
    const mended = await Promise.all(rules.map(rule => input.sh(rule('-D'), {seconds: 20})));
    if (mended.every(({code}) => code === 0)) input.undo([]);
  }
}

/** Returns the command that adds or removes a rule in a node, which drops all traffic to a pod. */
export const buildCutCommand = (node: string, verb: '-I' | '-D', pod: string): string[] => [
  ...[
    'docker',
    'exec',
    node,
    getAddressFamily(pod) === 'ipv6' ? 'ip6tables' : 'iptables',
    '--wait',
    verb,
    'FORWARD'
  ],
  ...['--destination', pod, '--match', 'comment', '--comment', 'dual-stack-check', '--jump', 'DROP']
];

async function answered(
  input: MeshCheckInput,
  check: CheckDefinition,
  address: string,
  cut: string
): Promise<Outcome> {
  const {plan} = input;
  const probe = {
    word: check.id,
    address,
    port: 9000,
    lookupCommand: buildLookupCommand(input, check.to, address)
  };
  const [answers = []] = await sendProbes(input, meshClient, [probe], 2, plan.probes.seconds);
  const slow = answers.find(({text, seconds}) => text !== `hello ${check.id}` || seconds > limit);
  const pods = listPodIps(input, 'dual-stack');
  const peers = answers.flatMap(({peers}) => peers).filter(peer => pods.includes(peer));
  const seen = {
    address,
    attempts: toAttempts(answers),
    reproduce: reproduceProbe(meshClient, probe)
  };
  if (peers.includes(cut))
    return {
      ...seen,
      observed: `an answer from ${cut}, which was blocked`,
      verdict: 'failed',
      reason: `${cut} answered although the nodes block it, so this check proves nothing about failover`,
      upstream: cut,
      attribution: {
        class: 'infrastructure',
        hint: "Find the program that carries the traffic to pods, and its rules. The nodes' rules in FORWARD did not block it.",
        headline: 'The check could not block a family'
      }
    };
  const slowest = Math.max(...answers.map(({seconds}) => seconds));
  return {
    ...seen,
    observed:
      slow === undefined
        ? `an answer after ${slowest} s`
        : slow.text === `hello ${check.id}`
          ? `an answer after ${slow.seconds} s`
          : slow.text || 'no answer',
    verdict: slow ? 'failed' : 'passed',
    reason: slow
      ? `with ${check.family} blocked, ${address} returned ${slow.text === '' ? 'no answer' : `"${slow.text}" after ${slow.seconds} s`}`
      : null,
    upstream: peers.at(-1) ?? null
  };
}

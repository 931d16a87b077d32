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

/** Last and alone: each family of the dual-stack pods is cut in turn, and the Service answers all the same. */
export const failover: LayerChecks<MeshCheckInput> = {
  layer: 'failover',
  grid: {title: 'one family cut', named: false},
  attribution: {
    class: 'istio',
    hint: "Envoy does not try the pod's other address: see additional_addresses in its endpoints.",
    headline: family => `With ${family || 'a family'} cut, the other does not take over`
  },
  definitions: families.map(family =>
    defineCheck(
      'failover',
      `failover/dual-stack/${family}`,
      `With ${family} to the dual-stack pod cut, its Service answers over the other family`,
      `an answer within ${limit} s`,
      {
        family,
        from: {kind: 'Deployment', namespace: clientSample.namespace, name: clientSample.app},
        to: {kind: 'Service', namespace: 'dual-stack', name: 'tcp-echo'}
      }
    )
  ),
  run: async (input, selected) => {
    for (const check of selected) input.report(check.id, await withCut(input, check)); // one after the other: the rules must not meet
  }
};

async function withCut(input: MeshCheckInput, check: CheckDefinition): Promise<Outcome> {
  const family = check.family ?? 'ipv4';
  const pod = listPodIps(input, 'dual-stack').find(ip => getAddressFamily(ip) === family);
  // Envoy listens on each ClusterIP; the pod's address is what is cut
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

/** In the node: drops what goes to a pod, from wherever. */
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
    lookUp: buildLookupCommand(input, check.to, address)
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
      observed: `an answer from ${cut}, which was cut`,
      verdict: 'failed',
      reason: `${cut} was cut in the nodes, and answered all the same: nothing is known of a failover`,
      upstream: cut,
      attribution: {
        class: 'infrastructure',
        hint: "The nodes' rules in FORWARD have no effect on what goes to pods: see which program carries it, and its own rules.",
        headline: 'A family could not be cut'
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
      ? `with ${check.family} cut, ${address} gave ${slow.text === '' ? 'no answer' : `"${slow.text}" after ${slow.seconds} s`}`
      : null,
    upstream: peers.at(-1) ?? null
  };
}

/** Checks of the cluster's DNS, and the DNS queries that other layers share. */
import {type CommandOutput, runUntilComplete} from '../base/sh.ts';
import {serverSamples} from '../manifests/documented-samples.ts';
import {compare, defineCheck, type LayerChecks, type MeshCheckInput} from './definition.ts';
import {findClusterIp} from './echo.ts';
import {buildClientCommand, type Client, plainClient} from './probe.ts';

/** The record types, and the family of each. */
export const recordTypes = [
  {type: 'a', family: 'ipv4'},
  {type: 'aaaa', family: 'ipv6'}
] as const;

/** A DNS query; the name ends in a dot. */
export interface DnsQuestion {
  type: string;
  name: string;
}

/** Whether a sample's Service has a family. */
export const hasFamily = (target: string, family: string): boolean =>
  target === 'dual-stack' || target === family;
export const getDnsName = (target: string): string => `tcp-echo.${target}.svc.cluster.local.`;

/** Stands for an address when the server gave no definite answer. */
const unanswered = '!';

// in parallel; BusyBox reports a missing record differently from a timeout or a server failure
const script = `
while [ $# -gt 0 ]; do
  { said=$(busybox nslookup -type="$1" "$2" 2>&1)
    address=$(echo "$said" | sed -n '/^Name/,$ s/^Address[^:]*: *//p' | tr '\\n' ' ')
    case $said in *'timed out'* | *SERVFAIL* | *REFUSED*) address='${unanswered}' ;; esac
    echo "$1 $2 $address"; } &
  shift 2
done
wait`;

/** Checks of the cluster's DNS, from a client without a sidecar. */
export const dns: LayerChecks<MeshCheckInput> = {
  layer: 'dns',
  attribution: {
    class: 'infrastructure',
    hint: 'Check the pods of CoreDNS (`kubectl get pods -n kube-system -l k8s-app=kube-dns`) and its log (`kubectl logs -n kube-system deploy/coredns`).',
    headline: family => `Names do not resolve correctly${family && ` to ${family}`}`
  },
  definitions: serverSamples.flatMap(({namespace: target}) =>
    recordTypes.map(({type, family}) =>
      defineCheck(
        'dns',
        `dns/${target}/${type}`,
        `${getDnsName(target)} has ${hasFamily(target, family) ? 'its' : 'no'} ${type.toUpperCase()} record`,
        hasFamily(target, family) ? 'its ClusterIP' : 'none',
        {
          family,
          from: {
            kind: 'Deployment',
            namespace: plainClient.namespace,
            name: plainClient.deployment
          },
          to: {kind: 'Service', namespace: target, name: 'tcp-echo'}
        }
      )
    )
  ),
  run: async (input, selected) => {
    const questions = selected.map(({id, target}) => ({
      type: id.split('/')[2] ?? '',
      name: getDnsName(target)
    }));
    const answers = await resolveNames(input, plainClient, questions);
    for (const [at, {id, target, family, expected}] of selected.entries()) {
      const address = answers[at];
      const ip = findClusterIp(input, target, 'tcp-echo', family ?? 'ipv4');
      const observed =
        address === undefined
          ? 'no answer'
          : address === ''
            ? 'none'
            : address === ip
              ? 'its ClusterIP'
              : address;
      input.report(
        id,
        compare(expected, observed, {
          reproduce: reproduceQuestion(plainClient, questions[at] ?? {type: 'a', name: ''})
        })
      );
    }
  }
};

/**
 * Returns for each question the addresses, separated by spaces; an empty text if there is no such record; undefined
 * without an answer. Throws CommandError when the command fails in the client.
 */
export async function resolveNames(
  {sh}: MeshCheckInput,
  client: Client,
  questions: DnsQuestion[]
): Promise<(string | undefined)[]> {
  const words = questions.flatMap(({type, name}) => [type, name]);
  const command = [...buildClientCommand(client), script, 'dns', ...words];
  const read = ({code, stdout}: CommandOutput, isLast: boolean): (string | undefined)[] | null => {
    const lines = stdout.split('\n');
    const found = questions.map(({type, name}) =>
      lines
        .find(line => line.startsWith(`${type} ${name}`))
        ?.slice(`${type} ${name}`.length)
        .trim()
    );
    return code !== 0 || (found.includes(undefined) && !isLast) ? null : found;
  };
  const found = await runUntilComplete(sh, command, read, {seconds: 30});
  return found.map(answer => (answer === unanswered ? undefined : answer));
}

/** The command that repeats a query by hand. */
export const reproduceQuestion = (
  {namespace, deployment, container}: Client,
  {type, name}: DnsQuestion
): string =>
  `kubectl exec -n ${namespace} deploy/${deployment} -c ${container} -- busybox nslookup -type=${type} ${name}`;

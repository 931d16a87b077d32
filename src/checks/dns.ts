import {type CommandOutput, runUntilComplete} from '../base/sh.ts';
import {serverSamples} from '../manifests/documented-samples.ts';
import {compare, defineCheck, type LayerChecks, type MeshCheckInput} from './definition.ts';
import {findClusterIp} from './echo.ts';
import {buildClientCommand, type Client, plainClient} from './probe.ts';

/** The types of record, and the family of each. */
export const recordTypes = [
  {type: 'a', family: 'ipv4'},
  {type: 'aaaa', family: 'ipv6'}
] as const;

/** A question to DNS; the name ends in a dot. */
export interface DnsQuestion {
  type: string;
  name: string;
}

/** Whether a sample's Service has a family. */
export const hasFamily = (target: string, family: string): boolean =>
  target === 'dual-stack' || target === family;
export const getDnsName = (target: string): string => `tcp-echo.${target}.svc.cluster.local.`;

/** In place of an address, where nobody has said whether there is one. */
const unanswered = '!';

// all at once; that a name or a record is not there, BusyBox says in other words than that nobody, or no server, has answered
const script = `
while [ $# -gt 0 ]; do
  { said=$(busybox nslookup -type="$1" "$2" 2>&1)
    address=$(echo "$said" | sed -n '/^Name/,$ s/^Address[^:]*: *//p' | tr '\\n' ' ')
    case $said in *'timed out'* | *SERVFAIL* | *REFUSED*) address='${unanswered}' ;; esac
    echo "$1 $2 $address"; } &
  shift 2
done
wait`;

/** The cluster's DNS, asked from a client without a sidecar. */
export const dns: LayerChecks<MeshCheckInput> = {
  layer: 'dns',
  attribution: {
    class: 'infrastructure',
    hint: 'See CoreDNS: its pods (`kubectl get pods -n kube-system -l k8s-app=kube-dns`) and its log (`kubectl logs -n kube-system deploy/coredns`).',
    headline: family => `Names do not resolve${family && ` to ${family}`} as they should`
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
 * What a client's DNS answers: addresses, separated by spaces; an empty text where there is no such record, and
 * nothing where the question has got no answer. Throws CommandError when the client cannot be asked.
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

/** The command that asks by hand. */
export const reproduceQuestion = (
  {namespace, deployment, container}: Client,
  {type, name}: DnsQuestion
): string =>
  `kubectl exec -n ${namespace} deploy/${deployment} -c ${container} -- busybox nslookup -type=${type} ${name}`;

import {CommandError} from '../base/sh.ts';
import {servers} from '../manifests/samples.ts';
import {clusterIp} from './echo.ts';
import {inClient, plainClient} from './probe.ts';
import {type Checking, type Checks, compare, row} from './row.ts';

const records = [
  {type: 'a', family: 'ipv4'},
  {type: 'aaaa', family: 'ipv6'}
] as const;

const has = (target: string, family: string): boolean =>
  target === 'dual-stack' || target === family;
const nameOf = (target: string): string => `tcp-echo.${target}.svc.cluster.local.`;

// all at once; BusyBox ends with 1 for a name that is not there, and with 0 and no address for a missing record
const script = `
while [ $# -gt 0 ]; do
  { address=$(busybox nslookup -type="$1" "$2" 2>&1 | sed -n '/^Name/,$ s/^Address[^:]*: *//p' | tr '\\n' ' ')
    echo "$1 $2 $address"; } &
  shift 2
done
wait`;

/** The cluster's DNS, asked from a client without a sidecar. */
export const dns: Checks<Checking> = {
  layer: 'dns',
  blame: {
    class: 'infrastructure',
    hint: 'See CoreDNS: its pods (`kubectl get pods -n kube-system -l k8s-app=kube-dns`) and its log (`kubectl logs -n kube-system deploy/coredns`).',
    headline: family => `Names do not resolve${family && ` to ${family}`} as they should`
  },
  rows: servers.flatMap(({namespace: target}) =>
    records.map(({type, family}) =>
      row(
        'dns',
        `dns/${target}/${type}`,
        `${nameOf(target)} has ${has(target, family) ? 'its' : 'no'} ${type.toUpperCase()} record`,
        has(target, family) ? 'its ClusterIP' : 'none',
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
  look: async (checking, asked) => {
    const questions = asked.map(({id, target}) => ({
      type: id.split('/')[2] ?? '',
      name: nameOf(target)
    }));
    const command = [
      ...inClient(plainClient),
      script,
      'dns',
      ...questions.flatMap(({type, name}) => [type, name])
    ];
    const output = await checking.sh(command, {seconds: 30});
    if (output.code !== 0) throw new CommandError(command, output);
    const answers = output.stdout.split('\n');
    for (const [at, {id, target, family, expected}] of asked.entries()) {
      const {type, name} = questions[at] ?? {type: '', name: ''};
      const address = answers
        .find(line => line.startsWith(`${type} ${name}`))
        ?.slice(`${type} ${name}`.length)
        .trim();
      const ip = clusterIp(checking, target, 'tcp-echo', family ?? 'ipv4');
      const observed =
        address === undefined
          ? 'no answer'
          : address === ''
            ? 'none'
            : address === ip
              ? 'its ClusterIP'
              : address;
      checking.tell(
        id,
        compare(expected, observed, {
          reproduce: `kubectl exec -n ${plainClient.namespace} deploy/${plainClient.deployment} -- busybox nslookup -type=${type} ${name}`
        })
      );
    }
  }
};

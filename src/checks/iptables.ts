/** Compares the iptables and ip6tables rules that Istio sets in the pods. */
import {groupBy} from '../base/group.ts';
import {runOrThrow} from '../base/sh.ts';
import {documentedSamples} from '../manifests/documented-samples.ts';
import {
  type CheckDefinition,
  compare,
  defineCheck,
  type MeshCheckInput,
  type Outcome
} from './definition.ts';

export const sameRules = 'the same rules for IPv4 and IPv6';

/** Source addresses of the kubelet's probes to pods in ambient: Istio's constants, the same in every cluster. */
const probeSources = {
  ipv4: '169.254.7.127',
  ipv6: 'fd16:9254:7127:1337:ffff:ffff:ffff:ffff'
};

const tools = {iptables: 'IPv4', ip6tables: 'IPv6'};

/** The redirection to the sidecar: the rules in each pod's network namespace. */
export const iptablesDefinitions: CheckDefinition[] = documentedSamples.map(({namespace, app}) =>
  defineCheck(
    'proxy',
    `proxy/${namespace}/iptables`,
    'The pod redirects IPv4 and IPv6 to its sidecar by the same rules',
    sameRules,
    {
      to: {kind: 'Deployment', namespace, name: app},
      attribution: {
        hint: 'The rules of istio-init (or IstioCNI) in the pod differ by family. Check the log of istio-init or istio-cni-node, and ISTIO_DUAL_STACK in the pod. With `nativeNftables` there are no such rules: exclude `proxy/.*/iptables`.',
        headline: 'Pods redirect IPv4 and IPv6 to their sidecars by different rules'
      }
    }
  )
);

// runs in a node, which sees the network namespaces of its pods; the pods' containers may not read rules
const script = `
while [ $# -gt 0 ]; do
  for sandbox in $(crictl pods --quiet --state ready --namespace "^$1$" --label "app=$2"); do
    path=$(crictl inspectp --output go-template --template '{{range .info.runtimeSpec.linux.namespaces}}{{if eq .type "network"}}{{.path}}{{end}}{{end}}' $sandbox)
    echo "$1 $sandbox pod"
    for tool in iptables ip6tables; do
      rules=$(nsenter --net=$path $tool-save | grep ISTIO)
      [ "$rules" ] || rules=$(nsenter --net=$path $tool-legacy-save | grep ISTIO)
      echo "$rules" | sed -n "s/^-A/$1 $sandbox $tool -A/p"
    done
  done
  shift 2
done`;

/** Reads the rules of each pod in kind's nodes, and reports the first difference of each workload. Throws CommandError. */
export async function checkIptables(
  {plan, sh, report}: MeshCheckInput,
  selected: CheckDefinition[]
): Promise<void> {
  if (selected.length === 0) return;
  const places = selected.flatMap(({to}) => [to?.namespace ?? '', to?.name ?? '']);
  const outputs = await Promise.all(
    plan.cluster.nodes.map(node =>
      runOrThrow(sh, ['docker', 'exec', node, 'sh', '-c', script, 'iptables', ...places], {
        seconds: 60
      })
    )
  );
  const lines = outputs
    .flatMap(output => output.split('\n'))
    .flatMap(line => {
      const [, namespace = '', sandbox = '', tool = '', rule = ''] =
        /^(\S+) (\S+) (\S+) ?(.*)$/.exec(line) ?? [];
      return namespace === '' ? [] : [{namespace, sandbox, tool, rule}];
    });
  for (const {id, to} of selected) {
    const pods = groupBy(
      lines.filter(({namespace}) => namespace === to?.namespace),
      ({sandbox}) => sandbox
    );
    const findings = [...pods.values()].map(own =>
      difference(
        ...(['iptables', 'ip6tables'] as const).map(tool =>
          own.filter(line => line.tool === tool).map(({rule}) => asIpv4(rule))
        )
      )
    );
    report(id, createOutcome(findings, plan.cluster.nodes[0] ?? ''));
  }
}

/** Translates a rule of ip6tables to the form of iptables. */
const asIpv4 = (rule: string): string =>
  rule
    .replaceAll('::1/128', '127.0.0.1/32')
    .replaceAll('::6/128', '127.0.0.6/32')
    .replaceAll(`${probeSources.ipv6}/128`, `${probeSources.ipv4}/32`);

function difference(ipv4: string[] = [], ipv6: string[] = []): string {
  if (ipv4.length + ipv6.length === 0) return 'no Istio rules';
  if (ipv6.length === 0) return `no Istio rules for ${tools.ip6tables}`;
  if (ipv4.length === 0) return `no Istio rules for ${tools.iptables}`;
  const only = [
    ...ipv4.filter(rule => !ipv6.includes(rule)).map(rule => `only for IPv4: ${rule}`),
    ...ipv6.filter(rule => !ipv4.includes(rule)).map(rule => `only for IPv6: ${rule}`)
  ];
  if (only.length > 0) return only.slice(0, 3).join('; ');
  return ipv4.join() === ipv6.join() ? sameRules : 'the same rules in another order';
}

function createOutcome(differences: string[], node: string): Outcome {
  const observed = differences.find(found => found !== sameRules) ?? differences[0] ?? 'no pod';
  return compare(sameRules, observed, {
    reproduce: `docker exec ${node} sh -c 'for path in /var/run/netns/*; do echo $path; nsenter --net=$path iptables-save; nsenter --net=$path ip6tables-save; done' | grep ISTIO`
  });
}

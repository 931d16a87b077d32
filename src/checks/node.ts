import {findCondition, getAddressFamily, listObjects, type Node} from '../base/kube.ts';
import type {Sh} from '../base/sh.ts';
import {pollForAtMost} from '../base/wait.ts';
import {ip6tablesModules} from '../manifests/kind.ts';
import type {ExistingCluster} from '../plan/existing-cluster.ts';
import {
  compare,
  defineCheck,
  type LayerChecks,
  type Outcome,
  type StandingCheckInput
} from './definition.ts';

const ready = 'node/all/ready';
const cidrs = 'node/all/pod-cidrs';
const ip6tables = 'node/all/ip6tables';
const service = 'node/service/families';

// kube-proxy translates IPv6 Services in it, and istio-init redirects IPv6 to the proxy; the modules are the runner's
const table = ['ip6tables', '--table', 'nat', '--list-rules'];

/** How long the nodes may take after kind is done, in seconds: they are ready as soon as their network is. */
const patience = 60;

/** The cluster itself, before Istio. */
export const node: LayerChecks<StandingCheckInput> = {
  layer: 'node',
  attribution: {
    class: 'infrastructure',
    hint: 'The cluster itself is at fault: see its nodes (`kubectl describe nodes`); those of kind are containers, with a log (`docker logs NODE`).',
    headline: family => `The nodes do not carry ${family || 'both families'}`
  },
  definitions: [
    defineCheck('node', ready, 'Every node is Ready', 'Ready', {
      attribution: {
        hint: 'See the conditions of the node (`kubectl describe nodes`); one of kind is a container, with a log (`docker logs NODE`).',
        headline: 'A node is not Ready'
      }
    }),
    defineCheck(
      'node',
      cidrs,
      'Every node has a pod CIDR of each family, in the order asked for',
      'both families',
      {
        attribution: {
          hint: 'The cluster is not dual-stack: `kind-config` and `ip-families` say what its pods get; a network `kind` without IPv6 takes a family away.',
          headline: 'The cluster is not dual-stack: a node lacks the pod CIDR of a family'
        }
      }
    ),
    defineCheck(
      'node',
      service,
      'A Service that must have both families gets an address of each',
      'both families',
      {
        attribution: {
          hint: "The cluster is not dual-stack: its pods and Services need a network of each family, which is decided when a cluster is made (`--service-cluster-ip-range`, the cloud's own setting).",
          headline: 'The cluster is not dual-stack: it refuses a Service of both families'
        }
      }
    ),
    defineCheck('node', ip6tables, 'Every node has the nat table of ip6tables', 'a nat table', {
      family: 'ipv6',
      attribution: {
        hint: `Load what the runner's kernel lacks: \`modprobe --all ${ip6tablesModules}\`.`,
        headline: 'A node has no ip6tables: nothing translates IPv6 there'
      }
    })
  ],
  run: async ({plan, sh, work, report}, selected) => {
    if (selected.some(({id}) => id === ip6tables))
      report(ip6tables, await checkNatTables(plan.cluster.nodes, sh));
    if (plan.existing !== null) report(service, judgeServiceFamilies(plan.existing.found));
    const waiting = (nodes: Node[]) =>
      nodes.filter(
        node => !isReady(node) || (plan.existing === null && node.spec.podCIDRs === undefined)
      );
    const nodes = await pollForAtMost(
      work,
      {
        seconds: patience,
        for: nodes =>
          `${waiting(nodes)
            .map(({metadata}) => metadata.name)
            .join(', ')} to be Ready`
      },
      () => listObjects<Node>(sh, 'nodes'),
      nodes => waiting(nodes).length === 0
    );
    const unready = nodes.filter(node => !isReady(node)).map(({metadata}) => metadata.name);
    report(
      ready,
      compare(
        'Ready',
        unready.length > 0
          ? `not Ready: ${unready.join(', ')}`
          : nodes.length > 0
            ? 'Ready'
            : 'no node',
        {
          reproduce: 'kubectl get nodes'
        }
      )
    );
    if (plan.existing !== null) return; // clouds give pods addresses by other ways than a node's CIDRs
    const wanted = plan.cluster.families.join();
    const wrong = nodes.find(
      ({spec}) => (spec.podCIDRs ?? []).map(getAddressFamily).join() !== wanted
    );
    report(cidrs, {
      observed: nodes.map(({spec}) => spec.podCIDRs?.join(', ') ?? 'none').join('; '),
      verdict: wrong ? 'failed' : 'passed',
      reason: wrong
        ? `${wrong.metadata.name} has the pod CIDRs ${wrong.spec.podCIDRs?.join(', ') ?? 'none'}; asked for was ${wanted}`
        : null,
      reproduce: "kubectl get nodes -o jsonpath='{.items[*].spec.podCIDRs}'"
    });
  }
};

/** What the API server said to a dry run before anything was made. */
function judgeServiceFamilies({families, refused}: ExistingCluster['found']): Outcome {
  const both = families.includes('ipv4') && families.includes('ipv6');
  return {
    observed: families.join(', ') || 'refused',
    verdict: both ? 'passed' : 'failed',
    reason: both ? null : refused || `the Service got ${families.join(', ')} only`,
    reproduce:
      'kubectl create service clusterip dual-stack-check --tcp=9000 --dry-run=client -o json | sed \'s/"spec": {/&"ipFamilyPolicy": "RequireDualStack",/\' | kubectl create --dry-run=server -o yaml -f -'
  };
}

async function checkNatTables(nodes: string[], sh: Sh): Promise<Outcome> {
  const command = (node: string) => ['docker', 'exec', node, ...table];
  const outputs = await Promise.all(nodes.map(node => sh(command(node), {seconds: 20})));
  const bad = outputs.findIndex(({code}) => code !== 0);
  const [said = ''] = (outputs[bad]?.stderr.trim() ?? '').split('\n');
  return {
    observed: bad < 0 ? 'a nat table' : said,
    verdict: bad < 0 ? 'passed' : 'failed',
    reason:
      bad < 0
        ? null
        : `${nodes[bad]}: ${said} (the runner's kernel may lack modules: \`modprobe --all ${ip6tablesModules}\`)`,
    reproduce: command(nodes[Math.max(bad, 0)] ?? '').join(' ')
  };
}

const isReady = ({status}: Node): boolean =>
  findCondition('Ready', status.conditions)?.status === 'True';

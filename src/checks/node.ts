/** Checks of the nodes, before Istio is installed. */
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

// kube-proxy and istio-init both need this table for IPv6; its modules come from the runner's kernel
const table = ['ip6tables', '--table', 'nat', '--list-rules'];

/** Seconds to wait for the nodes after kind ends: they become Ready with their network. */
const patience = 60;

/** The checks of the nodes. */
export const node: LayerChecks<StandingCheckInput> = {
  layer: 'node',
  attribution: {
    class: 'infrastructure',
    hint: 'Check the nodes (`kubectl describe nodes`). A kind node is a container with its own log (`docker logs NODE`).',
    headline: family => `The nodes do not support ${family || 'both families'}`
  },
  definitions: [
    defineCheck('node', ready, 'Every node is Ready', 'Ready', {
      attribution: {
        hint: 'Check the conditions of the node (`kubectl describe nodes`). A kind node is a container with its own log (`docker logs NODE`).',
        headline: 'A node is not Ready'
      }
    }),
    defineCheck(
      'node',
      cidrs,
      'Every node has a pod CIDR of each family, in the requested order',
      'both families',
      {
        attribution: {
          hint: 'Check the inputs `kind-config` and `ip-families`, which set the families of the pods. Check also that the Docker network `kind` has IPv6.',
          headline: 'A node does not have the requested pod CIDRs'
        }
      }
    ),
    defineCheck(
      'node',
      service,
      'A Service with RequireDualStack gets an address of each family',
      'both families',
      {
        attribution: {
          hint: "Create a dual-stack cluster: pods and Services need a network of each family. This is set at cluster creation (`--service-cluster-ip-range`, or the cloud's setting).",
          headline: 'The cluster is not dual-stack: a Service does not get both families'
        }
      }
    ),
    defineCheck('node', ip6tables, 'Every node has the nat table of ip6tables', 'a nat table', {
      family: 'ipv6',
      attribution: {
        hint: `Load the missing modules of the runner's kernel: \`modprobe --all ${ip6tablesModules}\`.`,
        headline: 'A node has no nat table for IPv6'
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
    if (plan.existing !== null) return; // clouds do not always assign pod addresses from the CIDRs of the node
    const wanted = plan.cluster.families.join();
    const wrong = nodes.find(
      ({spec}) => (spec.podCIDRs ?? []).map(getAddressFamily).join() !== wanted
    );
    report(cidrs, {
      observed: nodes.map(({spec}) => spec.podCIDRs?.join(', ') ?? 'none').join('; '),
      verdict: wrong ? 'failed' : 'passed',
      reason: wrong
        ? `${wrong.metadata.name} has pod CIDRs ${wrong.spec.podCIDRs?.join(', ') ?? 'none'}; expected ${wanted}`
        : null,
      reproduce: "kubectl get nodes -o jsonpath='{.items[*].spec.podCIDRs}'"
    });
  }
};

/** Judges the API server's response to the dry run of a dual-stack Service. */
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

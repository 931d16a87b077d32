import {addressFamily, condition, get, type Node} from '../base/kube.ts';
import {until} from '../base/wait.ts';
import {type Checks, compare, row, type Standing} from './row.ts';

const ready = 'node/all/ready';
const cidrs = 'node/all/pod-cidrs';

/** How long the nodes may take after kind is done, in seconds: they are ready as soon as their network is. */
const patience = 60;

/** The cluster itself, before Istio. */
export const node: Checks<Standing> = {
  layer: 'node',
  blame: {
    class: 'infrastructure',
    hint: 'The cluster itself is at fault: see its nodes, and the log of their containers (`docker logs NODE`).',
    headline: family => `The nodes do not carry ${family || 'both families'}`
  },
  rows: [
    row('node', ready, 'Every node is Ready', 'Ready', {
      blame: {
        hint: 'See the conditions of the node (`kubectl describe nodes`), and the log of its container (`docker logs NODE`).',
        headline: 'A node is not Ready'
      }
    }),
    row(
      'node',
      cidrs,
      'Every node has a pod CIDR of each family, in the order asked for',
      'both families',
      {
        blame: {
          hint: 'The cluster is not dual-stack: `kind-config` and `ip-families` say what its pods get; a network `kind` without IPv6 takes a family away.',
          headline: 'The cluster is not dual-stack: a node lacks the pod CIDR of a family'
        }
      }
    )
  ],
  look: async ({plan, sh, work, tell}) => {
    const start = work.clock();
    const nodes = await until(work, async () => {
      const nodes = await get<Node>(sh, 'nodes');
      const waiting = nodes.filter(node => !isReady(node) || node.spec.podCIDRs === undefined);
      if (waiting.length === 0 || work.clock() - start > patience)
        return {is: 'done', value: nodes};
      return {
        is: 'waiting',
        for: `${waiting.map(({metadata}) => metadata.name).join(', ')} to be Ready`
      };
    });
    const unready = nodes.filter(node => !isReady(node)).map(({metadata}) => metadata.name);
    tell(
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
    const wanted = plan.cluster.families.join();
    const wrong = nodes.find(
      ({spec}) => (spec.podCIDRs ?? []).map(addressFamily).join() !== wanted
    );
    tell(cidrs, {
      observed: nodes.map(({spec}) => spec.podCIDRs?.join(', ') ?? 'none').join('; '),
      verdict: wrong ? 'failed' : 'passed',
      reason: wrong
        ? `${wrong.metadata.name} has the pod CIDRs ${wrong.spec.podCIDRs?.join(', ') ?? 'none'}; asked for was ${wanted}`
        : null,
      reproduce: "kubectl get nodes -o jsonpath='{.items[*].spec.podCIDRs}'"
    });
  }
};

const isReady = ({status}: Node): boolean =>
  condition('Ready', status.conditions)?.status === 'True';

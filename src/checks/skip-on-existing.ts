/** Selects the checks that apply to a cluster, and gives the reason for each skipped one. */
import type {Inputs} from '../inputs/inputs.ts';
import type {ExistingCluster} from '../plan/existing-cluster.ts';
import type {CheckDefinition} from './definition.ts';

/** Checks of existing clusters only: in kind clusters, the checks of the nodes cover this. */
const existingOnly = ['node/service/families'];

/** Returns the checks that apply to this kind of cluster, to IstioCNI or not, and to a chart from a checkout or elsewhere. */
export const filterApplicable = (
  {
    cluster,
    'operator-chart': chart,
    'istio-cni': cni
  }: Pick<Inputs, 'cluster' | 'operator-chart'> & Partial<Pick<Inputs, 'istio-cni'>>,
  definitions: CheckDefinition[]
): CheckDefinition[] =>
  definitions.filter(
    ({id, layer}) =>
      (cluster === 'existing' || !existingOnly.includes(id)) &&
      (layer !== 'cni' || cni === 'true') &&
      (layer !== 'docs' || (chart !== null && !chart.includes('://')))
  );

/** Lists the checks that cannot run in an existing cluster, each with its reason. Pure. */
export function listSkippedChecks(
  definitions: CheckDefinition[],
  existing: ExistingCluster
): {id: string; reason: string}[] {
  return definitions.flatMap(({id, layer}) => {
    const reason = getSkipReason(id, layer, existing);
    return reason === null ? [] : [{id, reason}];
  });
}

function getSkipReason(
  id: string,
  layer: string,
  {mesh, operator, strict, found}: ExistingCluster
): string | null {
  if (layer === 'runner' || layer === 'network')
    return 'the existing cluster does not run on this machine';
  if (layer === 'failover') return 'blocking a family in the nodes needs a kind cluster';
  if (id === 'node/all/pod-cidrs' || id === 'node/all/ip6tables')
    return 'needs kind nodes; `node/service/families` checks an existing cluster by a dry run of a Service';
  if (layer === 'cni') return 'removing the rules of a pod in its node needs a kind cluster';
  if (id.startsWith('gateway/api/') && !found.gatewayApi)
    return 'this cluster has no CRDs of the Gateway API, and the run does not install them';
  if (id.startsWith('headless/host-network/')) return 'a host-network pod needs a kind cluster';
  if (/^proxy\/.*\/iptables$/.test(id))
    return 'reading the rules of a pod in its node needs a kind cluster';
  if (/\/image-ids?$/.test(id))
    return 'the nodes of this cluster pull their images: this run preloads none to compare with';
  if (mesh !== null && id === 'xds/istiod/rejects')
    return 'istiod counts since its start, which was before this run';
  if (mesh !== null && layer === 'operator' && operator === null)
    return 'the existing mesh has no Sail Operator';
  if (operator !== null && id === 'operator/sail-operator/image')
    return 'the run uses the existing operator, and requests no image';
  if (mesh !== null && mesh.resource === null && id === 'control-plane/istio/healthy')
    return 'the existing mesh has no Istio resource';
  if (mesh !== null && layer === 'uninstall') return 'the run does not remove an existing mesh';
  if (strict !== null && /^(mtls|http|headless)\/.*-control$/.test(id)) return strict;
  return null;
}

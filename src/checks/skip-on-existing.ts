import type {Inputs} from '../inputs/inputs.ts';
import type {ExistingCluster} from '../plan/existing-cluster.ts';
import type {CheckDefinition} from './definition.ts';

/** Asked only of a cluster that is there already: a kind cluster's nodes tell it. */
const existingOnly = ['node/service/families'];

/** What can be asked at all of this kind of cluster, with or without IstioCNI, and of a chart that comes from elsewhere than a checkout. */
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

/** What cannot be made in a cluster that is there already, each with its reason. Pure. */
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
    return 'the cluster is there already, and does not run on this machine';
  if (layer === 'failover')
    return 'a family is cut in the nodes, which is done in kind clusters only';
  if (id === 'node/all/pod-cidrs' || id === 'node/all/ip6tables')
    return 'asked of the nodes of kind clusters only; here a dry run of a Service tells';
  if (layer === 'cni')
    return 'rules are taken from a pod in its node, which is done in kind clusters only';
  if (id.startsWith('gateway/api/') && !found.gatewayApi)
    return 'this cluster has no CRDs of the Gateway API, and is not given any';
  if (id.startsWith('headless/host-network/'))
    return "a pod in its node's network is made in kind clusters only";
  if (/^proxy\/.*\/iptables$/.test(id))
    return "a pod's rules are read in its node, which is done in kind clusters only";
  if (/\/image-ids?$/.test(id))
    return 'the nodes of this cluster pull their images: this run brings none that could be compared';
  if (mesh !== null && id === 'xds/istiod/rejects')
    return 'istiod counts since it started, and it was there before';
  if (mesh !== null && layer === 'operator' && operator === null)
    return 'the mesh of this cluster is used, and no Sail Operator is there';
  if (operator !== null && id === 'operator/sail-operator/image')
    return 'the operator was there already: no image was asked for';
  if (mesh !== null && mesh.resource === null && id === 'control-plane/istio/healthy')
    return 'the mesh of this cluster has no Istio resource';
  if (mesh !== null && layer === 'uninstall')
    return 'the mesh of this cluster is used, and is not ours to remove';
  if (strict !== null && /^(mtls|http|headless)\/.*-control$/.test(id)) return strict;
  return null;
}

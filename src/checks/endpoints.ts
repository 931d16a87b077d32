import {
  type EndpointSlice,
  filterByKind,
  getAddressFamily,
  getPodIps,
  isReady,
  type KubeObject,
  listObjects,
  type Pod
} from '../base/kube.ts';
import {serverSamples} from '../manifests/documented-samples.ts';
import {type Family, families} from '../results/results.ts';
import {
  type CheckDefinition,
  compare,
  defineCheck,
  type LayerChecks,
  type MeshCheckInput,
  type Outcome
} from './definition.ts';
import {hasFamily} from './dns.ts';
import {settle} from './settle.ts';

export const exactlyReadyPods = 'exactly the ready pods';

/** What kube-controller-manager made of Services and pods. */
export const endpoints: LayerChecks<MeshCheckInput> = {
  layer: 'endpoints',
  attribution: {
    class: 'infrastructure',
    hint: 'See the EndpointSlices, and the log of kube-controller-manager (`kubectl logs -n kube-system -l component=kube-controller-manager`): it makes them of the Service and its ready pods.',
    headline: family => `Services do not have the ${family && `${family} `}endpoints they should`
  },
  definitions: serverSamples.flatMap(({namespace: target}) =>
    families.map(family =>
      defineCheck(
        'endpoints',
        `endpoints/${target}/${family}`,
        hasFamily(target, family)
          ? `EndpointSlices with the pods' ${family} addresses`
          : `No EndpointSlice of ${family}`,
        hasFamily(target, family) ? exactlyReadyPods : 'none',
        {
          family,
          to: {kind: 'Service', namespace: target, name: 'tcp-echo'}
        }
      )
    )
  ),
  run: async (input, selected) => {
    const {snapshot, plan, sh} = input;
    const kinds = 'pods,endpointslices';
    const again = async (targets: string[]): Promise<KubeObject[]> =>
      plan.existing === null
        ? listObjects(sh, kinds, '-A')
        : (
            await Promise.all(targets.map(name => listObjects<KubeObject>(sh, kinds, '-n', name)))
          ).flat();
    let first = true; // a pod is Ready a moment before it is in a slice
    await settle(
      input,
      selected.map(check => ({check})),
      async open => {
        const seen = first
          ? snapshot
          : await again([...new Set(open.map(({check}) => check.target))]);
        first = false;
        return open.map(question => ({question, outcome: judge(seen, question.check)}));
      }
    );
  }
};

function judge(snapshot: KubeObject[], {target, family, expected}: CheckDefinition): Outcome {
  const slices = filterByKind(snapshot, 'EndpointSlice', target).filter(
    ({metadata}) => metadata.labels?.['kubernetes.io/service-name'] === 'tcp-echo'
  );
  const pods = filterByKind(snapshot, 'Pod', target).filter(
    pod => pod.metadata.labels?.app === 'tcp-echo' && isReady(pod)
  );
  return compare(expected, describeListedAddresses(slices, pods, family), {
    reproduce: `kubectl get endpointslices -n ${target} -l kubernetes.io/service-name=tcp-echo`
  });
}

/** What the slices of a Service list as ready in a family: exactly these pods, or which addresses. */
export function describeListedAddresses(
  slices: EndpointSlice[],
  pods: Pod[],
  family: Family | null
): string {
  const own = slices.filter(({addressType}) => addressType.toLowerCase() === family);
  const listed = own
    .flatMap(({endpoints}) => endpoints ?? [])
    .filter(({conditions}) => conditions?.ready !== false)
    .flatMap(({addresses}) => addresses);
  const wanted = pods.flatMap(getPodIps).filter(ip => getAddressFamily(ip) === family);
  const same =
    listed.length > 0 && [...new Set(listed)].sort().join() === [...wanted].sort().join(); // named ports have slices of their own
  return same
    ? exactlyReadyPods
    : listed.join(', ') || (own.length > 0 ? 'an empty slice' : 'none');
}

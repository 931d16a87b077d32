/** Checks of the EndpointSlices of the documented Services. */
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
import {type Family, families, familyNames} from '../results/results.ts';
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
const noReadyAddress = 'an empty slice';

/** Checks of the EndpointSlices that kube-controller-manager creates from Services and pods. */
export const endpoints: LayerChecks<MeshCheckInput> = {
  layer: 'endpoints',
  attribution: {
    class: 'infrastructure',
    hint: 'Check the EndpointSlices, and the log of kube-controller-manager (`kubectl logs -n kube-system -l component=kube-controller-manager`), which creates them from the Service and its ready pods.',
    headline: family => `Services have wrong ${family && `${family} `}endpoints`
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
  const observed = describeListedAddresses(slices, pods, family);
  const reason =
    observed === expected
      ? null
      : describeDifference(`Service ${target}/tcp-echo`, family ?? 'ipv4', observed, expected);
  return compare(expected, observed, {
    reason,
    reproduce: `kubectl get endpointslices -n ${target} -l kubernetes.io/service-name=tcp-echo`
  });
}

/** The reason of a failure, in words that stand without the title of the check. */
function describeDifference(
  service: string,
  family: Family,
  observed: string,
  expected: string
): string {
  const name = familyNames[family];
  if (expected === 'none') return `${service} has an unexpected ${name} EndpointSlice`;
  if (observed === 'none') return `${service} has no ${name} EndpointSlice`;
  if (observed === noReadyAddress)
    return `the ${name} EndpointSlice of ${service} has no ready address`;
  return `the ${name} EndpointSlices of ${service} list ${observed}, expected ${expected}`;
}

/** Describes the ready addresses of a family in a Service's slices: exactly these pods, or the addresses. */
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
  return same ? exactlyReadyPods : listed.join(', ') || (own.length > 0 ? noReadyAddress : 'none');
}

/** Checks of the sample pods: readiness, addresses, sidecars, images. */
import {filterByKind, getAddressFamily, getPodIps, isReady, type Pod} from '../base/kube.ts';
import {documentedWorkloads, plainNamespace} from '../manifests/documented-samples.ts';
import {cniNamespace, ztunnelNamespace} from '../manifests/istio-resources.ts';
import type {Plan} from '../plan/plan.ts';
import type {Place} from '../results/results.ts';
import {compareImages} from './compare-images.ts';
import {
  type Attribution,
  compare,
  defineCheck,
  type LayerChecks,
  type MeshCheckInput
} from './definition.ts';

const getTargetName = ({namespace, app}: {namespace: string; app: string}): string =>
  namespace === plainNamespace ? `${namespace}-${app}` : namespace;

const to = ({namespace, app}: {namespace: string; app: string}) => ({
  to: {kind: 'Deployment', namespace, name: app}
});

const imageIds = 'workload/all/image-ids';

const injectionHint =
  'Set `injection-label` to a label by which this Istio injects: `istio-injection=enabled`, or `istio.io/rev=NAME` of an existing revision. Compare `kubectl get namespaces --show-labels` with the selectors of `kubectl get mutatingwebhookconfigurations -o yaml`.';

const notInjected: Partial<Attribution> = {
  hint: injectionHint,
  headline: 'Pods have no sidecar'
};
const injected: Partial<Attribution> = {
  hint: 'Istio injects into a namespace without an injection label. Check the namespace selectors of `kubectl get mutatingwebhookconfigurations -o yaml`, and `enableNamespacesByDefault` in `istio-values`.',
  headline: 'Pods have a sidecar without an injection label'
};

/** The checks of the sample pods. */
export const workload: LayerChecks<MeshCheckInput> = {
  layer: 'workload',
  attribution: {
    class: 'istio',
    hint: 'Check the pods and their events in diagnostics/.',
    headline: family => `The sample pods are not ready${family && ` with ${family}`}`
  },
  definitions: [
    ...documentedWorkloads.flatMap(place => [
      defineCheck(
        'workload',
        `workload/${getTargetName(place)}/ready`,
        'Every pod is Ready',
        'Ready',
        to(place)
      ),
      defineCheck(
        'workload',
        `workload/${getTargetName(place)}/addresses`,
        'Every pod has an address of each family',
        'ipv4, ipv6',
        {
          ...to(place),
          attribution: {
            class: 'infrastructure',
            hint: 'A pod lacks an address of one family. Check the pod CIDRs of its node, and the network plugin.',
            headline: 'Pods do not have an address of each family'
          }
        }
      ),
      defineCheck(
        'workload',
        `workload/${getTargetName(place)}/sidecar`,
        place.namespace === plainNamespace ? 'No pod has a sidecar' : 'Every pod has its sidecar',
        place.namespace === plainNamespace ? 'none' : 'istio-proxy',
        {...to(place), attribution: place.namespace === plainNamespace ? injected : notInjected}
      )
    ]),
    defineCheck(
      'workload',
      imageIds,
      'Every pod runs the expected images, by name and, if known, by ID',
      'the expected images'
    )
  ],
  run: async ({plan, preloaded, sh, snapshot, report}, selected) => {
    const listPods = (to: Place | null) =>
      filterByKind(snapshot, 'Pod', to?.namespace).filter(
        ({metadata}) => metadata.labels?.app === to?.name && !metadata.deletionTimestamp
      );
    const bare = selected
      .filter(({id, expected}) => id.endsWith('/sidecar') && expected !== 'none')
      .filter(({to}) => listPods(to).some(pod => describeSidecar(pod) === 'none'))
      .map(({to}) => to?.namespace ?? '');
    const namespaces = [...plan.workloads, ...plan.extraWorkloads].map(({namespace}) => namespace);
    for (const {id, to, expected} of selected) {
      if (id === imageIds) {
        const all = filterByKind(snapshot, 'Pod').filter(({metadata}) =>
          [...namespaces, cniNamespace, ztunnelNamespace].includes(metadata.namespace)
        );
        report(id, await compareImages(all, preloaded, sh, expectedImage(plan)));
        continue;
      }
      const pods = listPods(to);
      const observe = id.endsWith('/ready')
        ? readiness
        : id.endsWith('/sidecar')
          ? describeSidecar
          : describeAddressFamilies;
      const observed = [...new Set(pods.map(observe))].join('; ') || 'no pod';
      report(
        id,
        compare(expected, observed, {
          reproduce: `kubectl get pods -n ${to?.namespace} -l app=${to?.name} -o yaml`,
          ...(id.endsWith('/sidecar') &&
            bare.includes(to?.namespace ?? '') && {
              reason: `pods in namespace ${to?.namespace} have no sidecar`,
              attribution: describeNotInjected(bare, plan)
            })
        })
      );
    }
  }
};

/** Names the namespaces whose pods have no sidecar, and the injection label that this run gave them. */
function describeNotInjected(namespaces: string[], {files}: Plan): Partial<Attribution> {
  const [, key, value] =
    /^ +(istio-injection|istio\.io\/rev): *(\S+)$/m.exec(files['namespaces.yaml'] ?? '') ?? [];
  const names = namespaces.join(', ');
  const label =
    key === undefined ? 'sets no injection label there' : `labels them \`${key}=${value}\``;
  return {
    hint: `Pods without a sidecar are in these namespaces: ${names}. This run ${label}. ${injectionHint}`,
    headline: `Pods have no sidecar in ${names}`
  };
}

/** The image that a container of the mesh must run; empty: unknown. */
const expectedImage =
  ({istio: {images, cni, ambient}, existing}: Plan) =>
  ({metadata: {namespace, annotations = {}}}: Pod, container: string): string => {
    if (namespace === ztunnelNamespace) return ambient ? images.ztunnel : '';
    if (namespace === cniNamespace) return cni && !existing?.cni ? images.cni : '';
    const isProxy = /^istio-(proxy|init|validation)$/.test(container);
    return isProxy && annotations['sidecar.istio.io/proxyImage'] === undefined ? images.proxy : '';
  };

const readiness = (pod: Pod): string => (isReady(pod) ? 'Ready' : pod.status.phase);

export const describeAddressFamilies = (pod: Pod): string =>
  getPodIps(pod).map(getAddressFamily).sort().join(', ') || 'none';

/** Returns `istio-proxy` or `none`. Since Istio 1.27 the sidecar is an init container with restartPolicy Always. */
export function describeSidecar({spec}: Pod): string {
  const restarted = (spec.initContainers ?? []).filter(
    ({restartPolicy}) => restartPolicy === 'Always'
  );
  return (
    [...restarted, ...spec.containers].find(({name}) => name === 'istio-proxy')?.name ?? 'none'
  );
}

import {filterByKind, getAddressFamily, getPodIps, isReady, type Pod} from '../base/kube.ts';
import {documentedWorkloads, plainNamespace} from '../manifests/documented-samples.ts';
import {cniNamespace, ztunnelNamespace} from '../manifests/istio-resources.ts';
import type {Plan} from '../plan/plan.ts';
import {compareImageIds} from './compare-images.ts';
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

const notInjected: Partial<Attribution> = {
  hint: 'Nobody injects there: the namespace lacks the label that this Istio goes by, `istio-injection=enabled`, or `istio.io/rev=NAME` with a revision that exists (`injection-label`). See `kubectl get namespaces --show-labels` and `kubectl get mutatingwebhookconfigurations`.',
  headline: 'Pods have no sidecar: their namespace lacks the injection label'
};
const injected: Partial<Attribution> = {
  hint: 'Istio injects although nothing asks for it there: see the namespace selectors of `kubectl get mutatingwebhookconfigurations -o yaml`, and `enableNamespacesByDefault` in `istio-values`.',
  headline: 'Pods have a sidecar that must have none'
};

/** The pods of the samples. */
export const workload: LayerChecks<MeshCheckInput> = {
  layer: 'workload',
  attribution: {
    class: 'istio',
    hint: 'See the pods and their events in diagnostics/.',
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
            hint: "The cluster's network gave the pod one family only: see the pod CIDRs of its node, and the network plugin.",
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
      'Every pod runs the expected images, by name and, where it is known, by id',
      'the expected images'
    )
  ],
  run: async ({plan, preloaded, sh, snapshot, report}, selected) => {
    const namespaces = [...plan.workloads, ...plan.extraWorkloads].map(({namespace}) => namespace);
    for (const {id, to, expected} of selected) {
      if (id === imageIds) {
        const all = filterByKind(snapshot, 'Pod').filter(({metadata}) =>
          [...namespaces, cniNamespace, ztunnelNamespace].includes(metadata.namespace)
        );
        report(id, await compareImageIds(all, preloaded, sh, expectedImage(plan)));
        continue;
      }
      const pods = filterByKind(snapshot, 'Pod', to?.namespace).filter(
        ({metadata}) => metadata.labels?.app === to?.name && !metadata.deletionTimestamp
      );
      const observe = id.endsWith('/ready')
        ? readiness
        : id.endsWith('/sidecar')
          ? describeSidecar
          : describeAddressFamilies;
      const observed = [...new Set(pods.map(observe))].join('; ') || 'no pod';
      report(
        id,
        compare(expected, observed, {
          reproduce: `kubectl get pods -n ${to?.namespace} -l app=${to?.name} -o yaml`
        })
      );
    }
  }
};

/** The image that a container of the mesh is expected to run; empty where nothing tells. */
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

/** From Istio 1.27 on the sidecar is an init container that is restarted always. */
export function describeSidecar({spec}: Pod): string {
  const restarted = (spec.initContainers ?? []).filter(
    ({restartPolicy}) => restartPolicy === 'Always'
  );
  return (
    [...restarted, ...spec.containers].find(({name}) => name === 'istio-proxy')?.name ?? 'none'
  );
}

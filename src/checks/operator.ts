/** Checks of the Sail Operator and its image. */
import {
  checkForPodProblems,
  type Deployment,
  filterByKind,
  listObjects,
  type Pod,
  waitWithKubectl
} from '../base/kube.ts';
import {pollUntil} from '../base/wait.ts';
import {operatorNamespace} from '../manifests/istio-resources.ts';
import {findImageOwner, type Plan} from '../plan/plan.ts';
import {compareImages} from './compare-images.ts';
import {
  compare,
  defineCheck,
  type LayerChecks,
  type StandingCheckInput,
  skip
} from './definition.ts';

const available = 'operator/sail-operator/available';
const image = 'operator/sail-operator/image';
const id = 'operator/sail-operator/image-id';
const to = {to: {kind: 'Deployment', namespace: operatorNamespace, name: 'sail-operator'}};
const availableSoon = ({namespace, name}: Plan['operator']): string[] => [
  ...[`deployments/${name}`, '--namespace', namespace],
  '--for=condition=Available'
];

/** The checks of the operator; only they wait for its Deployment. */
export const operator: LayerChecks<StandingCheckInput> = {
  layer: 'operator',
  attribution: {
    class: 'operator',
    hint: "Check the operator's Deployment and its log in diagnostics/.",
    headline: () => 'The Sail Operator does not run as expected'
  },
  definitions: [
    defineCheck('operator', available, "The operator's Deployment is available", 'available', to),
    defineCheck('operator', image, 'The operator runs the requested image', 'the requested image', {
      ...to,
      attribution: {
        hint: 'The Deployment has another image. Check the input `operator-image`, and `image` in `operator-values`.',
        headline: 'The Sail Operator does not run the requested image'
      }
    }),
    defineCheck(
      'operator',
      id,
      'The pod of the operator runs the requested image, by its ID',
      'the requested image',
      to
    )
  ],
  run: async ({plan, preloaded, sh, work, report}) => {
    const {namespace, name} = plan.operator;
    const reproduce = `kubectl get deployment ${name} -n ${namespace} -o yaml`;
    const {deployment, pods} = await pollUntil(work, async () => {
      await waitWithKubectl(sh, availableSoon(plan.operator));
      const objects = await listObjects<Deployment | Pod>(sh, 'deployments,pods', '-n', namespace);
      const deployment = filterByKind(objects, 'Deployment').find(
        ({metadata}) => metadata.name === name
      );
      if (deployment && (deployment.status.availableReplicas ?? 0) > 0)
        return {is: 'done', value: {deployment, pods: filterByKind(objects, 'Pod')}};
      const trouble = checkForPodProblems(filterByKind(objects, 'Pod'), {
        class: 'operator',
        layer: 'operator',
        findOwner: image => findImageOwner(plan, image)
      });
      return trouble ?? {is: 'waiting', for: 'the operator to be available'};
    });
    report(available, compare('available', 'available', {reproduce}));
    const wanted = plan.operator.image;
    const running = deployment.spec.template.spec.containers.map(container => container.image);
    report(
      image,
      wanted === null
        ? skip('the chart names no image')
        : compare(wanted, running.find(name => name === wanted) ?? running.join(', '), {reproduce})
    );
    report(id, await compareImages(runningAs(wanted, pods), preloaded, sh));
  }
};

/** The pods with a container of this image; the namespace can have other pods. */
const runningAs = (image: string | null, pods: Pod[]): Pod[] =>
  pods.filter(({spec}) => spec.containers.some(container => container.image === image));

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
import {compareImageIds} from './compare-images.ts';
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

/** The Sail Operator: nothing waits for it but this check. */
export const operator: LayerChecks<StandingCheckInput> = {
  layer: 'operator',
  attribution: {
    class: 'operator',
    hint: "See the operator's Deployment and its log in diagnostics/.",
    headline: () => 'The Sail Operator does not run as it should'
  },
  definitions: [
    defineCheck('operator', available, "The operator's Deployment is available", 'available', to),
    defineCheck('operator', image, 'It runs the image asked for', 'the image asked for', {
      ...to,
      attribution: {
        hint: 'The chart has put another image into the Deployment: see `operator-image`, and `image` in `operator-values`.',
        headline: 'The Sail Operator runs another image than was asked for'
      }
    }),
    defineCheck(
      'operator',
      id,
      'Its pod runs that very image, by its id',
      'the image asked for',
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
        ? skip('the chart does not name an image')
        : compare(wanted, running.find(name => name === wanted) ?? running.join(', '), {reproduce})
    );
    report(id, await compareImageIds(runningAs(wanted, pods), preloaded, sh));
  }
};

/** The pods of an image by its name: somebody else's may be in that namespace. */
const runningAs = (image: string | null, pods: Pod[]): Pod[] =>
  pods.filter(({spec}) => spec.containers.some(container => container.image === image));

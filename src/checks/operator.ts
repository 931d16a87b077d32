import {type Deployment, get, lookAtTrouble, ofKind, type Pod, waited} from '../base/kube.ts';
import {until} from '../base/wait.ts';
import {operatorNamespace} from '../manifests/istio-resources.ts';
import {ownerOf, type Plan} from '../plan/plan.ts';
import {compareIds} from './compare-images.ts';
import {type Checks, compare, row, type Standing, skip} from './definition.ts';

const available = 'operator/sail-operator/available';
const image = 'operator/sail-operator/image';
const id = 'operator/sail-operator/image-id';
const to = {to: {kind: 'Deployment', namespace: operatorNamespace, name: 'sail-operator'}};
const availableSoon = ({namespace, name}: Plan['operator']): string[] => [
  ...[`deployments/${name}`, '--namespace', namespace],
  '--for=condition=Available'
];

/** The Sail Operator: nothing waits for it but this check. */
export const operator: Checks<Standing> = {
  layer: 'operator',
  blame: {
    class: 'operator',
    hint: "See the operator's Deployment and its log in diagnostics/.",
    headline: () => 'The Sail Operator does not run as it should'
  },
  rows: [
    row('operator', available, "The operator's Deployment is available", 'available', to),
    row('operator', image, 'It runs the image asked for', 'the image asked for', {
      ...to,
      blame: {
        hint: 'The chart has put another image into the Deployment: see `operator-image`, and `image` in `operator-values`.',
        headline: 'The Sail Operator runs another image than was asked for'
      }
    }),
    row('operator', id, 'Its pod runs that very image, by its id', 'the image asked for', to)
  ],
  look: async ({plan, brought, sh, work, tell}) => {
    const {namespace, name} = plan.operator;
    const reproduce = `kubectl get deployment ${name} -n ${namespace} -o yaml`;
    const {deployment, pods} = await until(work, async () => {
      await waited(sh, availableSoon(plan.operator));
      const things = await get<Deployment | Pod>(sh, 'deployments,pods', '-n', namespace);
      const deployment = ofKind(things, 'Deployment').find(({metadata}) => metadata.name === name);
      if (deployment && (deployment.status.availableReplicas ?? 0) > 0)
        return {is: 'done', value: {deployment, pods: ofKind(things, 'Pod')}};
      const trouble = lookAtTrouble(ofKind(things, 'Pod'), {
        class: 'operator',
        layer: 'operator',
        ownerOf: image => ownerOf(plan, image)
      });
      return trouble ?? {is: 'waiting', for: 'the operator to be available'};
    });
    tell(available, compare('available', 'available', {reproduce}));
    const wanted = plan.operator.image;
    const running = deployment.spec.template.spec.containers.map(container => container.image);
    tell(
      image,
      wanted === null
        ? skip('the chart does not name an image')
        : compare(wanted, running.find(name => name === wanted) ?? running.join(', '), {reproduce})
    );
    tell(id, await compareIds(runningAs(wanted, pods), brought, sh));
  }
};

/** The pods of an image by its name: somebody else's may be in that namespace. */
const runningAs = (image: string | null, pods: Pod[]): Pod[] =>
  pods.filter(({spec}) => spec.containers.some(container => container.image === image));

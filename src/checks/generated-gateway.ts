import {findByFamily, isReady, listObjects, type Pod, type Service} from '../base/kube.ts';
import {pollForAtMost} from '../base/wait.ts';
import {apiGatewayLabel} from '../manifests/gateway-api-sample.ts';
import {compare, type MeshCheckInput, type Outcome} from './definition.ts';

/** What a row expects of its Service. */
export const bothFamilies = 'a ClusterIP of each family';

/** How long istiod may take to make a Gateway's pod, and the pod to get ready, in seconds. */
const making = 60;

/** What istiod makes of a Gateway of the Gateway API. */
export interface Made {
  service: Service | undefined;
  pod: Pod | undefined;
}

export const selectorOf = (gateway: string): string => `${apiGatewayLabel}=${gateway}`;

/** It was not there when all pods were looked at. */
export async function untilMade(
  {sh, work}: MeshCheckInput,
  namespace: string,
  gateway: string
): Promise<Made> {
  return pollForAtMost(
    work,
    {seconds: making, for: () => `istiod to make the Gateway ${namespace}/${gateway}`},
    async () => {
      const things = await listObjects<Service | Pod>(
        sh,
        'services,pods',
        ...['-n', namespace, '-l', selectorOf(gateway)]
      );
      return {
        pod: things.filter(thing => thing.kind === 'Pod').find(isReady),
        service: things.find(thing => thing.kind === 'Service')
      };
    },
    ({pod, service}) => pod !== undefined && service !== undefined
  );
}

export function clusterIpsOf({service}: Made, namespace: string, name: string): Outcome {
  const {ipFamilyPolicy, clusterIPs = []} = service?.spec ?? {};
  const both = (['ipv4', 'ipv6'] as const).every(family => findByFamily(clusterIPs, family));
  const observed =
    service === undefined
      ? 'no Service'
      : both
        ? bothFamilies
        : `${ipFamilyPolicy}, ${clusterIPs.join(', ')}`;
  return compare(bothFamilies, observed, {
    reproduce: `kubectl get service ${name} -n ${namespace} -o yaml`
  });
}

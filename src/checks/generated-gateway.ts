/** Reads the Service and the pod that istiod creates for a Gateway. */
import {findByFamily, isReady, listObjects, type Pod, type Service} from '../base/kube.ts';
import {pollForAtMost} from '../base/wait.ts';
import {apiGatewayLabel} from '../manifests/gateway-api-sample.ts';
import {compare, type MeshCheckInput, type Outcome} from './definition.ts';

/** The expected value of a check of a generated Service. */
export const bothFamilies = 'a ClusterIP of each family';

/** Limit for istiod to create a Gateway's pod, and for the pod to become ready, in seconds. */
const generationSeconds = 60;

/** The objects that istiod creates for a Gateway of the Gateway API. */
export interface GeneratedGateway {
  service: Service | undefined;
  pod: Pod | undefined;
}

export const buildGatewaySelector = (gateway: string): string => `${apiGatewayLabel}=${gateway}`;

/** Returns the generated objects once they exist, or what exists when the limit expires. The snapshot is older than they are. */
export async function waitForGateway(
  {sh, work}: MeshCheckInput,
  namespace: string,
  gateway: string
): Promise<GeneratedGateway> {
  return pollForAtMost(
    work,
    {
      seconds: generationSeconds,
      for: () => `istiod to create the objects of Gateway ${namespace}/${gateway}`
    },
    async () => {
      const objects = await listObjects<Service | Pod>(
        sh,
        'services,pods',
        ...['-n', namespace, '-l', buildGatewaySelector(gateway)]
      );
      return {
        pod: objects.filter(thing => thing.kind === 'Pod').find(isReady),
        service: objects.find(thing => thing.kind === 'Service')
      };
    },
    ({pod, service}) => pod !== undefined && service !== undefined
  );
}

export function checkServiceFamilies(
  {service}: GeneratedGateway,
  namespace: string,
  name: string
): Outcome {
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

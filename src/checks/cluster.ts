/** Checks of the pod network without Istio. */
import {getAddressFamily} from '../base/kube.ts';
import {plainNamespace} from '../manifests/documented-samples.ts';
import {families} from '../results/results.ts';
import {defineCheck, type LayerChecks, type MeshCheckInput} from './definition.ts';
import {createProofsAt, findClusterIp, listPodIps} from './echo.ts';
import {plainClient} from './probe.ts';
import {prove} from './prove.ts';

const from = {kind: 'Deployment', namespace: plainNamespace, name: 'sleep'};

/** Checks between a client and a server without sidecars, which show faults below Istio. */
export const cluster: LayerChecks<MeshCheckInput> = {
  layer: 'cluster',
  grid: {title: 'without any sidecar', named: false},
  attribution: {
    class: 'infrastructure',
    hint: 'The cause is below Istio. Check the routes and ip6tables of the node (for a kind cluster, in diagnostics/).',
    headline: family => `No ${family ? `${family} ` : ''}traffic between pods`
  },
  definitions: families.flatMap(family => [
    defineCheck(
      'cluster',
      `cluster/plain/${family}`,
      `Without any sidecar, a pod answers over ${family}`,
      `hello cluster/plain/${family}`,
      {
        family,
        from,
        to: {kind: 'Pod', namespace: plainNamespace, name: 'tcp-echo'}
      }
    ),
    defineCheck(
      'cluster',
      `cluster/plain/${family}-service`,
      `Without any sidecar, a Service answers over ${family}`,
      `hello cluster/plain/${family}-service`,
      {
        family,
        from,
        to: {kind: 'Service', namespace: plainNamespace, name: 'tcp-echo'}
      }
    )
  ]),
  run: async (input, selected) => {
    const pods = listPodIps(input, plainNamespace);
    const proofs = selected.flatMap(check => {
      const family = check.family ?? 'ipv4';
      const address =
        check.to?.kind === 'Pod'
          ? pods.find(ip => getAddressFamily(ip) === family)
          : findClusterIp(input, plainNamespace, 'tcp-echo', family);
      return createProofsAt(input, check, address, 9000, pods);
    });
    await prove(plainClient, proofs, input);
  }
};

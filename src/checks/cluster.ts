import {addressFamily} from '../base/kube.ts';
import {plainNamespace} from '../manifests/documented-samples.ts';
import {families} from '../results/results.ts';
import {type Checking, type Checks, row} from './definition.ts';
import {clusterIp, podIps, proofAt} from './echo.ts';
import {plainClient} from './probe.ts';
import {prove} from './prove.ts';

const from = {kind: 'Deployment', namespace: plainNamespace, name: 'sleep'};

/** Client and server without sidecars: only these two together tell what is below Istio. */
export const cluster: Checks<Checking> = {
  layer: 'cluster',
  grid: {title: 'without any sidecar', named: false},
  blame: {
    class: 'infrastructure',
    hint: 'The fault is below Istio: see the routes and ip6tables of the node (of a kind cluster in diagnostics/).',
    headline: family => `${family || 'Traffic'} between pods is dead`
  },
  rows: families.flatMap(family => [
    row(
      'cluster',
      `cluster/plain/${family}`,
      `Without any sidecar a pod answers over ${family}`,
      `hello cluster/plain/${family}`,
      {
        family,
        from,
        to: {kind: 'Pod', namespace: plainNamespace, name: 'tcp-echo'}
      }
    ),
    row(
      'cluster',
      `cluster/plain/${family}-service`,
      `Without any sidecar a Service answers over ${family}`,
      `hello cluster/plain/${family}-service`,
      {
        family,
        from,
        to: {kind: 'Service', namespace: plainNamespace, name: 'tcp-echo'}
      }
    )
  ]),
  look: async (checking, asked) => {
    const pods = podIps(checking, plainNamespace);
    const proofs = asked.flatMap(row => {
      const family = row.family ?? 'ipv4';
      const address =
        row.to?.kind === 'Pod'
          ? pods.find(ip => addressFamily(ip) === family)
          : clusterIp(checking, plainNamespace, 'tcp-echo', family);
      return proofAt(checking, row, address, 9000, pods);
    });
    await prove(plainClient, proofs, checking);
  }
};

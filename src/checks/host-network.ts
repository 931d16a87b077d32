/** Checks of a headless Service whose pod is in the network of its node. */
import {filterByKind, findByFamily} from '../base/kube.ts';
import {clientSample} from '../manifests/documented-samples.ts';
import {hostApp, hostNamespace, hostPort} from '../manifests/host-network-sample.ts';
import {families} from '../results/results.ts';
import {type CheckDefinition, defineCheck, type MeshCheckInput} from './definition.ts';
import {createProofsAt, listPodIps} from './echo.ts';
import {checkPodListeners, exactlyPodIps} from './pod-listeners.ts';
import {meshClient} from './probe.ts';
import {prove} from './prove.ts';

const from = {kind: 'Deployment', namespace: clientSample.namespace, name: clientSample.app};
const to = {kind: 'Pod', namespace: hostNamespace, name: hostApp};
const listeners = 'headless/host-network/listeners';

/** Such a pod has the addresses of its node, which can have several addresses of one family. */
export const hostNetworkDefinitions: CheckDefinition[] = [
  defineCheck(
    'headless',
    listeners,
    "The client listens on exactly the addresses of a headless Service's host-network pod",
    exactlyPodIps,
    {from, to}
  ),
  ...families.map(family =>
    defineCheck(
      'headless',
      `headless/host-network/${family}`,
      `A headless Service's host-network pod answers over ${family}`,
      `hello headless/host-network/${family}`,
      {family, from, to}
    )
  )
];

/** Probes the pod from the client in the mesh, and checks the listeners of that client's proxy. */
export async function checkHostNetwork(
  input: MeshCheckInput,
  selected: CheckDefinition[]
): Promise<void> {
  const pods = filterByKind(input.snapshot, 'Pod', hostNamespace);
  const ips = listPodIps(input, hostNamespace, hostApp);
  const reached = selected.flatMap(check => {
    if (check.family === null) return [];
    const address = findByFamily(ips, check.family);
    return createProofsAt(input, check, address, hostPort, ips);
  });
  await Promise.all([
    prove(meshClient, reached, input),
    ...selected
      .filter(({id}) => id === listeners)
      .map(async ({id}) =>
        input.report(id, await checkPodListeners(input, pods, hostPort, families.length))
      )
  ]);
}

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

/** A headless Service of a pod that has its node's addresses, of which it may have more than one of a family. */
export const hostNetworkDefinitions: CheckDefinition[] = [
  defineCheck(
    'headless',
    listeners,
    "The client has a listener on exactly the addresses of a headless Service's pod in its node's network",
    exactlyPodIps,
    {from, to}
  ),
  ...families.map(family =>
    defineCheck(
      'headless',
      `headless/host-network/${family}`,
      `A headless Service's pod in its node's network answers over ${family}`,
      `hello headless/host-network/${family}`,
      {family, from, to}
    )
  )
];

/** Asks the mesh's client, and what its proxy listens on. */
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

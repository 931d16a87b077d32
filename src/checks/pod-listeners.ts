/** Compares the listeners of a client with the pods of a headless Service. */
import {filterByKind, getClusterIps, getPodIps, type Pod} from '../base/kube.ts';
import {clientSample} from '../manifests/documented-samples.ts';
import {compare, type MeshCheckInput, type Outcome} from './definition.ts';
import {
  buildListenersCommand,
  type EnvoyListeners,
  fetchEnvoyDump,
  listenerQuery,
  listListenerAddresses
} from './proxy.ts';

/** The expected value: the client listens on the address of each pod, and on no other. */
export const exactlyPodIps = 'exactly the pod IPs';

export const getAllPodIps = (pods: Pod[]): string[] => pods.flatMap(getPodIps);

/** Compares the listeners of the client's proxy at `port` with the pod IPs, of which there must be `addresses`. Throws CommandError. */
export async function checkPodListeners(
  input: MeshCheckInput,
  pods: Pod[],
  port: number,
  addresses: number
): Promise<Outcome> {
  const command = buildListenersCommand(clientSample.namespace, clientSample.app);
  const listeners = await fetchEnvoyDump<EnvoyListeners>(
    input,
    clientSample.namespace,
    clientSample.app,
    listenerQuery
  );
  // other Services can have listeners on this port too
  const others = filterByKind(input.snapshot, 'Service').flatMap(getClusterIps);
  const found = listListenerAddresses(listeners)
    .map(address => /^\[?(.+?)\]?:(\d+)$/.exec(address) ?? [])
    .filter(([, ip = '', at]) => Number(at) === port && !others.includes(ip))
    .map(([, ip = '']) => ip);
  const wanted = getAllPodIps(pods);
  const said = [
    ...wanted.filter(ip => !found.includes(ip)).map(ip => `no listener on ${ip}`),
    // in an existing mesh, other Services can have listeners on this port
    ...(input.plan.existing?.mesh ? [] : found)
      .filter(ip => !wanted.includes(ip))
      .map(ip => `an unexpected listener on ${ip}, which is not a pod IP`)
  ];
  const complete = wanted.length === addresses;
  const observed = said.join('; ') || (complete ? exactlyPodIps : `pod IPs ${wanted.join(', ')}`);
  return compare(exactlyPodIps, observed, {reproduce: command.join(' ')});
}

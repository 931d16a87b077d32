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

/** What the client of a headless Service listens on. */
export const exactlyPodIps = 'exactly the pod IPs';

export const getAllPodIps = (pods: Pod[]): string[] => pods.flatMap(getPodIps);

/** What the client's proxy listens on at the port of a headless Service, against its pods, which have so many addresses. */
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
  // ClusterIPs of other Services have listeners on this port too
  const others = filterByKind(input.snapshot, 'Service').flatMap(getClusterIps);
  const found = listListenerAddresses(listeners)
    .map(address => /^\[?(.+?)\]?:(\d+)$/.exec(address) ?? [])
    .filter(([, ip = '', at]) => Number(at) === port && !others.includes(ip))
    .map(([, ip = '']) => ip);
  const wanted = getAllPodIps(pods);
  const said = [
    ...wanted.filter(ip => !found.includes(ip)).map(ip => `no listener on ${ip}`),
    // in a mesh of others their Services have listeners on this port as well
    ...(input.plan.existing?.mesh ? [] : found)
      .filter(ip => !wanted.includes(ip))
      .map(ip => `a listener on ${ip}, which is no pod IP`)
  ];
  const complete = wanted.length === addresses;
  const observed = said.join('; ') || (complete ? exactlyPodIps : `pod IPs ${wanted.join(', ')}`);
  return compare(exactlyPodIps, observed, {reproduce: command.join(' ')});
}

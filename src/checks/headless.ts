/** Checks of a headless Service and of the replacement of its pods. */
import {
  filterByKind,
  getAddressFamily,
  getPodIps,
  isReady,
  listObjects,
  type Pod,
  waitWithKubectl
} from '../base/kube.ts';
import {runOrThrow} from '../base/sh.ts';
import {pollForAtMost} from '../base/wait.ts';
import {clientSample} from '../manifests/documented-samples.ts';
import {
  replicas,
  statefulApp,
  statefulNamespace,
  statefulPorts,
  statefulSample
} from '../manifests/headless-sample.ts';
import {hostSample} from '../manifests/host-network-sample.ts';
import {type Family, families, familyNames} from '../results/results.ts';
import {
  type CheckDefinition,
  defineCheck,
  type LayerChecks,
  type MeshCheckInput,
  type Outcome
} from './definition.ts';
import {diagnoseWithoutSidecar} from './echo.ts';
import {checkHostNetwork, hostNetworkDefinitions} from './host-network.ts';
import {checkPodListeners, exactlyPodIps, getAllPodIps} from './pod-listeners.ts';
import {meshClient, plainClient} from './probe.ts';
import {type Proof, prove, settleProofs} from './prove.ts';
import {settleRefusals} from './refuse.ts';
import {settleSeconds} from './settle.ts';

const ordinals = [...Array(replicas).keys()];
const mesh = {kind: 'Deployment', namespace: clientSample.namespace, name: clientSample.app};
const plain = {kind: 'Deployment', namespace: plainClient.namespace, name: plainClient.deployment};
const to = {kind: 'StatefulSet', namespace: statefulNamespace, name: statefulApp};

/** The pod that the checks replace. */
const replaced = `${statefulApp}-0`;

/** Limit from the deletion of a pod until its successor is ready, in seconds. */
const replacing = 90;

/** How long the cluster's DNS may return an old address, in seconds. CoreDNS caches for 30 s, except cluster names in newer Kubernetes. */
const caching = 35;

const ids = {
  listeners: `headless/${statefulApp}/listeners`,
  replacedListeners: `headless/${statefulApp}/replaced-listeners`
};

const defineEchoCheck = (id: string, title: string, family: Family | null): CheckDefinition =>
  defineCheck('headless', id, title, `hello ${id}`, {family, from: mesh, to});

/** Checks of a headless Service, for which the client's proxy listens on each pod IP instead of a ClusterIP. */
export const headless: LayerChecks<MeshCheckInput> = {
  layer: 'headless',
  grid: {title: 'headless', named: false},
  attribution: {
    class: 'istio',
    hint: "Check the listeners of the client's proxy in diagnostics/. A headless Service needs one on each pod IP.",
    headline: family =>
      `The pods of a headless Service do not answer${family && ` over ${family}`}`,
    evidence: (failed, all) =>
      failed.id.includes('/pod-0-') ? diagnoseWithoutSidecar(failed, all, 'headless') : {} // the controls probe that pod
  },
  samples: [statefulSample, hostSample],
  definitions: [
    ...ordinals.flatMap(ordinal => [
      defineEchoCheck(
        `headless/${statefulApp}/pod-${ordinal}-name`,
        `Pod ${ordinal} of a StatefulSet answers by its name, under STRICT mutual TLS`,
        null
      ),
      ...families.map(family =>
        defineEchoCheck(
          `headless/${statefulApp}/pod-${ordinal}-${family}`,
          `Pod ${ordinal} of a StatefulSet answers on its ${family} address, under STRICT mutual TLS`,
          family
        )
      )
    ]),
    ...families.flatMap(family => [
      defineCheck(
        'headless',
        `headless/${statefulApp}/${family}-refused`,
        `Without a sidecar, the STRICT port refuses connections over ${family}`,
        'no answer',
        {
          family,
          from: plain,
          to,
          attribution: {
            hint: `The pod's ${familyNames[family]} traffic bypasses its sidecar. Check ISTIO_DUAL_STACK in the proxy, and its listeners on port 15006.`,
            headline: 'A headless Service accepts plaintext on a STRICT port'
          }
        }
      ),
      defineCheck(
        'headless',
        `headless/${statefulApp}/${family}-control`,
        `Without a sidecar, a port that is not STRICT answers over ${family}`,
        `hello headless/${statefulApp}/${family}-control`,
        {family, from: plain, to}
      )
    ]),
    defineCheck(
      'headless',
      ids.listeners,
      'The client has a listener on exactly the pod IPs of a headless Service',
      exactlyPodIps,
      {from: mesh, to}
    ),
    defineCheck(
      'headless',
      ids.replacedListeners,
      `Within ${settleSeconds} s after a pod is replaced, the client listens on the new pod IPs and on no old one`,
      exactlyPodIps,
      {from: mesh, to}
    ),
    defineEchoCheck(
      `headless/${statefulApp}/replaced-name`,
      'A replacement pod answers by its name',
      null
    ),
    ...families.map(family =>
      defineEchoCheck(
        `headless/${statefulApp}/replaced-${family}`,
        `A replacement pod answers on its ${family} address`,
        family
      )
    ),
    ...hostNetworkDefinitions
  ],
  run: async (input, selected) => {
    const ofHost = selected.filter(check => hostNetworkDefinitions.some(({id}) => id === check.id));
    const after = selected.filter(({id}) => id.includes('/replaced-'));
    const before = selected.filter(check => !after.includes(check) && !ofHost.includes(check));
    const pods = filterByKind(input.snapshot, 'Pod', statefulNamespace);
    const refused = before.filter(({id}) => id.endsWith('-refused'));
    const controls = before.filter(({id}) => id.endsWith('-control'));
    await Promise.all([
      proveAll(
        input,
        pods,
        before.filter(({from, id}) => from === mesh && id !== ids.listeners)
      ),
      settleRefusals(
        proofs(input, pods, refused).map(({check, probe}) => ({
          check,
          probe: {...probe, port: statefulPorts.strict}
        })),
        input
      ),
      prove(plainClient, proofs(input, pods, controls), input),
      checkHostNetwork(input, ofHost),
      ...before
        .filter(({id}) => id === ids.listeners)
        .map(async ({id}) => input.report(id, await waitForListeners(input, pods)))
    ]);
    if (after.length > 0) await replace(input, after);
  }
};

const proveAll = (
  input: MeshCheckInput,
  pods: Pod[],
  definitions: CheckDefinition[]
): Promise<void> => prove(meshClient, proofs(input, pods, definitions), input);

const named = (pods: Pod[], name: string): Pod | undefined =>
  pods.find(({metadata}) => metadata.name === name);

/** The name of the pod that a check probes: by its number, else the first. */
const getPodName = ({id}: CheckDefinition): string =>
  `${statefulApp}-${/\/pod-(\d+)-/.exec(id)?.[1] ?? 0}`;

/** Returns the proofs of checks that have an address, and reports the failure of the others. */
function proofs(input: MeshCheckInput, pods: Pod[], definitions: CheckDefinition[]): Proof[] {
  return definitions.flatMap(check => {
    const name = getPodName(check);
    const ips = getPodIps(named(pods, name));
    const address =
      check.family === null
        ? `${name}.${statefulApp}.${statefulNamespace}`
        : ips.find(ip => getAddressFamily(ip) === check.family);
    if (address === undefined) {
      input.report(check.id, absent(check));
      return [];
    }
    const port = check.from === plain ? statefulPorts.open : statefulPorts.strict;
    const lookupCommand = buildLookupCommand(name, ips, address);
    return [
      {
        check,
        probe: {
          word: check.id,
          address,
          port,
          ...(check.family !== null && {lookupCommand})
        },
        pods: getAllPodIps(pods)
      }
    ];
  });
}

const buildLookupCommand = (name: string, ips: string[], address: string): string =>
  `kubectl get pod ${name} -n ${statefulNamespace} -o jsonpath='{.status.podIPs[${ips.indexOf(address)}].ip}'`;

const absent = (check: CheckDefinition): Outcome => ({
  observed: 'no pod IP',
  verdict: 'failed',
  reason: `Pod ${statefulNamespace}/${getPodName(check)} has no ${check.family} address`,
  reproduce: `kubectl get pods -n ${statefulNamespace} -o yaml`
});

/** Compares the client's listeners with the pods until they match or the limit expires. */
const waitForListeners = (input: MeshCheckInput, pods: Pod[]): Promise<Outcome> =>
  pollForAtMost(
    input.work,
    {seconds: settleSeconds, for: () => `the client to listen on the pods of ${statefulNamespace}`},
    () => checkPodListeners(input, pods, statefulPorts.strict, replicas * families.length),
    ({verdict}) => verdict === 'passed'
  );

/** Replaces a pod, and checks that the mesh follows. */
async function replace(input: MeshCheckInput, selected: CheckDefinition[]): Promise<void> {
  const {sh, work} = input;
  const place = ['--namespace', statefulNamespace];
  await runOrThrow(sh, ['kubectl', 'delete', 'pod', replaced, ...place, '--timeout=60s'], {
    seconds: 70
  });
  const pods = await pollForAtMost(
    work,
    {seconds: replacing, for: () => `${statefulNamespace}/${replaced} to be replaced`},
    async () => {
      await waitWithKubectl(sh, [`pod/${replaced}`, ...place, '--for=condition=Ready']);
      const found = await listObjects<Pod>(sh, 'pods', ...place, '-l', `app=${statefulApp}`);
      return found.filter(isReady);
    },
    ready => named(ready, replaced) !== undefined
  );
  const isListeners = ({id}: CheckDefinition) => id === ids.replacedListeners;
  const listens = await waitForListeners(input, pods); // the other checks need this wait, even if its check is not selected
  for (const {id} of selected.filter(isListeners)) input.report(id, listens);
  await settleProofs(
    meshClient,
    proofs(
      input,
      pods,
      selected.filter(check => !isListeners(check))
    ),
    input,
    ({family}) => (family === null ? caching : 0)
  );
}

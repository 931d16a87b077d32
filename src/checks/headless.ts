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
import {type Family, families} from '../results/results.ts';
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

/** Which pod is replaced. */
const replaced = `${statefulApp}-0`;

/** How long a pod may take from its deletion until its successor is ready, in seconds. */
const replacing = 90;

/** How long the cluster's DNS may go on with an old address, in seconds: CoreDNS caches for 30, but for the cluster's names of newer Kubernetes. */
const caching = 35;

const ids = {
  listeners: `headless/${statefulApp}/listeners`,
  replacedListeners: `headless/${statefulApp}/replaced-listeners`
};

const defineEchoCheck = (id: string, title: string, family: Family | null): CheckDefinition =>
  defineCheck('headless', id, title, `hello ${id}`, {family, from: mesh, to});

/** The pods of a headless Service have no ClusterIP before them: the client's proxy listens on each pod IP. */
export const headless: LayerChecks<MeshCheckInput> = {
  layer: 'headless',
  grid: {title: 'headless', named: false},
  attribution: {
    class: 'istio',
    hint: "See the listeners of the client's proxy in diagnostics/: a headless Service has one on each pod IP.",
    headline: family =>
      `The pods of a headless Service do not answer${family && ` over ${family}`}`,
    evidence: (failed, all) =>
      failed.id.includes('/pod-0-') ? diagnoseWithoutSidecar(failed, all, 'headless') : {} // the controls ask that pod
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
        `Without a sidecar, the STRICT port is refused over ${family}`,
        'no answer',
        {
          family,
          from: plain,
          to,
          attribution: {
            hint: `The pod's ${family} traffic does not go through its sidecar: see ISTIO_DUAL_STACK in the proxy, and its listeners on port 15006.`,
            headline: 'Plaintext passes to a headless Service although STRICT was asked for'
          }
        }
      ),
      defineCheck(
        'headless',
        `headless/${statefulApp}/${family}-control`,
        `Without a sidecar, the other port answers over ${family}`,
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
      `After a pod was replaced, the client listens on the new pod IPs and on no old one, within ${settleSeconds} s`,
      exactlyPodIps,
      {from: mesh, to}
    ),
    defineEchoCheck(
      `headless/${statefulApp}/replaced-name`,
      'A pod that replaced another answers by its name',
      null
    ),
    ...families.map(family =>
      defineEchoCheck(
        `headless/${statefulApp}/replaced-${family}`,
        `A pod that replaced another answers on its ${family} address`,
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

/** The pod that a row is about: by its number, else the first. */
const getPodName = ({id}: CheckDefinition): string =>
  `${statefulApp}-${/\/pod-(\d+)-/.exec(id)?.[1] ?? 0}`;

/** Those of rows whose addresses are there; the others are told. */
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
          ...(check.family !== null && {lookUp: lookupCommand})
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

/** What the client's proxy listens on, against the pods that there are: once that is right, or has had the time for it. */
const waitForListeners = (input: MeshCheckInput, pods: Pod[]): Promise<Outcome> =>
  pollForAtMost(
    input.work,
    {seconds: settleSeconds, for: () => `the client to listen on the pods of ${statefulNamespace}`},
    () => checkPodListeners(input, pods, statefulPorts.strict, replicas * families.length),
    ({verdict}) => verdict === 'passed'
  );

/** Replaces a pod, and sees that the mesh follows. */
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
  const listens = await waitForListeners(input, pods); // the others need it, whether it is asked for or not
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

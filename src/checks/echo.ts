/** Checks of TCP echoes to the documented Services, and the address helpers that other layers share. */
import {filterByKind, findByFamily, getClusterIps, getPodIps} from '../base/kube.ts';
import {clientSample, serverSamples} from '../manifests/documented-samples.ts';
import {
  type CheckResult,
  type Family,
  families,
  familyNames,
  type Layer,
  type Place
} from '../results/results.ts';
import {
  type Attribution,
  type CheckDefinition,
  defineCheck,
  type LayerChecks,
  type MeshCheckInput,
  type Outcome
} from './definition.ts';
import {meshClient} from './probe.ts';
import {type Proof, prove} from './prove.ts';

const word = (target: string): string => target.replace('-', ''); // as the documentation spells it
const from = {kind: 'Deployment', namespace: clientSample.namespace, name: 'sleep'};
const to = (namespace: string) => ({from, to: {kind: 'Service', namespace, name: 'tcp-echo'}});

/** Checks of the documented echoes by name, then of each ClusterIP by its literal address. */
export const echo: LayerChecks<MeshCheckInput> = {
  layer: 'echo',
  grid: {title: 'Service', named: true},
  attribution: {
    class: 'connectivity',
    hint: 'Check the proxies of client and server in diagnostics/.',
    headline: family => `Services do not answer${family && ` over ${family}`}`,
    evidence: (failed, all) => wrongAnswer(failed) ?? diagnoseWithoutSidecar(failed, all)
  },
  definitions: serverSamples.flatMap(({namespace: target}) => [
    defineCheck(
      'echo',
      `echo/${target}/name`,
      `As documented, sleep reaches tcp-echo.${target} by name`,
      `hello ${word(target)}`,
      to(target)
    ),
    ...families
      .filter(family => target === 'dual-stack' || target === family)
      .map(family =>
        defineCheck(
          'echo',
          `echo/${target}/${family}`,
          `sleep reaches the ${family} ClusterIP of tcp-echo.${target}`,
          `hello echo/${target}/${family}`,
          {family, ...to(target)}
        )
      )
  ]),
  run: async (input, selected) => {
    const proofs: Proof[] = [];
    for (const check of selected) {
      const pods = listPodIps(input, check.target);
      const address =
        check.family === null
          ? `tcp-echo.${check.target}`
          : findClusterIp(input, check.target, 'tcp-echo', check.family);
      if (address === undefined) input.report(check.id, describeMissingAddress(check));
      else
        proofs.push({
          check,
          probe: {
            word: check.expected.replace('hello ', ''),
            address,
            port: 9000,
            ...(check.family !== null && {
              lookupCommand: buildLookupCommand(input, check.to, address)
            })
          },
          pods
        });
    }
    await prove(meshClient, proofs, input, input.plan.probes.retries);
  }
};

/** A Service's ClusterIP of one family; undefined if it has none. */
export function findClusterIp(
  {snapshot}: MeshCheckInput,
  namespace: string,
  name: string,
  family: Family
): string | undefined {
  const service = filterByKind(snapshot, 'Service', namespace).find(
    ({metadata}) => metadata.name === name
  );
  return findByFamily(getClusterIps(service), family);
}

/** The failure of a check whose target lacks an address. */
export const describeMissingAddress = ({to, family}: CheckDefinition): Outcome =>
  to?.kind === 'Pod'
    ? {
        observed: 'no pod IP',
        verdict: 'failed',
        reason: `no pod of ${to.namespace}/${to.name} has an ${family} address`,
        reproduce: `kubectl get pods -n ${to.namespace} -l app=${to.name} -o yaml`
      }
    : {
        observed: 'no ClusterIP',
        verdict: 'failed',
        reason: `Service ${to?.namespace}/${to?.name} has no ${family} ClusterIP`,
        reproduce: `kubectl get service ${to?.name} -n ${to?.namespace} -o yaml`
      };

/** Returns the proof of a check at an address. Without an address, reports the failure and returns an empty list. */
export function createProofsAt(
  input: MeshCheckInput,
  check: CheckDefinition,
  address: string | undefined,
  port: number,
  pods: string[] = []
): Proof[] {
  if (address !== undefined)
    return [
      {
        check,
        probe: {
          word: check.id,
          address,
          port,
          lookupCommand: buildLookupCommand(input, check.to, address)
        },
        pods
      }
    ];
  input.report(check.id, describeMissingAddress(check));
  return [];
}

/** All addresses of the pods of an app in a namespace, in the pods' order. */
export const listPodIps = (
  {snapshot}: Pick<MeshCheckInput, 'snapshot'>,
  namespace: string,
  app = 'tcp-echo'
): string[] =>
  filterByKind(snapshot, 'Pod', namespace)
    .filter(({metadata}) => metadata.labels?.app === app)
    .flatMap(getPodIps);

/** Returns a command that prints this address of a Service or of its first pod, because addresses differ between clusters. */
export function buildLookupCommand(
  {snapshot}: MeshCheckInput,
  to: Place | null,
  address: string
): string {
  const {kind, namespace = '', name} = to ?? {};
  const service = filterByKind(snapshot, 'Service', namespace).find(
    ({metadata}) => metadata.name === name
  );
  const at =
    kind === 'Pod'
      ? listPodIps({snapshot}, namespace, name).indexOf(address)
      : (service?.spec.clusterIPs ?? []).indexOf(address);
  return kind === 'Pod'
    ? `kubectl get pods -n ${namespace} -l app=${name} -o jsonpath='{.items[0].status.podIPs[${at}].ip}'`
    : `kubectl get service ${name} -n ${namespace} -o jsonpath='{.spec.clusterIPs[${at}]}'`;
}

/** The attribution of an unexpected response. */
const wrongAnswer = ({observed, expected}: CheckResult): Partial<Attribution> | null =>
  observed.startsWith('no ') || observed === expected
    ? null
    : {
        hint: `Check the image and the arguments of the pod behind the Service (\`echo-image\`, \`samples\`). The response is not that of the sample's echo server.`,
        headline: 'A Service returned an unexpected response'
      };

/** Rules out the client's proxy if a client without a sidecar cannot reach the pod either. `layer` has those controls. */
export function diagnoseWithoutSidecar(
  failed: CheckResult,
  all: CheckResult[],
  layer: Layer = 'mtls'
): Partial<Attribution> {
  const dead = failed.family === null ? families : [failed.family];
  const controls = dead.map(family =>
    all.find(({id}) => id === `${layer}/${failed.target}/${family}-control`)
  );
  if (!controls.every(control => control?.observed === 'no answer')) return {};
  const names = dead.map(family => familyNames[family]).join(' and ');
  return {
    headline: `${names} traffic to the pods of ${failed.target} gets no answer`,
    hint: `Check the rules and routes for the pod's address in diagnostics/ (the node's iptables and ip6tables), and the pod's own sidecar. The client's proxy is ruled out: a client without a sidecar gets no answer either (${controls.map(control => `\`${control?.id}\``).join(', ')}).`
  };
}

/** Checks of STRICT mutual TLS over each family, with and without a sidecar. */
import {getAddressFamily} from '../base/kube.ts';
import {clientSample} from '../manifests/documented-samples.ts';
import {families, familyNames} from '../results/results.ts';
import {
  type CheckDefinition,
  defineCheck,
  type LayerChecks,
  type MeshCheckInput
} from './definition.ts';
import {createProofsAt, diagnoseWithoutSidecar, findClusterIp, listPodIps} from './echo.ts';
import {meshClient, plainClient} from './probe.ts';
import {type Proof, prove} from './prove.ts';
import {noAnswer as nothing, settleRefusals} from './refuse.ts';

const to = {kind: 'Service', namespace: 'dual-stack', name: 'tcp-echo'};
const pod = {kind: 'Pod', namespace: 'dual-stack', name: 'tcp-echo'};
const mesh = {kind: 'Deployment', namespace: clientSample.namespace, name: clientSample.app};
const plain = {kind: 'Deployment', namespace: plainClient.namespace, name: plainClient.deployment};

/** Our manifest sets port 9001 of the dual-stack pods to STRICT; port 9000 keeps the mesh's default. */
export const mtls: LayerChecks<MeshCheckInput> = {
  layer: 'mtls',
  grid: {title: 'under STRICT mutual TLS', named: false},
  attribution: {
    class: 'istio',
    hint: 'Check the PeerAuthentication, and the certificates of the proxies (`istioctl proxy-config secret`).',
    headline: family => `Mutual TLS fails${family && ` over ${family}`}`,
    evidence: (failed, all) =>
      failed.id.endsWith('-refused') ? {} : diagnoseWithoutSidecar(failed, all)
  },
  definitions: families.flatMap(family => [
    defineCheck(
      'mtls',
      `mtls/dual-stack/${family}`,
      `Port 9001 with STRICT mutual TLS answers a client with a sidecar over ${family}`,
      `hello mtls/dual-stack/${family}`,
      {family, from: mesh, to}
    ),
    defineCheck(
      'mtls',
      `mtls/dual-stack/${family}-refused`,
      `Port 9001 with STRICT mutual TLS refuses a client without a sidecar over ${family}`,
      nothing,
      {
        family,
        from: plain,
        to: pod,
        attribution: {
          hint: `The ${familyNames[family]} traffic of the pod bypasses its sidecar, or mutual TLS is not enforced. Check ISTIO_DUAL_STACK in the proxy, its listener on ${family === 'ipv6' ? '[::]' : '0.0.0.0'}:15006, and the PeerAuthentication.`,
          headline: `A port with STRICT mutual TLS answers plaintext over ${familyNames[family]}`
        }
      }
    ),
    defineCheck(
      'mtls',
      `mtls/dual-stack/${family}-control`,
      `Port 9000 answers a client without a sidecar over ${family}`,
      `hello mtls/dual-stack/${family}-control`,
      {family, from: plain, to: pod}
    )
  ]),
  run: async (input, selected) => {
    const [refused, answered] = [
      selected.filter(({id}) => id.endsWith('-refused')),
      selected.filter(({id}) => !id.endsWith('-refused'))
    ];
    await Promise.all(refused.map(check => proveRefusedByPod(input, check)));
    const proofs = answered.flatMap(check => createProofs(input, check));
    await Promise.all([
      prove(
        meshClient,
        proofs.filter(({check}) => check.from === mesh),
        input
      ),
      prove(
        plainClient,
        proofs.filter(({check}) => check.from === plain),
        input
      )
    ]);
  }
};

function createProofs(input: MeshCheckInput, check: CheckDefinition): Proof[] {
  const pods = listPodIps(input, 'dual-stack');
  const control = check.from === plain;
  const address = control
    ? pods.find(ip => getAddressFamily(ip) === check.family)
    : findClusterIp(input, 'dual-stack', 'tcp-echo', check.family ?? 'ipv4');
  return createProofsAt(input, check, address, control ? 9000 : 9001, pods);
}

/** Proves that the STRICT port of a pod refuses plaintext. */
export async function proveRefusedByPod(
  input: MeshCheckInput,
  check: CheckDefinition
): Promise<void> {
  const {namespace = '', name} = check.to ?? {};
  const address = listPodIps(input, namespace, name).find(
    ip => getAddressFamily(ip) === check.family
  );
  return settleRefusals(createProofsAt(input, check, address, 9001), input);
}

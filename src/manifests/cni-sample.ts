/** The sample of the checks of IstioCNI: a pod to repair and a pod that never runs. */
import {stringify} from 'yaml';
import {type Family, familyNames} from '../results/results.ts';
import {renderDeployment, smallSidecar} from './documented-samples.ts';
import type {ExtraSample} from './extra-sample.ts';

export const repairNamespace = 'cni';

/** Name of the Deployment and label `app` of a pod that loses its IPv4 rules before it starts. */
export const repairedApp = 'repaired';

/** Name and label of a pod that never runs: a check calls IstioCNI for it in a separate network. Its sidecar is not dual-stack. */
export const unscheduledApp = 'unscheduled';

/** A STRICT port, and a port that accepts plaintext. */
export const repairedPorts = {strict: 9001, open: 9000};

export const repairedService = (family: Family): string => `${repairedApp}-${family}`;

/** The init container that IstioCNI's repair watches, and its exit code for missing rules. */
export const validation = {name: 'istio-validation', failed: 126};

// Istio's init container runs before all others, so only it can remove the rules in time. Its first run removes the IPv4
// rules and fails like Istio's validation. The next run waits until the rules exist again. Istio's own program checks
// this only as the proxy's user, who may not remove rules. The script creates no table of the other iptables variant.
// A proxy image may have a shell and no other program.
const validate = `
tool_of_rules() {
  for tool in iptables-nft iptables-legacy; do
    case $($tool-save 2>/dev/null) in *ISTIO*) echo $tool; return ;; esac
  done
}
if [ ! -e /turns/first ]; then
  : >/turns/first
  tool=$(tool_of_rules)
  [ "$tool" ] || exit 0
  $tool -t nat -F && $tool -t nat -X && exit ${validation.failed}
fi
until [ "$(tool_of_rules)" ]; do sleep .2 2>/dev/null; done`;

const service = (family: Family): string =>
  stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {name: repairedService(family), labels: {app: repairedApp}},
    spec: {
      ipFamilyPolicy: 'SingleStack',
      ipFamilies: [familyNames[family]],
      ports: [{name: 'tcp', port: repairedPorts.strict}],
      selector: {app: repairedApp}
    }
  });

const strict = (): string =>
  stringify({
    apiVersion: 'security.istio.io/v1',
    kind: 'PeerAuthentication',
    metadata: {name: 'dual-stack-check'},
    spec: {
      selector: {matchLabels: {app: repairedApp}},
      portLevelMtls: {[repairedPorts.strict]: {mode: 'STRICT'}}
    }
  });

const echo = (name: string, image: string): object => ({
  name,
  image,
  imagePullPolicy: 'IfNotPresent',
  args: [Object.values(repairedPorts).join(','), 'hello'],
  ports: Object.values(repairedPorts).map(containerPort => ({containerPort}))
});

/** The check scales these pods up: if one never gets ready, the check fails and not the run. */
const none = 0;

const repaired = (image: string): string =>
  renderDeployment(
    repairedApp,
    {},
    {
      terminationGracePeriodSeconds: 0,
      volumes: [{name: 'turns', emptyDir: {}}],
      initContainers: [
        {
          name: validation.name,
          image: 'auto', // merged over the container that Istio injects
          command: ['sh', '-c', validate, 'validate'],
          securityContext: {
            runAsUser: 0,
            runAsGroup: 0,
            runAsNonRoot: false,
            readOnlyRootFilesystem: false, // legacy iptables has a lock file
            capabilities: {add: ['NET_ADMIN', 'NET_RAW'], drop: ['ALL']}
          },
          volumeMounts: [{name: 'turns', mountPath: '/turns'}]
        }
      ],
      containers: [echo(repairedApp, image)]
    },
    smallSidecar,
    none
  );

const unscheduled = (image: string): string =>
  renderDeployment(
    unscheduledApp,
    {},
    {
      schedulingGates: [{name: 'dual-stack-check/never'}],
      terminationGracePeriodSeconds: 0,
      containers: [echo(unscheduledApp, image)]
    },
    {'proxy.istio.io/config': stringify({proxyMetadata: {ISTIO_DUAL_STACK: 'false'}})},
    none
  );

export const repairSample: ExtraSample = {
  namespace: repairNamespace,
  sidecars: true,
  needs: 'kind',
  manifests: ({echo: image}) =>
    [service('ipv4'), service('ipv6'), strict(), repaired(image), unscheduled(image)].join('---\n')
};

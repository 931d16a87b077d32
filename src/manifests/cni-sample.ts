import {stringify} from 'yaml';
import {type Family, familyNames} from '../results/results.ts';
import {renderDeployment, smallSidecar} from './documented-samples.ts';
import type {ExtraSample} from './extra-sample.ts';

export const repairNamespace = 'cni';

/** The name of Deployment and label `app` of a pod that loses its IPv4 rules before it starts. */
export const repairedApp = 'repaired';

/** The same of a pod that never runs: IstioCNI is asked for its rules, in a network of our own. Its sidecar is not dual-stack. */
export const unscheduledApp = 'unscheduled';

/** STRICT, and what plaintext finds beside it. */
export const repairedPorts = {strict: 9001, open: 9000};

export const repairedService = (family: Family): string => `${repairedApp}-${family}`;

/** The init container by which IstioCNI's repair finds a pod without rules, and how that ends. */
export const validation = {name: 'istio-validation', failed: 126};

// Istio puts its own init container before all others, so that only there can rules be lost in time. The first turn takes
// IPv4's away, and fails as Istio's validation does; the next one lasts until they are there again. Istio's own program
// can tell that for the proxy's user alone, who may not take rules away. Of two kinds of rules, no table of the other is made.
// An image of the proxy may have a shell and nothing beside it
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

/** Pods that are there only while they are looked at: one that does not get ready is to be told by its check, and must not end the run. */
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
          image: 'auto', // merged over what Istio injects by that name
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

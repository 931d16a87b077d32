/** The sample of the headless checks: a StatefulSet with a headless Service. */
import {stringify} from 'yaml';
import {smallProxyCpu} from './documented-samples.ts';
import type {ExtraSample} from './extra-sample.ts';

/** The namespace; then the name of StatefulSet, Service and label `app`. */
export const statefulNamespace = 'headless';
export const statefulApp = 'echo';

/** The STRICT port is the only port of the Service. The open port shows the behaviour of plaintext. */
export const statefulPorts = {strict: 9001, open: 9000};

export const replicas = 2;

const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: {name: statefulApp, labels: {app: statefulApp}},
  spec: {
    clusterIP: 'None',
    ipFamilyPolicy: 'RequireDualStack',
    ports: [{name: 'tcp', port: statefulPorts.strict}],
    selector: {app: statefulApp}
  }
};

const statefulSet = (image: string): object => ({
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: {name: statefulApp},
  spec: {
    replicas,
    serviceName: statefulApp,
    podManagementPolicy: 'Parallel',
    selector: {matchLabels: {app: statefulApp}},
    template: {
      metadata: {
        labels: {app: statefulApp},
        annotations: smallProxyCpu
      },
      spec: {
        terminationGracePeriodSeconds: 1, // a check replaces the pod
        containers: [
          {
            name: statefulApp,
            image,
            imagePullPolicy: 'IfNotPresent',
            args: [Object.values(statefulPorts).join(','), 'hello'],
            ports: Object.values(statefulPorts).map(containerPort => ({containerPort}))
          }
        ]
      }
    }
  }
});

const strict = {
  apiVersion: 'security.istio.io/v1',
  kind: 'PeerAuthentication',
  metadata: {name: 'dual-stack-check'},
  spec: {
    selector: {matchLabels: {app: statefulApp}},
    portLevelMtls: {[statefulPorts.strict]: {mode: 'STRICT'}}
  }
};

export const statefulSample: ExtraSample = {
  namespace: statefulNamespace,
  sidecars: true,
  manifests: ({echo}) =>
    [service, statefulSet(echo), strict].map(document => stringify(document)).join('---\n')
};

import {stringify} from 'yaml';
import {deployment} from './documented-samples.ts';
import type {OwnSample} from './extra-sample.ts';

/** The namespace, and the name of Deployment, Service and label `app`. */
export const hostNamespace = 'host-network';
export const hostApp = 'echo-host';

/** Of the node: nothing else listens there. */
export const hostPort = 19001;

/** A headless Service whose pod has the addresses of its node, and no sidecar: Istio injects none there. */
export const hostSample: OwnSample = {
  namespace: hostNamespace,
  sidecars: false,
  needs: 'kind',
  manifests: ({echo}) =>
    [
      stringify({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: {name: hostApp, labels: {app: hostApp}},
        spec: {
          clusterIP: 'None',
          ipFamilyPolicy: 'RequireDualStack',
          ports: [{name: 'tcp', port: hostPort}],
          selector: {app: hostApp}
        }
      }),
      deployment(
        hostApp,
        {},
        {
          hostNetwork: true,
          terminationGracePeriodSeconds: 0,
          containers: [
            {
              name: hostApp,
              image: echo,
              imagePullPolicy: 'IfNotPresent',
              args: [`${hostPort}`, 'hello'],
              ports: [{containerPort: hostPort}]
            }
          ]
        }
      )
    ].join('---\n')
};

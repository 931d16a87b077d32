/** The sample of the checks on the host network. */
import {stringify} from 'yaml';
import {renderDeployment} from './documented-samples.ts';
import type {ExtraSample} from './extra-sample.ts';

/** The namespace; then the name of Deployment, Service and label `app`. */
export const hostNamespace = 'host-network';
export const hostApp = 'echo-host';

/** A port of the node that nothing else uses. */
export const hostPort = 19001;

/** A headless Service with a pod on the host network, into which Istio injects no sidecar. */
export const hostSample: ExtraSample = {
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
      renderDeployment(
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

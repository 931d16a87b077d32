import {stringify} from 'yaml';
import type {ExtraSample} from './extra-sample.ts';
import {gatewayNamespace} from './gateway-sample.ts';

/** The version of its resources that we use. */
export const gatewayApiVersion = 'gateway.networking.k8s.io/v1';

/** The Gateway; what istiod makes of it is named with its class. */
export const apiGateway = 'gateway-api';
const className = 'istio';
export const generatedGatewayName = `${apiGateway}-${className}`;
export const apiGatewayPort = 8080;

/** By this istiod labels the pods that it makes for a Gateway. */
export const apiGatewayLabel = 'gateway.networking.k8s.io/gateway-name';

/** What the route answers: it sends elsewhere, and needs nobody behind it. */
export const apiGatewayStatus = 302;

/** Changes what istiod makes of a Gateway: a node of a runner has two processors. */
export const renderGatewayParametersYaml = (name: string): string =>
  stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {name},
    data: {
      deployment: stringify({
        spec: {
          template: {
            spec: {
              terminationGracePeriodSeconds: 0,
              containers: [
                {name: 'istio-proxy', resources: {requests: {cpu: '5m', memory: '64Mi'}}}
              ]
            }
          }
        }
      })
    }
  });

/** By this a Gateway names that ConfigMap. */
export const buildParametersRef = (name: string) => ({
  parametersRef: {group: '', kind: 'ConfigMap', name}
});

/** A Gateway of the Gateway API, of which istiod makes Deployment and Service. */
export const apiGatewaySample: ExtraSample = {
  namespace: gatewayNamespace,
  sidecars: true,
  needs: 'gateway-api',
  checkIdPrefix: 'gateway/api/',
  manifests: () =>
    [
      renderGatewayParametersYaml(apiGateway),
      stringify({
        apiVersion: gatewayApiVersion,
        kind: 'Gateway',
        metadata: {
          name: apiGateway,
          annotations: {'networking.istio.io/service-type': 'ClusterIP'} // a cloud would give a load balancer
        },
        spec: {
          gatewayClassName: className,
          infrastructure: buildParametersRef(apiGateway),
          listeners: [{name: 'http', port: apiGatewayPort, protocol: 'HTTP'}]
        }
      }),
      stringify({
        apiVersion: gatewayApiVersion,
        kind: 'HTTPRoute',
        metadata: {name: apiGateway},
        spec: {
          parentRefs: [{name: apiGateway}],
          rules: [
            {
              filters: [
                {
                  type: 'RequestRedirect',
                  requestRedirect: {
                    hostname: 'elsewhere.example.test',
                    statusCode: apiGatewayStatus
                  }
                }
              ]
            }
          ]
        }
      })
    ].join('---\n')
};

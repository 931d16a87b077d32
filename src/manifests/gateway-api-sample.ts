/** The sample of the Gateway API checks. */
import {stringify} from 'yaml';
import type {ExtraSample} from './extra-sample.ts';
import {gatewayNamespace} from './gateway-sample.ts';

/** The API version of its resources. */
export const gatewayApiVersion = 'gateway.networking.k8s.io/v1';

/** The name of the Gateway. The objects that istiod creates for it also have the class in their name. */
export const apiGateway = 'gateway-api';
const className = 'istio';
export const generatedGatewayName = `${apiGateway}-${className}`;
export const apiGatewayPort = 8080;

/** The label of the pods that istiod creates for a Gateway. */
export const apiGatewayLabel = 'gateway.networking.k8s.io/gateway-name';

/** The status of the route, a redirect, so that the route needs no backend. */
export const apiGatewayStatus = 302;

/** A ConfigMap that lowers the requests of a generated Gateway: a runner has two processors. */
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

/** The reference from a Gateway to that ConfigMap. */
export const buildParametersRef = (name: string) => ({
  parametersRef: {group: '', kind: 'ConfigMap', name}
});

/** A Gateway of the Gateway API, for which istiod creates a Deployment and a Service. */
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
          annotations: {'networking.istio.io/service-type': 'ClusterIP'} // avoids a cloud load balancer
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

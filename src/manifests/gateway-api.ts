import {stringify} from 'yaml';
import {gatewayNamespace} from './gateway.ts';
import type {OwnSample} from './own.ts';

const apiVersion = 'gateway.networking.k8s.io/v1';

/** The Gateway; what istiod makes of it is named with its class. */
export const apiGateway = 'gateway-api';
const className = 'istio';
export const apiGatewayMade = `${apiGateway}-${className}`;
export const apiGatewayPort = 8080;

/** By this istiod labels the pods that it makes for a Gateway. */
export const apiGatewayLabel = 'gateway.networking.k8s.io/gateway-name';

/** What the route answers: it sends elsewhere, and needs nobody behind it. */
export const apiGatewayStatus = 302;

/** A Gateway of the Gateway API, of which istiod makes Deployment and Service. */
export const apiGatewaySample: OwnSample = {
  namespace: gatewayNamespace,
  sidecars: true,
  needs: 'gateway-api',
  manifests: () =>
    [
      stringify({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: {name: apiGateway},
        data: {
          // a node of a runner has two processors
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
      }),
      stringify({
        apiVersion,
        kind: 'Gateway',
        metadata: {
          name: apiGateway,
          annotations: {'networking.istio.io/service-type': 'ClusterIP'} // a cloud would give a load balancer
        },
        spec: {
          gatewayClassName: className,
          infrastructure: {parametersRef: {group: '', kind: 'ConfigMap', name: apiGateway}},
          listeners: [{name: 'http', port: apiGatewayPort, protocol: 'HTTP'}]
        }
      }),
      stringify({
        apiVersion,
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

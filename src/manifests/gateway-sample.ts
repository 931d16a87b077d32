/** The sample of the ingress gateway checks. */
import {stringify} from 'yaml';
import {renderDeployment} from './documented-samples.ts';

export const gatewayNamespace = 'gateway';
const app = 'gateway';
const labels = {istio: 'dual-stack-gateway'};

/** The ports of the gateway's Service: `tcp` leads to a STRICT port, `http` gets a direct response, and no Gateway opens `closed`. */
export const gatewayPorts = {tcp: 9000, http: 8080, closed: 9002};

/** An ingress gateway from the injection template, which needs no CRD of the Gateway API, with its Service. */
export const renderGatewayYaml = (): string =>
  [
    stringify({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {name: app},
      spec: {
        ipFamilyPolicy: 'RequireDualStack',
        ports: Object.entries(gatewayPorts).map(([name, port]) => ({
          name: name === 'closed' ? 'tcp-closed' : name,
          port
        })),
        selector: {app}
      }
    }),
    renderDeployment(
      app,
      labels,
      {
        terminationGracePeriodSeconds: 0,
        containers: [
          {
            name: 'istio-proxy',
            image: 'auto',
            resources: {requests: {cpu: '5m', memory: '64Mi'}},
            // the template has no startup probe, and its readiness probe runs only every 15 s
            startupProbe: {
              httpGet: {path: '/healthz/ready', port: 15021},
              periodSeconds: 1,
              failureThreshold: 300
            }
          }
        ]
      },
      {'inject.istio.io/templates': 'gateway'}
    ),
    stringify({
      apiVersion: 'networking.istio.io/v1',
      kind: 'Gateway',
      metadata: {name: app},
      spec: {
        selector: labels,
        servers: [
          {port: {number: gatewayPorts.tcp, name: 'tcp', protocol: 'TCP'}, hosts: ['*']},
          {port: {number: gatewayPorts.http, name: 'http', protocol: 'HTTP'}, hosts: ['*']}
        ]
      }
    }),
    stringify({
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: {name: app},
      spec: {
        hosts: ['*'],
        gateways: [app],
        tcp: [
          {
            match: [{port: gatewayPorts.tcp}],
            route: [
              {
                destination: {
                  host: 'tcp-echo.dual-stack.svc.cluster.local',
                  port: {number: 9001}
                }
              }
            ]
          }
        ],
        http: [{directResponse: {status: 200, body: {string: 'hello'}}}]
      }
    })
  ].join('---\n');

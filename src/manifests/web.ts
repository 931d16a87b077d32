import {stringify} from 'yaml';
import type {OwnSample} from './own.ts';
import {client} from './samples.ts';

/** Where the web server is, and the label of its pod. */
export const webNamespace = 'http';
export const webApp = 'web';

/** STRICT, and with a policy; of the Service. */
export const webPort = 8080;

/** As plaintext finds it, and open to everybody: not of the Service. */
export const openPort = 8081;

/** The paths that the policy allows: the client of the mesh one, and another namespace the other. */
export const paths = {allowed: '/', othersOnly: '/others'};

/** Headers of its answers: the address that the connection came to, and who the server's sidecar says is asking. */
export const webHeaders = {address: 'x-local-address', client: 'x-client'};

const envoyType = (name: string): string => `type.googleapis.com/envoy.${name}`;
const manager = 'extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

const listener = (port: number) => ({
  address: {socket_address: {address: '::', port_value: port, ipv4_compat: true}},
  filter_chains: [
    {
      filters: [
        {
          name: 'http',
          typed_config: {
            '@type': envoyType(manager),
            stat_prefix: 'web',
            forward_client_cert_details: 'ALWAYS_FORWARD_ONLY', // else it forgets what the sidecar said
            http_filters: [
              {
                name: 'router',
                typed_config: {'@type': envoyType('extensions.filters.http.router.v3.Router')}
              }
            ],
            route_config: {
              virtual_hosts: [
                {
                  name: 'web',
                  domains: ['*'],
                  routes: [
                    {
                      match: {prefix: '/'},
                      direct_response: {status: 200, body: {inline_string: 'hello web\n'}}
                    }
                  ],
                  response_headers_to_add: [
                    header(webHeaders.address, '%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%'),
                    header(webHeaders.client, '%REQ(X-FORWARDED-CLIENT-CERT)%')
                  ]
                }
              ]
            }
          }
        }
      ]
    }
  ]
});

const header = (key: string, value: string) => ({header: {key, value}});

const probeOf = (kind: object) => ({...kind, periodSeconds: 2, failureThreshold: 15});

/** An Envoy that answers by itself, from the image that is there for the sidecars anyway, and an echo server beside it. */
const deployment = (images: {echo: string; proxy: string}): object => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: {name: webApp},
  spec: {
    replicas: 1,
    selector: {matchLabels: {app: webApp}},
    template: {
      metadata: {
        labels: {app: webApp},
        annotations: {'sidecar.istio.io/proxyCPU': '5m'} // a node of a runner has two processors
      },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name: webApp,
            image: images.proxy,
            imagePullPolicy: 'IfNotPresent',
            // hot restart would take the sidecar for its parent: they share the network namespace
            command: [
              'envoy',
              '--disable-hot-restart',
              '--concurrency',
              '1',
              '--log-level',
              'error'
            ],
            args: [
              '--config-yaml',
              JSON.stringify({static_resources: {listeners: [webPort, openPort].map(listener)}})
            ],
            securityContext: {runAsUser: 1000}, // the sidecar's own user goes round the sidecar
            ports: [{containerPort: webPort}, {containerPort: openPort}],
            readinessProbe: probeOf({httpGet: {path: '/', port: openPort}}),
            livenessProbe: probeOf({httpGet: {path: '/', port: openPort}})
          },
          {
            name: 'tcp-echo',
            image: images.echo,
            imagePullPolicy: 'IfNotPresent',
            args: ['9000', 'hello'],
            ports: [{containerPort: 9000}],
            readinessProbe: probeOf({tcpSocket: {port: 9000}})
          }
        ]
      }
    }
  }
});

const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: {name: webApp, labels: {app: webApp}},
  spec: {
    ipFamilyPolicy: 'RequireDualStack',
    ports: [{name: 'http', port: webPort}],
    selector: {app: webApp}
  }
};

const strict = {
  apiVersion: 'security.istio.io/v1',
  kind: 'PeerAuthentication',
  metadata: {name: 'dual-stack-check'},
  spec: {
    selector: {matchLabels: {app: webApp}},
    portLevelMtls: {[webPort]: {mode: 'STRICT'}}
  }
};

/** By the namespace of who asks, which only mutual TLS tells. */
const policy = {
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: {name: 'dual-stack-check'},
  spec: {
    selector: {matchLabels: {app: webApp}},
    action: 'ALLOW',
    rules: [
      {
        from: [{source: {namespaces: [client.namespace]}}],
        to: [{operation: {ports: [`${webPort}`], paths: [paths.allowed]}}]
      },
      {
        from: [{source: {namespaces: [webNamespace]}}],
        to: [{operation: {ports: [`${webPort}`], paths: [paths.othersOnly]}}]
      },
      {to: [{operation: {ports: [`${openPort}`]}}]}
    ]
  }
};

/** Without the proxy's image there is no web server. */
export const webSample: OwnSample = {
  namespace: webNamespace,
  sidecars: true,
  manifests: ({echo, proxy}) =>
    proxy === null
      ? ''
      : [service, deployment({echo, proxy}), strict, policy]
          .map(document => stringify(document))
          .join('---\n')
};

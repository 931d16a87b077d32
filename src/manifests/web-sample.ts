/** The sample of the HTTP and gRPC checks: an Envoy as web server. */
import {stringify} from 'yaml';
import {clientSample, smallProxyCpu} from './documented-samples.ts';
import type {ExtraSample} from './extra-sample.ts';

/** The namespace of the web server, and the label of its pod. */
export const webNamespace = 'http';
export const webApp = 'web';

/** The port of the Service: STRICT, with an AuthorizationPolicy. */
export const webPort = 8080;

/** A port that accepts plaintext from every client, and is not in the Service. */
export const openPort = 8081;

/** The port of the gRPC health protocol, not in the Service. */
export const grpcPort = 8082;

/** The port within the pod that provides the gRPC response. */
const grpcAnswerPort = 8083;

/** The paths that the policy allows: `allowed` for the client in the mesh, `othersOnly` for another namespace. */
export const paths = {allowed: '/', othersOnly: '/others'};

/** Response headers: the destination address of the connection, and the client identity from the server's sidecar. */
export const webHeaders = {address: 'x-local-address', client: 'x-client'};

const envoyType = (name: string): string => `type.googleapis.com/envoy.${name}`;
const manager = 'extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

const router = {
  name: 'router',
  typed_config: {'@type': envoyType('extensions.filters.http.router.v3.Router')}
};

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
            forward_client_cert_details: 'ALWAYS_FORWARD_ONLY', // keeps the header from the sidecar
            http_filters: [router],
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

const grpcType = 'application/x-protobuf';

/** A listener whose filter turns an HTTP response into gRPC: Envoy has no valid direct gRPC response. */
const grpcListener = {
  address: {socket_address: {address: '::', port_value: grpcPort, ipv4_compat: true}},
  filter_chains: [
    {
      filters: [
        {
          name: 'http',
          typed_config: {
            '@type': envoyType(manager),
            stat_prefix: 'grpc',
            codec_type: 'HTTP2',
            http_filters: [
              {
                name: 'bridge',
                typed_config: {
                  '@type': envoyType(
                    'extensions.filters.http.grpc_http1_reverse_bridge.v3.FilterConfig'
                  ),
                  content_type: grpcType,
                  withhold_grpc_frames: true
                }
              },
              router
            ],
            route_config: {
              virtual_hosts: [
                {
                  name: 'grpc',
                  domains: ['*'],
                  routes: [
                    {
                      match: {path: '/grpc.health.v1.Health/Check'},
                      route: {cluster: 'answer'}
                    }
                  ]
                }
              ]
            }
          }
        }
      ]
    }
  ]
};

/** A listener that returns a HealthCheckResponse with SERVING. */
const grpcAnswer = {
  address: {socket_address: {address: '127.0.0.1', port_value: grpcAnswerPort}},
  filter_chains: [
    {
      filters: [
        {
          name: 'http',
          typed_config: {
            '@type': envoyType(manager),
            stat_prefix: 'answer',
            http_filters: [router],
            route_config: {
              virtual_hosts: [
                {
                  name: 'answer',
                  domains: ['*'],
                  routes: [
                    {
                      match: {prefix: '/'},
                      direct_response: {status: 200, body: {inline_bytes: 'CAE='}}
                    }
                  ],
                  response_headers_to_add: [
                    {
                      ...header('content-type', grpcType),
                      append_action: 'OVERWRITE_IF_EXISTS_OR_ADD'
                    }
                  ]
                }
              ]
            }
          }
        }
      ]
    }
  ]
};

const answerCluster = {
  name: 'answer',
  load_assignment: {
    cluster_name: 'answer',
    endpoints: [
      {
        lb_endpoints: [
          {
            endpoint: {
              address: {socket_address: {address: '127.0.0.1', port_value: grpcAnswerPort}}
            }
          }
        ]
      }
    ]
  }
};

const configuration = {
  static_resources: {
    listeners: [...[webPort, openPort].map(listener), grpcListener, grpcAnswer],
    clusters: [answerCluster]
  }
};

const buildProbe = (kind: object) => ({...kind, periodSeconds: 2, failureThreshold: 15});

/** An Envoy with direct responses, from the preloaded sidecar image, and an echo server. */
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
        annotations: smallProxyCpu
      },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name: webApp,
            image: images.proxy,
            imagePullPolicy: 'IfNotPresent',
            // hot restart would use the sidecar as parent, because they share the network namespace
            command: [
              'envoy',
              '--disable-hot-restart',
              '--concurrency',
              '1',
              '--log-level',
              'error'
            ],
            args: ['--config-yaml', JSON.stringify(configuration)],
            securityContext: {runAsUser: 1000}, // the sidecar's user would bypass the sidecar
            ports: [webPort, openPort, grpcPort].map(containerPort => ({containerPort})),
            startupProbe: {grpc: {port: grpcPort}, periodSeconds: 1, failureThreshold: 30},
            readinessProbe: buildProbe({httpGet: {path: '/', port: openPort}}),
            livenessProbe: buildProbe({httpGet: {path: '/', port: openPort}})
          },
          {
            name: 'tcp-echo',
            image: images.echo,
            imagePullPolicy: 'IfNotPresent',
            args: ['9000', 'hello'],
            ports: [{containerPort: 9000}],
            readinessProbe: buildProbe({tcpSocket: {port: 9000}})
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

/** Allows requests by the client's namespace, which only mutual TLS proves. */
const policy = {
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: {name: 'dual-stack-check'},
  spec: {
    selector: {matchLabels: {app: webApp}},
    action: 'ALLOW',
    rules: [
      {
        from: [{source: {namespaces: [clientSample.namespace]}}],
        to: [{operation: {ports: [`${webPort}`], paths: [paths.allowed]}}]
      },
      {
        from: [{source: {namespaces: [webNamespace]}}],
        to: [{operation: {ports: [`${webPort}`], paths: [paths.othersOnly]}}]
      },
      {to: [{operation: {ports: [`${openPort}`, `${grpcPort}`]}}]}
    ]
  }
};

/** The web server; no manifests if the proxy image is unknown. */
export const webSample: ExtraSample = {
  namespace: webNamespace,
  sidecars: true,
  manifests: ({echo, proxy}) =>
    proxy === null
      ? ''
      : [service, deployment({echo, proxy}), strict, policy]
          .map(document => stringify(document))
          .join('---\n')
};

/** The sample of the waypoint checks. */
import {stringify} from 'yaml';
import {renderClientYaml, renderDeployment} from './documented-samples.ts';
import type {ExtraSample, SampleImages} from './extra-sample.ts';
import {
  buildParametersRef,
  gatewayApiVersion,
  renderGatewayParametersYaml
} from './gateway-api-sample.ts';

export const waypointNamespace = 'ambient-waypoint';

/** Name of the Gateway, and of the Deployment, Service and ServiceAccount that istiod creates for it. */
export const waypoint = 'waypoint';

/** The label of the pod behind the waypoint. */
export const waypointApp = 'echo';

/** A second pod behind the waypoint, which can also send requests. */
export const waypointClient = 'sleep';

/** The pod's ports. Only the waypoint rejects requests to `denied`. */
export const waypointPorts = {open: 9000, denied: 9001};

/** Dual-stack Services of the pod → their families, primary first. */
export const waypointServices = {echo: ['IPv4', 'IPv6'], 'echo-ipv6-first': ['IPv6', 'IPv4']};

/** A host for the same pod. istiod allocates an address of each family to it. */
export const waypointEntry = {name: 'entry', host: 'waypoint.ambient.example.test'};

const ports = [
  {name: 'tcp', port: waypointPorts.open},
  {name: 'tcp-denied', port: waypointPorts.denied}
];

const service = (name: string, ipFamilies: string[]): string =>
  stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {name},
    spec: {ipFamilyPolicy: 'RequireDualStack', ipFamilies, ports, selector: {app: waypointApp}}
  });

const echo = (image: string): string =>
  renderDeployment(
    waypointApp,
    {},
    {
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: waypointApp,
          image,
          imagePullPolicy: 'IfNotPresent',
          args: [Object.values(waypointPorts).join(), 'hello'],
          ports: Object.values(waypointPorts).map(containerPort => ({containerPort}))
        }
      ]
    }
  );

const gateway = stringify({
  apiVersion: gatewayApiVersion,
  kind: 'Gateway',
  metadata: {name: waypoint, labels: {'istio.io/waypoint-for': 'all'}}, // the default is Services only
  spec: {
    gatewayClassName: 'istio-waypoint',
    infrastructure: buildParametersRef(waypoint),
    listeners: [{name: 'mesh', port: 15008, protocol: 'HBONE'}]
  }
});

// targets the Gateway, so no ztunnel enforces it: a rejected request has reached the waypoint
const policy = stringify({
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: {name: 'dual-stack-check'},
  spec: {
    targetRefs: [{group: 'gateway.networking.k8s.io', kind: 'Gateway', name: waypoint}],
    action: 'DENY',
    rules: [{to: [{operation: {ports: [`${waypointPorts.denied}`]}}]}]
  }
});

const entry = stringify({
  apiVersion: 'networking.istio.io/v1',
  kind: 'ServiceEntry',
  metadata: {name: waypointEntry.name},
  spec: {
    hosts: [waypointEntry.host],
    ports: ports.map(({name, port}) => ({number: port, name, protocol: 'TCP'})),
    resolution: 'STATIC',
    location: 'MESH_INTERNAL',
    workloadSelector: {labels: {app: waypointApp}}
  }
});

/** A waypoint, and the objects whose traffic goes through it. */
export const waypointSample: ExtraSample = {
  namespace: waypointNamespace,
  sidecars: false,
  needs: 'gateway-api',
  checkIdPrefix: 'ambient/waypoint',
  labels: {'istio.io/dataplane-mode': 'ambient', 'istio.io/use-waypoint': waypoint},
  manifests: (images: SampleImages) =>
    [
      renderGatewayParametersYaml(waypoint),
      ...Object.entries(waypointServices).map(([name, families]) => service(name, families)),
      echo(images.echo),
      renderClientYaml(waypointClient, images.client),
      gateway,
      policy,
      entry
    ].join('---\n')
};

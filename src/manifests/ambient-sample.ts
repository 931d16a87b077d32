/** The sample of the ambient checks: an echo pod in ambient with its Services and hosts. */
import {stringify} from 'yaml';
import {renderDeployment} from './documented-samples.ts';
import type {ExtraSample, SampleImages} from './extra-sample.ts';

export const ambientNamespace = 'ambient-echo';

/** The label of the echo pod. */
export const ambientApp = 'echo';

/** The ports of the pod: `open` accepts plaintext too, `strict` only mutual TLS. */
export const ambientPorts = {open: 9000, strict: 9001};

/** Dual-stack Services of the pod → their families, primary first. */
export const ambientServices = {echo: ['IPv4', 'IPv6'], 'echo-ipv6-first': ['IPv6', 'IPv4']};

/** Single-stack headless Services of the dual-stack pod. */
export const headlessServices = {'headless-ipv4': 'IPv4', 'headless-ipv6': 'IPv6'};

/** Hosts that only ztunnel resolves: istiod allocates an address of each family, but the endpoint has one family. */
export const crossFamilyHosts = {
  ipv4: {name: 'crossed-ipv4', host: 'ipv4.ambient.example.test'},
  ipv6: {name: 'crossed-ipv6', host: 'ipv6.ambient.example.test'}
};

const service = (name: string, spec: object): string =>
  stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {name},
    spec: {
      ...spec,
      ports: [
        {name: 'tcp', port: ambientPorts.open},
        {name: 'tcp-strict', port: ambientPorts.strict}
      ],
      selector: {app: ambientApp}
    }
  });

// the kubelet sends plaintext to a STRICT port, and ztunnel must distinguish it from a client's
const probe = {tcpSocket: {port: ambientPorts.strict}, periodSeconds: 2, failureThreshold: 15};

const echo = (image: string): string =>
  renderDeployment(
    ambientApp,
    {},
    {
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: ambientApp,
          image,
          imagePullPolicy: 'IfNotPresent',
          args: [Object.values(ambientPorts).join(), 'hello'],
          ports: Object.values(ambientPorts).map(containerPort => ({containerPort})),
          readinessProbe: probe,
          livenessProbe: probe
        }
      ]
    }
  );

const strict = stringify({
  apiVersion: 'security.istio.io/v1',
  kind: 'PeerAuthentication',
  metadata: {name: 'dual-stack-check'},
  spec: {
    selector: {matchLabels: {app: ambientApp}},
    mtls: {mode: 'STRICT'},
    portLevelMtls: {[ambientPorts.open]: {mode: 'PERMISSIVE'}}
  }
});

const serviceEntry = (family: keyof typeof crossFamilyHosts): string =>
  stringify({
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: {name: crossFamilyHosts[family].name},
    spec: {
      hosts: [crossFamilyHosts[family].host],
      ports: [{number: ambientPorts.open, name: 'tcp', protocol: 'TCP'}],
      resolution: 'DNS',
      endpoints: [{address: `tcp-echo.${family}.svc.cluster.local`}], // a single-stack Service
      location: 'MESH_EXTERNAL'
    }
  });

/** A pod in ambient with kubelet probes on its STRICT port, and the Services and hosts that the checks probe. */
export const ambientSample: ExtraSample = {
  namespace: ambientNamespace,
  sidecars: false,
  labels: {'istio.io/dataplane-mode': 'ambient'},
  manifests: (images: SampleImages) =>
    [
      ...Object.entries(ambientServices).map(([name, ipFamilies]) =>
        service(name, {ipFamilyPolicy: 'RequireDualStack', ipFamilies})
      ),
      ...Object.entries(headlessServices).map(([name, family]) =>
        service(name, {
          clusterIP: 'None',
          ipFamilyPolicy: 'SingleStack',
          ipFamilies: [family]
        })
      ),
      echo(images.echo),
      strict,
      serviceEntry('ipv4'),
      serviceEntry('ipv6')
    ].join('---\n')
};

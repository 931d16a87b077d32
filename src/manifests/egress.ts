import {stringify} from 'yaml';
import {clientYaml, smallSidecar} from './samples.ts';

export const egressNamespace = 'egress';

/** Addresses of the documentation's ranges (RFC 5737, RFC 3849): nothing answers there but what a ServiceEntry says. */
export const outside = (host: number) => ({
  ipv4: `192.0.2.${host}`,
  ipv6: `2001:db8::${host}`
});

/** The ServiceEntries' ports; where it is the pods' own, the client sees which of them a connection took. */
export const egressPorts = {tls: 8443, a: 9011, aaaa: 9012, static: 9002, http: 9014};
export const tlsHosts = {one: 'one.example.test', two: 'two.example.test'};
export const staticAddresses = outside(10);
export const httpAddresses = outside(20);
const overlapAddresses = outside(30);
export const overlapName = 'overlap';
/** The port of the Service whose ClusterIPs the ServiceEntry takes too. */
export const overlapPort = 9000;

/** A client that may reach what the registry has, and nothing else. */
export const egressYaml = (image: string): string =>
  [
    clientYaml('egress', image, smallSidecar),
    istio('Sidecar', 'default', {outboundTrafficPolicy: {mode: 'REGISTRY_ONLY'}}),
    // any TLS server does: the API server is there anyway
    byName('tls', Object.values(tlsHosts), 'TLS', egressPorts.tls, 'kubernetes.default', 443),
    byName('dns-a', ['a.example.test'], 'TCP', egressPorts.a, 'tcp-echo.ipv4', 9000),
    byName('dns-aaaa', ['aaaa.example.test'], 'TCP', egressPorts.aaaa, 'tcp-echo.ipv6', 9000),
    istio('ServiceEntry', 'http', {
      hosts: ['http.example.test'],
      addresses: Object.values(httpAddresses),
      ports: [{number: egressPorts.http, name: 'http', protocol: 'HTTP'}],
      resolution: 'STATIC',
      endpoints: [{address: outside(21).ipv4}], // the route answers by itself
      ...external
    }),
    istio('VirtualService', 'http', {
      hosts: ['http.example.test'],
      exportTo: ['.'],
      http: [{directResponse: {status: 200, body: {string: 'hello'}}}]
    })
  ].join('---\n');

/** What selects the pods without sidecars, which it can do only in their namespace; seen by our client alone. */
export const egressStaticYaml = (): string =>
  [
    toPlainPods('static', Object.values(staticAddresses), egressPorts.static),
    toPlainPods(overlapName, Object.values(overlapAddresses), overlapPort)
  ].join('---\n');

const external = {location: 'MESH_EXTERNAL', exportTo: ['.']};

const istio = (kind: string, name: string, spec: object): string =>
  stringify({apiVersion: 'networking.istio.io/v1', kind, metadata: {name}, spec});

/** Has no addresses: whatever is dialled on its port goes to `service`. */
const byName = (
  name: string,
  hosts: string[],
  protocol: string,
  number: number,
  service: string,
  port: number
): string =>
  istio('ServiceEntry', name, {
    hosts,
    ports: [{number, name: protocol.toLowerCase(), protocol}],
    resolution: 'DNS',
    endpoints: [{address: `${service}.svc.cluster.local`, ports: {[protocol.toLowerCase()]: port}}],
    ...external
  });

const toPlainPods = (name: string, addresses: string[], number: number): string =>
  istio('ServiceEntry', name, {
    hosts: [`${name}.example.test`],
    addresses,
    ports: [{number, name: 'tcp', protocol: 'TCP'}],
    resolution: 'STATIC',
    workloadSelector: {labels: {app: 'tcp-echo'}},
    ...external,
    exportTo: [egressNamespace]
  });

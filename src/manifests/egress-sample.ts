/** The sample of the egress checks: a client and its ServiceEntries. */
import {stringify} from 'yaml';
import {renderClientYaml, smallSidecar} from './documented-samples.ts';

export const egressNamespace = 'egress';

/** Addresses from the documentation ranges (RFC 5737, RFC 3849), which only a ServiceEntry makes reachable. */
export const getExternalAddresses = (host: number) => ({
  ipv4: `192.0.2.${host}`,
  ipv6: `2001:db8::${host}`
});

/** The ports of the ServiceEntries. If it is a port of the pods, the response shows the port of the connection. */
export const egressPorts = {
  tls: 8443,
  a: 9011,
  aaaa: 9012,
  static: 9002,
  http: 9014,
  several: 9015,
  ranges: 9001
};
export const tlsHosts = {one: 'one.example.test', two: 'two.example.test'};
export const staticAddresses = getExternalAddresses(10);
export const httpAddresses = getExternalAddresses(20);
const overlapAddresses = getExternalAddresses(30);
/** More than one address of each family. */
export const severalAddresses = [getExternalAddresses(50), getExternalAddresses(51)];
/** An address within each range; there are two ranges of each family. */
export const rangeAddresses = [getExternalAddresses(65), getExternalAddresses(81)];
const ranges = [
  ...['192.0.2.64/28', '192.0.2.80/28'],
  ...['2001:db8::60/124', '2001:db8::80/124'] // contain 65 and 81 in hexadecimal
];
export const overlapName = 'overlap';
/** The port of a Service with the same ClusterIPs as the ServiceEntry. */
export const overlapPort = 9000;

/** The tracer's port. Nothing listens there, because the check reads only the address. */
export const tracerPort = 8126;

/** A client that may reach only registered hosts, with a tracer on its node. */
export const renderEgressYaml = (image: string): string =>
  [
    renderClientYaml('egress', image, {
      ...smallSidecar,
      'proxy.istio.io/config': stringify({
        tracing: {datadog: {address: `$(HOST_IP):${tracerPort}`}} // the default in Istio's chart
      })
    }),
    renderIstioResource('Sidecar', 'default', {outboundTrafficPolicy: {mode: 'REGISTRY_ONLY'}}),
    // any TLS server works, and the API server always runs
    renderDnsServiceEntry(
      'tls',
      Object.values(tlsHosts),
      'TLS',
      egressPorts.tls,
      'kubernetes.default',
      443
    ),
    renderDnsServiceEntry('dns-a', ['a.example.test'], 'TCP', egressPorts.a, 'tcp-echo.ipv4', 9000),
    renderDnsServiceEntry(
      'dns-aaaa',
      ['aaaa.example.test'],
      'TCP',
      egressPorts.aaaa,
      'tcp-echo.ipv6',
      9000
    ),
    renderIstioResource('ServiceEntry', 'several', {
      hosts: ['several.example.test'],
      addresses: severalAddresses.flatMap(addresses => Object.values(addresses)),
      ports: [{number: egressPorts.several, name: 'tcp', protocol: 'TCP'}],
      resolution: 'DNS',
      endpoints: ['ipv4', 'ipv6'].map(namespace => ({
        address: `tcp-echo.${namespace}.svc.cluster.local`,
        ports: {tcp: 9000}
      })),
      ...external
    }),
    renderIstioResource('ServiceEntry', 'http', {
      hosts: ['http.example.test'],
      addresses: Object.values(httpAddresses),
      ports: [{number: egressPorts.http, name: 'http', protocol: 'HTTP'}],
      resolution: 'STATIC',
      endpoints: [{address: getExternalAddresses(21).ipv4}], // unused, because the route responds directly
      ...external
    }),
    renderIstioResource('VirtualService', 'http', {
      hosts: ['http.example.test'],
      exportTo: ['.'],
      http: [{directResponse: {status: 200, body: {string: 'hello'}}}]
    })
  ].join('---\n');

/** ServiceEntries that select the pods without sidecars, so they need that namespace. Only the egress namespace sees them. */
export const renderEgressStaticYaml = (): string =>
  [
    renderStaticServiceEntry('static', Object.values(staticAddresses), egressPorts.static),
    renderStaticServiceEntry('ranges', ranges, egressPorts.ranges),
    renderStaticServiceEntry(overlapName, Object.values(overlapAddresses), overlapPort)
  ].join('---\n');

const external = {location: 'MESH_EXTERNAL', exportTo: ['.']};

const renderIstioResource = (kind: string, name: string, spec: object): string =>
  stringify({apiVersion: 'networking.istio.io/v1', kind, metadata: {name}, spec});

/** A ServiceEntry without addresses: every connection to its port goes to `service`. */
const renderDnsServiceEntry = (
  name: string,
  hosts: string[],
  protocol: string,
  number: number,
  service: string,
  port: number
): string =>
  renderIstioResource('ServiceEntry', name, {
    hosts,
    ports: [{number, name: protocol.toLowerCase(), protocol}],
    resolution: 'DNS',
    endpoints: [{address: `${service}.svc.cluster.local`, ports: {[protocol.toLowerCase()]: port}}],
    ...external
  });

const renderStaticServiceEntry = (name: string, addresses: string[], number: number): string =>
  renderIstioResource('ServiceEntry', name, {
    hosts: [`${name}.example.test`],
    addresses,
    ports: [{number, name: 'tcp', protocol: 'TCP'}],
    resolution: 'STATIC',
    workloadSelector: {labels: {app: 'tcp-echo'}},
    ...external,
    exportTo: [egressNamespace]
  });

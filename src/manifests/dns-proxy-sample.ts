/** The sample of the DNS proxy checks. */
import {stringify} from 'yaml';
import {plainNamespace, renderClientYaml, smallSidecar} from './documented-samples.ts';

export const dnsProxyNamespace = 'dns-proxy';

/** A host that only the DNS proxy resolves: istiod allocates its addresses. */
export const allocated = {host: 'allocated.example.test', port: 9000};

/** A client whose sidecar answers its DNS queries, and a ServiceEntry without addresses. */
export const renderDnsProxyYaml = (image: string): string =>
  [
    renderClientYaml('dns-proxy', image, {
      ...smallSidecar,
      'proxy.istio.io/config': stringify({proxyMetadata: {ISTIO_META_DNS_CAPTURE: 'true'}})
    }),
    stringify({
      apiVersion: 'networking.istio.io/v1',
      kind: 'ServiceEntry',
      metadata: {name: 'allocated'},
      spec: {
        hosts: [allocated.host],
        ports: [{number: allocated.port, name: 'tcp', protocol: 'TCP'}],
        resolution: 'DNS',
        endpoints: [{address: `tcp-echo.${plainNamespace}.svc.cluster.local`}],
        location: 'MESH_EXTERNAL',
        exportTo: ['.']
      }
    })
  ].join('---\n');

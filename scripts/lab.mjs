// The lab: a real cluster on a machine that reaches no registry, as e2e, record and bench use it.
import * as os from 'node:os';
import * as path from 'node:path';

const cache = process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache');
export const lab = {
  bin: path.join(process.env.LAB_HOME ?? path.join(cache, 'dual-stack-lab'), 'bin'),
  mirror: `http://127.0.0.1:${process.env.LAB_PORT ?? 8765}`,
  chart:
    'https://github.com/istio-ecosystem/sail-operator/releases/download/1.30.3/sail-operator-1.30.3.tgz',
  images: [
    'kindest/node:v1.34.4',
    'quay.io/sail-dev/sail-operator:1.30.3',
    'registry.istio.io/release/pilot:1.30.3',
    'registry.istio.io/release/proxyv2:1.30.3'
  ]
};

/** The lab's Envoy is the plain one: without Istio's filters, which these settings leave out. */
export const plainEnvoy = {
  pilot: {
    env: {
      PILOT_ENABLE_METADATA_EXCHANGE: 'false',
      PILOT_DISABLE_MX_ALPN: 'true',
      PILOT_ENABLE_ALPN_FILTER: 'false'
    }
  },
  telemetry: {enabled: false}
};

// The lab, for e2e, record and bench: real clusters on a machine that reaches only the lab's own registry.
import * as os from 'node:os';
import * as path from 'node:path';

const cache = process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache');

export const lab = {
  bin: path.join(process.env.LAB_HOME ?? path.join(cache, 'dual-stack-lab'), 'bin'),
  mirror: `http://127.0.0.1:${process.env.LAB_PORT ?? 8765}`,
  /** As the Action is told of it: the lab serves builds of its own, whose checksums are not the pinned ones. */
  mirrorInput: `http://127.0.0.1:${process.env.LAB_PORT ?? 8765}#own-checksums`,
  /** Whence the nodes pull every image, by its own name. */
  registry: 'http://127.0.0.1:5000',
  kubernetes: process.env.LAB_KUBERNETES ?? 'v1.37.0',
  helm: 'v3.19.5',
  chart:
    'https://github.com/istio-ecosystem/sail-operator/releases/download/1.30.3/sail-operator-1.30.3.tgz',
  /** The operator and Istio, which are not part of the lab. */
  images: [
    'quay.io/sail-dev/sail-operator:1.30.3',
    'docker.io/istio/pilot:1.30.3',
    'docker.io/istio/proxyv2:1.30.3'
  ],
  /** What only an upgrade needs beside them. */
  upgradeImages: ['docker.io/istio/pilot:1.29.6', 'docker.io/istio/proxyv2:1.29.6'],
  /** What only ambient needs. */
  ambientImages: ['docker.io/istio/install-cni:1.30.3', 'docker.io/istio/ztunnel:1.30.3']
};
lab.nodeImage = `kindest/node:${lab.kubernetes}`;

/** Whether the lab's registry has an image. */
export async function registryHas(image) {
  const [name, tag] = image.split(/:(?=[^:]*$)/);
  const url = `${lab.registry}/v2/${name}/manifests/${tag}`;
  const {ok} = await fetch(url, {method: 'HEAD', headers: {Accept: '*/*'}}).catch(() => ({}));
  return ok === true;
}

/** Those of the lab's images that its registry lacks. */
export async function missingImages(images = lab.images) {
  const there = await Promise.all(images.map(registryHas));
  return images.filter((_, at) => !there[at]);
}

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

/** Whether this is the lab. */
export const mirrorAnswers = () =>
  fetch(lab.mirror, {signal: AbortSignal.timeout(2000)}).then(
    ({ok}) => ok,
    () => false
  );

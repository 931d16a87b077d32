/** Pins the versions and the SHA-256 checksums of everything that the Action downloads. */

export type Architecture = 'amd64' | 'arm64';
export type ToolName = 'kind' | 'kubectl' | 'helm';

interface ToolPin {
  /** The default version. */
  version: string;
  /** The download URL of a version. */
  url: (version: string, architecture: Architecture) => string;
  /** The suffix of the URL of the checksum file. */
  checksumSuffix: '.sha256' | '.sha256sum';
  /** The checksums of the default version. */
  sha256: Record<Architecture, string>;
}

export const tools: Record<ToolName, ToolPin> = {
  kind: {
    version: 'v0.33.0',
    url: (version, architecture) =>
      `https://github.com/kubernetes-sigs/kind/releases/download/${version}/kind-linux-${architecture}`,
    checksumSuffix: '.sha256sum',
    sha256: {
      amd64: 'aee6151561422756b764a4ae28e7f44cda5af5a9eead3cc9985112b1de8d8e0d',
      arm64: '20022bee6cfcd5086cb7234d218e3454e6090022f2a8f55d1fa7fcf42c3867a2'
    }
  },
  kubectl: {
    version: 'v1.37.1',
    url: (version, architecture) =>
      `https://dl.k8s.io/release/${version}/bin/linux/${architecture}/kubectl`,
    checksumSuffix: '.sha256',
    sha256: {
      amd64: '65691ff77eb6fa44c908b77a1082c9f092c3b9733b5cefabec0d1104890e21a8',
      arm64: 'ff749f4b78d9c4f1ec87307df9b50119ed819e2094aa9810cb9acffc3286c8c7'
    }
  },
  helm: {
    version: 'v3.22.0',
    url: (version, architecture) =>
      `https://get.helm.sh/helm-${version}-linux-${architecture}.tar.gz`,
    checksumSuffix: '.sha256sum',
    sha256: {
      amd64: '1e4ab49e429626cf6c6958d914248b78c9730803c2751b87627e171dc800e7bb',
      arm64: 'f14e804dfee240f55525b667488fe9adca349e63e00c9af634c0beb1421ac310'
    }
  }
};

/** The newest release that the Action is tested with. */
export const defaultOperatorVersion = '1.30.3';

/** The index of the operator's Helm repository, with a digest for each chart. */
export const chartIndex = 'https://istio-ecosystem.github.io/sail-operator/index.yaml';

export const getChartUrl = (version: string): string =>
  `https://github.com/istio-ecosystem/sail-operator/releases/download/${version}/sail-operator-${version}.tgz`;

/** Released chart → digest. Source: the index of the Helm repository, 2026-09-29. */
export const chartDigests: Record<string, string> = {
  '1.31.1': '5c21ade4ef5f73328a62f85179d3d67caedaad130ffb1be0b0b81ab123880455',
  '1.31.0': '5bce59ffcc2554ae55d51a8c379375a4896fedb9e2d9798f7ed5e9578a346849',
  '1.30.4': 'fdae08071bf43ef2142b89668e9832acda6caca84ac2751a0b3918fbbafa2f01',
  '1.30.3': 'aef9811358cc18bd2053a84c1e6a72f61e6982db591ff11ca77fab744541f302',
  '1.30.0': '5e6be71498354df945bd4d7259e1f692552d1103999eb6655c7bd872b716c20f',
  '1.29.2': 'ba2fc355d0fce10cc3c5859e5c7035214f67c8b07ff989a321b21aca18744476',
  '1.29.1': '468755cfad217fc96b54e6a91e3303a93c9b46f2821cda53e3b95429c3461edf',
  '1.29.0': '646e5cb04935984a0c667ac5a12a0f84576a91263173928b041d708c523c0287',
  '1.28.3': '5e95564a9033ab975e0509a0a61662079ecc612ca89c7f440d192097f1ee1705',
  '1.28.2': '31a01c6b26e0df104fc49aea7091a2497d095f9015df45fb144372434ec9972b',
  '1.28.1': 'c1da53138de02d00632dadd02996c0619ecfe58e8ea477251aef7133c7fd58c6',
  '1.28.0': '7d3b46c282b863102c538438b41cb66d43ad780fb0ff1d6dffd2fa03cdc63085',
  '1.27.3': '5416aaae2c0945418d3d885a3877d254b0c553a4102e2ded87e96354f978bf92',
  '1.27.2': '6d28dbe958f4e44e7f71c978bcb5a8d9b13f38abdba3c63fd4fed4f1d17919e0',
  '1.27.1': 'c1d9977e2b22f9c90e80dc409525efb733f4dc3a3503eeff757ff353435c7af3',
  '1.27.0': '43b28204eb572451c238f78d25d8eaa1328d5855ea4b35cc54aaf80e949df287',
  '1.26.3': 'ffcb189c81d437c107448dbbd038a9cbfb982a01251be548c333baae76eb4b3d',
  '1.26.2': '4b974a21e0535ca36905bcbb707220d868340d9fbc16e7f0d76e6afb7477efcf',
  '1.26.1': '5831431a0b3e3db0aa7c39bce049394ea6b12e6126ae0bf1cfa5c3cc961c5a8c',
  '1.26.0': '53c5afadc9d8f751415fc6978ac52103f39cd003f3a31499d0ddbc086f823aae',
  '1.25.2': 'cb75c431cb053d692e7012accb32bb9ef4562aa7dc21f77108a44fd693a30121',
  '1.25.1': '5df148aea4c0dbbb342079b7f275875792e6e85351824efc5abda2ea7b0e9df6',
  '1.0.0': '4c818a577d3b2c9a94c99c8458e1cdf3c3c967a7c05e3c3db23ada961bbcbcc8'
};

/**
 * The CRDs that a Gateway and its routes need, from the standard channel of the Gateway API. Istio 1.30 is built with
 * this version. The checksums are those of the files at the tag.
 */
export const gatewayApi = {
  version: 'v1.5.1',
  crds: {
    gatewayclasses: '234ad4b2757ee1b3596a4187bb98df071c5bbdd9e1806f692f2dbf8387e6bef4',
    gateways: '7416e8300eb4d8c0a71a23445609075bbacbe8bc80104584b019cfe1ebe77c31',
    httproutes: '682203b109baecb18d38073a578f7bc2c17d22fe9b0c27bf030850abe014c370'
  }
};

export const getGatewayCrdUrl = (name: string): string =>
  `https://raw.githubusercontent.com/kubernetes-sigs/gateway-api/${gatewayApi.version}/config/crd/standard/gateway.networking.k8s.io_${name}.yaml`;

/** The Istio release of a version, `v1.30.3` → `1.30.3`; null for a version that Istio did not publish. */
export const getIstioRelease = (version: string | null): string | null =>
  /^v(\d+\.\d+\.\d+)$/.exec(version ?? '')?.[1] ?? null;

/** The echo image as Istio's samples name it from release-1.30 on. The plan replaces its retired hub. */
export const echoImage = 'registry.istio.io/release/tcp-echo-server:1.3';
export const clientImage = 'docker.io/curlimages/curl:8.16.0';

/** Builds and validates kind's configuration. */
import {deepmergeCustom} from 'deepmerge-ts';
import {lt} from 'semver';
import {stringify} from 'yaml';
import {createInputFault} from '../base/fault.ts';
import type {Values} from '../inputs/readers.ts';
import type {Family} from '../results/results.ts';
import {getImageKubernetesVersion} from '../versions/kubernetes.ts';

/** Merges values like Helm: mappings merge, other values replace. */
export const mergeValues = deepmergeCustom({mergeArrays: false});

// the family of the first subnet is the primary one
const ipv6First = {
  podSubnet: 'fd00:10:244::/56,10.244.0.0/16',
  serviceSubnet: 'fd00:10:96::/112,10.96.0.0/16'
};

// The cluster lives for minutes, so these settings shorten its startup. All times are measured on two cores.
// - etcd in memory (/tmp is a tmpfs in kind's nodes) does not wait for the disk, which image transfers keep busy.
// - The controllers start in 1 s instead of 7 s when their client has no limit of 20 requests per second.
// - A lease is retried sooner than after 2 s. A Service works as soon as its endpoint is ready.
// - A kubelet that does not rotate its certificate needs no restart by kubeadm, which saves 2 s.
// - A kubelet that gets mounted objects, instead of watching them, does not fail and wait for its watch.
// - Without CPU limits, the operator starts 2 s sooner: its limit is half a processor.
// Without an apiVersion, kind adapts extraArgs to the kubeadm of the node image.
const lease = {'leader-elect-retry-period': '500ms'};
const buildOptimizationPatches = (image: string | null): string[] =>
  [
    {
      kind: 'ClusterConfiguration',
      ...buildKeySettings(image),
      etcd: {local: {dataDir: '/tmp/etcd'}},
      controllerManager: {
        extraArgs: {...lease, 'kube-api-qps': '500', 'kube-api-burst': '1000'}
      },
      scheduler: {extraArgs: lease}
    },
    {
      kind: 'InitConfiguration',
      nodeRegistration: {kubeletExtraArgs: {'rotate-certificates': 'false'}}
    },
    {
      kind: 'KubeletConfiguration',
      cpuCFSQuota: false,
      configMapAndSecretChangeDetectionStrategy: 'Get'
    },
    {kind: 'KubeProxyConfiguration', iptables: {minSyncPeriod: '100ms'}}
  ].map(patch => stringify(patch));

/** Settings for ECDSA keys, which kubeadm generates fast. From 1.36 on, a field replaces the feature gate. */
function buildKeySettings(image: string | null): Values {
  const version = getImageKubernetesVersion(image);
  if (version === null) return {};
  return lt(version, '1.36.0')
    ? {featureGates: {PublicKeysECDSA: true}}
    : {encryptionAlgorithm: 'ECDSA-P256'};
}

/** The Docker network of kind's nodes. kind reads the same environment variable. */
export const getNetworkName = (): string => process.env.KIND_EXPERIMENTAL_DOCKER_NETWORK || 'kind';

export const buildNetworkCommand = (): string[] => [
  'docker',
  'network',
  'inspect',
  getNetworkName()
];

/** Kernel modules that ip6tables needs, for `modprobe`. The nftables variant loads nft_compat itself. */
export const ip6tablesModules = 'ip6_tables ip6table_nat ip6table_filter ip6table_mangle';

/** The subnets in the output of `buildNetworkCommand`; empty for invalid output. */
export function parseSubnets(text: string): string[] {
  let networks: unknown;
  try {
    networks = JSON.parse(text);
  } catch {
    return [];
  }
  const configs = (Array.isArray(networks) ? networks : []).flatMap(
    network => network?.IPAM?.Config ?? []
  );
  return configs.map(config => `${config?.Subnet}`);
}

/** kind's configuration for a node image (null: kind's default), with `more` merged in. Without `tuned`, it only sets dual-stack. */
export function buildKindConfig(
  [first]: Family[],
  more: Values | null,
  image: string | null,
  tuned: boolean
): Values {
  const networking =
    more?.networking === undefined ? {} : parseMapping(more.networking, 'networking');
  if (networking.ipFamily !== undefined && networking.ipFamily !== 'dual')
    throw createInputFault(
      `Invalid \`kind-config\` networking.ipFamily "${networking.ipFamily}": expected \`dual\` or no value`
    );
  refuseUnworkable(networking, more ?? {});
  return mergeValues(
    {
      kind: 'Cluster',
      apiVersion: 'kind.x-k8s.io/v1alpha4',
      networking: {ipFamily: 'dual', ...(first === 'ipv6' ? ipv6First : {})},
      ...(tuned
        ? {kubeadmConfigPatches: buildOptimizationPatches(getControlPlaneImage(more ?? {}, image))}
        : {})
    },
    more ?? {}
  ) as Values;
}

/** Whether a node in this configuration has its own image, which `--image` would replace. */
export const hasNodeImages = (config: Values): boolean =>
  getNodes(config).some(({image}) => image !== undefined);

/** The image of the first control-plane node; `image` if the node has none. */
export function getControlPlaneImage(config: Values, image: string | null): string | null {
  const found = getNodes(config).find(({role = 'control-plane'}) => role === 'control-plane');
  return found?.image ?? image;
}

/** The configuration with `image` for each node without an image. */
export const setNodeImages = (config: Values, image: string): Values => ({
  ...config,
  nodes: getNodes(config).map(node => ({image, ...node}))
});

/** Throws a Fault for a configuration in which the cluster lacks something that the run needs. */
function refuseUnworkable({disableDefaultCNI, kubeProxyMode}: Values, config: Values): void {
  if (disableDefaultCNI === true)
    throw createInputFault(
      'Invalid `kind-config` networking.disableDefaultCNI "true": expected `false` or no value. The run installs no other pod network, so no pod would start'
    );
  if (kubeProxyMode === 'none')
    throw createInputFault(
      'Invalid `kind-config` networking.kubeProxyMode "none": expected `iptables`, `ipvs`, `nftables` or no value. Without kube-proxy, no ClusterIP works'
    );
  const domain = getKubeadmPatches(config).map(findOtherDomain).find(Boolean);
  if (domain !== undefined)
    throw createInputFault(
      `Invalid \`kind-config\` DNS domain "${domain}" in a patch for kubeadm: expected \`cluster.local\` or no value, because Istio and the samples use that domain`
    );
}

/** The texts of all patches for kubeadm, of the cluster and of its nodes. */
function getKubeadmPatches(config: Values): string[] {
  const lists = [config, ...getNodes(config)].flatMap(
    ({kubeadmConfigPatches, kubeadmConfigPatchesJSON6902}: Values) => [
      kubeadmConfigPatches,
      kubeadmConfigPatchesJSON6902
    ]
  );
  return lists
    .flatMap(list => (Array.isArray(list) ? list : []))
    .map(patch => (typeof patch === 'string' ? patch : `${(patch as Values | null)?.patch ?? ''}`));
}

/** The DNS domain that a patch for kubeadm or the kubelet sets; undefined for `cluster.local` or none. */
function findOtherDomain(patch: string): string | undefined {
  const [, merged] = /\b(?:dnsDomain|clusterDomain)["']?\s*:\s*["']?([\w.-]+)/.exec(patch) ?? [];
  const replaced = /\/(dnsDomain|clusterDomain)\b/.test(patch)
    ? /\bvalue["']?\s*:\s*["']?([\w.-]+)/.exec(patch)?.[1]
    : undefined;
  return [merged, replaced].find(domain => domain !== undefined && domain !== 'cluster.local');
}

/** The configuration with a directory of this machine mounted read-only into every node. */
export const addNodeMount = (config: Values, hostPath: string, containerPath: string): Values => ({
  ...config,
  nodes: getNodes(config).map(({role = 'control-plane', extraMounts = [], ...node}) => ({
    role,
    ...node,
    extraMounts: [...extraMounts, {hostPath, containerPath, readOnly: true}]
  }))
});

/** The names of a cluster's node containers in kind, without its load balancer. */
export function getNodeNames(cluster: string, config: Values): string[] {
  const nodes = getNodes(config);
  const seen = new Map<string, number>();
  return nodes.map(({role = 'control-plane'}) => {
    const number = (seen.get(role) ?? 0) + 1;
    seen.set(role, number);
    return `${cluster}-${role}${number === 1 ? '' : number}`;
  });
}

interface Node extends Values {
  role?: string;
  image?: string;
  extraMounts?: Values[];
}

function getNodes({nodes = [{}]}: Values): Node[] {
  if (Array.isArray(nodes) && nodes.length > 0)
    return nodes.map(node => parseMapping(node, 'nodes'));
  throw createInputFault(
    'Invalid `kind-config` nodes: expected a list of nodes such as `nodes: [{role: control-plane}]`'
  );
}

function parseMapping(value: unknown, name: string): Values {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Values;
  throw createInputFault(
    `Invalid \`kind-config\` ${name} ${JSON.stringify(value)}: expected a mapping`
  );
}

export const renderKindYaml = (config: Values): string => stringify(config);

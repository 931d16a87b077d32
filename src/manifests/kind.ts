import {deepmergeCustom} from 'deepmerge-ts';
import {lt} from 'semver';
import {stringify} from 'yaml';
import {createInputFault} from '../base/fault.ts';
import type {Values} from '../inputs/readers.ts';
import type {Family} from '../results/results.ts';
import {getImageKubernetesVersion} from '../versions/kubernetes.ts';

/** Mappings are merged, anything else is replaced, as Helm does it. */
export const mergeValues = deepmergeCustom({mergeArrays: false});

// IPv6 is the primary family where its subnets come first
const ipv6First = {
  podSubnet: 'fd00:10:244::/56,10.244.0.0/16',
  serviceSubnet: 'fd00:10:96::/112,10.96.0.0/16'
};

// The cluster lives for minutes, and most of what it waits for is itself. All measured on two cores:
// etcd in memory (/tmp is a tmpfs in kind's nodes) waits for no disk, which image transfers keep busy;
// the controllers start in 1 s instead of 7 when their client is not held to 20 requests per second;
// a lease is tried anew sooner than after 2 s; a Service works as soon as its endpoint is ready;
// kubeadm need not restart a kubelet that does not rotate its certificate, which takes 2 s; a kubelet that
// gets what a pod mounts, instead of watching it first, does not fail and wait until its watch has begun; and one
// that enforces no CPU limits lets the operator, whose limit is half a processor, start 2 s sooner.
// Without an apiVersion kind fits extraArgs to the kubeadm of the node image.
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

/** Keys that are made in no time, as the kubeadm that the image's tag tells of is asked for them: kubeadm v1beta3's feature gate went with it. */
function buildKeySettings(image: string | null): Values {
  const version = getImageKubernetesVersion(image);
  if (version === null) return {};
  return lt(version, '1.36.0')
    ? {featureGates: {PublicKeysECDSA: true}}
    : {encryptionAlgorithm: 'ECDSA-P256'};
}

/** The Docker network of kind's nodes: kind takes another one's name from the environment. */
export const getNetworkName = (): string => process.env.KIND_EXPERIMENTAL_DOCKER_NETWORK || 'kind';

export const buildNetworkCommand = (): string[] => [
  'docker',
  'network',
  'inspect',
  getNetworkName()
];

/** What ip6tables needs of the kernel, for `modprobe`; where its programs speak to nftables, that loads nft_compat itself. */
export const ip6tablesModules = 'ip6_tables ip6table_nat ip6table_filter ip6table_mangle';

/** The subnets in what `networkCommand` says. */
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

/** kind's configuration: ours for this node image (null: kind's own), with `more` merged in; not `tuned`, it is dual-stack, and that is all. */
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
      `kind-config: found networking.ipFamily "${networking.ipFamily}"; accepted is \`dual\`, or none`
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

/** Whether a node of this configuration has an image of its own, which `--image` would replace. */
export const hasNodeImages = (config: Values): boolean =>
  getNodes(config).some(({image}) => image !== undefined);

/** The image that the first control-plane node runs; `image` where it has none of its own. */
export function getControlPlaneImage(config: Values, image: string | null): string | null {
  const found = getNodes(config).find(({role = 'control-plane'}) => role === 'control-plane');
  return found?.image ?? image;
}

/** The same with an image for each node that has none of its own. */
export const setNodeImages = (config: Values, image: string): Values => ({
  ...config,
  nodes: getNodes(config).map(node => ({image, ...node}))
});

/** What leaves a cluster without something that the run needs, and does not bring itself. */
function refuseUnworkable({disableDefaultCNI, kubeProxyMode}: Values, config: Values): void {
  if (disableDefaultCNI === true)
    throw createInputFault(
      'kind-config: found networking.disableDefaultCNI; accepted is `false`, or none: nothing else here installs a pod network, and no pod would start'
    );
  if (kubeProxyMode === 'none')
    throw createInputFault(
      'kind-config: found networking.kubeProxyMode "none"; accepted is `iptables`, `ipvs` or `nftables`, or none: without kube-proxy no ClusterIP is answered'
    );
  const domain = getKubeadmPatches(config).map(findOtherDomain).find(Boolean);
  if (domain !== undefined)
    throw createInputFault(
      `kind-config: found the DNS domain "${domain}" in a patch for kubeadm; accepted is \`cluster.local\`, or none: it is the one that Istio and the samples go by`
    );
}

/** Every patch for kubeadm, of the cluster and of its nodes, as text. */
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

/** The DNS domain that a patch for kubeadm or for the kubelet asks for, where it is not the usual one. */
function findOtherDomain(patch: string): string | undefined {
  const [, merged] = /\b(?:dnsDomain|clusterDomain)["']?\s*:\s*["']?([\w.-]+)/.exec(patch) ?? [];
  const replaced = /\/(dnsDomain|clusterDomain)\b/.test(patch)
    ? /\bvalue["']?\s*:\s*["']?([\w.-]+)/.exec(patch)?.[1]
    : undefined;
  return [merged, replaced].find(domain => domain !== undefined && domain !== 'cluster.local');
}

/** The same with a directory of this machine mounted, read-only, into every node. */
export const addNodeMount = (config: Values, hostPath: string, containerPath: string): Values => ({
  ...config,
  nodes: getNodes(config).map(({role = 'control-plane', extraMounts = [], ...node}) => ({
    role,
    ...node,
    extraMounts: [...extraMounts, {hostPath, containerPath, readOnly: true}]
  }))
});

/** The names that kind gives the node containers of a cluster, without its load balancer. */
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
    'kind-config: found `nodes` that is no list of nodes; accepted is one such as `nodes: [{role: control-plane}]`'
  );
}

function parseMapping(value: unknown, name: string): Values {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Values;
  throw createInputFault(
    `kind-config: found ${JSON.stringify(value)} in \`${name}\`; accepted is a mapping`
  );
}

export const renderKindYaml = (config: Values): string => stringify(config);

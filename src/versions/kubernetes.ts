/** Holds the Kubernetes versions that Istio supports and their kind node images. */
import {coerce, gte, lt, rcompare, satisfies, valid} from 'semver';
import {createInputFault} from '../base/fault.ts';
import {getMinor} from './istio-versions.ts';
import {tools} from './pins.ts';

/** Istio minor → oldest and newest supported Kubernetes minor. Source: istio.io/latest/docs/releases/supported-releases, 2026-11-24. */
export const supportedKubernetes: Record<string, [oldest: string, newest: string]> = {
  '1.31': ['1.32', '1.36'],
  '1.30': ['1.32', '1.36'],
  '1.29': ['1.31', '1.35'],
  '1.28': ['1.30', '1.34'],
  '1.27': ['1.29', '1.33'],
  '1.26': ['1.29', '1.33'],
  '1.25': ['1.29', '1.32'],
  '1.24': ['1.28', '1.31'],
  '1.23': ['1.27', '1.30'],
  '1.22': ['1.27', '1.30'],
  '1.21': ['1.26', '1.29']
};

/** Kubernetes version → digest of kind's node image, newest first. Source: kind's release notes, v0.33.0 for 1.34 and newer. */
const nodeImageDigests: Record<string, string> = {
  '1.37.0': 'a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5',
  '1.36.4': '099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed',
  '1.35.8': '07b2536e30b803ed61d1677a79df6115f798ce64c80f9e22f6ed45afd09323c0',
  '1.34.11': '44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d',
  '1.33.12': '3f5c8443c620245e4d355cfe09e96a91ead32ceaa569d3f1ca9edf0cb2fe2ff4',
  '1.32.11': '5fc52d52a7b9574015299724bd68f183702956aa4a2116ae75a63cb574b35af8',
  '1.31.14': '6f86cf509dbb42767b6e79debc3f2c32e4ee01386f0489b3b2be24b0a55aac2b',
  '1.30.13': '397209b3d947d154f6641f2d0ce8d473732bd91c87d9575ade99049aa33cd648',
  '1.29.14': '8703bd94ee24e51b778d5556ae310c6c0fa67d761fae6379c8e0bb480e6fea29'
};

/** The Kubernetes versions with a node image, newest first. */
export const kubernetesVersions: string[] = Object.keys(nodeImageDigests).sort(rcompare);

export const getNodeImage = (kubernetes: string): string =>
  `kindest/node:v${kubernetes}@sha256:${nodeImageDigests[kubernetes]}`;

/** The Kubernetes version in an image's tag; null if the tag has none. */
export const getImageKubernetesVersion = (image: string | null): string | null =>
  valid(/:v?(\d{1,5}\.\d{1,5}\.\d{1,5})/.exec(image ?? '')?.[1]);

/** The supported range of an Istio version; undefined for an unknown version. A chart may name a version freely. */
export const getSupportedRange = (istio: string): [oldest: string, newest: string] | undefined =>
  Object.hasOwn(supportedKubernetes, getMinor(istio))
    ? supportedKubernetes[getMinor(istio)]
    : undefined;

/** Whether an Istio version supports a Kubernetes version; null if its range is unknown. */
export function supports(istio: string, kubernetes: string): boolean | null {
  const range = getSupportedRange(istio);
  if (range === undefined) return null;
  return satisfies(coerce(kubernetes) ?? '', `${range[0]} - ${range[1]}`);
}

/** The supported Kubernetes versions with a node image, newest first. An unknown Istio version gets those of the newest known one. */
export function getSupportedVersions(istio: string | null): string[] {
  const known = istio !== null && getSupportedRange(istio) !== undefined;
  const [newest = ''] = Object.keys(supportedKubernetes);
  return kubernetesVersions.filter(version => supports(known ? istio : newest, version));
}

/** The Kubernetes version for a whole version or a minor. Throws a Fault that lists the available versions. */
export function resolveKubernetesVersion(requested: string, input = 'kubernetes-version'): string {
  const found = kubernetesVersions.find(
    version => version === requested || getMinor(version) === requested
  );
  if (found) return found;
  throw createInputFault(
    `Invalid \`${input}\` "${requested}": expected a version with a node image of kind ${tools.kind.version}: ${kubernetesVersions.join(', ')}, or one of their minors. For another version, set \`node-image\``
  );
}

/** Throws a Fault if this kind cannot create a cluster of a Kubernetes version. */
export function refuseOldKind(kind: string, kubernetes: string | null): void {
  // kind has a template for kubeadm's v1beta4 from 0.32 on, and Kubernetes 1.37 dropped v1beta3
  if (kubernetes === null || lt(kubernetes, '1.37.0') || gte(coerce(kind) ?? '0.32.0', '0.32.0'))
    return;
  throw createInputFault(
    `Invalid \`kind-version\` "${kind}": expected v0.32.0 or newer for Kubernetes ${kubernetes}. To keep this kind, set \`kubernetes-version: 1.36\` or older`
  );
}

/** Whether a Kubernetes version needs cgroup v2. From 1.35 on, the kubelet fails on cgroup v1 by default. */
export const needsCgroup2 = (kubernetes: string | null): boolean =>
  kubernetes !== null && gte(kubernetes, '1.35.0');

/** A warning if Istio does not support the Kubernetes version; null if it does or its range is unknown. */
export function describeUnsupportedVersion(
  istio: string | null,
  kubernetes: string | null
): string | null {
  if (istio === null || kubernetes === null || supports(istio, kubernetes) !== false) return null;
  const [oldest, newest] = getSupportedRange(istio) ?? [];
  return `Kubernetes ${getMinor(kubernetes)} is outside of what Istio ${getMinor(istio)} supports, ${oldest} to ${newest}: a failure of this run may not occur on a supported version.`;
}

/** A warning if kubectl is more than one minor away from Kubernetes; else null. Source: kubernetes.io/releases/version-skew-policy */
export function describeKubectlSkew(
  kubectl: string | null,
  kubernetes: string | null
): string | null {
  const [client, server] = [coerce(kubectl), coerce(kubernetes)];
  if (!client || !server || Math.abs(client.minor - server.minor) <= 1) return null;
  return `kubectl ${client} is more than one minor away from Kubernetes ${server}; set \`kubectl-version\` to a closer version.`;
}

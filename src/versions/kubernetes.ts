import {coerce, gte, lt, rcompare, satisfies, valid} from 'semver';
import {createInputFault} from '../base/fault.ts';
import {getMinor} from './istio-versions.ts';
import {tools} from './pins.ts';

/** Istio minor → oldest and newest Kubernetes minor that it supports. istio.io/latest/docs/releases/supported-releases, 2026-11-24. */
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

/** kind's node images, the newest first: from the release notes of v0.33.0, and up to 1.33 from those of the kinds before it. */
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

/** The Kubernetes versions that there is a node image of, the newest first. */
export const kubernetesVersions: string[] = Object.keys(nodeImageDigests).sort(rcompare);

export const getNodeImage = (kubernetes: string): string =>
  `kindest/node:v${kubernetes}@sha256:${nodeImageDigests[kubernetes]}`;

/** The Kubernetes version that an image's tag tells; null where it tells none. */
export const getImageKubernetesVersion = (image: string | null): string | null =>
  valid(/:v?(\d{1,5}\.\d{1,5}\.\d{1,5})/.exec(image ?? '')?.[1]);

/** The range of an Istio version, which a chart may name as it likes; undefined where it is not known. */
export const getSupportedRange = (istio: string): [oldest: string, newest: string] | undefined =>
  Object.hasOwn(supportedKubernetes, getMinor(istio))
    ? supportedKubernetes[getMinor(istio)]
    : undefined;

/** Whether an Istio version supports a Kubernetes version; null where its range is not known. */
export function supports(istio: string, kubernetes: string): boolean | null {
  const range = getSupportedRange(istio);
  if (range === undefined) return null;
  return satisfies(coerce(kubernetes) ?? '', `${range[0]} - ${range[1]}`);
}

/** The Kubernetes versions with a node image that an Istio version supports, the newest first; of one that is not known yet, those of the newest that is. */
export function getSupportedVersions(istio: string | null): string[] {
  const known = istio !== null && getSupportedRange(istio) !== undefined;
  const [newest = ''] = Object.keys(supportedKubernetes);
  return kubernetesVersions.filter(version => supports(known ? istio : newest, version));
}

/** The version for an input, a whole one or a minor. Throws a Fault that lists what there is. */
export function resolveKubernetesVersion(requested: string, input = 'kubernetes-version'): string {
  const found = kubernetesVersions.find(
    version => version === requested || getMinor(version) === requested
  );
  if (found) return found;
  throw createInputFault(
    `${input}: found "${requested}"; accepted is what kind ${tools.kind.version} has a node image of: ${kubernetesVersions.join(', ')}, or the minor of one; \`node-image\` takes any other`
  );
}

/** Throws a Fault where a kind cannot make a cluster of a Kubernetes version. */
export function refuseOldKind(kind: string, kubernetes: string | null): void {
  // kind has a template for kubeadm's v1beta4 from 0.32 on, and Kubernetes 1.37 has no v1beta3
  if (kubernetes === null || lt(kubernetes, '1.37.0') || gte(coerce(kind) ?? '0.32.0', '0.32.0'))
    return;
  throw createInputFault(
    `kind-version: found ${kind}, which cannot write the kubeadm configuration of Kubernetes ${kubernetes}; accepted is v0.32.0 or newer, or with this kind a Kubernetes before 1.37 (\`kubernetes-version: 1.36\`)`
  );
}

/** Kubernetes from 1.35 on does not start on a machine with cgroup v1, unless the kubelet is told to. */
export const needsCgroup2 = (kubernetes: string | null): boolean =>
  kubernetes !== null && gte(kubernetes, '1.35.0');

/** One sentence where a Kubernetes version is outside of what an Istio version supports; null where it is not, or nobody knows. */
export function describeUnsupportedVersion(
  istio: string | null,
  kubernetes: string | null
): string | null {
  if (istio === null || kubernetes === null || supports(istio, kubernetes) !== false) return null;
  const [oldest, newest] = getSupportedRange(istio) ?? [];
  return `Kubernetes ${getMinor(kubernetes)} is outside of what Istio ${getMinor(istio)} supports, ${oldest} to ${newest}: a failure here may not occur on one that it supports.`;
}

/** One sentence where kubectl is more than one minor away from Kubernetes, which is all that it supports. kubernetes.io/releases/version-skew-policy */
export function describeKubectlSkew(
  kubectl: string | null,
  kubernetes: string | null
): string | null {
  const [client, server] = [coerce(kubectl), coerce(kubernetes)];
  if (!client || !server || Math.abs(client.minor - server.minor) <= 1) return null;
  return `kubectl ${client} is more than one minor away from Kubernetes ${server}; \`kubectl-version\` takes another.`;
}

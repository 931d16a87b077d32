/** Reads the operator's Istio versions from its CRD and from a checkout's versions.yaml. */
import {readYaml} from '../base/yaml.ts';

/** A version name that the Istio resource may have. */
export interface VersionEntry {
  /** `v1.30.3`, or an alias such as `v1.30-latest` or `master`. */
  name: string;
  /** The version that an alias resolves to; null for a version. */
  ref: string | null;
  /** End-of-life: the API server accepts it, but the operator refuses to install it. */
  eol: boolean;
}

/** Whether the text is a valid version name. A checkout is untrusted, so other texts are dropped. */
export const isVersionName = (name: string): boolean => /^[\w.+-]{1,100}$/.test(name);

export const isVersion = (name: string): boolean => /^v?\d+\.\d+\.\d+/.test(name);

interface IstioCrd {
  /** The versions that the CRD lists, in its order; null if it has no list. */
  entries: VersionEntry[] | null;
  /** The default version. */
  default: string | null;
  /** The served API versions, such as `v1`. */
  served: string[];
}

/**
 * The versions in the Istio resource's CRD, from the text of one or of all CRDs. The enum has end-of-life versions too,
 * so `installable` or else the description ("Must be one of: …") selects the others. An alias resolves to the version
 * after it, which is how the operator generates the list. Parsing only these lines takes 1 ms instead of half a second.
 */
export function readCrd(text: string, installable: string[] | null): IstioCrd {
  const crd =
    text.split(/^---$/m).find(one => /^ {2}name: istios\.sailoperator\.io$/m.test(one)) ?? '';
  const served = [...crd.matchAll(/^ {4}name: (v\w+)$/gm)].map(([, name = '']) => name);
  const {enum: names, default: first, description} = findVersionSchema(crd);
  if (!Array.isArray(names)) return {entries: null, default: null, served};
  const words = typeof description === 'string' ? description.trim().slice(0, 10_000) : '';
  const [, listed] = /Must be one of: ([^\n]+?)\.?$/.exec(words) ?? [];
  const living = new Set(installable ?? listed?.split(', ') ?? names);
  const entries = names
    .map(String)
    .filter(isVersionName)
    .map((name, at, names) => {
      const ref = isVersion(name) ? null : (names.slice(at).find(isVersion) ?? null);
      return {name, ref, eol: !living.has(ref ?? name)};
    });
  return {entries, default: typeof first === 'string' ? first : null, served};
}

/** The schema of `spec.version`: the field of that name with an enum. */
function findVersionSchema(crd: string): {enum?: string[]; default?: string; description?: string} {
  const found = [...crd.matchAll(/^( {1,100})version:$/gm)].slice(0, 100); // a real CRD has three
  for (const {1: indent = '', index} of found) {
    const [, ...lines] = crd.slice(index).split('\n', 1000);
    const end = lines.findIndex(line => !line.startsWith(`${indent} `));
    const block = lines.slice(0, end < 0 ? undefined : end).join('\n');
    if (/^ +enum:$/m.test(block))
      return (readYaml(block) ?? {}) as ReturnType<typeof findVersionSchema>;
  }
  return {};
}

/** The versions in a checkout's `pkg/istioversion/versions.yaml`; null for other text. */
export function readCheckout(text: string): VersionEntry[] | null {
  const {versions} = (text === '' ? {} : (readYaml(text) ?? {})) as {versions?: unknown};
  if (!Array.isArray(versions) || versions.length === 0) return null;
  return versions
    .map(entry => ({
      name: `${entry?.name ?? ''}`,
      ref: entry?.ref ?? null,
      eol: entry?.eol === true
    }))
    .filter(
      ({name, ref}) =>
        isVersionName(name) && (ref === null || (typeof ref === 'string' && isVersionName(ref)))
    );
}

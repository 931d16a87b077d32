import {readYaml} from '../base/yaml.ts';

/** Where the operator lists its Istio versions beside the chart's annotations: the CRD, and a checkout's versions.yaml. */

/** A name that the Istio resource may have as its version. */
export interface VersionEntry {
  /** `v1.30.3`, or an alias such as `v1.30-latest` or `master`. */
  name: string;
  /** The version that an alias stands for. */
  ref: string | null;
  /** The API server takes it, and the operator refuses to install it. */
  eol: boolean;
}

/** Anything else in a list of versions is no name, and is left out: a checkout may be anybody's. */
export const isVersionName = (name: string): boolean => /^[\w.+-]{1,100}$/.test(name);

export const isVersion = (name: string): boolean => /^v?\d+\.\d+\.\d+/.test(name);

interface IstioCrd {
  /** What the CRD lists, in its order; null where it lists nothing. */
  entries: VersionEntry[] | null;
  /** The version that comes without being asked for. */
  default: string | null;
  /** The versions of the API that are there, such as `v1`. */
  served: string[];
}

/**
 * The Istio resource's CRD, from the text of one or of all CRDs. Its enum holds end-of-life versions too; what can be
 * installed is `installable`, or else what the description tells ("Must be one of: …"). An alias stands for what
 * follows it, for that is how the operator's code generation writes them. Parsing only the few lines that are asked
 * for takes 1 ms; all 10,000 of them would take half a second.
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

/** The schema of `spec.version`: of the fields of that name the one with an enum. */
function findVersionSchema(crd: string): {enum?: string[]; default?: string; description?: string} {
  const found = [...crd.matchAll(/^( {1,100})version:$/gm)].slice(0, 100); // a CRD of ours has three
  for (const {1: indent = '', index} of found) {
    const [, ...lines] = crd.slice(index).split('\n', 1000);
    const end = lines.findIndex(line => !line.startsWith(`${indent} `));
    const block = lines.slice(0, end < 0 ? undefined : end).join('\n');
    if (/^ +enum:$/m.test(block))
      return (readYaml(block) ?? {}) as ReturnType<typeof findVersionSchema>;
  }
  return {};
}

/** A checkout's `pkg/istioversion/versions.yaml`; null for anything else. */
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

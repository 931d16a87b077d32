/** Parses image names by the rules that Docker and containerd share (github.com/distribution/reference). */

/** The parts of an image's name. */
export interface ImageName {
  /** `quay.io`, `localhost:5000`; `docker.io` where none is named. */
  registry: string;
  /** `istio/proxyv2`. */
  repository: string;
  /** Null where there is none. */
  tag: string | null;
  /** `sha256:…`; null where there is none. */
  digest: string | null;
}

export function parseImage(name: string): ImageName {
  const [named = '', digest = null] = name.split('@');
  const [, path = named, tag = null] = /^(.+):([\w.-]+)$/.exec(named) ?? [];
  const [first = '', ...rest] = path.split('/');
  const hosted = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  const repository = hosted ? rest.join('/') : path;
  const registry = hosted ? first : 'docker.io';
  const library = registry === 'docker.io' && !repository.includes('/');
  return {registry, repository: library ? `library/${repository}` : repository, tag, digest};
}

/** The full name, equal for all names of the same image: `curl` → `docker.io/library/curl:latest`. */
export function normalizeImageName(name: string): string {
  const {registry, repository, tag, digest} = parseImage(name);
  return `${registry}/${repository}${digest === null ? `:${tag ?? 'latest'}` : `@${digest}`}`;
}

/** Whether Kubernetes pulls the image each time by default. */
export function hasLatestTag(name: string): boolean {
  const {tag, digest} = parseImage(name);
  return digest === null && (tag ?? 'latest') === 'latest';
}

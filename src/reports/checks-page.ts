/** Finds the section of docs/checks.md that documents a layer. */
import type {Layer} from '../results/results.ts';

/**
 * Returns the name of the section, and its URL if the environment names the repository and the ref of the Action. It
 * does not for a local action (`uses: ./`) or outside of GitHub Actions; then `url` is null.
 */
export function findLayerPage(
  layer: Layer,
  env: NodeJS.ProcessEnv = process.env
): {name: string; url: string | null} {
  const name = `docs/checks.md#${layer}`;
  const {GITHUB_SERVER_URL: server = 'https://github.com'} = env;
  const base = `${server}/${env.GITHUB_ACTION_REPOSITORY ?? ''}/blob/${env.GITHUB_ACTION_REF ?? ''}`;
  const isPlain = /^https:\/\/[\w.:-]+\/[\w.-]+\/[\w.-]+\/blob\/[\w.-]+(\/[\w.-]+)*$/.test(base);
  return {name, url: isPlain ? `${base}/${name}` : null};
}

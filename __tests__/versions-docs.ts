import {rcompare} from 'semver';
import {findNewestPatch, getMinor, operatorReleases} from '../src/versions/istio-versions.ts';
import {
  getSupportedVersions,
  kubernetesVersions,
  supportedKubernetes
} from '../src/versions/kubernetes.ts';

/** The tables of docs/versions.md, made of the data that the Action goes by. */

const table = (titles: string[], rows: string[][]): string =>
  [titles, titles.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n');

const minorsOf = (versions: string[]): string[] =>
  [...new Set(versions.map(getMinor))].sort((one, other) => rcompare(`${one}.0`, `${other}.0`));

const installable = (operator: string): string[] => {
  const versions = operatorReleases[operator] ?? [];
  return minorsOf(versions).map(minor => findNewestPatch(minor, versions) ?? '');
};

const operators = (names: string[]): string =>
  table(
    [
      'Sail Operator',
      'Istio: its default, and the newest of its other minors',
      'Kubernetes by default'
    ],
    names.map(operator => {
      const [first = '', ...others] = installable(operator);
      const [kubernetes = ''] = getSupportedVersions(first);
      return [
        `\`${operator}\``,
        [`**${first.slice(1)}**`, ...others.map(one => one.slice(1))].join(', '),
        kubernetes
      ];
    })
  );

const clusters = (): string =>
  table(
    [
      'Istio',
      'supports Kubernetes',
      'default',
      'newest patch, and the newest operator that has it'
    ],
    Object.entries(supportedKubernetes).map(([minor, [oldest, newest]]) => {
      const [operator, versions] =
        Object.entries(operatorReleases).find(([, versions]) => findNewestPatch(minor, versions)) ??
        [];
      const patch = versions ? findNewestPatch(minor, versions) : null;
      return [
        minor,
        `${oldest} to ${newest}`,
        getSupportedVersions(`v${minor}.0`)[0] ?? '',
        patch ? `${patch.slice(1)} with ${operator}` : 'see its chart'
      ];
    })
  );

/** Name of a table in the documents → its text. */
export const tables: Record<string, string> = {
  operators: operators(Object.keys(operatorReleases)),
  clusters: clusters(),
  'node images': kubernetesVersions.map(version => `\`${version}\``).join(', ')
};

/** A document with its tables made anew: what stands between `<!-- made: NAME -->` and `<!-- end -->`. */
export const made = (document: string): string =>
  document.replace(
    /(<!-- made: ([a-z ]+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, start: string, name: string, end: string) => `${start}${tables[name]}\n${end}`
  );

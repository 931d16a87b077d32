import {rcompare} from 'semver';
import {minorOf, newestOf, releases} from '../src/versions/istio-versions.ts';
import {kubernetesVersions, ranges, supportedBy} from '../src/versions/kubernetes.ts';

/** The tables of README.md and docs/versions.md, made of the data that the Action goes by. */

const table = (titles: string[], rows: string[][]): string =>
  [titles, titles.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n');

const minorsOf = (versions: string[]): string[] =>
  [...new Set(versions.map(minorOf))].sort((one, other) => rcompare(`${one}.0`, `${other}.0`));

/** Of each minor of the operator its newest release, with what it can install. */
const newestReleases = minorsOf(Object.keys(releases)).map(
  minor => newestOf(minor, Object.keys(releases)) ?? ''
);

const installable = (operator: string): string[] => {
  const versions = releases[operator] ?? [];
  return minorsOf(versions).map(minor => newestOf(minor, versions) ?? '');
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
      const [kubernetes = ''] = supportedBy(first);
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
    Object.entries(ranges).map(([minor, [oldest, newest]]) => {
      const [operator, versions] =
        Object.entries(releases).find(([, versions]) => newestOf(minor, versions)) ?? [];
      const patch = versions ? newestOf(minor, versions) : null;
      return [
        minor,
        `${oldest} to ${newest}`,
        supportedBy(`v${minor}.0`)[0] ?? '',
        patch ? `${patch.slice(1)} with ${operator}` : 'see its chart'
      ];
    })
  );

/** Name of a table in the documents → its text. */
export const tables: Record<string, string> = {
  'newest operators': operators(newestReleases.slice(0, 5)),
  operators: operators(Object.keys(releases)),
  clusters: clusters(),
  'node images': kubernetesVersions.map(version => `\`${version}\``).join(', ')
};

/** A document with its tables made anew: what stands between `<!-- made: NAME -->` and `<!-- end -->`. */
export const made = (document: string): string =>
  document.replace(
    /(<!-- made: ([a-z ]+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, start: string, name: string, end: string) => `${start}${tables[name]}\n${end}`
  );

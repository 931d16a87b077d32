// npm run released -- GIT_DIRECTORY: reads every release of the Sail Operator from a clone of its repository. It generates
// src/versions/released.ts (what each release can install) and __tests__/charts.json (the parts of its charts that are read).
import {execFileSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import {parse, stringify} from 'yaml';

const root = path.join(import.meta.dirname, '..');
const [repository] = process.argv.slice(2);
if (repository === undefined) {
  console.error(
    'usage: npm run released -- GIT_DIRECTORY, of github.com/istio-ecosystem/sail-operator'
  );
  process.exit(2);
}

const git = (...words) =>
  execFileSync('git', [`--git-dir=${repository}`, ...words], {
    encoding: 'utf8',
    maxBuffer: 1 << 26
  });
const has = (tag, file) => git('ls-tree', '--name-only', tag, file).trim() !== '';

/** What we read of the chart and of the checkout at a tag or a branch. */
function read(ref) {
  const show = file => git('show', `${ref}:${file}`);
  const {image, deployment} = parse(show('chart/values.yaml'));
  const {name, version} = parse(show('chart/Chart.yaml'));
  const list = ['pkg/istioversion/versions.yaml', 'versions.yaml'].find(file => has(ref, file));
  const {versions} = parse(show(list));
  return {
    about: stringify({name, version}),
    values: stringify({image, deployment: {annotations: deployment.annotations}}),
    crd: lean(show('chart/crds/sailoperator.io_istios.yaml')),
    versions: stringify({versions: versions.map(({charts, ...entry}) => entry)})
  };
}

/** Of the Istio CRD's 10,000 lines those that tell its name, the versions of its API, and the schema of `spec.version`. */
function lean(crd) {
  const lines = crd.split('\n');
  const start = lines.indexOf('              version:');
  const end = lines.findIndex((line, at) => at > start && !line.startsWith('               '));
  const told = line => /^ {2}name: | {4}name: v| {4}served: /.test(line);
  return lines.filter((line, at) => told(line) || (at >= start && at < end)).join('\n');
}

const installable = ({versions}) =>
  parse(versions)
    .versions.filter(({eol, ref}) => !eol && !ref)
    .map(({name}) => name);

const tags = git('tag', '--list')
  .split('\n')
  .filter(tag => /^\d+\.\d+\.\d+$/.test(tag));
const byNumber = (a, b) => a.localeCompare(b, 'en', {numeric: true});
const charts = Object.fromEntries(tags.sort(byNumber).map(tag => [tag, read(tag)]));
const write = (file, text) => fs.writeFileSync(path.join(root, file), text);
write('__tests__/charts.json', `${JSON.stringify({...charts, main: read('main')}, null, 2)}\n`);
const lines = Object.entries(charts).map(
  ([tag, chart]) => `  '${tag}': '${installable(chart).join(' ')}'`
);
write(
  'src/versions/released.ts',
  `/** Made by \`npm run released\`: release of the Sail Operator → the Istio versions that it can install, from the \`versions.yaml\` of its tag in github.com/istio-ecosystem/sail-operator. */
export const released: Record<string, string> = {
${lines.join(',\n')}
};
`
);

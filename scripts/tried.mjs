// npm run tried: writes docs/tried.md of what `npm run e2e` has left in results/e2e.
import * as fs from 'node:fs';
import * as path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const kept = path.join(root, 'results', 'e2e');

const rounds = fs
  .readdirSync(kept)
  .filter(name => name.endsWith('.json'))
  .sort()
  .map(name => JSON.parse(fs.readFileSync(path.join(kept, name), 'utf8')));
if (rounds.length === 0) {
  console.log('results/e2e has no results: `npm run e2e` makes some.');
  process.exit(1);
}

const unique = values => [...new Set(values)].filter(Boolean).join(', ');

/** `72 (65 to 90)`: the median, the least and the most. */
function spread(numbers) {
  const [least, ...rest] = [...numbers].sort((a, b) => a - b);
  if (least === undefined) return '–';
  const all = [least, ...rest];
  const median = all[Math.floor((all.length - 1) / 2)];
  const shown = [median, least, all.at(-1)].map(number => number.toFixed(0));
  return rest.length === 0 ? shown[0] : `${shown[0]} (${shown[1]} to ${shown[2]})`;
}

function row(name, mine) {
  const runs = mine.flatMap(({tried}) => tried);
  const green = mine.filter(({result}) => result === 'passed').length;
  const flaky = unique(runs.flatMap(run => run.flaky)) || (runs.length === 0 ? '–' : 'none');
  const cells = [
    name,
    `${green} of ${mine.length}`,
    spread(runs.map(({seconds}) => seconds)),
    unique(runs.map(({checks}) => checks)) || '–',
    flaky,
    unique(runs.map(({versions}) => versions.istio)) || '–',
    unique(runs.map(({versions}) => versions.kubernetes)) || '–',
    unique(mine.map(({docker}) => docker)),
    unique(mine.map(({commit}) => `\`${commit}\``))
  ];
  return `| ${cells.join(' | ')} |`;
}

const names = [...new Set(rounds.map(({name}) => name))];
const lab = rounds.every(round => round.lab);
const text = `# What was tried on what

Made by \`npm run tried\` of the rounds that \`npm run e2e\` has made, each a job of [the end-to-end workflow](../.github/workflows/e2e.yml) by act on a real cluster${lab ? '. All in one lab: two processors, cgroup v1, nodes by kind’s own recipe that pull every image from a registry on the same machine, the operator and Istio built from their sources, and Envoy without Istio’s filters' : ''}. As expected means green, but for the rows “red” and “matrix”: in the first an unknown version is refused, in the second cells whose images are nowhere are red, and the others are not. Seconds are of the whole Action: the median, the least and the most; other work went on beside some.

| row | as expected | seconds | checks | flaky | Istio | Kubernetes | Docker | commit |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
${names
  .map(name =>
    row(
      name,
      rounds.filter(round => round.name === name)
    )
  )
  .join('\n')}

Never tried: GitHub’s own runners, arm64, Docker Desktop, Podman, a cloud’s cluster, OpenShift.
`;
fs.writeFileSync(path.join(root, 'docs', 'tried.md'), text);
console.log(`docs/tried.md, of ${rounds.length} rounds`);

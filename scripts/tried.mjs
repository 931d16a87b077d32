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

/** The rounds since the last that was made of other code, as one soak; none where they are few. */
function soak() {
  const commit = rounds.at(-1).commit;
  const other = rounds.findLastIndex(round => round.commit !== commit || !round.left);
  return rounds.slice(other + 1);
}

const measures = {
  containers: 'containers',
  networks: 'Docker networks, of which Docker itself has three and kind one',
  volumes: 'volumes',
  orphans: 'processes without a parent',
  temporaryFiles: 'entries of the temporary directory',
  memoryMegabytes: 'memory that is free, in MB',
  diskMegabytes: 'disk that is free, in MB'
};

function soaked(rounds) {
  const green = rounds.filter(({result}) => result === 'passed').length;
  const hours = (Date.parse(rounds.at(-1).at) - Date.parse(rounds[0].at)) / 3_600_000;
  const at = [0, Math.floor((rounds.length - 1) / 2), rounds.length - 1].map(at => rounds[at]);
  return `
## In a row
The last ${rounds.length} rounds were one after the other, in ${hours.toFixed(1)} hours, of the same code: ${green} of them as expected. What was on the machine after the first, the middle and the last of them:

| | first | middle | last |
| --- | ---: | ---: | ---: |
${Object.entries(measures)
  .map(([name, title]) => `| ${title} | ${at.map(({left}) => left[name]).join(' | ')} |`)
  .join('\n')}
`;
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
${soak().length < 10 ? '' : soaked(soak())}
Never tried: GitHub’s own runners, arm64, Docker Desktop, Podman, a cloud’s cluster, OpenShift.
`;
fs.writeFileSync(path.join(root, 'docs', 'tried.md'), text);
console.log(`docs/tried.md, of ${rounds.length} rounds`);

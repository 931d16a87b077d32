// npm run tried: adds what `npm run e2e` has left in results/e2e to docs/tried.jsonl, and makes docs/tried.md of it.
// results/e2e is of this machine and not committed; docs/tried.jsonl keeps the rounds of every commit that the table tells of,
// red ones too that a later commit has mended.
import * as fs from 'node:fs';
import * as path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const kept = path.join(root, 'docs', 'tried.jsonl');
const fresh = path.join(root, 'results', 'e2e');

/** {at, commit, docker, cgroup, kubernetes, lab, name, result, seconds, tried, left} of each round. */
const before = fs
  .readFileSync(kept, 'utf8')
  .split('\n')
  .filter(Boolean)
  .map(line => JSON.parse(line));
const now = (fs.existsSync(fresh) ? fs.readdirSync(fresh) : [])
  .filter(name => name.endsWith('.json'))
  .map(name => JSON.parse(fs.readFileSync(path.join(fresh, name), 'utf8')));
const all = [...new Map([...before, ...now].map(round => [round.at, round])).values()].sort(
  (one, other) => one.at.localeCompare(other.at)
);
const rowOf = ({name, docker, kubernetes}) => `${name} ${docker} ${kubernetes}`;
const lastCommit = new Map(all.map(round => [rowOf(round), round.commit]));
const shown = new Set(lastCommit.values());
const rounds = all.filter(({commit}) => shown.has(commit));
const ofTable = rounds.filter(round => round.commit === lastCommit.get(rowOf(round)));

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

function row(mine) {
  const runs = mine.flatMap(({tried}) => tried);
  const green = mine.filter(({result}) => result === 'passed').length;
  const flaky = unique(runs.flatMap(run => run.flaky)) || (runs.length === 0 ? '–' : 'none');
  const cells = [
    mine[0].name,
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

/** The most rounds of the same code, one after the other. */
function soak() {
  let [longest, row] = [[], []];
  for (const round of rounds) {
    const goesOn = round.left && round.commit === row.at(-1)?.commit;
    row = goesOn ? [...row, round] : round.left ? [round] : [];
    if (row.length > longest.length) longest = row;
  }
  return longest;
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
${rounds.length} rounds, one after the other in ${hours.toFixed(1)} hours, of the same code (\`${rounds[0].commit}\`): ${green} of them as expected. What was on the machine after the first, the middle and the last of them:

| | first | middle | last |
| --- | ---: | ---: | ---: |
${Object.entries(measures)
  .map(([name, title]) => `| ${title} | ${at.map(({left}) => left[name]).join(' | ')} |`)
  .join('\n')}
`;
}

const inLab = rounds.every(round => round.lab);
const text = `# What was tried on what

Made by \`npm run tried\` of the rounds that \`npm run e2e\` has made ([tried.jsonl](tried.jsonl)), each a job of [the end-to-end workflow](../.github/workflows/e2e.yml) by act on a real cluster${inLab ? '. All in one lab: two processors, cgroup v1, nodes by kind’s own recipe that pull every image from a registry on the same machine, the operator and Istio built from their sources, and Envoy without Istio’s filters' : ''}. As expected means green, but for the rows “red” and “matrix”: in the first an unknown version is refused, in the second cells whose images are nowhere are red, and the others are not. Seconds are of the whole Action: the median, the least and the most; other work went on beside some. Of each row, Kubernetes and Docker, the rounds of the commit that was tried last.

| row | as expected | seconds | checks | flaky | Istio | Kubernetes | Docker | commit |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
${[...new Set(ofTable.map(rowOf))]
  .reverse() // what was tried last comes first
  .map(key => row(ofTable.filter(round => rowOf(round) === key)))
  .join('\n')}
${soak().length < 10 ? '' : soaked(soak())}
Never tried: GitHub’s own runners, arm64, Docker Desktop, Podman, a cloud’s cluster, OpenShift; a published node image, and so Kubernetes 1.36, the default (this lab’s is 1.37, which no Istio supports yet); the published images of the operator and of Istio, with its own Envoy.
`;
fs.writeFileSync(kept, rounds.map(round => `${JSON.stringify(round)}\n`).join(''));
fs.writeFileSync(path.join(root, 'docs', 'tried.md'), text);
console.log(`docs/tried.md, of ${rounds.length} rounds`);

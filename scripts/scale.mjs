// npm run scale: copies the results of recorded runs into cells, merges 1, 10, 60, 100, 256 and 1,000 of them with the
// bundle, and writes time, memory and sizes to docs/evidence/scale.md. Needs `npm run build`.
import {spawnSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const temp = fs.mkdtempSync(path.join(os.tmpdir(), 'dual-stack-scale-'));
const sizes = [1, 10, 60, 100, 256, 1000];
const times = 3;

/** The results of a recording, played by the bundle. */
function played(name) {
  const directory = path.join(temp, name);
  const command = ['scripts/start.mjs', '--recording', name, '--results-dir', directory];
  spawnSync(process.execPath, command, {cwd: root, stdio: 'ignore'});
  const results = JSON.parse(fs.readFileSync(path.join(directory, 'results.json'), 'utf8'));
  if (results.cluster === null) throw new Error(`${name}: ${results.failure?.message}`);
  return results;
}

/** The inputs of the cell of this number; all differ. */
function inputsOf(index) {
  const [istio, rest] = [Math.floor(index / 32), index % 32];
  return {
    'istio-version': `v1.${30 - (istio % 8)}.${Math.floor(istio / 8)}`,
    'node-image': `kindest/node:v1.${37 - (rest >> 2)}.0`,
    'ip-families': rest & 1 ? 'ipv6,ipv4' : 'ipv4,ipv6',
    'dataplane-mode': rest & 2 ? 'ambient' : 'sidecar'
  };
}

/** One cell in ten is broken. */
function makeCells(number, healthy, broken) {
  const directory = path.join(temp, `cells-${number}`);
  const include = Array.from({length: number}, (_, index) => {
    const inputs = inputsOf(index);
    const results = structuredClone(index % 10 === 9 ? broken : healthy);
    results.inputs = inputs;
    results.versions.istio = {asked: inputs['istio-version'], found: inputs['istio-version']};
    results.versions.kubernetes.found = inputs['node-image'].split(':')[1];
    results.cluster.ipFamilies = inputs['ip-families'].split(',');
    const folder = path.join(directory, `dual-stack-${index}`);
    fs.mkdirSync(folder, {recursive: true});
    fs.writeFileSync(path.join(folder, 'results.json'), `${JSON.stringify(results, null, 2)}\n`);
    return inputs;
  });
  return {directory, matrix: JSON.stringify({include})};
}

const preload = `data:text/javascript,process.on('exit', () => { const {maxRSS, userCPUTime, systemCPUTime} = process.resourceUsage(); process.stderr.write('used ' + maxRSS + ' ' + (userCPUTime + systemCPUTime)) })`;

/** One run of the report action: seconds by the clock and of the CPU, peak memory in MiB. */
function once(directory, results, matrix) {
  const summary = path.join(temp, 'summary');
  const output = path.join(temp, 'output');
  for (const file of [summary, output]) fs.writeFileSync(file, '');
  // An environment variable holds 128 KiB; a longer matrix comes to no action.
  const given = matrix.length < 131_000 ? {INPUT_MATRIX: matrix} : {};
  const start = process.hrtime.bigint();
  const {stderr} = spawnSync(process.execPath, ['--import', preload, 'dist/report.js'], {
    cwd: root,
    encoding: 'utf8',
    env: {
      PATH: process.env.PATH,
      RUNNER_TEMP: temp,
      GITHUB_OUTPUT: output,
      GITHUB_STEP_SUMMARY: summary,
      INPUT_DIRECTORY: directory,
      'INPUT_RESULTS-DIR': results,
      ...given
    }
  });
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const [, peak, cpu] = /used (\d+) (\d+)/.exec(stderr) ?? [];
  return {seconds, cpu: Number(cpu) / 1e6, peak: Number(peak) / 1024, output: size(output)};
}

const size = file => fs.statSync(file).size;
const median = numbers => numbers.toSorted((one, other) => one - other)[numbers.length >> 1];

function measure(number, healthy, broken) {
  const {directory, matrix} = makeCells(number, healthy, broken);
  const results = path.join(temp, `results-${number}`);
  const runs = Array.from({length: times}, () => once(directory, results, matrix));
  const merged = JSON.parse(fs.readFileSync(path.join(results, 'results.json'), 'utf8'));
  if (merged.cells.length !== number)
    throw new Error(`${number} cells became ${merged.cells.length}`);
  const found = {
    number,
    seconds: median(runs.map(run => run.seconds)),
    cpu: median(runs.map(run => run.cpu)),
    peak: median(runs.map(run => run.peak)),
    matrix: matrix.length,
    output: runs[0].output,
    cells: number * size(path.join(directory, 'dual-stack-0', 'results.json')),
    ...Object.fromEntries(
      ['summary.md', 'results.json', 'junit.xml', 'report.html'].map(name => [
        name,
        size(path.join(results, name))
      ])
    )
  };
  fs.rmSync(directory, {recursive: true});
  return found;
}

const bytes = number =>
  number < 1e6 ? `${(number / 1e3).toFixed(1)} KB` : `${(number / 1e6).toFixed(1)} MB`;

/** The text of docs/evidence/scale.md. */
function page(rows, artifact) {
  const [large, small] = [
    rows.find(({number}) => number === 256),
    rows.find(({number}) => number === 10)
  ];
  const each = ((1000 * (large.cpu - small.cpu)) / (large.number - small.number)).toFixed(1);
  const memory = ((large.peak - small.peak) / (large.number - small.number)).toFixed(2);
  const row = one =>
    `| ${[
      one.number,
      `${one.seconds.toFixed(2)} s`,
      `${one.cpu.toFixed(2)} s`,
      `${one.peak.toFixed(0)} MiB`,
      ...[
        'cells',
        'matrix',
        'output',
        'summary.md',
        'results.json',
        'junit.xml',
        'report.html'
      ].map(name => bytes(one[name]))
    ].join(' | ')} |`;
  return `<!-- Generated by \`npm run scale\`. -->
# Scale

This page measures the action \`report\` with many cells. The cells are copies of two recorded runs, one healthy and one with a broken family; one in ten cells is broken. The bundle of the report action merges them. The values are the median of ${times} runs on ${os.cpus().length} cores, with Node ${process.versions.node}.

| cells | time | CPU | memory | results.json of all cells | matrix | outputs | summary | merged results.json | junit.xml | report.html |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
${rows.map(row).join('\n')}

The time includes other work of the machine. The CPU column does not. From 10 to 256 cells, each cell adds ${each} ms of CPU time and ${memory} MiB of memory, so the cost is linear. The summary grows more slowly than the results, because it lists each cause once and folds passed cells.

## GitHub's limits
The limits are from GitHub's [Actions limits](https://docs.github.com/en/actions/reference/limits), and may change.

| limit | with 60 cells | with 256 cells |
| --- | --- | --- |
| 256 jobs per matrix in a workflow run | 60 of 256 | the limit; the matrix action caps the cells and reports what it left out |
| 1 MiB of job summary per step; GitHub drops a longer one | ${bytes(rows.find(({number}) => number === 60)['summary.md'])} | ${bytes(large['summary.md'])}; always cut at 1,000,000 bytes |
| 1 MB of outputs per job, 50 MB per workflow run | ${bytes(rows.find(({number}) => number === 60).output)}, the matrix ${bytes(rows.find(({number}) => number === 60).matrix)} | ${bytes(large.output)}, the matrix ${bytes(large.matrix)} |
| 128 KiB per environment variable (Linux), and so per input of an action | the matrix ${bytes(rows.find(({number}) => number === 60).matrix)} | the matrix ${bytes(large.matrix)} |
| 10 annotations of each level per step | one for each cause, at most 10 | the same |
| parallel jobs on GitHub's runners: 20 on the free plan, 500 on Enterprise | 3 rounds of 20 | 13 rounds of 20 |
| artifacts: one per cell | 60 × ${bytes(artifact)} | 256 × ${bytes(artifact)} |

A matrix of 60 cells is close to only one limit, the number of parallel jobs. With cells of 1 to 2 minutes (including the start of the runner) and 20 in parallel, it takes 3 to 6 minutes. The report takes ${rows.find(({number}) => number === 60).seconds.toFixed(1)} s.

## Estimate for 1,000 clusters
Only the report was measured. The rest is an estimate.

- **Several matrices.** One matrix has at most 256 jobs. Use four workflow runs, each with its own range of versions, or one workflow that starts them. The report can merge artifacts of several runs: \`actions/download-artifact\` accepts a \`run-id\`, and every results.json below \`directory\` is a cell.
- **Split the input \`matrix\`.** A matrix of 1,000 cells has ${bytes(rows.at(-1).matrix)}, close to the limit of one input. Give each run its own report with its own \`matrix\`, which detects missing cells. Merge all of them without \`matrix\`.
- **Runners.** With 20 jobs in parallel, 1,000 cells of 2 minutes take 100 minutes; with 500, 4 minutes. One large machine does not replace them, because its cells share CPUs, memory, Docker's image store and inotify watches.
- **Registries.** Each cell pulls the same images. 1,000 pulls within minutes can exceed the rate limits of public registries. Set \`istio-hub\` to a pull-through cache, or place an image cache beside the runners.
- **Memory of the report.** 1,000 cells need ${rows.at(-1).peak.toFixed(0)} MiB; a standard runner has 16 GB.
- **Existing clusters** need no runner with Docker. One job per cluster, with its kubeconfig, writes the same results.json, and the same report merges them.
`;
}

try {
  const [healthy, broken] = ['healthy', 'ipv6-dropped-to-pod'].map(played);
  const kept = path.join(temp, 'healthy');
  const artifact = fs.readdirSync(kept).reduce((sum, name) => sum + size(path.join(kept, name)), 0);
  const rows = sizes.map(number => {
    const one = measure(number, healthy, broken);
    console.log(JSON.stringify(one));
    return one;
  });
  fs.writeFileSync(path.join(root, 'docs', 'evidence', 'scale.md'), page(rows, artifact));
} finally {
  fs.rmSync(temp, {recursive: true, force: true});
}

// npm run bench [-- --runs 5] [--images warm,cold]: in the lab, runs in turn the documented steps, the Action, and the Action
// with `checks: documented`. All use the same images, in the local Docker (warm) or only in the registry (cold).
// It also measures checks and reports without a cluster for 1 to 1,000 targets, each in a separate process.
// Prints medians, spread and ratios, and writes docs/evidence/performance.md. Needs Node 24 to import TypeScript.
import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import {parseArgs} from 'node:util';
import {lab, plainEnvoy} from './lab.mjs';

const root = path.resolve(import.meta.dirname, '..');
const steps = path.join(root, '..', 'shared', 'bench', 'documented-steps');
const chart = `${lab.mirror}/${lab.chart.replace('https://', '')}`;
const sampleImages = ['docker.io/istio/tcp-echo-server:1.3', 'curlimages/curl:8.16.0'];
const temp = fs.mkdtempSync(path.join(os.tmpdir(), 'dual-stack-bench-'));
const env = {...process.env, PATH: `${lab.bin}:${process.env.PATH}`};

let running = null; // stopped with this process, so that the cluster is deleted
process.on('SIGINT', () => {}); // the terminal also signals the child, which ends the run
process.on('SIGTERM', () => running?.kill('SIGTERM'));
process.on('exit', () => fs.rmSync(temp, {recursive: true, force: true}));

/** Runs a program to its end. Returns its output, start and duration. */
async function run(program, args, more = {}) {
  const started = Date.now();
  const child = spawn(program, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {...env, ...more}
  });
  running = child;
  let stdout = '';
  child.stdout.on('data', data => (stdout += data));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${program} ended with ${code}:\n${stdout.slice(-2000)}`);
  return {stdout, started, seconds: (Date.now() - started) / 1000};
}

/** Writes the documented samples as files. */
async function writeSamples() {
  const {renderBuiltInSamples} = await import('../src/manifests/documented-samples.ts');
  for (const [name, text] of Object.entries(
    renderBuiltInSamples({echo: sampleImages[0], client: `docker.io/${sampleImages[1]}`})
  )) {
    fs.mkdirSync(path.join(temp, path.dirname(name)), {recursive: true});
    fs.writeFileSync(path.join(temp, name), text);
  }
}

/** Puts the images into the local Docker, or removes them so that the nodes pull them from the registry. */
function provideImages(kind) {
  for (const image of [...lab.images, ...sampleImages]) {
    const name = /^[^/]+[.:]/.test(image) ? image : `docker.io/${image}`;
    const source = `${new URL(lab.registry).host}/${name}`;
    const commands =
      kind === 'warm'
        ? [
            ['pull', '--quiet', source],
            ['tag', source, image],
            ['rmi', source]
          ]
        : [['rmi', '--force', image]];
    for (const command of commands) spawnSync('docker', command, {env, stdio: 'ignore'});
  }
}

/** Stage → seconds, from the output of the script. */
async function documented(kind) {
  const extra = Object.entries(plainEnvoy.pilot.env).map(
    ([name, value]) => `        ${name}: "${value}"`
  );
  const kubeconfig = path.join(temp, 'kubeconfig');
  try {
    const {stdout} = await run(steps, [], {
      KUBECONFIG: kubeconfig,
      CHART: chart,
      SAMPLES: temp,
      NAME: 'bench-steps',
      NODE_IMAGE: lab.nodeImage,
      IMAGES: kind === 'cold' ? '' : [...lab.images, ...sampleImages].join(' '),
      EXTRA: [...extra, '    telemetry:', '      enabled: false'].join('\n')
    });
    return Object.fromEntries(
      [...stdout.matchAll(/^(.+?) +([\d.]+)s$/gm)].map(([, stage, seconds]) => [
        stage,
        Number(seconds)
      ])
    );
  } finally {
    spawnSync('kind', ['delete', 'cluster', '--name', 'bench-steps', '--kubeconfig', kubeconfig], {
      env
    });
  }
}

/** Seconds until the documented validations passed, until all reports are written, and of each phase. */
async function action(checks = '') {
  const results = path.join(temp, 'results');
  const flags = {
    'cluster-name': 'bench-action',
    'node-image': lab.nodeImage,
    'operator-chart': lab.chart,
    mirror: lab.mirrorInput,
    'istio-values': JSON.stringify(plainEnvoy),
    'results-dir': results,
    ...(checks !== '' && {checks}),
    ...Object.fromEntries(['kind', 'kubectl', 'helm'].map(tool => [`${tool}-version`, 'path']))
  };
  const {started} = await run(process.execPath, [
    'scripts/start.mjs',
    ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])
  ]);
  const found = JSON.parse(fs.readFileSync(path.join(results, 'results.json'), 'utf8'));
  const before = (Date.parse(found.started) - started) / 1000;
  const seed = found.checks.filter(({title}) => title.startsWith('As documented'));
  const looked = found.phases.find(({name}) => name === 'look');
  const validated = Math.max(
    looked.at + looked.seconds,
    ...seed.flatMap(({attempts}) => attempts.map(({at, seconds}) => at + seconds))
  );
  return {
    validated: before + validated,
    whole: (fs.statSync(path.join(results, 'report.html')).mtimeMs - started) / 1000,
    checks: found.checks.filter(({verdict}) => verdict !== 'skipped').length,
    phases: found.phases
  };
}

/**
 * Milliseconds of Node without a program, of the bundle as a post without work, and of the bundle as a main that
 * reports an invalid input.
 */
async function startUp(count) {
  const time = async (args, more = {}) => {
    const start = performance.now();
    const options = {stdio: 'ignore', env: {...env, RUNNER_TEMP: temp, ...more}};
    await once(spawn(process.execPath, args, options), 'close');
    return performance.now() - start;
  };
  const taken = {bare: [], idle: [], refusing: []};
  for (let i = 0; i < count; i++) {
    taken.bare.push(await time(['--eval', '']));
    taken.idle.push(await time(['dist/post.js'], {STATE_run: '{}'}));
    taken.refusing.push(await time(['dist/index.js'], {INPUT_TIMEOUT: 'never'}));
  }
  return Object.fromEntries(Object.entries(taken).map(([what, times]) => [what, median(times)]));
}

function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length / 2;
  return sorted.length % 2 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const spread = (values, digits = 1) =>
  `${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)} to ${Math.max(...values).toFixed(digits)})`;

/** In a separate process: checks this number of targets with immediate answers, and renders the reports. */
async function grow(targets) {
  const [{prove}, {renderSummary}, {renderHtml}, {renderJunit}, {many}] = await Promise.all(
    [
      '../src/checks/prove.ts',
      '../src/reports/summary.ts',
      '../src/reports/html.ts',
      '../src/reports/junit.ts',
      '../__tests__/sample-results.ts'
    ].map(file => import(file))
  );
  const sh = async command => {
    const [, times, ...words] = command.slice(command.indexOf('probe') + 1);
    const lines = [];
    for (let row = 0; row < words.length / 3; row++)
      for (let n = 0; n < times; n++)
        lines.push(`${row} 1.00 1.01 0600F40A:2328, hello ${words[3 * row]}`);
    return {code: 0, stdout: lines.join('\n'), stderr: '', timedOut: false};
  };
  const proofs = Array.from({length: targets}, (_, n) => ({
    check: {expected: `hello ${n}`},
    probe: {word: `${n}`, address: 'fd00::6', port: 9000},
    pods: [`10.244.${n >> 8}.${n & 255}`]
  }));
  const input = {sh, plan: {probes: {seconds: 3}}, work: {clock: () => 0}, report: () => {}};
  const results = many(targets);
  const start = performance.now();
  await prove({namespace: 'sleep', deployment: 'sleep', container: 'sleep'}, proofs, input);
  const proven = performance.now();
  const [text] = [renderSummary(results), renderHtml(results), renderJunit(results)];
  return {
    targets,
    checks: proven - start,
    reports: performance.now() - proven,
    memory: process.resourceUsage().maxRSS / 1024,
    summary: Buffer.byteLength(text) / 1024
  };
}

const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map(row => `| ${row.join(' | ')} |`).join('\n');

const kinds = {
  cold: 'No image in the local Docker: the nodes pull all images from a registry on the same machine',
  warm: 'All images in the local Docker: the steps use `kind load`, the Action its own transfer'
};

/** The section of one kind of images. */
function comparison(kind, rounds) {
  const by = pick => rounds.map(pick);
  /** The spread of a duration, and of its ratio to the documented steps. */
  const against = pick => [
    spread(by(pick)),
    spread(
      by(round => pick(round) / round.steps.TOTAL),
      2
    )
  ];
  const stages = Object.keys(rounds[0].steps);
  const phases = rounds[0].action.phases.map(({name}) => name);
  const ofPhase = (name, field) =>
    spread(by(({action}) => action.phases.find(phase => phase.name === name)?.[field] ?? 0));
  return [
    `## ${kinds[kind]}, ${rounds.length === 1 ? 'one round' : `${rounds.length} rounds`}`,
    table(
      ['', 'seconds', 'ratio to the documented steps'],
      [
        ['the documented steps', spread(by(({steps}) => steps.TOTAL)), '1'],
        [
          'the Action without inputs, until the four documented validations passed',
          ...against(({action}) => action.validated)
        ],
        [
          `the Action with \`checks: documented\`, ${rounds[0].only.checks} checks and reports`,
          ...against(({only}) => only.whole)
        ],
        [
          `the Action without inputs, ${rounds[0].action.checks} checks and reports`,
          ...against(({action}) => action.whole)
        ]
      ]
    ),
    'The documented steps:',
    table(
      ['stage', 'seconds'],
      stages.map(stage => [stage, spread(by(({steps}) => steps[stage]))])
    ),
    "The Action's phases overlap, so their sum exceeds the total:",
    table(
      ['phase', 'start', 'seconds'],
      phases.map(name => [name, ofPhase(name, 'at'), ofPhase(name, 'seconds')])
    )
  ];
}

function report(measured, start, growth) {
  return [
    '<!-- Generated by `npm run bench`. -->\n# Performance',
    `This page compares the documented steps with the Action. Both ran in turn with the real Sail Operator 1.30.3 and Istio 1.30.3 on Kubernetes ${lab.kubernetes}, with ${os.cpus().length} cores and Node ${process.version}. Envoy was the upstream build without Istio’s filters. Values are the median (minimum to maximum).`,
    ...Object.entries(measured).flatMap(([kind, rounds]) => comparison(kind, rounds)),
    '## The bundle',
    table(
      ['', ''],
      [
        ['size', `${(fs.statSync(path.join(root, 'dist', 'index.js')).size / 1e6).toFixed(2)} MB`],
        ['Node without a program', `${start.bare.toFixed(0)} ms`],
        ['the bundle without work (post)', `${start.idle.toFixed(0)} ms`],
        ['the bundle with an invalid input, and its reports', `${start.refusing.toFixed(0)} ms`]
      ]
    ),
    '## Growth',
    'These are checks and reports without a cluster: every probe gets an immediate answer. Each target has four checks. The job summary stays below its limit of 1 MiB.',
    table(
      ['targets', 'checks, ms', 'reports, ms', 'memory, MiB', 'summary, KiB'],
      growth.map(({targets, ...rest}) => [
        targets,
        ...Object.values(rest).map(value => value.toFixed(0))
      ])
    )
  ].join('\n\n');
}

const {runs, targets, images} = parseArgs({
  options: {
    runs: {type: 'string', default: '5'},
    images: {type: 'string', default: 'cold,warm'},
    targets: {type: 'string'}
  }
}).values;
if (targets) {
  console.log(JSON.stringify(await grow(Number(targets))));
  process.exit();
}
const growth = [];
for (const targets of [1, 10, 100, 1000])
  growth.push(
    JSON.parse(
      (await run(process.execPath, [import.meta.filename, '--targets', `${targets}`])).stdout
    )
  );
await writeSamples();
/** Kind of images → rounds. */
const measured = {};
for (const kind of images.split(',')) {
  provideImages(kind);
  measured[kind] = [];
  for (let i = 1; i <= Number(runs); i++) {
    const round = {
      steps: await documented(kind).catch(error => {
        console.log(`The documented steps failed, and run again: ${error.message}`);
        return documented(kind);
      }),
      action: await action(),
      only: await action('documented')
    };
    console.log(
      `${kind} ${i}: steps ${round.steps.TOTAL} s, validated ${round.action.validated.toFixed(1)} s, documented ${round.only.whole.toFixed(1)} s, whole ${round.action.whole.toFixed(1)} s`
    );
    measured[kind].push(round);
  }
}
const text = `${report(measured, await startUp(31), growth)}\n`;
fs.writeFileSync(path.join(root, 'docs', 'evidence', 'performance.md'), text);
console.log(text);

// The row "matrix" of npm run e2e: runs .github/workflows/dual-stack.yml with act, as a caller would.
// Its actions come from this checkout, and its artifacts are local directories. Nothing comes from GitHub.
import * as fs from 'node:fs';
import * as path from 'node:path';
import {parse, stringify} from 'yaml';
import {lab, plainEnvoy, registryHas} from './lab.mjs';

const workflow = '.github/workflows/dual-stack.yml';

const composite = (inputs, run) => ({
  name: 'artifacts in a directory',
  inputs: Object.fromEntries(inputs.map(name => [name, {}])),
  runs: {using: 'composite', steps: [{shell: 'bash', run}]}
});

/** Stand-ins of `actions/upload-artifact` and `actions/download-artifact`. */
const transports = artifacts => ({
  upload: composite(
    ['name', 'path'],
    `mkdir -p "${artifacts}/\${{ inputs.name }}" && cp -r "\${{ inputs.path }}/." "${artifacts}/\${{ inputs.name }}/"`
  ),
  download: composite(
    ['pattern', 'path'],
    `mkdir -p "\${{ inputs.path }}" && cp -r "${artifacts}"/\${{ inputs.pattern }} "\${{ inputs.path }}/"`
  )
});

/** Puts what the workflow names under `temp`: act's arguments for it. */
function repositories(root, temp, artifacts) {
  const text = fs.readFileSync(path.join(root, workflow), 'utf8');
  const ours = path.join(temp, 'ours');
  for (const name of ['action.yml', 'dist', 'matrix', 'report', 'package.json'])
    fs.cpSync(path.join(root, name), path.join(ours, name), {recursive: true});
  for (const [name, action] of Object.entries(transports(artifacts))) {
    fs.mkdirSync(path.join(temp, name));
    fs.writeFileSync(path.join(temp, name, 'action.yml'), stringify(action));
  }
  const theirs = [...text.matchAll(/uses: (actions\/(upload|download)-artifact@\S+)/g)];
  const mapped = new Map(theirs.map(([, action, what]) => [action, path.join(temp, what)]));
  mapped.set('OWNER/REPO@v1', ours);
  return [...mapped].flatMap(([action, place]) => ['--local-repository', `${action}=${place}`]);
}

/** A directory with a workflow that calls ours, as a user's would, and with ours, one cell at a time; act's arguments for it. */
export function matrixArguments(root, temp, isLab) {
  const artifacts = path.join(temp, 'artifacts');
  const workflows = path.join(temp, 'caller', path.dirname(workflow));
  fs.mkdirSync(workflows, {recursive: true});
  const ours = parse(fs.readFileSync(path.join(root, workflow), 'utf8'));
  ours.jobs.cell.strategy['max-parallel'] = 1; // they share this machine
  fs.writeFileSync(path.join(temp, 'caller', workflow), stringify(ours));
  const inLab = {
    'node-image': lab.nodeImage,
    'kubectl-version': lab.kubernetes,
    'helm-version': lab.helm,
    'istio-values': JSON.stringify(plainEnvoy),
    mirror: lab.mirrorInput
  };
  const caller = {
    on: 'push',
    permissions: {contents: 'read'},
    jobs: {
      'dual-stack': {
        uses: `./${workflow}`,
        with: {'ip-families': 'ipv4,ipv6 ipv6,ipv4', ...(isLab ? inLab : {})}
      }
    }
  };
  const file = path.join(workflows, 'caller.yml');
  fs.writeFileSync(file, stringify(caller));
  return [
    'push',
    '-C',
    path.join(temp, 'caller'),
    '-W',
    file,
    ...repositories(root, temp, artifacts)
  ];
}

/**
 * What the report says, held to what the registry has: a cell whose Istio's images are there has passed, one without is red
 * and the rest stays. Keeps the cells and the report in `kept`. A list of what is wrong, and a line for each cell.
 */
export async function readMatrix(temp, kept) {
  const artifacts = path.join(temp, 'artifacts');
  fs.rmSync(kept, {recursive: true, force: true});
  if (!fs.existsSync(artifacts)) return {wrong: ['no artifacts'], lines: []};
  fs.cpSync(artifacts, kept, {recursive: true});
  const file = path.join(kept, 'report', 'results.json');
  if (!fs.existsSync(file)) return {wrong: ['no report'], lines: []};
  const {cells} = JSON.parse(fs.readFileSync(file, 'utf8'));
  const wrong = cells.length < 2 ? [`${cells.length} cells`] : [];
  for (const {name, istio, outcome} of cells) {
    const there = await registryHas(`docker.io/istio/pilot:${istio.replace(/^v/, '')}`);
    if (there !== (outcome === 'passed')) wrong.push(`${name} ${outcome}`);
  }
  const lines = cells.map(({name, outcome, class: attribution, layer}) =>
    [name, outcome, attribution, layer].filter(Boolean).join(' ')
  );
  return {wrong, lines};
}

import * as fs from 'node:fs';
import * as path from 'node:path';
import {type Inputs, inputNames, readInputs} from '../src/inputs/inputs.ts';
import type {ExtraSample} from '../src/manifests/extra-sample.ts';
import {buildPlan, type Plan, type SampleFiles} from '../src/plan/plan.ts';
import {tools} from '../src/versions/pins.ts';
import type {Chart} from '../src/versions/read-chart.ts';
import {give} from './fake.ts';

/** What is read of every published chart, and of main on 2026-08-22: by `npm run released`, of the operator's repository. */
export const published: Record<
  string,
  {about: string; values: string; crd: string; versions: string}
> = JSON.parse(fs.readFileSync(path.join(import.meta.dirname, 'charts.json'), 'utf8'));

/** A chart that offers three versions. */
export const chart: Chart = {
  path: '/charts/sail-operator-1.30.3.tgz',
  url: 'https://charts.example/sail-operator-1.30.3.tgz',
  name: 'sail-operator',
  crds: '/charts/sail-operator/crds',
  version: '1.30.3',
  image: 'registry.example/sail-operator:1.30.3',
  pullPolicy: null,
  aliases: {'v1.30-latest': 'v1.30.3'},
  endOfLife: ['v1.27-latest', 'v1.27.9'],
  istioReleases: ['v1.30.3', 'v1.30.0', 'v1.29.6'].map(version => ({
    version,
    istiod: `registry.example/pilot:${version.slice(1)}`,
    proxy: `registry.example/proxyv2:${version.slice(1)}`,
    cni: `registry.example/install-cni:${version.slice(1)}`,
    ztunnel: `registry.example/ztunnel:${version.slice(1)}`
  }))
};

/** The inputs that come of these, with nothing else given. */
export function inputsOf(given: Record<string, string> = {}): Inputs {
  const variables = inputNames.map(name => `INPUT_${name.toUpperCase()}`);
  const before = variables.map(variable => process.env[variable]);
  for (const variable of variables) delete process.env[variable];
  give(given);
  try {
    return readInputs();
  } finally {
    for (const [at, variable] of variables.entries())
      if (before[at] === undefined) delete process.env[variable];
      else process.env[variable] = before[at];
  }
}

/** The plan of a run with these inputs, and the pinned kind. */
export const planOf = (
  given: Record<string, string> = {},
  more: Partial<Chart> = {},
  samples: SampleFiles | null = null,
  own: ExtraSample[] = [],
  kind = tools.kind.version
): Plan =>
  buildPlan(
    inputsOf({'cluster-name': 'istio-ds', ...given}),
    {...chart, ...more},
    samples,
    '/work',
    kind,
    own
  );

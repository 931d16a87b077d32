import {type Inputs, inputNames, readInputs} from '../src/inputs/inputs.ts';
import {makePlan, type Plan, type SampleFiles} from '../src/plan/plan.ts';
import type {Chart} from '../src/versions/chart.ts';
import {give} from './fake.ts';

/** A chart that offers three versions. */
export const chart: Chart = {
  path: '/charts/sail-operator-1.30.3.tgz',
  url: 'https://charts.example/sail-operator-1.30.3.tgz',
  name: 'sail-operator',
  crds: '/charts/sail-operator/crds',
  version: '1.30.3',
  image: 'registry.example/sail-operator:1.30.3',
  offers: ['v1.30.3', 'v1.30.0', 'v1.29.6'].map(version => ({
    version,
    istiod: `registry.example/pilot:${version.slice(1)}`,
    proxy: `registry.example/proxyv2:${version.slice(1)}`,
    cni: `registry.example/install-cni:${version.slice(1)}`
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

/** The plan of a run with these inputs. */
export const planOf = (
  given: Record<string, string> = {},
  more: Partial<Chart> = {},
  samples: SampleFiles | null = null
): Plan =>
  makePlan(inputsOf({'cluster-name': 'istio-ds', ...given}), {...chart, ...more}, samples, '/work');

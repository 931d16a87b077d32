// Any text in any place where foreign text comes in: `npm run fuzz -- --cases N` tries more of it than `npm test`.
import * as fs from 'node:fs';
import * as path from 'node:path';
import {beforeEach, describe, expect, test} from '@jest/globals';
import fc from 'fast-check';
import {Fault} from '../src/base/fault.ts';
import {findByFamily, findPodProblems, isReady, listObjects, type Pod} from '../src/base/kube.ts';
import {redact, stripControlSequences, toSingleLine} from '../src/base/log.ts';
import {readYaml, YamlError} from '../src/base/yaml.ts';
import {parseAnswers, parsePeer} from '../src/checks/probe.ts';
import {collectSetInputs, type Inputs, inputNames, readInputs} from '../src/inputs/inputs.ts';
import {matrixInputNames, readMatrixInputs} from '../src/inputs/matrix-inputs.ts';
import {splitManifests} from '../src/manifests/documented-samples.ts';
import {buildPlan} from '../src/plan/plan.ts';
import {buildAnnotations} from '../src/reports/annotations.ts';
import {renderHtml} from '../src/reports/html.ts';
import {renderJunit} from '../src/reports/junit.ts';
import {buildOutputs} from '../src/reports/outputs.ts';
import {renderSummary} from '../src/reports/summary.ts';
import {tools} from '../src/versions/pins.ts';
import {ChartError, readChart} from '../src/versions/read-chart.ts';
import {eachOnRunner, fakeSh, give} from './fake.ts';
import {chart} from './planned.ts';
import {failed} from './sample-results.ts';

/** Of each property. A fast one in `npm test`; `npm run fuzz` says how many. */
const numRuns = Number(process.env.FUZZ_CASES ?? 50);
// the same cases each time, so that a change is judged by itself; `npm run fuzz` tries others
const seed = process.env.FUZZ_CASES === undefined ? {seed: 1} : {};
const time = 60_000 + numRuns * 100;

const runner = eachOnRunner();

/** What has broken something somewhere, or means something to whom it may reach. */
const pieces = [
  ...[
    '--help',
    '-',
    '--',
    '../',
    '../../etc/passwd',
    '/',
    './link',
    '~',
    '.',
    '',
    ' ',
    '\t',
    '\n',
    '\r\n',
    '\0'
  ],
  ...[
    '$(id)',
    '`id`',
    ';id',
    '|',
    '&&',
    '$HOME',
    "'",
    '"',
    '\\',
    '*',
    '?',
    '%0A',
    '%',
    '!',
    '#',
    '@',
    ':',
    '::'
  ],
  ...[
    '::error::x',
    '::stop-commands::x',
    '##[error]x',
    '\u001b]',
    '\u001b[31m',
    '\u001b]0;x\u0007',
    '\u009b',
    '\u2028'
  ],
  ...['__proto__', 'constructor', 'prototype', 'toString', '__proto__: {a: 1}', 'constructor: 1'],
  ...[
    '{',
    '[',
    '? ',
    '- ',
    '*a',
    '&a ',
    '!x ',
    '!!binary x',
    '%YAML 9',
    '---\n',
    '...',
    '|',
    '>',
    ': ',
    'a: b\n',
    '<<: *a'
  ],
  ...[
    'v1.34.04',
    '1.30',
    'v1.30.3',
    ':v1.34.04',
    '1.2.3-',
    '999999999999999999999',
    '-1',
    '0x10',
    '1e9',
    'NaN',
    'null',
    'true'
  ],
  ...[
    'https://',
    'http://',
    'ftp://',
    'https://u:p@h/',
    'https://[::1]/',
    '#own-checksums',
    '#sha256:',
    '@sha256:',
    '.tgz',
    'x.tgz'
  ],
  ...[
    '<script>',
    '](x)',
    '<!--',
    ']]>',
    '&amp;',
    '|x|',
    '@user',
    'istio-system',
    'kind.yaml',
    'link',
    'chart',
    'samples'
  ],
  ...[
    '3s',
    '15m',
    '(a+)+$',
    '^echo/',
    '!',
    '(?',
    'ipv4,ipv6',
    'é',
    '😀',
    '\ud800',
    '\u202e',
    'x'.repeat(300)
  ]
];
const nasty = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.array(fc.constantFrom(...pieces), {maxLength: 6}).map(parts => parts.join(''))
  },
  {weight: 2, arbitrary: fc.string({unit: 'binary', maxLength: 60})},
  {weight: 1, arbitrary: fc.json({maxDepth: 3})}
);

/** A value as the answer of somebody may have it anywhere: of any type, with names that mean something. */
const anything = fc.anything({
  key: fc.constantFrom(
    'metadata',
    'name',
    'status',
    'spec',
    'items',
    'kind',
    'a',
    '__proto__',
    'image',
    'conditions'
  ),
  values: [nasty, fc.constant(null), fc.boolean(), fc.integer(), fc.double()],
  maxDepth: 4
});

const check = <Value>(arbitrary: fc.Arbitrary<Value>, holds: (value: Value) => void) =>
  fc.assert(fc.property(arbitrary, holds), {numRuns, verbose: 1, ...seed});

/** That a text acts nowhere where it is one line of a log. */
const isHarmless = (text: string) =>
  !/\p{Cc}|\u2028|\u2029/u.test(text) && !text.includes('##[') && !/^\s/.test(text);

function forget(): void {
  for (const name of Object.keys(process.env))
    if (name.startsWith('INPUT_')) delete process.env[name];
}

const at = (...names: string[]) => path.join(runner.directory, 'workspace', ...names);
beforeEach(() => {
  process.env.GITHUB_WORKSPACE = at();
  fs.mkdirSync(at('chart'), {recursive: true});
  fs.mkdirSync(at('samples'));
  fs.symlinkSync('/etc', at('link'));
  fs.writeFileSync(at('kind.yaml'), 'nodes: [{role: control-plane}]\n');
});

/** The inputs that the plan is made of; the others only pass through. */
const planned = /image|kind-config|operator|istio|label|families|kubernetes/;

/** Refuses what a property must not let through: any error but a Fault of class `input` that names the input. */
function refusal(error: unknown, names: readonly string[]): void {
  if (!(error instanceof Fault)) throw error;
  expect(error.attribution.class).toBe('input');
  const [, name, place] = /^Invalid (?:`([^`]+)`|image ".*" in (.+?):)/.exec(error.message) ?? [];
  expect(names).toContain(name ?? place);
}

describe('an input', () => {
  test.each(inputNames)(
    '%s takes any text, or refuses it by its name',
    name => {
      check(nasty, value => {
        forget();
        if (value.includes('\0')) return; // no environment has it
        give({[name]: value});
        let inputs: Inputs;
        try {
          inputs = readInputs();
          collectSetInputs();
        } catch (error) {
          refusal(error, inputNames);
          for (const line of (error as Fault).message.split('\n'))
            expect(line.startsWith(`Invalid \`${name}\` `)).toBe(true);
          return;
        }
        const found = inputs[name];
        if (typeof found === 'string' && found.startsWith(at())) {
          const real = fs.existsSync(found) ? fs.realpathSync(found) : found;
          expect(real.startsWith(at())).toBe(true);
        }
        if (!planned.test(name) || value.trim() === '') return;
        try {
          const plan = buildPlan(inputs, chart, null, '/private', tools.kind.version);
          for (const image of [plan.cluster.image ?? 'x', ...Object.values(plan.images).flat()])
            expect(image).toMatch(/^[a-z0-9][^\s\0]*$/);
        } catch (error) {
          refusal(error, [...inputNames, '`operator-chart`, `operator-values` or `samples`']);
        }
      });
      expect(({} as {a?: unknown}).a).toBeUndefined();
    },
    time
  );

  test.each(matrixInputNames)(
    'of the matrix: %s takes any text, or refuses it by its name',
    name => {
      check(nasty, value => {
        forget();
        if (value.includes('\0')) return;
        give({[name]: value});
        try {
          readMatrixInputs();
        } catch (error) {
          refusal(error, matrixInputNames);
        }
      });
    },
    time
  );
});

describe('a file', () => {
  const yaml = fc.oneof(
    nasty,
    fc
      .array(
        fc.constantFrom(
          ...pieces,
          '  ',
          '\n',
          '\n  ',
          'key',
          'image: ',
          'metadata: ',
          'containers: '
        ),
        {maxLength: 40}
      )
      .map(parts => parts.join(''))
  );

  test(
    'of YAML is read, or refused by words of ours',
    () => {
      check(yaml, text => {
        try {
          readYaml(text);
        } catch (error) {
          expect(error).toBeInstanceOf(YamlError);
          expect(isHarmless((error as Error).message)).toBe(true);
        }
      });
    },
    time
  );

  const chartFiles = fc.tuple(
    fc.oneof(yaml, fc.constant('name: sail-operator\nversion: 1.30.3\n')),
    fc.oneof(
      yaml,
      anything.map(value => JSON.stringify({image: value, deployment: {annotations: value}}) ?? '')
    ),
    fc.oneof(
      yaml,
      nasty.map(
        text => `metadata:\n  name: istios.sailoperator.io\n  version:\n    enum:\n    - ${text}\n`
      )
    ),
    fc.oneof(
      yaml,
      anything.map(value => JSON.stringify({versions: [value]}) ?? '')
    )
  );
  test(
    'of a chart is read, or refused',
    () => {
      check(chartFiles, ([about, values, crds, checkout]) => {
        try {
          const {istioReleases, version, image} = readChart(about, values, crds, checkout);
          expect(typeof version).toBe('string');
          expect(['string', 'object']).toContain(typeof image);
          for (const offer of istioReleases) expect(offer.version).toMatch(/^[\w.+-]+$/);
        } catch (error) {
          const kinds = [Fault, ChartError, YamlError];
          if (!kinds.some(kind => error instanceof kind)) throw error;
        }
      });
    },
    time
  );

  test(
    'of a sample is read, or refused',
    () => {
      const manifest = anything.map(
        value =>
          JSON.stringify({
            kind: 'Deployment',
            metadata: value,
            spec: {template: {spec: {containers: [value]}}}
          }) ?? ''
      );
      check(fc.oneof(yaml, manifest), text => {
        try {
          splitManifests(text, 'x');
        } catch (error) {
          refusal(error, ['samples']);
        }
      });
    },
    time
  );
});

describe('an answer', () => {
  test(
    'of a client in the cluster is read',
    () => {
      check(fc.array(fc.oneof(nasty, fc.constant('0 1.0 1.2 0A00F40A:2328, hello\n'))), parts => {
        parseAnswers(parts.join(' '), 1);
        for (const part of parts) expect(typeof parsePeer(part)).toBe('string');
      });
    },
    time
  );

  test(
    'with an address is taken for one only where it is one',
    () => {
      check(fc.array(fc.oneof(nasty, fc.ipV4(), fc.ipV6())), texts => {
        for (const family of ['ipv4', 'ipv6'] as const)
          expect(findByFamily(texts, family) ?? '::').toMatch(/^[0-9a-f.:]+(%[^\s]*)?(\/\d+)?$/i);
      });
    },
    time
  );

  test(
    'of kubectl is read, or is no JSON and told so',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.oneof(
            nasty,
            anything.map(value => JSON.stringify({items: [value]}) ?? '')
          ),
          async stdout => {
            const found = await listObjects<Pod>(
              fakeSh(() => ({stdout})),
              'pods'
            ).catch(error => {
              expect(error.name).toBe('CommandError');
              return [];
            });
            for (const {metadata} of found) expect(typeof metadata.name).toBe('string');
          }
        ),
        {numRuns, ...seed}
      );
    },
    time
  );

  test(
    'with any message makes trouble only of a known kind, in no time',
    () => {
      check(fc.tuple(nasty, nasty), ([reason, message]) => {
        const metadata = {name: 'x', namespace: 'y'};
        const state = {waiting: {reason, message: message.repeat(100)}};
        const status = {
          phase: 'Pending',
          containerStatuses: [{name: 'c', ready: false, restartCount: 3, state}]
        };
        const pod = {kind: 'Pod', metadata, spec: {containers: []}, status} as Pod;
        expect(isReady(pod)).toBe(false);
        expect(findPodProblems([pod]).length).toBeLessThanOrEqual(1);
      });
    },
    time
  );
});

describe('a text', () => {
  test(
    'is one harmless line',
    () => {
      check(nasty, text => {
        expect(isHarmless(toSingleLine(text))).toBe(true);
        expect(stripControlSequences(text)).not.toContain('\u001b[31m');
      });
    },
    time
  );

  test(
    'that is redacted once, stays so',
    () => {
      check(nasty, text => expect(redact(redact(`token: ${text}`))).toBe(redact(`token: ${text}`)));
    },
    time
  );
});

/** A value of the same shape, with every text in it replaced, but for those that we choose ourselves. */
const ours = [
  'schema',
  'id',
  'layer',
  'verdict',
  'result',
  'class',
  'family',
  'stage',
  'status',
  'started',
  'kind',
  'because',
  'check'
];
function withTexts<Value>(value: Value, text: string, key = ''): Value {
  if (typeof value === 'string') return (ours.includes(key) ? value : text) as Value;
  if (Array.isArray(value))
    return value.map(item => withTexts(item, text, key === 'ipFamilies' ? 'family' : '')) as Value;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, withTexts(item, text, name)])
  ) as Value;
}

/** Markdown without its code, in which nothing is markup. */
const withoutCode = (markdown: string): string =>
  markdown
    .replace(/^(?:> )?(`{3,})\n[\s\S]*?^(?:> )?\1$/gm, '')
    .replace(/(`+)(?!`)[\s\S]*?(?<!`)\1(?!`)/g, '');

test(
  'results with any text in any field have all their reports, and none of them acts',
  () => {
    check(nasty, text => {
      const results = withTexts(failed(), text);
      for (const {title, message} of buildAnnotations(results)) {
        expect(isHarmless(title)).toBe(true);
        expect(message).not.toMatch(/[^\P{Cc}\n\t]/u);
      }
      expect(renderHtml(results)).not.toMatch(/<script>\s*(?!\()/);
      expect(renderJunit(results)).toMatch(/^<\?xml/);
      expect(withoutCode(renderSummary(results))).not.toMatch(/<script/);
      for (const name of ['kubernetes-version', 'operator-version', 'istio-version'])
        expect(buildOutputs(results, null, '')[name]).toMatch(/^[\w.+-]*$/);
    });
  },
  time * 5
);

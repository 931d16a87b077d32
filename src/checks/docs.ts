/** Compares the dual-stack page of an operator checkout with this Action. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import {quote} from 'shlex';
import {runWithTimeLimit, TimeLimitError} from '../base/bounded.ts';
import {type CommandBlock, parseAsciiDocBlocks, parseMarkdownBlocks} from '../base/page.ts';
import {parseCommands, type ShellCommand} from '../base/shell.ts';
import {readYaml, readYamlDocuments} from '../base/yaml.ts';
import {readText} from '../inputs/readers.ts';
import {clientSample, documentedSamples} from '../manifests/documented-samples.ts';
import {
  cniNamespace,
  istioNamespace,
  renderIstioCniYaml,
  renderIstioYaml
} from '../manifests/istio-resources.ts';
import {
  type CheckDefinition,
  defineCheck,
  type LayerChecks,
  type Outcome,
  type StandingCheckInput,
  skip
} from './definition.ts';
import {echo} from './echo.ts';
import {service} from './service.ts';

/** The page in a checkout of the operator, newest format first; `name` marks the blocks that upstream runs as a test. */
const pages = [
  {file: 'docs/dual-stack/dual-stack.adoc', blocks: parseAsciiDocBlocks},
  {file: 'docs/dual-stack/dual-stack.md', blocks: parseMarkdownBlocks} // up to 1.27
];
const name = 'dual-stack';

const ids = {
  steps: 'docs/page/steps',
  resources: 'docs/page/resources',
  manifests: 'docs/page/manifests',
  answers: 'docs/page/answers'
};
const aspects = Object.keys(ids) as (keyof typeof ids)[];
const expected = {
  steps: 'the steps that this Action runs',
  resources: 'the resources that this Action applies',
  manifests: 'the samples that this Action deploys',
  answers: 'the answers that this Action expects'
};

/** Checks that the dual-stack page of an operator checkout documents what this Action does. */
export const docs: LayerChecks<StandingCheckInput> = {
  layer: 'docs',
  attribution: {
    class: 'operator',
    hint: "Compare the page of this checkout with the Action: they differ. Connections are not affected. If the page is right, open an issue at the Action, and set `checks: '!^docs/'` until the Action follows.",
    headline: () => 'The documentation differs from this Action'
  },
  definitions: [
    defineCheck('docs', ids.steps, 'This Action runs every documented step', expected.steps, {
      independent: true
    }),
    defineCheck(
      'docs',
      ids.resources,
      'This Action applies the documented resources',
      expected.resources,
      {
        independent: true
      }
    ),
    defineCheck(
      'docs',
      ids.manifests,
      'This Action deploys the documented samples',
      expected.manifests,
      {
        independent: true
      }
    ),
    defineCheck(
      'docs',
      ids.answers,
      'This Action expects the documented answers',
      expected.answers,
      {
        independent: true
      }
    )
  ],
  run: async ({plan, report}, selected) => {
    const page = pageBeside(plan.operator);
    for (const {id} of selected)
      report(id, typeof page === 'string' ? skip(page) : createOutcome(id, page));
  }
};

function createOutcome(id: string, {file, found}: {file: string; found: Compared}): Outcome {
  const aspect = aspects.find(name => ids[name] === id) ?? 'steps';
  const {red, notes} = found[aspect];
  return {
    observed: [...red, ...notes].join('; ') || expected[aspect],
    verdict: red.length > 0 ? 'failed' : 'passed',
    reason: red.join('; ') || null,
    reproduce: `cat ${quote(file)}`
  };
}

/** Lists the differences that do not fail a check: the observations of passed checks of this layer. */
export const listDocsChanges = (
  checks: Pick<CheckDefinition & Outcome, 'layer' | 'verdict' | 'expected' | 'observed'>[]
) =>
  checks
    .filter(({layer, verdict}) => layer === 'docs' && verdict === 'passed')
    .filter(one => one.observed !== one.expected)
    .map(({observed}) => `The documentation of this checkout differs: ${observed}.`);

// ---- The page ----

/** Returns the differences of the page beside the chart, or the reason why there is no comparison. */
function pageBeside({
  chart,
  url
}: StandingCheckInput['plan']['operator']): {file: string; found: Compared} | string {
  if (url !== null || chart === '')
    return 'the chart is not part of a checkout of the Sail Operator';
  const root = path.join(chart, '..');
  const page = pages.find(({file}) => fs.existsSync(path.join(root, file)));
  if (page === undefined) return `the checkout has no ${pages[0]?.file}`;
  const file = path.join(root, page.file);
  try {
    const text = readText(file, '');
    const found = runWithTimeLimit(() => {
      const blocks = page.blocks(text, name);
      return blocks.some(({tested}) => tested) ? compared(blocks) : null;
    });
    if (found !== null) return {file, found};
    return `no block of ${page.file} has the name ${name}, which marks the tested blocks`;
  } catch (error) {
    if (error instanceof TimeLimitError) return `${page.file} ${error.message}`;
    return `${page.file} is larger than 1 MiB, or a link to a file outside the workspace`;
  }
}

// ---- The documented commands ----

/** One command of the page. */
interface DocumentedCommand {
  title: string;
  tested: boolean;
  command: string;
  words: string[];
  input: string | null;
  /** The output that the page's test expects; null: the test checks only the exit code. */
  answer: string | null;
}

/** The documented parts without a counterpart: `red` fails a check, `notes` do not. */
interface Compared {
  steps: Told;
  resources: Told;
  manifests: Told;
  answers: Told;
}
interface Told {
  red: string[];
  notes: string[];
}

const keywords = new Set(['if', 'elif', 'then', 'else', 'do', 'while', 'until', '!', '{']);
/** Commands that change nothing in the cluster, and test nothing. */
const neutral =
  /^(fi|done|\}|\w+=.*|true|exit|echo|printf|sleep|set|export|for|cat|mkdir|cd|\[\[?|test)$/;

function parseBlock({title, text, tested}: CommandBlock): DocumentedCommand[] {
  const said: DocumentedCommand[] = [];
  const byVariable = new Map<string, DocumentedCommand[]>();
  for (const {words: all, input} of parseCommands(text)) {
    const [first = all.length] = all.flatMap((word, at) => (keywords.has(word) ? [] : [at]));
    const words = all.slice(first);
    const [, variable = '', inner = null] = /^(\w+)=\$\((.*)\)$/s.exec(words[0] ?? '') ?? [];
    const own = (inner === null ? [{words, input}] : parseCommands(inner)).map(
      (command): DocumentedCommand => ({
        ...command,
        title,
        tested,
        command: normal(command),
        answer: null
      })
    );
    if (inner !== null) byVariable.set(variable, own);
    const answer = parseAnswerTest(words);
    if (answer !== null)
      for (const one of byVariable.get(answer.variable) ?? []) one.answer = answer.expected;
    said.push(...own.filter(({words: [first]}) => first !== undefined && !neutral.test(first)));
  }
  return said;
}

/** `[ "$response" = "hello" ]` */
function parseAnswerTest([test = '', left = '', equals = '', right = '']: string[]) {
  const [, variable] = /^\$\{?(\w+)\}?$/.exec(left) ?? [];
  const judges = /^\[\[?$/.test(test) && /^==?$/.test(equals) && variable !== undefined;
  return judges ? {variable, expected: right} : null;
}

const longFlags: Record<string, string> = {
  '-n': '--namespace',
  '-l': '--selector',
  '-f': '--filename',
  '-o': '--output',
  '-c': '--container'
};
const withValue = /^--(namespace|selector|filename|output|container|for|timeout)$/;
const nouns: Record<string, string> = {
  ns: 'namespace',
  namespaces: 'namespace',
  pods: 'pod',
  services: 'service',
  svc: 'service'
};

/** A command in canonical form: kubectl flags sorted and spelled out, without `--timeout`. */
function normal({words}: Pick<ShellCommand, 'words'>): string {
  if (words[0] !== 'kubectl') return words.join(' ');
  const end = words.indexOf('--');
  const own = end < 0 ? words : words.slice(0, end);
  const rest = end < 0 ? [] : words.slice(end);
  const plain: string[] = [];
  const flags = new Map<string, string>();
  for (let at = 0; at < own.length; at++) {
    const word = own[at] ?? '';
    if (!/^-./.test(word)) {
      plain.push(nouns[word] ?? word);
      continue;
    }
    const [short = '', ...value] = word.split('=');
    const flag = longFlags[short] ?? short;
    if (value.length > 0) flags.set(flag, value.join('='));
    else flags.set(flag, withValue.test(flag) ? (own[++at] ?? '') : '');
  }
  flags.delete('--timeout');
  if (plain[1] === 'exec') {
    plain.length = 2; // the pod's name varies
    flags.delete('--container');
  }
  const sorted = [...flags].sort().map(([flag, value]) => (value ? `${flag}=${value}` : flag));
  return [...plain, ...sorted, ...rest].join(' ');
}

// ---- The counterpart in this Action ----

const normalizeWords = (...words: string[]): string => normal({words});
const sampleNamespaces = documentedSamples.map(({namespace}) => namespace);

/** The commands of the page that this Action runs, without resources, manifests and validations. */
const performedCommands = [
  ...[istioNamespace, ...sampleNamespaces].map(one =>
    normalizeWords('kubectl', 'create', 'ns', one)
  ),
  normalizeWords('kubectl', 'wait', '--for=jsonpath={.status.revisions.ready}=1', 'istios/default'),
  ...sampleNamespaces.map(one =>
    normalizeWords('kubectl', 'label', '--overwrite', 'ns', one, 'istio-injection=enabled')
  ),
  ...documentedSamples.map(({namespace, app}) =>
    normalizeWords(
      'kubectl',
      'wait',
      '--for=condition=Ready',
      'pod',
      '-n',
      namespace,
      '-l',
      `app=${app}`
    )
  )
];

/** Commands that this Action runs only on OpenShift, or in another way. */
const platformCommands = [
  normalizeWords('kubectl', 'create', 'ns', cniNamespace),
  normalizeWords(
    ...['kubectl', 'wait', '--for=condition=Ready', 'pod'],
    ...['-n', cniNamespace, '-l', 'k8s-app=istio-cni-node']
  )
];

const getExpected = (definitions: CheckDefinition[], id: string): string =>
  definitions.find(check => check.id === id)?.expected ?? '';

/** Command → its expected output, from the checks of `checks: documented`. */
const validations = new Map([
  [
    normalizeWords(
      ...['kubectl', 'get', 'service', 'tcp-echo', '-n', 'dual-stack'],
      ...['-o', 'jsonpath={.spec.ipFamilyPolicy}']
    ),
    getExpected(service.definitions, 'service/dual-stack/policy')
  ],
  ...sampleNamespaces
    .filter(namespace => namespace !== clientSample.namespace)
    .map((namespace): [string, string] => {
      const answer = getExpected(echo.definitions, `echo/${namespace}/name`);
      const asks = `echo ${answer.replace('hello ', '')} | nc tcp-echo.${namespace} 9000`;
      return [
        normalizeWords(
          'kubectl',
          'exec',
          '-n',
          clientSample.namespace,
          'pod',
          '--',
          'sh',
          '-c',
          asks
        ),
        answer
      ];
    })
]);

const applied = new Map<string, unknown>([
  ['Istio', readYaml(renderIstioYaml({version: null, values: null, cni: false, ambient: false}))],
  [
    'IstioCNI',
    readYaml(renderIstioCniYaml({version: null, values: null, cni: true, ambient: false}))
  ]
]);

/** The URL of the documented samples, in any release. */
const samplesFrom =
  /^https:\/\/raw\.githubusercontent\.com\/istio\/istio\/[^/\s]+\/samples\/(\S+)$/;

const deployed = new Map(
  documentedSamples.map(({namespace, file}) => [`${file} into ${namespace}`, file])
);

// ---- The comparison ----

function compared(blocks: CommandBlock[]): Compared {
  const said = blocks.flatMap(parseBlock);
  const found: Compared = {
    steps: {red: [], notes: []},
    resources: {red: [], notes: []},
    manifests: {red: [], notes: []},
    answers: {red: [], notes: []}
  };
  const done = new Set<string>();
  for (const one of said) {
    const [, verb] = one.words;
    const isApply = one.words[0] === 'kubectl' && /^(apply|create)$/.test(verb ?? '');
    if (isApply && one.input !== null) resources(one, found.resources, done);
    else if (isApply && /--filename=\S/.test(one.command)) manifest(one, found.manifests, done);
    else step(one, found, done);
  }
  const gone = (all: Iterable<string>) =>
    [...all].filter(one => !done.has(one)).map(one => `no longer documented: \`${shown(one)}\``);
  found.steps.notes.push(...gone([...performedCommands, ...validations.keys()]));
  found.manifests.notes.push(...gone(deployed.keys()));
  if (!done.has('Istio')) found.resources.notes.push('no longer documented: an Istio resource');
  return found;
}

/** Adds a difference: a failure for a tested block, else a note. */
const add = (told: Told, {tested, title}: DocumentedCommand, what: string): void => {
  const text = title === '' ? what : `${what} ("${short(title)}")`;
  (tested ? told.red : told.notes).push(text);
};

const short = (text: string): string => (text.length > 200 ? `${text.slice(0, 199)}…` : text);
const shown = (text: string): string => short(text.replaceAll('`', "'").replace(/\s+/g, ' '));

function step(one: DocumentedCommand, {steps, answers}: Compared, done: Set<string>): void {
  const {command, answer, tested} = one;
  if (tested) done.add(command);
  const wanted = validations.get(command);
  if (wanted !== undefined && answer !== null && answer !== wanted)
    add(
      answers,
      one,
      `\`${shown(command)}\` must return "${shown(answer)}", but this Action expects "${wanted}"`
    );
  if (wanted !== undefined || [...performedCommands, ...platformCommands].includes(command)) return;
  const looks = answer === null && /^kubectl (get|describe|logs)\b/.test(command);
  const shownOnly = !tested && /^(kind create cluster|kubectl delete)\b/.test(command);
  if (!looks && !shownOnly) add(steps, one, `this Action does not run \`${shown(command)}\``);
}

function manifest(one: DocumentedCommand, told: Told, done: Set<string>): void {
  const namespace = /--namespace=(\S+)/.exec(one.command)?.[1] ?? 'default';
  const file = /--filename=(\S+)/.exec(one.command)?.[1] ?? '';
  const pair = `${samplesFrom.exec(file)?.[1]} into ${namespace}`;
  if (deployed.has(pair) && one.tested) done.add(pair);
  if (!deployed.has(pair))
    add(told, one, `this Action does not deploy ${shown(file)} into ${namespace}`);
}

function resources(one: DocumentedCommand, told: Told, done: Set<string>): void {
  for (const resource of parseDocuments(one.input ?? '')) {
    const kind = String((resource as {kind?: unknown} | null)?.kind ?? 'an object without a kind');
    if (one.tested) done.add(kind);
    const ours = applied.get(kind);
    if (ours === undefined) add(told, one, `this Action does not apply ${shown(kind)}`);
    else
      for (const difference of differences(flat(resource), flat(ours)))
        add(told, one, `${kind}: ${difference}`);
  }
}

function parseDocuments(text: string): unknown[] {
  try {
    return readYamlDocuments(text).map(document => document.toJS());
  } catch {
    return [null]; // invalid YAML, or too many aliases
  }
}

/** The maximum depth of a documented resource: an alias may be recursive. */
const deepest = 20;

/** Path of each field → its value. */
function flat(value: unknown, at = '', depth = 0): [string, string][] {
  if (depth > deepest) return [[at, 'a value nested too deep']];
  if (typeof value !== 'object' || value === null) return [[at, JSON.stringify(value) ?? '']];
  return Object.entries(value).flatMap(([key, field]) =>
    flat(field, at === '' ? key : `${at}.${key}`, depth + 1)
  );
}

function differences(theirs: [string, string][], ours: [string, string][]): string[] {
  const [documented, here] = [new Map(theirs), new Map(ours)];
  return [...new Set([...documented.keys(), ...here.keys()])]
    .filter(field => documented.get(field) !== here.get(field))
    .map(
      field =>
        `${shown(field)} is ${shown(documented.get(field) ?? 'absent')}, in this Action ${here.get(field) ?? 'absent'}`
    );
}

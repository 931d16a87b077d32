import {spawnSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import {parse as junit2json} from 'junit2json';
import {parse} from 'yaml';
import {renderHtml} from '../src/reports/html.ts';
import {renderJunit} from '../src/reports/junit.ts';
import type {Results} from '../src/results/results.ts';
import {fakePrograms} from './fake.ts';
import {type Ended, mark} from './hostile-places.ts';
import {badInputs, cancelled, error, failed, flaky, many, passed} from './sample-results.ts';
import {validator} from './schema.ts';

/** What foreign text has done where it is to be text and nothing else; each a sentence, none where all is well. */

const root = path.join(import.meta.dirname, '..');
const promised = Object.keys(parse(fs.readFileSync(path.join(root, 'action.yml'), 'utf8')).outputs);
const schema = validator('results');

/** `results-dir` where none was given, whatever the cluster is called. */
const resultsIn = (directory: string): string =>
  path.join(
    directory,
    fs.readdirSync(directory).find(name => /^dual-stack-.*(?<!\.private)$/.test(name)) ?? 'none'
  );

/** What results.json says. */
export const resultsOf = ({directory}: Pick<Ended, 'directory'>): Results =>
  JSON.parse(fs.readFileSync(path.join(resultsIn(directory), 'results.json'), 'utf8'));

export async function complaints(ended: Ended): Promise<string[]> {
  const {exitCode, log, directory, asked, files} = ended;
  const all: string[] = [];
  const minds = (what: string, found: unknown[]): void => {
    if (found.length > 0) all.push(`${what}: ${JSON.stringify(found.slice(0, 2)).slice(0, 400)}`);
  };
  if (![0, 1].includes(exitCode)) all.push(`the exit code ${exitCode}`);
  minds('a command of the runner', strangeCommands(log));
  minds(
    'a character that acts',
    log.match(/.{0,30}(?:[^\P{Cc}\n\t]|[\u202a-\u202e\u2066-\u2069])/gu) ?? []
  );
  minds('an output', strangeEntries(files.OUTPUT, promised));
  minds('a variable', strangeEntries(files.ENV, ['KUBECONFIG']));
  minds('a state', strangeEntries(files.STATE, ['run']));
  minds(
    'PATH',
    files.PATH.split('\n').filter(line => line.includes(mark))
  );
  minds('a command line', asked.filter(acts));
  minds('a prototype', [({} as Record<string, unknown>)[mark]].filter(Boolean));
  const results = resultsIn(directory);
  const text = (name: string) => fs.readFileSync(path.join(results, name), 'utf8');
  if (!fs.existsSync(path.join(results, 'results.json'))) return [...all, 'no results'];
  const told = resultsOf(ended);
  minds('the schema', schema.errors(told) ?? []);
  if (told.failure?.class === 'internal') all.push(`a bug: ${told.failure.message.slice(0, 300)}`);
  minds('report.html', strangeMarkup(text('report.html'), pages));
  minds('junit.xml', strangeMarkup(text('junit.xml'), reports));
  minds('summary.md', strangeMarkdown(text('summary.md')));
  minds('junit.xml has other test cases', await strangeCases(text('junit.xml'), told));
  minds('reproduce.sh', strangeScript(results, directory));
  for (const file of inside(path.join(results, 'diagnostics')))
    minds(
      path.relative(results, file),
      fs.readFileSync(file, 'utf8').match(/.{0,30}[^\P{Cc}\n\t]/gu) ?? []
    );
  return all;
}

const inside = (directory: string): string[] =>
  fs.existsSync(directory)
    ? (fs.readdirSync(directory, {recursive: true}) as string[])
        .map(name => path.join(directory, name))
        .filter(file => fs.statSync(file).isFile())
    : [];

// ---- the runner ----

const ours = ['group', 'endgroup', 'error', 'warning', 'notice', 'debug', 'add-mask'];

/** Commands of the runner that are not the Action's own: it reads any line that begins with one, and `##[` anywhere. */
export function strangeCommands(log: string): string[] {
  let stoppedBy: string | null = null;
  return log.split(/\r\n|[\n\r\v\f\u0085\u2028\u2029]/).filter(line => {
    const [, name = '', properties = '', text = ''] =
      /^::([^\s:]*)\s?(.*?)::(.*)$/.exec(line.trim()) ?? [];
    if (stoppedBy !== null) {
      if (line.trim() === `::${stoppedBy}::`) stoppedBy = null;
      return line.includes('##[');
    }
    if (name === 'stop-commands' && /^[0-9a-f-]{36}$/.test(text)) stoppedBy = text;
    else if (line.trim().startsWith('::'))
      return (
        !ours.includes(name) || !/^(title=[^,]*)?$/.test(properties) || text.trim().startsWith(mark)
      );
    return line.includes('##[');
  });
}

/** Entries of a file of the runner that have another name than these, or are none. */
export function strangeEntries(text: string, names: string[]): string[] {
  const lines = text.split(/\r?\n/);
  const strange: string[] = [];
  while (lines.length > 0) {
    const line = lines.shift() ?? '';
    const [, name = '', delimiter = ''] = /^([^=]*?)<<(.+)$/.exec(line) ?? [];
    if (line === '') continue;
    if (!names.includes(name) || !lines.includes(delimiter)) strange.push(line);
    lines.splice(0, lines.indexOf(delimiter) + 1);
  }
  return strange;
}

/** Whether foreign text stands in a command where a program takes it for an option, or a shell for its own. */
const acts = (command: string[]): boolean =>
  command.some(
    (word, at) => /^-[^=]*hostile/.test(word) || (command[at - 1] === '-c' && word.includes(mark))
  );

// ---- markup ----

/** `<name attribute="value">` as every parser reads it: nothing in it is open to another reading. */
const tag =
  /<(?:\?xml [^<>]*\?|!doctype html|\/?[a-z][\w-]*(?:\s+[\w:-]+(?:="[^"<>]*")?)*\s*\/?)>/gi;

/** `name`, and `name attribute` for each attribute. */
function partsOf(text: string): string[] {
  const [, name = '', rest = ''] = /^<\/?([?!\w-]+)([^>]*)>$/.exec(text) ?? [];
  const attributes = rest
    .replace(/="[^"]*"/g, '')
    .split(/\s+/)
    .filter(word => /^[\w:-]+$/.test(word));
  return [name, ...attributes.map(attribute => `${name} ${attribute}`)];
}

/** Every tag and attribute in what is made of results that are not hostile. */
const known = (texts: string[]): Set<string> =>
  new Set(texts.flatMap(text => (text.match(tag) ?? []).flatMap(partsOf)));
const usual = [passed(), failed(), flaky(), error(), cancelled(), badInputs(), many(60)];
const pages = known(usual.map(renderHtml));
const reports = known(usual.map(renderJunit));

/** Tags and attributes that are not among those, what is no tag and yet has a `<`, and references of characters that are unknown. */
export function strangeMarkup(text: string, to: Set<string>): string[] {
  const page = text.replace(/<style>[^<]*<\/style>/, '');
  const tags = page.match(tag) ?? [];
  return [
    ...tags.filter(one => partsOf(one).some(part => !to.has(part))),
    ...tags.filter(one =>
      / style="(?!(left|width|top):[\d.]+%[";])| (href|src)="(?!https:|#)/i.test(one)
    ),
    ...(page.replace(tag, '').match(/[<>].{0,40}/g) ?? []),
    ...(page.match(/&(?!(amp|lt|gt|quot|apos|nbsp|#\d+|#x[\da-f]+);).{0,20}/gi) ?? [])
  ];
}

/** Markdown without its code, in which nothing is markup. */
const withoutCode = (markdown: string): string =>
  markdown
    .replace(/^(?:> )?(`{3,})\n[\s\S]*?^(?:> )?\1$/gm, '')
    .replace(/(`+)(?!`)[\s\S]*?(?<!`)\1(?!`)/g, '');

/** Foreign words outside of code that are more than words. */
export const strangeMarkdown = (text: string): string[] => [
  ...(withoutCode(text).match(
    /.{0,20}(?:[<@/(:[&!]hostile|hostile[=>(:/]|javascript:|<script|<img|onerror\s?=).{0,20}/g
  ) ?? []),
  ...(text.match(/.{0,20}[^\P{Cc}\n\t]/gu) ?? [])
];

async function strangeCases(xml: string, {checks}: Results): Promise<string[]> {
  const read = await junit2json(xml).catch((problem: Error) => problem);
  if (read instanceof Error) return [`it cannot be read: ${read.message}`];
  const suites = read && 'testsuite' in read ? (read.testsuite ?? []) : [];
  const names = suites.flatMap(suite => suite.testcase ?? []).map(({name}) => `${name}`);
  const of = (id: string) => names.filter(name => name.includes(id)).length;
  return [
    ...names.filter(name => name.startsWith(mark)),
    ...checks.filter(({id}) => of(id) === 0).map(({id}) => `not there: ${id}`)
  ];
}

// ---- a script ----

/** Programs that a script may start here, none of which does anything. */
const standIns = ['docker', 'kind', 'kubectl', 'helm', 'curl', 'sleep', 'timeout'];
const run = new Map<string, string[]>();

/** What bash minds in the script, and files that its own text has made it leave. The same script is run once. */
function strangeScript(results: string, directory: string): string[] {
  const file = path.join(results, 'reproduce.sh');
  if (!fs.existsSync(file)) return [];
  const text = fs.readFileSync(file, 'utf8');
  const bare = text.replaceAll(directory, '');
  if (!bare.includes(mark) && run.size > 0) return run.get('usual') ?? [];
  const found = run.get(bare) ?? scriptRun(text, path.join(directory, 'by-hand'));
  run.set(bare.includes(mark) ? bare : 'usual', found);
  return found;
}

function scriptRun(text: string, directory: string): string[] {
  const {stderr} = spawnSync('bash', ['-n'], {input: text, encoding: 'utf8'});
  fs.mkdirSync(directory);
  const env = fakePrograms(
    directory,
    Object.fromEntries(standIns.map(name => [name, ['echo "hello $*"']]))
  );
  spawnSync('bash', ['-s'], {
    input: text,
    cwd: directory,
    env: {PATH: env.PATH, HOME: directory, TMPDIR: directory},
    timeout: 30_000
  });
  const made = (fs.readdirSync(directory, {recursive: true}) as string[]).filter(name =>
    name.includes(mark)
  );
  return [...(stderr === '' ? [] : [stderr]), ...made];
}

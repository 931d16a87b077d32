// npm run prose: lists sentences over 30 words and words to avoid, with file and line, and counts them. CI reports the counts.
// It always exits with 0, and it is no proof of good prose: a short sentence can be unclear, and an ordinary use of a word
// ("he said") is counted too. It reads README.md, docs/, the action.yml files, and comments and strings in src/.
import * as fs from 'node:fs';
import * as path from 'node:path';
import ts from 'typescript';
import {isScalar, LineCounter, parseDocument, visit} from 'yaml';

const root = path.resolve(import.meta.dirname, '..');
const maxWords = 30;

/** Words of the old dialect: STYLE.md has the word to use instead. */
const avoided = {
  asked: /\basked\b/gi,
  'tell/told': /\b(tell|tells|telling|told)\b/gi,
  said: /\bsaid\b/gi,
  'accepted is': /\baccepted (is|are)\b/gi,
  whyNot: /\bwhyNot\b/g
};

const abbreviation = /(?:^|[\s(])(?:e\.g|i\.e|vs|etc|approx|no)\.$/i; // their full stop ends no sentence

/** The sentences of one paragraph, without markup for code, links and emphasis. */
export function splitSentences(text) {
  const plain = text
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/`[^`]*`/g, 'Code')
    .replace(/\*\*/g, '')
    .replace(/\s+/g, ' ')
    .trim();
  const sentences = [];
  for (const part of plain.split(/(?<=[.!?][)"”’']*) /)) {
    const last = sentences.at(-1);
    const goesOn = last !== undefined && (abbreviation.test(last) || /^[a-z]+[\s,;]/.test(part));
    if (goesOn) sentences[sentences.length - 1] = `${last} ${part}`;
    else if (part !== '') sentences.push(part);
  }
  return sentences;
}

export const countWords = sentence =>
  sentence.split(/\s+/).filter(word => /[\p{L}\p{N}]/u.test(word)).length;

/** Paragraphs, list items and table cells of a Markdown text, as {line, text}; no code blocks, no comments. */
export function readMarkdown(text) {
  const fragments = [];
  let fenced = false;
  let open = null; // the paragraph that the next line may continue
  const withoutComments = text.replace(/<!--.*?-->/gs, comment => comment.replace(/[^\n]/g, ''));
  for (const [index, row] of withoutComments.split('\n').entries()) {
    const line = index + 1;
    const isFence = /^\s*```/.test(row);
    if (isFence) fenced = !fenced;
    const isSkipped = fenced || isFence || row.trim() === '';
    const isTable = /^\s*\|/.test(row);
    const startsNew = /^\s*([-*>#]|\d+\.\s)/.test(row);
    if (isSkipped || isTable || startsNew) open = null;
    if (isSkipped) continue;
    if (isTable) fragments.push(...row.split(/(?<!\\)\|/).map(cell => ({line, text: cell.trim()})));
    else if (open) open.text += ` ${row.trim()}`;
    else {
      const fragment = {line, text: row.replace(/^[\s>#*-]+|^\s*\d+\.\s/, '')};
      fragments.push(fragment);
      open = row.startsWith('#') ? null : fragment;
    }
  }
  return fragments.filter(({text}) => text !== '' && !/^:?-+:?$/.test(text));
}

/** The descriptions of an action.yml. */
function readDescriptions(text) {
  const lines = new LineCounter();
  const fragments = [];
  visit(parseDocument(text, {lineCounter: lines}), {
    Pair(_, pair) {
      if (pair.key?.value === 'description' && isScalar(pair.value))
        fragments.push({line: lines.linePos(pair.key.range[0]).line, text: `${pair.value.value}`});
    }
  });
  return fragments;
}

/** Comments and strings of a TypeScript source. Line comments that follow each other are one; a placeholder is a word. */
export function readSource(text) {
  const source = ts.createSourceFile('file.ts', text, ts.ScriptTarget.Latest, true);
  const lineAt = position => source.getLineAndCharacterOfPosition(position).line + 1;
  const comments = new Map();
  const fragments = [];
  const visitNode = node => {
    const leading = ts.getLeadingCommentRanges(text, node.getFullStart()) ?? [];
    const trailing = ts.getTrailingCommentRanges(text, node.getEnd()) ?? [];
    for (const {pos, end} of [...leading, ...trailing]) comments.set(pos, text.slice(pos, end));
    const line = lineAt(node.getStart(source));
    if (ts.isStringLiteralLike(node) || node.text === 'whyNot')
      fragments.push({line, text: node.text});
    if (ts.isTemplateExpression(node)) {
      const words = node.templateSpans.map(({literal}) => `X${literal.text}`);
      fragments.push({line, text: `${node.head.text}${words.join('')}`});
    }
    for (const child of node.getChildren(source)) visitNode(child);
  };
  visitNode(source);
  const startsLine = position => /(^|\n)[ \t]*$/.test(text.slice(0, position)); // not after code
  let open = null; // the last line comment, with the line where it ends
  for (const [position, comment] of [...comments].sort(([one], [other]) => one - other)) {
    const line = lineAt(position);
    const words = comment.replace(/^\/\*+|\*\/$|^\/\/ ?|^\s*\* ?/gm, ' ').trim();
    if (startsLine(position) && open?.end === line - 1)
      Object.assign(open, {text: `${open.text} ${words}`, end: line});
    else {
      open = {line, text: words, end: startsLine(position) && comment.startsWith('//') ? line : -1};
      fragments.push(open);
    }
  }
  return fragments;
}

function listFiles() {
  const below = (folder, ending) => {
    const names = fs.readdirSync(path.join(root, folder), {recursive: true});
    return names.filter(name => name.endsWith(ending)).map(name => path.join(folder, name));
  };
  const actions = ['action.yml', 'matrix/action.yml', 'report/action.yml'];
  return ['README.md', ...below('docs', '.md').sort(), ...actions, ...below('src', '.ts').sort()];
}

function main() {
  const readers = {'.md': readMarkdown, '.yml': readDescriptions, '.ts': readSource};
  const counts = {long: 0, ...Object.fromEntries(Object.keys(avoided).map(word => [word, 0]))};
  for (const file of listFiles())
    for (const {line, text} of readers[path.extname(file)](
      fs.readFileSync(path.join(root, file), 'utf8')
    )) {
      for (const sentence of splitSentences(text).filter(one => countWords(one) > maxWords)) {
        counts.long++;
        console.log(`${file}:${line}: ${countWords(sentence)} words: ${sentence.slice(0, 80)}…`);
      }
      for (const [word, pattern] of Object.entries(avoided))
        for (const [found] of text.matchAll(pattern)) {
          counts[word]++;
          console.log(`${file}:${line}: "${found}": ${text.replace(/\s+/g, ' ').slice(0, 80)}`);
        }
    }
  const {long, ...words} = counts;
  const list = Object.entries(words).map(entry => entry.join(' '));
  console.log(`prose: ${long} sentences over ${maxWords} words; ${list.join(', ')}`);
}

if (process.argv[1] === import.meta.filename) main();

/** Writes log lines, and removes secrets and control sequences from every text that is shown. */
import {randomUUID} from 'node:crypto';
import * as core from '@actions/core';

/** Secrets of this run, longest first, so that no part of a longer one remains. */
let hidden: (RegExp | string)[] = [];

/** Longest source of a regular expression, in characters: V8 rejects about 30,000, and only at first use. */
const mostSource = 8000;

let hiddenTexts: string[] = [];

/** Adds secrets that the run learns later. */
export const addHiddenTexts = (texts: string[]): void => setHiddenTexts([...hiddenTexts, ...texts]);

/** Makes `redact` remove these texts, plain and JSON-escaped. The runner masks them too. */
export function setHiddenTexts(texts: string[]): void {
  hiddenTexts = texts;
  const lines = texts.flatMap(text => [
    text,
    ...text.split('\n'),
    JSON.stringify(text).slice(1, -1)
  ]);
  const all = [...new Set(lines.map(line => line.trim()))].filter(
    line => line.length >= shortestHidden
  );
  all.sort((one, other) => other.length - one.length);
  for (const text of all) core.setSecret(text);
  hidden = buildPatterns(all);
}

/** Patterns that match the texts: short texts share an expression, a long one stays a string. */
function buildPatterns(texts: string[]): (RegExp | string)[] {
  const found: (RegExp | string)[] = [];
  let several = '';
  const close = () => {
    if (several !== '') found.push(new RegExp(several, 'g'));
    several = '';
  };
  for (const text of texts) {
    const source = escapeRegExp(text);
    if (source.length > mostSource) found.push(text);
    else {
      if (several.length + source.length >= mostSource) close();
      several += several === '' ? source : `|${source}`;
    }
  }
  close();
  return found;
}

const removeHiddenTexts = (text: string): string =>
  hidden.reduce<string>((left, one) => left.replaceAll(one, '[removed]'), text);

/** Shorter texts occur in any text by chance. */
const shortestHidden = 4;

const escapeRegExp = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Names of secrets, as the end of a key: `apiKey`, `DB_PASSWORD`, `client-key-data`. */
const secretNames =
  'client-key-data|tokens?|passw(?:or)?d|passphrase|pwd|secret(?:[_-]?key)?|credentials?|(?:api|access|account|private|signing|encryption)[_-]?key|inline_?(?:bytes|string)|(?<![a-z])auth|authorization|dockerconfigjson|license[_-]?key';

/** Whether a key names a secret. */
export const isSecretName = (key: string): boolean =>
  new RegExp(`(?:${secretNames})$`, 'i').test(key.slice(-100));

// a key, its closing quote (which may be escaped), and the separator before the value
const secretKey = `(?:${secretNames})(?:\\\\*["'])?\\s{0,20}[:=]\\s{0,20}`;
const inQuotes = new RegExp(
  `(${secretKey})(?:"(?:[^"\\\\\\n]|\\\\.){0,8000}"|'(?:[^'\\n]|''){0,8000}')`,
  'gi'
);
const bare = new RegExp(
  `(${secretKey}(?:\\\\*["'])?(?:(?:bearer|basic|token)\\s{1,5})?)(?!\\[removed)[^\\s"',}\\]\\\\]+`,
  'gi'
);
const wholeLine = /((?:passw(?:or)?d|passphrase)\s{0,20}:[ \t]{1,20})[^\s"'{[|>][^\n"',}]*/gi;
// an entry of a container's environment
const pair = new RegExp(
  `(\\bname["']?\\s{0,5}:\\s{0,5}["']?[\\w.-]{0,100}(?:${secretNames})["']?,?\\s{0,40}["']?value["']?\\s{0,5}:\\s{0,5}["']?)[^\\s"',}]+`,
  'gi'
);
const block = new RegExp(
  `^( *)(?:- )*["']?[\\w.-]{0,100}(?:${secretNames})["']?\\s{0,20}:\\s{0,20}[|>]`,
  'i'
);

/**
 * Text without keys, tokens and passwords. Takes time linear in its length: no expression can start
 * twice within one run of the characters that it repeats.
 */
export function redact(text: string): string {
  const clean = removeSecretBlocks(removeHiddenTexts(text))
    .replace(/:\/\/[^\s/?#]+@/g, '://')
    .replace(
      /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g,
      '[private key]'
    )
    .replace(/(?<![\w-])eyJ[\w-]{10,}\.[\w-]+\.[\w-]*/g, '[token]')
    .replace(/\b(gh[a-z]_|github_pat_)\w{16,}/g, '[token]')
    .replace(/\b(bearer\s{1,5})[\w.~+/-]{8,}=*/gi, '$1[token]');
  return clean
    .replace(wholeLine, '$1[removed]')
    .replace(inQuotes, '$1"[removed]"')
    .replace(bare, '$1[removed]')
    .replace(pair, '$1[removed]');
}

/** Removes the block below a key such as `password: |`. */
function removeSecretBlocks(text: string): string {
  if (!/[|>]/.test(text)) return text;
  let inside: number | null = null; // the indentation of the key
  const kept = text.split('\n').filter(line => {
    const indent = line.length - line.trimStart().length;
    if (inside !== null && (line.trim() === '' || indent > inside)) return false;
    inside = line.length < 500 ? (block.exec(line)?.[1]?.length ?? null) : null;
    return true;
  });
  return kept.join('\n');
}

/**
 * Text without colours, reordering marks and other terminal controls. Takes time linear in its length; Node's own
 * function does not: it took a minute for 100 KB of unfinished terminal titles.
 */
export const stripControlSequences = (text: string): string =>
  text
    .replace(reordering, '') // first: a mark may split a sequence that the next lines must see whole
    .replace(terminalTitle, '')
    .replace(terminalCommand, '')
    .replace(terminalEscape, '');

/** Marks that can hide text. */
const reordering = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is about
const terminalTitle = /(?:\u001b\]|\u009d)[^\u0007\u001b\u009c\n]*(?:\u0007|\u001b\\|\u009c)?/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is about
const terminalCommand = /(?:\u001b\[|\u009b)[0-?]{0,100}[ -/]{0,10}[@-~]?/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is about
const terminalEscape = /\u001b(?:[ -/]{0,10}[0-~])?/g; // alone too: an escape character must not combine with the text after it

/** Foreign text as one line that the runner cannot read as a command. */
export const toSingleLine = (text: string): string =>
  redact(stripControlSequences(text)) // a colour may separate a key from its value
    .replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
    .replaceAll('##[', '# #[')
    .trim();

/** Writes one line of progress; `at` is in seconds since the start. */
export function logLine(at: number, source: string, text: string): void {
  core.info(`${at.toFixed(1).padStart(6)}s  ${source.padEnd(20)} ${toSingleLine(text)}`);
}

/** Writes foreign text in a folded group, with workflow commands switched off. */
export function logGroup(title: string, text: string): void {
  const token = randomUUID();
  core.startGroup(toSingleLine(title));
  core.info(`::stop-commands::${token}`);
  core.info(redact(stripControlSequences(text)).replaceAll('##[', '# #[').trimEnd());
  core.info(`::${token}::`);
  core.endGroup();
}

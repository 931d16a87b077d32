import {randomUUID} from 'node:crypto';
import * as core from '@actions/core';

/** What this run was given and nobody is to read; longest first, so that no rest of it is left. */
let hidden: (RegExp | string)[] = [];

/** The most of a regular expression's source: V8 refuses one of some 30,000, and only when it is first used. */
const mostSource = 8000;

let hiddenTexts: string[] = [];

/** The same with what is learnt later. */
export const addHiddenTexts = (texts: string[]): void => setHiddenTexts([...hiddenTexts, ...texts]);

/** From now on `redact` leaves these out, as they are and as JSON writes them; the runner masks them too. */
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

/** Texts as what finds them in turn: several by one expression, a long one by itself. */
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

/** Shorter ones are in every text by chance. */
const shortestHidden = 4;

const escapeRegExp = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** The names of what is secret, at the end of a key: `apiKey`, `DB_PASSWORD`, `client-key-data`. */
const secretNames =
  'client-key-data|tokens?|passw(?:or)?d|passphrase|pwd|secret(?:[_-]?key)?|credentials?|(?:api|access|account|private|signing|encryption)[_-]?key|inline_?(?:bytes|string)|(?<![a-z])auth|authorization|dockerconfigjson|license[_-]?key';

/** Whether a key says that its value is secret. */
export const isSecretName = (key: string): boolean =>
  new RegExp(`(?:${secretNames})$`, 'i').test(key.slice(-100));

// a key, its quote where it has one, even an escaped one, and what stands between it and the value
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
// as containers have their environment
const pair = new RegExp(
  `(\\bname["']?\\s{0,5}:\\s{0,5}["']?[\\w.-]{0,100}(?:${secretNames})["']?,?\\s{0,40}["']?value["']?\\s{0,5}:\\s{0,5}["']?)[^\\s"',}]+`,
  'gi'
);
const block = new RegExp(
  `^( *)(?:- )*["']?[\\w.-]{0,100}(?:${secretNames})["']?\\s{0,20}:\\s{0,20}[|>]`,
  'i'
);

/**
 * Text without keys, tokens and passwords, in time linear in its length: no expression can start
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

/** Without what stands below `password: |`. */
function removeSecretBlocks(text: string): string {
  if (!/[|>]/.test(text)) return text;
  let inside: number | null = null; // how far the key is indented
  const kept = text.split('\n').filter(line => {
    const indent = line.length - line.trimStart().length;
    if (inside !== null && (line.trim() === '' || indent > inside)) return false;
    inside = line.length < 500 ? (block.exec(line)?.[1]?.length ?? null) : null;
    return true;
  });
  return kept.join('\n');
}

/**
 * Text without colours, marks that reorder it, and what else terminals act on, in time linear in its length, which Node's own
 * function is not: 100 KB of the beginning of a title took a minute.
 */
export const stripControlSequences = (text: string): string =>
  text
    .replace(reordering, '') // first: what stood between two characters may have kept them apart
    .replace(terminalTitle, '')
    .replace(terminalCommand, '')
    .replace(terminalEscape, '');

/** Text could hide behind them. */
const reordering = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is about
const terminalTitle = /(?:\u001b\]|\u009d)[^\u0007\u001b\u009c\n]*(?:\u0007|\u001b\\|\u009c)?/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is about
const terminalCommand = /(?:\u001b\[|\u009b)[0-?]{0,100}[ -/]{0,10}[@-~]?/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is about
const terminalEscape = /\u001b(?:[ -/]{0,10}[0-~])?/g; // alone too: before the next one it would be left to what follows that

/** Foreign text as one line that the runner cannot take for a command. */
export const toSingleLine = (text: string): string =>
  redact(stripControlSequences(text)) // a colour may stand between a key and its value
    .replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
    .replaceAll('##[', '# #[')
    .trim();

/** One line of progress, with the seconds since the start. */
export function logLine(at: number, source: string, text: string): void {
  core.info(`${at.toFixed(1).padStart(6)}s  ${source.padEnd(20)} ${toSingleLine(text)}`);
}

/** Foreign text in a folded group, whole, with workflow commands switched off. */
export function logGroup(title: string, text: string): void {
  const token = randomUUID();
  core.startGroup(toSingleLine(title));
  core.info(`::stop-commands::${token}`);
  core.info(redact(stripControlSequences(text)).replaceAll('##[', '# #[').trimEnd());
  core.info(`::${token}::`);
  core.endGroup();
}

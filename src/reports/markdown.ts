/** Turns foreign text into Markdown that cannot act as markup. */
import {parseSpans, sanitizeLine, sanitizeText} from './words.ts';

/**
 * Returns foreign text as inert Markdown: every word that is not plain letters or a number becomes code. GitHub
 * interprets no markup, HTML, mention, link, reference, emoji (`:100:` in an IPv6 address) or formula in code.
 * Do not put it first on a line: `1.` would start a list.
 */
export const text = (foreign: string, most = 300): string =>
  parseSpans(sanitizeLine(foreign, most))
    .map(span => (span.code && span.text.trim() !== '' ? code(span.text, most) : prose(span.text)))
    .reduce((before, next) => before + (isAdjacentCode(before, next) ? ' ' : '') + next, '');

/** Returns foreign text as a code span on one line. */
export function code(foreign: string, most = 200): string {
  const content = sanitizeLine(foreign, most);
  if (content === '') return '(empty)';
  const mark = '`'.repeat(getLongestRun(content) + 1);
  const space = /^`|`$/.test(content) ? ' ' : '';
  return `${mark}${space}${content}${space}${mark}`;
}

/** Returns foreign text as a code block with its lines. */
export function fence(foreign: string, most = 4000): string {
  const content = sanitizeText(foreign.slice(0, most)).trimEnd();
  const cut = foreign.length > most ? '\n…' : '';
  const mark = '`'.repeat(Math.max(3, getLongestRun(content) + 1));
  return `${mark}\n${content}${cut}\n${mark}`;
}

/** Escapes pipes for a table cell, also those after a backslash. */
export const escapeCell = (markdown: string): string =>
  markdown.replace(/\\(?=\|)/g, '\\ ').replaceAll('|', '\\|');

/** Returns a table row. */
export const row = (...cells: string[]): string => `| ${cells.map(escapeCell).join(' | ')} |`;

/** Letters, numbers, versions and dashes, which are never markup. */
const harmlessPattern = /^(\p{L}+([’'-]\p{L}+)*|IPv[46]|v?\d+([.,]\d+)*\p{L}{0,2}|[–—·→])$/u;

/** A word with brackets, quotes and punctuation around it; `::` at the end belongs to an address. */
const wordPattern = /^([("'“]*)(.*?)((?:[.,;!?)"'”…]|(?<!:):)*)$/u;

const prose = (words: string): string =>
  words
    .split(' ')
    .map(word => {
      const [, before = '', inner = '', after = ''] = wordPattern.exec(word) ?? [];
      return inner === '' || harmlessPattern.test(inner) ? word : `${before}${code(inner)}${after}`;
    })
    .join(' ');

/** Adjacent code spans need a space, because their backticks would merge. */
const isAdjacentCode = (before: string, next: string): boolean =>
  before.endsWith('`') && next.startsWith('`');

const getLongestRun = (content: string): number =>
  Math.max(0, ...(content.match(/`+/g) ?? []).map(run => run.length));

import {parseSpans, sanitizeLine, sanitizeText} from './words.ts';

/**
 * Foreign text as markdown that says the same and does nothing: every word that is more than
 * letters or a number becomes code, where GitHub knows no markup, HTML, mention, link, reference,
 * emoji (`:100:` in an IPv6 address) or formula. Never first on a line of its own: `1.` would list.
 */
export const text = (foreign: string, most = 300): string =>
  parseSpans(sanitizeLine(foreign, most))
    .map(span => (span.code && span.text.trim() !== '' ? code(span.text, most) : prose(span.text)))
    .reduce((before, next) => before + (isAdjacentCode(before, next) ? ' ' : '') + next, '');

/** Foreign text as a code span, one line. */
export function code(foreign: string, most = 200): string {
  const content = sanitizeLine(foreign, most);
  if (content === '') return '(empty)';
  const mark = '`'.repeat(getLongestRun(content) + 1);
  const space = /^`|`$/.test(content) ? ' ' : '';
  return `${mark}${space}${content}${space}${mark}`;
}

/** Foreign text as a code block, its lines kept. */
export function fence(foreign: string, most = 4000): string {
  const content = sanitizeText(foreign.slice(0, most)).trimEnd();
  const cut = foreign.length > most ? '\n…' : '';
  const mark = '`'.repeat(Math.max(3, getLongestRun(content) + 1));
  return `${mark}\n${content}${cut}\n${mark}`;
}

/** Markdown inside a table's cell: no pipe in it ends the cell, not even one after a backslash. */
export const escapeCell = (markdown: string): string =>
  markdown.replace(/\\(?=\|)/g, '\\ ').replaceAll('|', '\\|');

/** A table's row. */
export const row = (...cells: string[]): string => `| ${cells.map(escapeCell).join(' | ')} |`;

/** Letters, a number, a version, a mark between words: what can never be markup. */
const harmlessPattern = /^(\p{L}+([’'-]\p{L}+)*|IPv[46]|v?\d+([.,]\d+)*\p{L}{0,2}|[–—·→])$/u;

/** A word in its brackets, quotes and punctuation; `::` at the end belongs to an address. */
const wordPattern = /^([("'“]*)(.*?)((?:[.,;!?)"'”…]|(?<!:):)*)$/u;

const prose = (words: string): string =>
  words
    .split(' ')
    .map(word => {
      const [, before = '', inner = '', after = ''] = wordPattern.exec(word) ?? [];
      return inner === '' || harmlessPattern.test(inner) ? word : `${before}${code(inner)}${after}`;
    })
    .join(' ');

/** Two code spans side by side would be read as one longer mark. */
const isAdjacentCode = (before: string, next: string): boolean =>
  before.endsWith('`') && next.startsWith('`');

const getLongestRun = (content: string): number =>
  Math.max(0, ...(content.match(/`+/g) ?? []).map(run => run.length));

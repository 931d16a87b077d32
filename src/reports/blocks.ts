import {files} from '../results/files.ts';
import type {DisplayState} from './findings.ts';
import {code} from './markdown.ts';

/** A job summary's pieces, and how they are cut to fit. Pure. */

/** GitHub drops a summary above 1 MiB whole; what is left may be used by whoever appends to it. */
export const maxSummaryBytes = 1_000_000;

/** A longer list is for the HTML report. */
const maxListedLines = 200;

/** A piece of the summary that can be cut between its lines: `head` and `tail` stay together. */
export interface Block {
  head: string;
  lines: string[];
  tail: string;
}

/** Joins blocks up to so many bytes; what does not fit is cut from the bottom, and the end says so. */
export function cutToFit(blocks: Block[], most: number): string {
  const note = `\n\n_Cut here: a longer summary would be dropped by GitHub. Everything is in ${code(files.report)}._\n`;
  let left = most - countBytes(note);
  const out: string[] = [];
  for (const block of blocks) {
    left -= countBytes(block.head) + countBytes(block.tail) + 2;
    if (left < 0) return out.join('\n\n') + note;
    const lines = takeLinesThatFit(block.lines, left);
    left -= lines.reduce((sum, one) => sum + countBytes(one) + 1, 0);
    out.push([block.head, ...lines, block.tail].filter(Boolean).join('\n'));
    if (lines.length < block.lines.length) return out.join('\n\n') + note;
  }
  return `${out.join('\n\n')}\n`;
}

function takeLinesThatFit(lines: string[], most: number): string[] {
  let used = 0;
  const end = lines.findIndex(one => {
    used += countBytes(one) + 1;
    return used > most;
  });
  return end === -1 ? lines : lines.slice(0, end);
}

const countBytes = (markdown: string): number => Buffer.byteLength(markdown);

/** A block that is shown whole or not at all. */
export const createBlock = (head: string): Block => ({head, lines: [], tail: ''});

/** Lines behind a fold; `columns` makes a table of them. Left out when there is no line. */
export function createFoldedBlocks(
  title: string,
  lines: string[],
  titles: string[] = [],
  open = false
): Block[] {
  if (lines.length === 0) return [];
  const shown = lines.slice(0, maxListedLines);
  const rest = lines.length - shown.length;
  const head = `<details${open ? ' open' : ''}><summary>${title}</summary>\n`;
  return [
    {
      head: titles.length > 0 ? `${head}\n${renderTableHead(titles)}` : head,
      lines: shown,
      tail: `${rest > 0 ? `\nAnd ${rest} more, in ${code(files.report)}.\n` : ''}\n</details>`
    }
  ];
}

export const renderTableHead = (titles: string[]): string =>
  `| ${titles.join(' | ')} |\n|${' --- |'.repeat(titles.length)}`;

export const renderQuote = (markdown: string): string =>
  markdown.replace(/^/gm, '> ').replace(/^> $/gm, '>');

export const stateIcons: Record<DisplayState, string> = {
  passed: '✅',
  flaky: '⚠️',
  failed: '❌',
  skipped: '➖',
  none: ''
};

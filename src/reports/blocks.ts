/** The parts of a job summary, and how they are cut to fit. */
import {files} from '../results/files.ts';
import type {DisplayState} from './findings.ts';
import {code} from './markdown.ts';

/** GitHub drops a summary above 1 MiB. The rest is left for other steps that append to it. */
export const maxSummaryBytes = 1_000_000;

/** The HTML report has the rest of a longer list. */
const maxListedLines = 200;

/** A part of the summary that can be cut between its lines. `head` and `tail` stay together. */
export interface Block {
  head: string;
  lines: string[];
  tail: string;
}

/** Joins blocks up to `most` bytes, cuts the rest, and notes the cut. */
export function cutToFit(blocks: Block[], most: number): string {
  const note = `\n\n_Cut here: GitHub drops longer summaries. For all of it, open ${code(files.report)}._\n`;
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

/** Returns a block that cannot be cut. */
export const createBlock = (head: string): Block => ({head, lines: [], tail: ''});

/** Returns folded lines, as a table if there are `titles`; nothing without lines. */
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

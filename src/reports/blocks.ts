import {files} from '../results/files.ts';
import type {State} from './findings.ts';
import {code} from './markdown.ts';

/** A job summary's pieces, and how they are cut to fit. Pure. */

/** GitHub drops a summary above 1 MiB whole; what is left may be used by whoever appends to it. */
export const mostBytes = 1_000_000;

/** A longer list is for the HTML report. */
const mostListed = 200;

/** A piece of the summary that can be cut between its lines: `head` and `tail` stay together. */
export interface Block {
  head: string;
  lines: string[];
  tail: string;
}

/** Joins blocks up to so many bytes; what does not fit is cut from the bottom, and the end says so. */
export function cutToFit(blocks: Block[], most: number): string {
  const note = `\n\n_Cut here: a longer summary would be dropped by GitHub. Everything is in ${code(files.report)}._\n`;
  let left = most - bytes(note);
  const out: string[] = [];
  for (const block of blocks) {
    left -= bytes(block.head) + bytes(block.tail) + 2;
    if (left < 0) return out.join('\n\n') + note;
    const lines = linesThatFit(block.lines, left);
    left -= lines.reduce((sum, one) => sum + bytes(one) + 1, 0);
    out.push([block.head, ...lines, block.tail].filter(Boolean).join('\n'));
    if (lines.length < block.lines.length) return out.join('\n\n') + note;
  }
  return `${out.join('\n\n')}\n`;
}

function linesThatFit(lines: string[], most: number): string[] {
  let used = 0;
  const end = lines.findIndex(one => {
    used += bytes(one) + 1;
    return used > most;
  });
  return end === -1 ? lines : lines.slice(0, end);
}

const bytes = (markdown: string): number => Buffer.byteLength(markdown);

/** A block that is shown whole or not at all. */
export const whole = (head: string): Block => ({head, lines: [], tail: ''});

/** Lines behind a fold; `columns` makes a table of them. Left out when there is no line. */
export function folded(
  title: string,
  lines: string[],
  titles: string[] = [],
  open = false
): Block[] {
  if (lines.length === 0) return [];
  const shown = lines.slice(0, mostListed);
  const rest = lines.length - shown.length;
  const head = `<details${open ? ' open' : ''}><summary>${title}</summary>\n`;
  return [
    {
      head: titles.length > 0 ? `${head}\n${tableHead(titles)}` : head,
      lines: shown,
      tail: `${rest > 0 ? `\nAnd ${rest} more, in ${code(files.report)}.\n` : ''}\n</details>`
    }
  ];
}

export const tableHead = (titles: string[]): string =>
  `| ${titles.join(' | ')} |\n|${' --- |'.repeat(titles.length)}`;

export const quote = (markdown: string): string =>
  markdown.replace(/^/gm, '> ').replace(/^> $/gm, '>');

export const icons: Record<State, string> = {
  passed: '✅',
  flaky: '⚠️',
  failed: '❌',
  skipped: '➖',
  none: ''
};

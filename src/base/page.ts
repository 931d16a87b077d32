/** Reads the commands of documentation pages that mark which ones upstream tests run. Foreign text: never run it. */

/** Commands of a page, unchanged. */
export interface CommandBlock {
  /** The title of their step on the page. */
  title: string;
  text: string;
  /** Whether upstream's tests run them; else the page only shows them. */
  tested: boolean;
}

/**
 * The blocks of AsciiDoc that upstream's `tests/documentation_tests` runs: those with this name, and the text
 * between `ifdef::NAME[]` and `endif::[]`. Includes the bash blocks that the page only shows.
 */
export function parseAsciiDocBlocks(text: string, name: string): CommandBlock[] {
  const lines = text.split(/\r?\n/);
  const attributes = lines.flatMap(line => {
    const [, key = '', value = ''] = /^:(\w[\w-]*): *(.*)$/.exec(line) ?? [];
    return key === '' ? [] : [[`{${key}}`, value.trim()] as const];
  });
  const blocks: CommandBlock[] = [];
  let title = '';
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? '';
    const named = line.includes(`,name="${name}"]`);
    if (line.startsWith('.')) title = line.replace(/^\.+ */, '');
    else if (line.includes(`ifdef::${name}[]`))
      at = take(at + 1, true, one => one.startsWith('endif::[]'));
    else if (line.startsWith('[source,') && lines[at + 1]?.trim() === '----') {
      const wanted = named || /^\[source,(bash|sh|shell)\b/.test(line);
      at = take(at + 2, named, one => one.trim() === '----', wanted);
    }
  }
  return blocks;

  /** Stores the text up to the end of a block. Returns the line of that end. */
  function take(start: number, tested: boolean, ends: (line: string) => boolean, wanted = true) {
    const length = lines.slice(start).findIndex(ends);
    const end = length < 0 ? lines.length : start + length;
    const raw = lines.slice(start, end).join('\n');
    const whole = attributes.reduce((text, [key, value]) => text.replaceAll(key, value), raw);
    if (wanted) blocks.push({title, text: whole, tested});
    return end;
  }
}

/** The same for Markdown, upstream's earlier format: fences with `tag=NAME`. */
export function parseMarkdownBlocks(text: string, name: string): CommandBlock[] {
  const lines = text.split(/\r?\n/);
  const blocks: CommandBlock[] = [];
  let title = '';
  for (let at = 0; at < lines.length; at++) {
    const line = (lines[at] ?? '').trim().replace(/^<!-- */, ''); // a tested step may be hidden from readers
    const [, step] = /^\d+\. (.*)$/.exec(line) ?? [];
    if (step !== undefined) title = step;
    if (!line.startsWith('```')) continue;
    const length = lines.slice(at + 1).findIndex(one => one.trim().startsWith('```'));
    const end = length < 0 ? lines.length : at + 1 + length;
    const tested = /[{ ]tag=([\w-]+)[ }]/.exec(line)?.[1] === name;
    if (tested || /^```(bash|sh|shell)\b/.test(line))
      blocks.push({title, text: removeIndent(lines.slice(at + 1, end)), tested});
    at = end;
  }
  return blocks;
}

/** The lines without their common indentation. */
function removeIndent(lines: string[]): string {
  const indents = lines.filter(line => line.trim() !== '').map(line => line.search(/\S/));
  const common = Math.min(...indents);
  return lines.map(line => line.slice(common)).join('\n');
}

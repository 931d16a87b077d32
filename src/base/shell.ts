/** Parses the shell syntax that documentation uses. Foreign text: never run it. */

export interface ShellCommand {
  words: string[];
  /** Its here-document. */
  input: string | null;
}

/** How deep substitutions may be nested. */
const deepest = 20;

/**
 * The commands of a script in order, including those of lists and pipes. Words have no quotes; redirections and
 * comments are dropped; a substitution `$(…)` stays in its word unparsed.
 */
export function parseCommands(script: string): ShellCommand[] {
  const commands: ShellCommand[] = [];
  /** Here-documents that begin on the next line. */
  const awaited: {command: ShellCommand; end: string; tabs: boolean}[] = [];
  let command: ShellCommand = {words: [], input: null};
  let word: string | null = null;
  let at = 0;

  const endWord = () => {
    if (word !== null) command.words.push(word);
    word = null;
  };
  const endCommand = () => {
    endWord();
    if (command.words.length > 0) commands.push(command);
    command = {words: [], input: null};
  };
  const skipBlanks = () => {
    while (script[at] === ' ' || script[at] === '\t') at++;
  };

  while (at < script.length) {
    const rest = script.slice(at, at + 3);
    const [next = ''] = rest;
    if (rest.startsWith('\\\n')) at += 2;
    else if (next === '\n') {
      endCommand();
      at++;
      for (const {command, end, tabs} of awaited.splice(0)) {
        const read = readHereDocument(script, at, end, tabs);
        command.input = read.text;
        at = read.after;
      }
    } else if (next === ' ' || next === '\t' || next === '\r') {
      endWord();
      at++;
    } else if (next === '#' && word === null) {
      while (at < script.length && script[at] !== '\n') at++;
    } else if (';|&'.includes(next)) {
      endCommand();
      at++;
    } else if (rest.startsWith('<<') && rest !== '<<<') {
      endWord();
      const tabs = rest === '<<-';
      at += tabs ? 3 : 2;
      skipBlanks();
      const read = readWord(script, at);
      awaited.push({command, end: read.text, tabs});
      at = read.after;
    } else if (next === '<' || next === '>') {
      if (/^\d$/.test(word ?? '')) word = null; // of `2>`
      endWord();
      while (/[<>&]/.test(script[at] ?? '')) at++;
      skipBlanks();
      at = readWord(script, at).after;
    } else {
      const read = readWord(script, at);
      word = `${word ?? ''}${read.text}`;
      at = read.after;
    }
  }
  endCommand();
  return commands;
}

/** The word that begins here, without its quotes. Always advances by at least one character. */
function readWord(script: string, start: number): {text: string; after: number} {
  let text = '';
  let at = start;
  while (at < script.length && !/[\s;|&<>]/.test(script[at] ?? '')) {
    const next = script[at] ?? '';
    if (next === "'") {
      const end = findEnd(script, "'", at + 1);
      text += script.slice(at + 1, end);
      at = end + 1;
    } else if (next === '"') {
      const end = findQuoteEnd(script, at + 1);
      text += script.slice(at + 1, end).replace(/\\(["\\`$])/g, '$1');
      at = end + 1;
    } else if (next === '\\') {
      text += script[at + 1] ?? '';
      at += 2;
    } else if (script.startsWith('$(', at)) {
      const end = findSubstitutionEnd(script, at + 2);
      text += script.slice(at, end + 1);
      at = end + 1;
    } else {
      text += next;
      at++;
    }
  }
  return {text, after: Math.max(at, start + 1)};
}

const findEnd = (script: string, mark: string, from: number): number => {
  const end = script.indexOf(mark, from);
  return end < 0 ? script.length : end;
};

/** The position of the closing double quote. */
function findQuoteEnd(script: string, from: number, depth = 0): number {
  let at = from;
  while (at < script.length && script[at] !== '"') {
    if (script.startsWith('$(', at)) at = findSubstitutionEnd(script, at + 2, depth + 1);
    else if (script[at] === '\\') at++;
    at++;
  }
  return Math.min(at, script.length);
}

/** The position of the closing parenthesis of a substitution. */
function findSubstitutionEnd(script: string, from: number, depth = 0): number {
  if (depth > deepest) return script.length;
  let at = from;
  while (at < script.length && script[at] !== ')') {
    const next = script[at];
    if (next === "'") at = findEnd(script, "'", at + 1);
    else if (next === '"') at = findQuoteEnd(script, at + 1, depth + 1);
    else if (next === '\\') at++;
    else if (next === '(') at = findSubstitutionEnd(script, at + 1, depth + 1);
    at++;
  }
  return Math.min(at, script.length);
}

function readHereDocument(script: string, start: number, end: string, tabs: boolean) {
  const lines: string[] = [];
  let at = start;
  while (at < script.length) {
    const stop = findEnd(script, '\n', at);
    const line = script.slice(at, stop).replace(tabs ? /^\t+/ : /(?!)/, '');
    at = Math.min(stop + 1, script.length);
    if (line.trimEnd() === end) break;
    lines.push(line);
  }
  return {text: lines.join('\n'), after: at};
}

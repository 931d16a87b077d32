import {stripControlSequences} from '../base/log.ts';
import type {CheckResult, Family} from '../results/results.ts';

/** Foreign text, numbers and addresses in words that people read. Pure. */

/** Foreign text without colours, control characters, marks that reorder, and what XML cannot hold; line ends and tabs stay. */
export const sanitizeText = (foreign: string): string =>
  stripControlSequences(foreign.replace(/\r\n?/g, '\n'))
    .replace(/[^\P{Cc}\n\t]/gu, '')
    .replace(/[\ufffe\uffff]/g, '')
    .replace(/\p{Cs}/gu, '\ufffd');

/** Foreign text as one line of at most so many characters. */
export const sanitizeLine = (foreign: string, most = 300): string =>
  truncate(
    sanitizeText(truncate(foreign, 10 * most))
      .replace(/\s+/g, ' ')
      .trim(),
    most
  );

/** The text's beginning, with … where more was left out. Never half a character. */
export const truncate = (text: string, most: number): string =>
  text.length <= most ? text : `${text.slice(0, most - 1).replace(/\p{Cs}$/u, '')}…`;

export interface Span {
  code: boolean;
  text: string;
}

/** What people write between backticks is code; the rest is prose. */
export const parseSpans = (text: string): Span[] =>
  text
    .split(/`([^`]+)`/)
    .map((part, index) => ({code: index % 2 === 1, text: part}))
    .filter(span => span.text !== '');

/** Seconds for people: `4 ms`, `0.31 s`, `4.2 s`, `31 s`, `4 min 12 s`. */
export function formatDuration(seconds: number): string {
  if (seconds > 0 && seconds < 0.0995) return `${Math.round(1000 * seconds)} ms`;
  if (seconds < 1) return `${Number(seconds.toFixed(2))} s`;
  if (seconds < 9.95) return `${Number(seconds.toFixed(1))} s`;
  const whole = Math.round(seconds);
  if (whole < 100) return `${whole} s`;
  const rest = whole % 60;
  return rest === 0 ? `${whole / 60} min` : `${Math.floor(whole / 60)} min ${rest} s`;
}

/** `1 check`, `2 checks`. */
export const formatCount = (number: number, noun: string): string =>
  `${number} ${noun}${number === 1 ? '' : 's'}`;

export const capitalize = (words: string): string =>
  words.replace(/^./, first => first.toUpperCase());

/** The family of `10.0.0.1`, `10.0.0.1:9000`, `fd00::1` or `[fd00::1]:9000`; null for a name. */
export function parseFamily(address: string | null): Family | null {
  const bare = (address ?? '').replace(/^\[([^\]]*)\].*$/, '$1').replace(/^::ffff:(?=\d+\.)/i, '');
  if (/^\d+(\.\d+){3}(:\d+)?$/.test(bare)) return 'ipv4';
  return /^[\da-f]*:[\da-f]*:[\da-f:.%\w]*$/i.test(bare) ? 'ipv6' : null;
}

/** The family that really carried an answer, where it is not the one that was asked. */
export function findCarryingFamily(check: CheckResult): Family | null {
  const asked = parseFamily(check.address) ?? check.family;
  const took = (check.upstream ?? '').split(', ').map(parseFamily);
  const [carried = null] = took;
  const alike = took.every(family => family === carried);
  return asked !== null && alike && asked !== carried ? carried : null;
}

/** As a sentence, for another one follows. */
export const endSentence = (message: string): string => message.replace(/[^.?!…]$/, '$&.');

/** Formats foreign text, numbers and addresses for people. */
import {stripControlSequences} from '../base/log.ts';
import type {CheckResult, Family} from '../results/results.ts';

/** Removes colours, control characters, bidirectional marks and characters that are illegal in XML; keeps line ends and tabs. */
export const sanitizeText = (foreign: string): string =>
  stripControlSequences(foreign.replace(/\r\n?/g, '\n'))
    .replace(/[^\P{Cc}\n\t]/gu, '')
    .replace(/[\ufffe\uffff]/g, '')
    .replace(/\p{Cs}/gu, '\ufffd');

/** Returns foreign text as one line of at most `most` characters. */
export const sanitizeLine = (foreign: string, most = 300): string =>
  truncate(
    sanitizeText(truncate(foreign, 10 * most))
      .replace(/\s+/g, ' ')
      .trim(),
    most
  );

/** Cuts the text to `most` characters, with … at the end, and never inside a surrogate pair. */
export const truncate = (text: string, most: number): string =>
  text.length <= most ? text : `${text.slice(0, most - 1).replace(/\p{Cs}$/u, '')}…`;

export interface Span {
  code: boolean;
  text: string;
}

/** Splits text into prose and code between backticks. */
export const parseSpans = (text: string): Span[] =>
  text
    .split(/`([^`]+)`/)
    .map((part, index) => ({code: index % 2 === 1, text: part}))
    .filter(span => span.text !== '');

/** Formats seconds: `4 ms`, `0.31 s`, `4.2 s`, `31 s`, `4 min 12 s`. */
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

/** Returns the family of `10.0.0.1`, `10.0.0.1:9000`, `fd00::1` or `[fd00::1]:9000`; null for a name. */
export function parseFamily(address: string | null): Family | null {
  const bare = (address ?? '').replace(/^\[([^\]]*)\].*$/, '$1').replace(/^::ffff:(?=\d+\.)/i, '');
  if (/^\d+(\.\d+){3}(:\d+)?$/.test(bare)) return 'ipv4';
  return /^[\da-f]*:[\da-f]*:[\da-f:.%\w]*$/i.test(bare) ? 'ipv6' : null;
}

/** Returns the family that carried an answer if it differs from the probed one, else null. */
export function findCarryingFamily(check: CheckResult): Family | null {
  const probed = parseFamily(check.address) ?? check.family;
  const used = (check.upstream ?? '').split(', ').map(parseFamily);
  const [carried = null] = used;
  const alike = used.every(family => family === carried);
  return probed !== null && alike && probed !== carried ? carried : null;
}

/** Ends the text with a full stop. */
export const endSentence = (message: string): string => message.replace(/[^.?!…]$/, '$&.');

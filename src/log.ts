import {randomUUID} from 'node:crypto';
import {stripVTControlCharacters} from 'node:util';
import * as core from '@actions/core';

/** Foreign text as one line that the runner cannot take for a command. */
export const oneLine = (text: string): string =>
  stripVTControlCharacters(text)
    .replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
    .replaceAll('##[', '# #[')
    .trim();

/** One line of progress, with the seconds since the start. */
export function say(at: number, who: string, text: string): void {
  core.info(`${at.toFixed(1).padStart(6)}s  ${who.padEnd(16)} ${oneLine(text)}`);
}

/** Foreign text in a folded group, whole, with workflow commands switched off. */
export function group(title: string, text: string): void {
  const token = randomUUID();
  core.startGroup(oneLine(title));
  core.info(`::stop-commands::${token}`);
  core.info(stripVTControlCharacters(text).replaceAll('##[', '# #[').trimEnd());
  core.info(`::${token}::`);
  core.endGroup();
}

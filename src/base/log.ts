import {randomUUID} from 'node:crypto';
import {stripVTControlCharacters} from 'node:util';
import * as core from '@actions/core';

/**
 * Text without keys, tokens and passwords, in time linear in its length: no expression can start
 * twice within one run of the characters that it repeats.
 */
export function redact(text: string): string {
  return text
    .replace(/:\/\/[^\s/?#]+@/g, '://')
    .replace(
      /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g,
      '[private key]'
    )
    .replace(/(?<![\w-])eyJ[\w-]{10,}\.[\w-]+\.[\w-]*/g, '[token]')
    .replace(
      /((?:client-key-data|token|password|private_?key|inline_?bytes)["']?\s*[:=]\s*["']?)[^\s"',]+/gi,
      '$1[removed]'
    );
}

/** Foreign text as one line that the runner cannot take for a command. */
export const oneLine = (text: string): string =>
  stripVTControlCharacters(redact(text))
    .replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
    .replaceAll('##[', '# #[')
    .trim();

/** One line of progress, with the seconds since the start. */
export function say(at: number, who: string, text: string): void {
  core.info(`${at.toFixed(1).padStart(6)}s  ${who.padEnd(20)} ${oneLine(text)}`);
}

/** Foreign text in a folded group, whole, with workflow commands switched off. */
export function group(title: string, text: string): void {
  const token = randomUUID();
  core.startGroup(oneLine(title));
  core.info(`::stop-commands::${token}`);
  core.info(stripVTControlCharacters(redact(text)).replaceAll('##[', '# #[').trimEnd());
  core.info(`::${token}::`);
  core.endGroup();
}

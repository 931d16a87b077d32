/** Builds the curl commands for downloads that recordings must contain. */

/** Limits of one download. */
export interface CurlLimits {
  /** In bytes. */
  maxBytes: number;
  /** Time limit of one try, in seconds. */
  seconds: number;
  /** Time limit for the connection, in seconds. */
  connectSeconds?: number;
  /** How many times curl retries. */
  retries?: number;
}

/** Size limit of a written file, in bytes. curl before 8.4 enforces `--max-filesize` only when the server announces the size. */
export const maxCurlFileBytes = 100_000_000;

/**
 * The command that downloads a URL to a file, or to standard output when `file` is null. An https URL redirects to
 * https only. Run it with `file: maxCurlFileBytes`.
 */
export const buildCurlCommand = (
  url: string,
  file: string | null,
  {maxBytes, seconds, connectSeconds, retries}: CurlLimits
): string[] => [
  ...['curl', '--fail', '--silent', '--show-error', '--location'],
  ...['--proto-redir', url.startsWith('https:') ? '=https' : '=http,https'],
  ...(retries === undefined ? [] : ['--retry', `${retries}`]),
  ...(connectSeconds === undefined ? [] : ['--connect-timeout', `${connectSeconds}`]),
  ...['--max-time', `${seconds}`, '--max-filesize', `${maxBytes}`],
  ...(file === null ? [] : ['--output', file]),
  url
];

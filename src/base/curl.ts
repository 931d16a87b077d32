/** What a fetch may cost. */
export interface Bounds {
  /** In bytes. */
  most: number;
  /** For one try, in seconds. */
  seconds: number;
  /** Until there is a connection, in seconds. */
  toConnect?: number;
  /** How often curl itself tries again. */
  retries?: number;
}

/** What a curl before 8.4 is held to, which knows no size that it was not told beforehand, in bytes of a file. */
export const mostWritten = 100_000_000;

/**
 * Fetches a file by curl, where a recording is to have it; into standard output where no file is named. From https it is
 * redirected to https only. It is run with `file: mostWritten`.
 */
export const curl = (
  url: string,
  file: string | null,
  {most, seconds, toConnect, retries}: Bounds
): string[] => [
  ...['curl', '--fail', '--silent', '--show-error', '--location'],
  ...['--proto-redir', url.startsWith('https:') ? '=https' : '=http,https'],
  ...(retries === undefined ? [] : ['--retry', `${retries}`]),
  ...(toConnect === undefined ? [] : ['--connect-timeout', `${toConnect}`]),
  ...['--max-time', `${seconds}`, '--max-filesize', `${most}`],
  ...(file === null ? [] : ['--output', file]),
  url
];

/** What a fetch may cost. */
export interface CurlLimits {
  /** In bytes. */
  maxBytes: number;
  /** For one try, in seconds. */
  seconds: number;
  /** Until there is a connection, in seconds. */
  connectSeconds?: number;
  /** How often curl itself tries again. */
  retries?: number;
}

/** What a curl before 8.4 is held to, which knows no size that it was not told beforehand, in bytes of a file. */
export const maxCurlFileBytes = 100_000_000;

/**
 * Fetches a file by curl, where a recording is to have it; into standard output where no file is named. From https it is
 * redirected to https only. It is run with `file: mostWritten`.
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

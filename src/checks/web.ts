/** Fetches web pages from a client pod, and parses the statuses. */
import {groupBy} from '../base/group.ts';
import {type CommandOutput, runUntilComplete} from '../base/sh.ts';
import type {Attempt} from '../results/results.ts';
import type {MeshCheckInput} from './definition.ts';
import {buildClientCommand, type Client} from './probe.ts';

/** A page to request; `via` is the address to connect to instead of the URL's host, `192.0.2.1:8443`. */
export interface Page {
  url: string;
  via?: string;
}

/** Number of requests for each page. */
const times = 3;

// all pages in parallel; curl prints 000 if there is no answer
const script = `
limit=$1 times=$2 row=0; shift 2
while [ $# -gt 0 ]; do
  { n=0
    while [ $n -lt $times ]; do
      n=$((n + 1))
      echo "$row $(curl -sk -o /dev/null -m "$limit" -w '%{http_code} %{time_total}' \${2:+--connect-to "::$2"} "$1")"
    done; } &
  row=$((row + 1)); shift 2
done
wait`;

/** Formats an address with a port for a URL: IPv6 in brackets. */
export const formatHostPort = (address: string, port: number): string =>
  `${address.includes(':') ? `[${address}]` : address}:${port}`;

/**
 * Requests each page several times from one client, without verifying certificates. An attempt has the HTTP status or
 * `no answer`. Throws CommandError if the script cannot run.
 */
export async function fetchPages(
  {sh, work, plan}: MeshCheckInput,
  client: Client,
  pages: Page[]
): Promise<Attempt[][]> {
  if (pages.length === 0) return [];
  const {seconds: limit} = plan.probes;
  const words = pages.flatMap(({url, via = ''}) => [url, via]);
  const command = [
    ...buildClientCommand(client),
    script,
    'pages',
    `${limit}`,
    `${times}`,
    ...words
  ];
  const read = ({code, stdout}: CommandOutput): Attempt[][] | null => {
    const found = parseStatuses(stdout, pages.length, work.clock());
    return code !== 0 || found.some(attempts => attempts.length === 0) ? null : found;
  };
  return runUntilComplete(sh, command, read, {seconds: limit * times + 20});
}

/** Parses lines such as `0 200 0.012` into the attempts of each page. */
function parseStatuses(text: string, pages: number, now: number): Attempt[][] {
  const answers = [...text.matchAll(/^(\d{1,6}) (\d{3}) (\d{1,6}\.\d{1,9})$/gm)].map(
    ([, row, status = '', seconds]) => ({
      row: Number(row),
      at: now,
      seconds: Number(seconds),
      observed: status === '000' ? 'no answer' : status
    })
  );
  const byRow = groupBy(answers, ({row}) => row);
  return [...Array(pages).keys()].map(row =>
    (byRow.get(row) ?? []).map(({row: _, ...attempt}) => attempt)
  );
}

/** Lists the different statuses of a page: `200`, or `200, no answer`. */
export const summarizeStatuses = (attempts: Attempt[]): string =>
  [...new Set(attempts.map(({observed}) => observed))].join(', ') || 'no answer';

/** The command that repeats the request by hand; `lookupCommand` finds the address in another cluster. */
export function reproducePage(
  {namespace, deployment, container}: Client,
  {url, via}: Page,
  address = '',
  lookupCommand?: string
): string {
  const connect = via ? ` --connect-to ::${via}` : '';
  const curl = (shown: string) =>
    `curl -sk -o /dev/null -m 3 -w "%{http_code}\\n"${connect} ${shown}`;
  const quotedCurl =
    lookupCommand === undefined ? curl(url) : curl(`"${url.replace(address, '$0')}"`);
  const found = lookupCommand === undefined ? '' : ` "$(${lookupCommand})"`;
  return `kubectl exec -n ${namespace} deploy/${deployment} -c ${container} -- sh -c '${quotedCurl}'${found}`;
}

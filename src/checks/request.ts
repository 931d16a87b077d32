/** Sends HTTP requests from a client pod, and parses the responses. */
import {groupBy} from '../base/group.ts';
import type {PhaseContext} from '../base/schedule.ts';
import {type CommandOutput, runUntilComplete, type Sh} from '../base/sh.ts';
import type {Attempt} from '../results/results.ts';
import {buildClientCommand, type Client, parseTimedLines} from './probe.ts';

/** The response of a web server. */
export interface HttpResponse {
  /** HTTP status; null: no answer. */
  status: number | null;
  /** Values by header name in lower case. */
  headers: Record<string, string>;
  /** Number of lines in the body with an Envoy metric, in Prometheus format. */
  metrics: number;
  /** Start of the request, in seconds of the run. */
  at: number;
  seconds: number;
}

// One line for each response. URLs run in parallel, the requests to one URL one after the other, until one gets no answer.
const script = `
limit=$1 times=$2 row=0; shift 2
directory=$(mktemp -d); trap 'rm -rf "$directory"' EXIT
for url in "$@"; do
  { turn=0
    while [ $turn -lt $times ]; do
      turn=$((turn + 1)); : >$directory/$row.body
      read -r start _ </proc/uptime
      head=$(curl --silent --globoff --max-time $limit --dump-header - --output $directory/$row.body "$url" | tr -d '\\r' | tr '\\n' '|')
      read -r end _ </proc/uptime
      echo "$row $start $end $(grep -c '^envoy_' $directory/$row.body) $head"
      [ "$head" ] || break
    done; } &
  row=$((row + 1))
done
wait`;

/**
 * Requests each URL up to `times` times from one client, until one gets no answer.
 * Returns the responses of each URL. Throws CommandError if the script cannot run.
 */
export async function sendRequests(
  {sh, work}: {sh: Sh; work: Pick<PhaseContext, 'clock'>},
  client: Client,
  urls: string[],
  times: number,
  seconds: number
): Promise<HttpResponse[][]> {
  const limit = Math.max(1, Math.ceil(seconds));
  const command = [
    ...buildClientCommand(client),
    script,
    'request',
    `${limit}`,
    `${times}`,
    ...urls
  ];
  const read = ({stdout}: CommandOutput): HttpResponse[][] | null => {
    const byRow = groupBy(parseResponses(stdout, work.clock()), ({row}) => row);
    const found = urls.map((_, row) => byRow.get(row) ?? []);
    return found.some(responses => responses.length === 0) ? null : found;
  };
  return runUntilComplete(sh, command, read, {seconds: times * (limit + 1) + 20});
}

/** Parses lines such as `0 12.30 12.34 0 HTTP/1.1 200 OK|server: envoy||`; `now` is the time of the last line, in seconds of the run. */
export function parseResponses(text: string, now: number): (HttpResponse & {row: number})[] {
  return parseTimedLines(text, /^(\d{1,9}) ?(.*)$/, now).map(
    ({found: [metrics, head = ''], ...timed}) => {
      const [first = '', ...lines] = head.split('|');
      const [, status] = /^HTTP\/\S+ (\d{3})/.exec(first) ?? [];
      const headers = lines.flatMap(line => {
        const [, name = '', value = ''] = /^([^:]+): *(.*)$/.exec(line) ?? [];
        return name === '' ? [] : [[name.toLowerCase(), value]];
      });
      return {
        ...timed,
        status: status === undefined ? null : Number(status),
        headers: Object.fromEntries(headers),
        metrics: Number(metrics)
      };
    }
  );
}

/** The expected value for a proxy that returns its metrics. */
export const statusWithMetrics = '200 with metrics of Envoy';

/** Formats a response as an observed value. */
export const describeResponse = ({status, metrics}: HttpResponse): string =>
  status === null ? 'no answer' : status === 200 && metrics > 0 ? statusWithMetrics : `${status}`;

/** Converts responses to the attempts of a check. */
export const toAttempts = (
  responses: HttpResponse[],
  said: (response: HttpResponse) => string
): Attempt[] => responses.map(one => ({at: one.at, seconds: one.seconds, observed: said(one)}));

/** `http://HOST:PORT/PATH`, with brackets where the host is an IPv6 address. */
export const buildUrl = (host: string, port: number, path = '/'): string =>
  `http://${host.includes(':') ? `[${host}]` : host}:${port}${path}`;

/** The command that repeats a request by hand; `lookupCommand` finds the address in another cluster. */
export function reproduceRequest(
  {namespace, deployment, container}: Client,
  url: string,
  address: string | null = null,
  lookupCommand = ''
): string {
  const curl = (shown: string) => `curl -gsi -m 3 ${shown}`;
  const quotedCurl = address === null ? curl(url) : curl(`"${url.replace(address, '$0')}"`);
  const found = address === null ? '' : ` "$(${lookupCommand})"`;
  return `kubectl exec -n ${namespace} deploy/${deployment} -c ${container} -- sh -c '${quotedCurl}'${found}`;
}

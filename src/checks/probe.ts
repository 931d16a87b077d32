/** Sends words to echo servers from a client pod, and parses the answers. */
import {groupBy} from '../base/group.ts';
import type {PhaseContext} from '../base/schedule.ts';
import {type CommandOutput, runUntilComplete, type Sh} from '../base/sh.ts';
import type {Attempt} from '../results/results.ts';

/** A word sent to an address, which an echo server answers with `hello WORD`. */
export interface Probe {
  word: string;
  address: string;
  port: number;
  /** A command that finds the address in another cluster. */
  lookupCommand?: string;
}

export interface Answer {
  /** Index of the probe. */
  row: number;
  /** First line of the answer. */
  text: string;
  /** Start of the probe, in seconds of the run. */
  at: number;
  /** Seconds until the answer arrived or the probe timed out. */
  seconds: number;
  /** Peers of the established connections to the port when the answer arrived, `fd00::6` or `10.0.0.6`. */
  peers: string[];
}

// Standard input stays open until the answer arrives: an early half-close loses plaintext answers.
// Meanwhile /proc/net/tcp shows the address that the sidecar connected to. A pipeline reads that table.
// A simple last command would replace the shell that holds the input open, and close the input at once.
// A failed probe is not repeated.
const script = `
limit=$1 times=$2 row=0; shift 2
file=$(mktemp); trap 'rm -f $file $file.*' EXIT
while [ $# -gt 0 ]; do
  word=$1 address=$2 port=$3 n=0; shift 3
  while [ $n -lt $times ]; do
    n=$((n + 1)); : >$file; : >$file.peers; rm -f $file.end
    read -r start _ </proc/uptime
    { echo "$word"
      i=0; until [ -s $file ] || [ -e $file.end ] || [ $i -ge $((limit * 50)) ]; do sleep .02; i=$((i + 1)); done
      cat /proc/net/tcp /proc/net/tcp6 | grep "$(printf ':%04X 01' $port)" >$file.peers
    } | { timeout $limit nc "$address" $port >$file 2>/dev/null; : >$file.end; }
    read -r end _ </proc/uptime
    answer=$(head -n 1 $file | cut -c 1-200)
    echo "$row $start $end $(while read -r _ _ peer _; do printf '%s,' $peer; done <$file.peers) $answer"
    [ "$answer" = "hello $word" ] || break
  done
  row=$((row + 1))
done`;

export interface Client {
  namespace: string;
  deployment: string;
  container: string;
}

/** A client without a sidecar. */
export const plainClient: Client = {namespace: 'plain', deployment: 'sleep', container: 'sleep'};

/** A client with a sidecar. */
export const meshClient: Client = {namespace: 'sleep', deployment: 'sleep', container: 'sleep'};

/** The start of a command that runs a shell script, its next argument, in a client. */
export const buildClientCommand = ({namespace, deployment, container}: Client): string[] => [
  ...['kubectl', 'exec', '--namespace', namespace, `deployment/${deployment}`],
  ...['--container', container, '--', 'sh', '-c']
];

/**
 * Sends each probe up to `times` times from one client, one after the other, until a wrong answer.
 * Returns the answers of each probe. Throws CommandError if the script cannot run.
 */
export async function sendProbes(
  {sh, work}: {sh: Sh; work: Pick<PhaseContext, 'clock'>},
  client: Client,
  probes: Probe[],
  times: number,
  seconds: number
): Promise<Answer[][]> {
  const words = probes.flatMap(({word, address, port}) => [word, address, `${port}`]);
  const limit = Math.max(1, Math.ceil(seconds));
  const command = [
    ...buildClientCommand(client),
    script,
    'probe',
    `${limit}`,
    `${times}`,
    ...words
  ];
  const read = ({stdout}: CommandOutput): Answer[][] | null => {
    const byRow = groupBy(parseAnswers(stdout, work.clock()), ({row}) => row);
    const byProbe = probes.map((_, row) => byRow.get(row) ?? []);
    const whole = byProbe.every(
      (taken, row) =>
        taken.length === times ||
        (taken.length > 0 && taken.at(-1)?.text !== `hello ${probes[row]?.word}`)
    );
    return whole ? byProbe : null;
  };
  const enough = probes.length * times * (limit + 1) + 30; // kubectl exec alone takes up to 10 s on a busy machine
  return runUntilComplete(sh, command, read, {seconds: enough});
}

export interface TimedLine {
  /** Index of the probe or request, from 0. */
  row: number;
  /** In seconds of the run. */
  at: number;
  seconds: number;
  /** The groups of the pattern in the rest of the line. */
  found: string[];
}

const timedLine = /^(\d{1,6}) (\d{1,9}\.\d\d) (\d{1,9}\.\d\d) (.*)$/;

/**
 * Parses lines of an index, two times of the node's clock, and a rest that matches `rest`: `0 12.30 12.34 …`.
 * `now` is the time of the last line, in seconds of the run. Other lines are ignored.
 */
export function parseTimedLines(text: string, rest: RegExp, now: number): TimedLine[] {
  const lines = text.split('\n').flatMap(line => {
    const [, row, start, end, more = ''] = timedLine.exec(line) ?? [];
    const [whole, ...found] = rest.exec(more) ?? [];
    return row === undefined || whole === undefined
      ? []
      : [{row: Number(row), start: Number(start), end: Number(end), found}];
  });
  const last = lines.reduce((most, {end}) => Math.max(most, end), 0);
  return lines.map(({row, start, end, found}) => ({
    row,
    at: Number(Math.max(0, now - (last - start)).toFixed(2)), // a recording replays faster than the original run
    seconds: Number(Math.max(0, end - start).toFixed(2)),
    found
  }));
}

/** Parses lines such as `0 12.30 12.34 0A00F40A:2328,… hello word`; `now` is the time of the last line, in seconds of the run. */
export function parseAnswers(text: string, now: number): Answer[] {
  return parseTimedLines(text, /^(\S*) ?(.*)$/, now).map(
    ({found: [peers = '', text = ''], ...timed}) => ({
      ...timed,
      text: text.trim(),
      peers: peers
        .split(',')
        .filter(peer => peer !== '')
        .map(parsePeer)
    })
  );
}

/** Parses an address of /proc/net/tcp or tcp6: words of four bytes, each in little-endian host order. */
export function parsePeer(text: string): string {
  const [hex = ''] = text.split(':');
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap(word => (word.match(/../g) ?? []).reverse());
  if (bytes.length === 4) return bytes.map(byte => Number.parseInt(byte, 16)).join('.');
  const groups = bytes
    .map((byte, at) => (at % 2 === 0 ? byte + bytes[at + 1] : ''))
    .filter(group => group !== '');
  const mapped = /^0000:0000:0000:0000:0000:ffff:/i.test(groups.join(':'));
  if (mapped)
    return bytes
      .slice(12)
      .map(byte => Number.parseInt(byte, 16))
      .join('.');
  const url = `http://[${groups.join(':')}]`;
  return URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : text.slice(0, 100); // URL returns the short form
}

/** Converts answers to the attempts of a check. */
export const toAttempts = (answers: Answer[]): Attempt[] =>
  answers.map(({at, seconds, text}) => ({at, seconds, observed: text}));

/** The command that repeats a probe by hand. */
export function reproduceProbe(
  {namespace, deployment, container}: Client,
  {word, address, port, lookupCommand}: Probe
): string {
  const target = lookupCommand === undefined ? address : '"$0"';
  const found = lookupCommand === undefined ? '' : ` "$(${lookupCommand})"`;
  return `kubectl exec -n ${namespace} deploy/${deployment} -c ${container} -- sh -c '(echo ${word}; sleep 1) | timeout 3 nc ${target} ${port}'${found}`;
}

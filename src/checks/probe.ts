import {groupBy} from '../base/group.ts';
import type {PhaseContext} from '../base/schedule.ts';
import {type CommandOutput, runUntilComplete, type Sh} from '../base/sh.ts';
import type {Attempt} from '../results/results.ts';

/** A word sent to an address, which an echo server answers with `hello WORD`. */
export interface Probe {
  word: string;
  address: string;
  port: number;
  /** A command that finds the address, where it is another one in the next cluster. */
  lookupCommand?: string;
}

export interface Answer {
  /** Which probe it is an answer to. */
  row: number;
  /** What came back, its first line. */
  text: string;
  /** When it was asked for, in seconds of the run. */
  at: number;
  /** Until the answer was there, or the probe was given up. */
  seconds: number;
  /** Peers of the established connections to the port while the answer was there, `fd00::6` or `10.0.0.6`. */
  peers: string[];
}

// Standard input is held until the answer is there: an early half-close loses plaintext answers,
// and while it is held /proc/net/tcp shows the address that the sidecar really took. So the table is read by a pipeline:
// a simple command, being the last, would run in place of the shell that holds the input, and close it at once.
// A probe that fails once has failed: its other turns are not taken.
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

/** Has no sidecar. */
export const plainClient: Client = {namespace: 'plain', deployment: 'sleep', container: 'sleep'};

/** Has one. */
export const meshClient: Client = {namespace: 'sleep', deployment: 'sleep', container: 'sleep'};

/** Runs a shell script, given next, in a client. */
export const buildClientCommand = ({namespace, deployment, container}: Client): string[] => [
  ...['kubectl', 'exec', '--namespace', namespace, `deployment/${deployment}`],
  ...['--container', container, '--', 'sh', '-c']
];

/**
 * Asks each address up to `times` times, one after the other, in one client; after a wrong answer no more.
 * Throws CommandError when that cannot run.
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
  const enough = probes.length * times * (limit + 1) + 30; // to get there takes 10 s where the machine is very busy
  return runUntilComplete(sh, command, read, {seconds: enough});
}

export interface TimedLine {
  /** Of what was asked, from 0. */
  row: number;
  /** In seconds of the run. */
  at: number;
  seconds: number;
  /** What a pattern has found in the rest of the line. */
  found: string[];
}

const timedLine = /^(\d{1,6}) (\d{1,9}\.\d\d) (\d{1,9}\.\d\d) (.*)$/;

/**
 * Lines that begin with a row and two times of the node's clock, `0 12.30 12.34 …`, and go on as a pattern says; the last
 * one came `now`, in seconds of the run. What is none is left out.
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
    at: Number(Math.max(0, now - (last - start)).toFixed(2)), // a recording is played faster than it was made
    seconds: Number(Math.max(0, end - start).toFixed(2)),
    found
  }));
}

/** Lines such as `0 12.30 12.34 0A00F40A:2328,… hello word`, by the node's clock; the last one came `now`. */
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

/** An address of /proc/net/tcp or tcp6: words of four bytes, each in host order, which is little-endian here. */
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
  return URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : text.slice(0, 100); // shortened as everybody writes it
}

/** Answers as the attempts of a check. */
export const toAttempts = (answers: Answer[]): Attempt[] =>
  answers.map(({at, seconds, text}) => ({at, seconds, observed: text}));

/** The command that shows a probe by hand. */
export function reproduceProbe(
  {namespace, deployment, container}: Client,
  {word, address, port, lookupCommand}: Probe
): string {
  const target = lookupCommand === undefined ? address : '"$0"';
  const found = lookupCommand === undefined ? '' : ` "$(${lookupCommand})"`;
  return `kubectl exec -n ${namespace} deploy/${deployment} -c ${container} -- sh -c '(echo ${word}; sleep 1) | timeout 3 nc ${target} ${port}'${found}`;
}

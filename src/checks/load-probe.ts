/** Runs a continuous load from a client during an upgrade, and measures what it lost. */
import {CommandError, type Sh} from '../base/sh.ts';
import type {Family, Load} from '../results/results.ts';
import {buildClientCommand, type Client} from './probe.ts';

/** An echo server's address of one family, probed for the whole load. */
export interface LoadTarget {
  family: Family;
  address: string;
  port: number;
}

/** Seconds between two probes. */
export const probeInterval = 0.2;

/** Seconds after which the load ends by itself, if nothing stops it. */
const longest = 3600;

const directory = '/tmp/dual-stack-load';

// The load continues in the client after the start command ends.
// Each line of its log is one event, with the node's clock. The events are:
// - `new FAMILY NUMBER START END ANSWER`: a new connection.
// - `put FAMILY NUMBER TIME`, `got FAMILY TIME ANSWER`: a word sent and received on the held connection.
// - `end FAMILY TIME`: the held connection was cut.
// New connections start at fixed times, so that a hanging one does not hide the others.
// Standard input stays open until the answer arrives.
// `exec` before the load: redirecting a function keeps the old output open, and kubectl would wait for it.
const start = `
limit=$1 ticks=$2; shift 2
d=${directory}; rm -rf $d; mkdir $d || exit 1
: >$d/log
once() {
  file=$d/$1.$4
  read -r start _ </proc/uptime
  { echo "$1-$4"
    i=0; until [ -s $file ] || [ -e $file.end ] || [ $i -ge $((limit * 20)) ]; do sleep .05; i=$((i + 1)); done
    read -r now _ </proc/uptime; echo $now >$file.at
  } | { timeout $limit nc "$2" $3 >$file; : >$file.end; }
  now=; answer=; read -r now <$file.at; read -r answer <$file
  echo "new $1 $4 $start $now $answer" >>$d/log
  rm -f $file $file.end $file.at
}
held() {
  connection=0
  until [ -e $d/stop ]; do
    connection=$((connection + 1))
    { word=0
      until [ -e $d/stop ]; do
        word=$((word + 1)); read -r now _ </proc/uptime
        echo "put $1 $connection-$word $now" >>$d/log
        echo "$connection-$word" || break
        sleep ${probeInterval}
      done
    } | sh -c 'echo $$ >"$0"; exec nc "$1" "$2"' $d/held.$1 "$2" $3 | while read -r answer; do
      read -r now _ </proc/uptime; echo "got $1 $now $answer" >>$d/log
    done
    read -r now _ </proc/uptime
    [ -e $d/stop ] || echo "end $1 $now" >>$d/log
    sleep .1
  done
}
all() {
  tick=$1; shift
  while [ $# -gt 0 ]; do
    if [ $tick = 0 ]; then held "$1" "$2" $3 & else once "$1" "$2" $3 $tick & fi
    shift 3
  done
}
load() {
  all 0 "$@"
  tick=0
  until [ -e $d/stop ] || [ $tick -ge $ticks ]; do
    tick=$((tick + 1)); all $tick "$@"; sleep ${probeInterval}
  done
  : >$d/stop; wait; : >$d/done
}
( exec </dev/null >/dev/null 2>&1; load "$@" ) &
i=0
while [ $# -gt 0 ]; do
  until grep -q "^got $1 " $d/log || [ $i -ge 50 ]; do sleep .1; i=$((i + 1)); done
  shift 3
done
sleep 1`;

const mark = `
[ -e ${directory}/log ] || { echo 'there is no load' >&2; exit 1; }
read -r now _ </proc/uptime; echo "mark $1 $now" >>${directory}/log`;

const wait = 'sleep "$1"';

const stop = `
d=${directory}; [ -e $d/log ] || { echo 'there is no load' >&2; exit 1; }
read -r now _ </proc/uptime; echo "mark end $now" >>$d/log; : >$d/stop
i=0; until [ -e $d/done ] || [ $i -ge $(($1 * 10 + 20)) ]; do sleep .1; i=$((i + 1)); done
[ -e $d/done ] || for file in $d/held.*; do kill $(cat $file); done 2>/dev/null
cat $d/log; rm -rf $d`;

const atLeast1 = (seconds: number): number => Math.max(1, Math.ceil(seconds));

/** The command that starts the load in a client, and ends after the first answer on each held connection. `seconds` limits a new connection. */
export const buildStartCommand = (
  client: Client,
  targets: LoadTarget[],
  seconds: number
): string[] => [
  ...[
    ...buildClientCommand(client),
    start,
    'load-start',
    `${atLeast1(seconds)}`,
    `${longest / probeInterval}`
  ],
  ...targets.flatMap(({family, address, port}) => [family, address, `${port}`])
];

/** The command that writes the start of a span into the log. */
export const buildMarkCommand = (client: Client, name: string): string[] => [
  ...[...buildClientCommand(client), mark, 'load-mark', name]
];

/** The command that waits so many seconds. The client waits, so that a replayed recording does not. */
export const buildWaitCommand = (client: Client, seconds: number): string[] => [
  ...[...buildClientCommand(client), wait, 'load-wait', `${seconds}`]
];

/** The command that stops the load, prints its log and deletes its files. */
export const buildStopCommand = (client: Client, seconds: number): string[] => [
  ...[...buildClientCommand(client), stop, 'load-stop', `${atLeast1(seconds)}`]
];

/** Stops the load and returns its log. Throws CommandError if the log cannot be read. */
export async function endLoad(client: Client, seconds: number, sh: Sh): Promise<LoadLog> {
  const command = buildStopCommand(client, seconds);
  const output = await sh(command, {seconds: seconds + 30});
  if (output.code !== 0) throw new CommandError(command, output);
  return parseLog(output.stdout);
}

/** One probe; times are seconds of the node's clock. */
interface Sent {
  at: number;
  /** Time of the expected answer; null: it never came. */
  answered: number | null;
}

/** The events of a load; times are seconds of the node's clock. */
export interface LoadLog {
  /** Start time of each span, by name. */
  marks: Record<string, number>;
  probes: {family: string; connections: Load['connections']; sent: Sent[]}[];
  cuts: {family: string; at: number}[];
}

const logLine = /^(?:(?:new|put) \S+ \S+|(?:got|mark|end) \S+) \d{1,9}\.\d\d(?: |$)/;

/** Parses the log of a load; incomplete lines are ignored. */
export function parseLog(text: string): LoadLog {
  const lines = text
    .split('\n')
    .map(line => line.trim())
    .filter(line => logLine.test(line))
    .map(line => line.split(' '));
  const of = (kind: string) => lines.filter(([first]) => first === kind);
  const families = [...new Set([...of('new'), ...of('put')].flatMap(([, family = '']) => family))];
  const answers = new Map(
    of('got').map(([, family, at, ...answer]) => [`${family} ${answer.join(' ')}`, Number(at)])
  );
  return {
    marks: Object.fromEntries(of('mark').map(([, name = '', at]) => [name, Number(at)])),
    probes: families.flatMap(family => [
      {
        family,
        connections: 'new',
        sent: of('new')
          .filter(([, one]) => one === family)
          .map(([, , number, at, end, ...answer]) => ({
            at: Number(at),
            answered: answer.join(' ') === `hello ${family}-${number}` ? Number(end) : null
          }))
      },
      {
        family,
        connections: 'held',
        sent: of('put')
          .filter(([, one]) => one === family)
          .map(([, , number, at]) => ({
            at: Number(at),
            answered: answers.get(`${family} hello ${number}`) ?? null
          }))
      }
    ]),
    cuts: of('end').map(([, family = '', at]) => ({family, at: Number(at)}))
  };
}

const ascending = (one: number, other: number): number => one - other;

/** Seconds of a period in which the client sent probes: on a busy machine the client itself pauses, which is no gap. */
function measureActiveTime(sentTimes: number[], from: number, until: number): number {
  const times = [from, ...sentTimes.filter(at => at > from && at < until), until];
  const steps = times.slice(1).map((at, index) => at - (times[index] ?? at));
  return steps.reduce((sum, step) => sum + Math.min(step, 2 * probeInterval), 0);
}

/** Summarizes the probes of one family and kind that were sent at or after `from` and before `until`. */
export function measure(
  {probes, cuts}: LoadLog,
  family: Family,
  connections: Load['connections'],
  from: number,
  until: number
): Load {
  const all = probes
    .filter(one => one.family === family && one.connections === connections)
    .flatMap(({sent}) => sent);
  const within = (at: number) => at >= from && at < until;
  const sent = all.filter(({at}) => within(at));
  const answers = all.flatMap(({answered}) => answered ?? []).filter(within);
  const times = [from, ...answers.sort(ascending), until];
  const sentTimes = all.map(({at}) => at).sort(ascending);
  const gaps = times
    .slice(1)
    .map((at, index) => measureActiveTime(sentTimes, times[index] ?? at, at));
  return {
    connections,
    sent: sent.length,
    failed: sent.filter(({answered}) => answered === null).length,
    cut:
      connections === 'held'
        ? cuts.filter(one => one.family === family && within(one.at)).length
        : 0,
    longestGap: Math.round(1000 * Math.max(...gaps, 0))
  };
}

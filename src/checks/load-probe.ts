import {CommandError, type Sh} from '../base/sh.ts';
import type {Family, Load} from '../results/results.ts';
import {buildClientCommand, type Client} from './probe.ts';

/** What is asked all the while: an echo server's address of one family. */
export interface LoadTarget {
  family: Family;
  address: string;
  port: number;
}

/** Between two probes, in seconds. */
export const probeInterval = 0.2;

/** The load ends by itself after so many seconds, should nobody be there to end it. */
const longest = 3600;

const directory = '/tmp/dual-stack-load';

// It goes on in the client when the command that starts it has ended, and writes a line for whatever happens, with the
// node's clock: `new FAMILY NUMBER START END ANSWER` of a connection, `put FAMILY NUMBER TIME` and `got FAMILY TIME ANSWER`
// of the words on the one that is held, `end FAMILY TIME` where that was cut. Connections are opened at fixed times, whatever
// became of those before: one that hangs must not hide the others. Standard input is held until the answer is there.
// `exec` before the load: a redirection of a function keeps the old output open, for which kubectl would wait.
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

/** Starts the load in a client, and ends when each held connection has been answered. `seconds` is how long a new one may take. */
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

/** Notes in the log that something begins. */
export const buildMarkCommand = (client: Client, name: string): string[] => [
  ...[...buildClientCommand(client), mark, 'load-mark', name]
];

/** Lets the load go on for so many seconds. It is the client that waits: where this is played, nobody does. */
export const buildWaitCommand = (client: Client, seconds: number): string[] => [
  ...[...buildClientCommand(client), wait, 'load-wait', `${seconds}`]
];

/** Ends the load, prints its log, and leaves nothing behind. */
export const buildStopCommand = (client: Client, seconds: number): string[] => [
  ...[...buildClientCommand(client), stop, 'load-stop', `${atLeast1(seconds)}`]
];

/** The log of a load that is ended by this. Throws CommandError where it cannot be read. */
export async function endLoad(client: Client, seconds: number, sh: Sh): Promise<LoadLog> {
  const command = buildStopCommand(client, seconds);
  const output = await sh(command, {seconds: seconds + 30});
  if (output.code !== 0) throw new CommandError(command, output);
  return parseLog(output.stdout);
}

/** One probe; times in seconds of the node's clock. */
interface Sent {
  at: number;
  /** When the right answer came; null: never. */
  answered: number | null;
}

/** What a load has seen, by the node's clock. */
export interface LoadLog {
  /** When what began. */
  marks: Record<string, number>;
  probes: {family: string; connections: Load['connections']; sent: Sent[]}[];
  cuts: {family: string; at: number}[];
}

const logLine = /^(?:(?:new|put) \S+ \S+|(?:got|mark|end) \S+) \d{1,9}\.\d\d(?: |$)/;

/** Reads the log of a load; a line that was cut off is none. */
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

/** How much of a stretch the client was asking in: on a machine that is busy it has pauses of its own, which are not the mesh's. */
function measureActiveTime(sentTimes: number[], from: number, until: number): number {
  const times = [from, ...sentTimes.filter(at => at > from && at < until), until];
  const steps = times.slice(1).map((at, index) => at - (times[index] ?? at));
  return steps.reduce((sum, step) => sum + Math.min(step, 2 * probeInterval), 0);
}

/** What became of the probes of one kind that were sent from one moment on and before another. */
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

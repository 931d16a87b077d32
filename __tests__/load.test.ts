import {spawnSync} from 'node:child_process';
import {describe, expect, test} from '@jest/globals';
import {
  buildMarkCommand,
  buildStartCommand,
  buildStopCommand,
  endLoad,
  type LoadTarget,
  measure,
  parseLog
} from '../src/checks/load-probe.ts';
import {meshClient} from '../src/checks/probe.ts';
import {fakeSh} from './fake.ts';

const targets: LoadTarget[] = [
  {family: 'ipv4', address: '10.96.63.108', port: 9001},
  {family: 'ipv6', address: 'fd00:10:96::b375', port: 9001}
];
/** What a shell in the client is given: its script, a name, and the rest. */
const inShell = (command: string[]) => command.slice(command.indexOf('-c', 8) + 1);

describe('the commands', () => {
  test('are the same from run to run, and hold nothing of the targets but as arguments', () => {
    const [script = '', ...rest] = inShell(buildStartCommand(meshClient, targets, 3));
    expect(rest).toEqual([
      ...['load-start', '3', '18000'],
      ...['ipv4', '10.96.63.108', '9001', 'ipv6', 'fd00:10:96::b375', '9001']
    ]);
    expect(script).not.toMatch(/10\.96|fd00|sleep\/sleep/);
  });

  test.each([
    ['start', buildStartCommand(meshClient, targets, 3)],
    ['mark', buildMarkCommand(meshClient, 'restart')],
    ['stop', buildStopCommand(meshClient, 3)]
  ])('%s is one that sh can read', (_, command) => {
    const [input = ''] = inShell(command);
    expect(spawnSync('sh', ['-n'], {input}).status).toBe(0);
  });

  test('a client that has no load any more is an error', async () => {
    const sh = fakeSh(() => ({code: 1, stderr: 'there is no load'}));
    await expect(endLoad(meshClient, 3, sh)).rejects.toThrow(/there is no load/);
  });
});

// as the log of a real upgrade has it, in fewer lines
const log = `put ipv4 1-1 100.00
got ipv4 100.02 hello 1-1
new ipv4 1 100.00 100.05 hello ipv4-1
mark istiod 100.10
put ipv4 1-2 100.20
got ipv4 100.21 hello 1-2
new ipv4 2 100.20 100.24 hello ipv4-2
new ipv4 4 100.60 100.64 hello ipv4-4
new ipv4 3 100.40 100.44 hello ipv4-3
put ipv4 1-3 100.40
got ipv4 100.41 hello 1-3
mark restart 100.70
put ipv4 1-4 100.80
end ipv4 100.90
new ipv4 5 100.80 101.00 
put ipv4 2-1 101.00
got ipv4 101.02 hello 2-1
new ipv4 6 101.00 101.05 hello ipv4-6
mark end 101.20
`;

describe('the log', () => {
  const {marks} = parseLog(log);
  test('tells what began when', () =>
    expect(marks).toEqual({istiod: 100.1, restart: 100.7, end: 101.2}));

  test.each([
    ['new', 'istiod', 'restart', {sent: 3, failed: 0, cut: 0, longestGap: 200}],
    ['held', 'istiod', 'restart', {sent: 2, failed: 0, cut: 0, longestGap: 290}],
    ['new', 'restart', 'end', {sent: 2, failed: 1, cut: 0, longestGap: 350}],
    ['held', 'restart', 'end', {sent: 2, failed: 1, cut: 1, longestGap: 320}]
  ] as const)('%s connections from %s to %s', (connections, from, until, expected) => {
    expect(
      measure(parseLog(log), 'ipv4', connections, marks[from] ?? 0, marks[until] ?? 0)
    ).toEqual({connections, ...expected});
  });

  test('of a family that was not asked, nothing was sent', () =>
    expect(measure(parseLog(log), 'ipv6', 'new', 100, 101)).toMatchObject({sent: 0, failed: 0}));

  test.each([
    ['another one’s word', 'new ipv4 7 1.00 1.10 hello ipv4-6'],
    ['nothing', 'new ipv4 7 1.00 4.00 '],
    ['no greeting', 'new ipv4 7 1.00 1.10 ipv4-7'],
    ['half a line', 'new ipv4 7 1.00']
  ])('%s is no answer', (_, line) => {
    expect(measure(parseLog(line), 'ipv4', 'new', 0, 10)).toMatchObject({sent: 1, failed: 1});
  });

  test('an outage is as long as it was; a pause of the client is none', () => {
    const probe = (number: number, at: number, answer: boolean) =>
      `new ipv6 ${number} ${at.toFixed(2)} ${(at + 0.03).toFixed(2)} ${answer ? `hello ipv6-${number}` : ''}`;
    const asked = [...Array(40).keys()].map(number => ({number, at: 10 + number * 0.2}));
    const gap = (lines: string[]) =>
      measure(parseLog(lines.join('\n')), 'ipv6', 'new', 10, 18).longestGap;
    const dropped = ({at}: {at: number}) => at > 12 && at < 15;
    expect(gap(asked.map(one => probe(one.number, one.at, true)))).toBe(200);
    expect(gap(asked.map(one => probe(one.number, one.at, !dropped(one))))).toBeGreaterThan(2900);
    const paused = asked.filter(one => !dropped(one));
    expect(gap(paused.map(one => probe(one.number, one.at, true)))).toBeLessThan(600);
  });
});

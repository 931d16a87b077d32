// A machine of its own for who wants to see what a run leaves: a recording's answers, as slowly as they were given, and a
// Docker that keeps what was made until it is removed, whether or not who asked for it is still there.
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';
import {answers} from './answers.mjs';
import {programs} from './play.mjs';

/** Asks the engine, and waits for it as for a program; it is gone when this is killed. */
const standIn = `#!/bin/bash
exec 3<>"/dev/tcp/127.0.0.1/$ENGINE_PORT" || exit 88
printf '%s\\0' "$(($# + 1))" "\${0##*/}" "$@" >&3
IFS= read -r code <&3 || exit 89
IFS= read -r file <&3
cat "$file.out"
cat "$file.err" >&2
exit "$code"
`;

const option = (argv, name) => argv[argv.indexOf(name) + 1] ?? '';

/** What Docker has. A container comes some time after it was asked for, even where nobody waits for it any more. */
function docker() {
  const clusters = new Map();
  const volumes = new Map();
  const left = ({rules}) => [
    ...[...clusters.keys()].map(name => `cluster ${name}`),
    ...[...volumes.keys()].map(name => `volume ${name}`),
    ...(clusters.size > 0 ? rules : []) // they go with their node
  ];
  return {clusters, volumes, rules: [], left};
}

/**
 * A machine in `directory`. `speed` is how much of the recorded time each answer takes; `chance()` a number from 0 to 1.
 * Gives what goes in front of PATH and into the environment, what is left on the machine, and how to end it.
 */
export async function startEngine(recording, directory, temp, newer, {speed, chance}) {
  const bin = path.join(directory, 'bin');
  fs.mkdirSync(bin, {recursive: true});
  for (const name of programs) fs.writeFileSync(path.join(bin, name), standIn, {mode: 0o755});
  const ask = answers(recording, {RUNNER_TEMP: temp}, newer);
  const has = docker();
  let turn = 0;
  const server = net.createServer(socket => {
    let text = '';
    socket.on('error', () => {});
    socket.on('data', async chunk => {
      text += chunk;
      const [count, ...argv] = text.split('\0');
      if (argv.length <= Number(count)) return;
      argv.length = Number(count);
      text = '';
      const answer = await answered(argv, socket);
      if (answer === null || socket.destroyed) return;
      const file = path.join(directory, `answer-${turn++}`);
      fs.writeFileSync(`${file}.out`, answer.stdout ?? '');
      fs.writeFileSync(`${file}.err`, answer.stderr ?? '');
      for (const one of answer.files ?? [])
        if (fs.existsSync(path.dirname(one.path))) fs.writeFileSync(one.path, one.text);
      socket.end(`${answer.code}\n${file}\n`);
    });
  });
  await new Promise(done => server.listen(0, '127.0.0.1', done));

  /** Whether so many milliseconds went by before who asked had gone. */
  const waited = (socket, time) =>
    new Promise(done => {
      const over = setTimeout(() => done(true), time);
      socket.on('close', () => {
        clearTimeout(over);
        done(false);
      });
    });

  async function answered(argv, socket) {
    const line = argv.join(' ');
    const name = option(argv, '--name');
    const own = ofDocker(argv, line, has);
    const answer = own ?? ask(argv) ?? {code: 1, stderr: `no recorded answer: ${line}\n`};
    const time = (answer.ms ?? 20) * speed;
    if (/^kind create cluster /.test(line) && answer.code === 0)
      return made(name, answer, time, socket);
    if (answer.code === null) {
      await waited(socket, 3_600_000); // it was killed when it was recorded
      return null;
    }
    if (!(await waited(socket, time))) return null;
    if (/^kind delete cluster /.test(line)) {
      has.clusters.delete(name);
      return {code: 0, stderr: `Deleting cluster "${name}" ...\n`};
    }
    const [, change, rule] = /( ip6?tables --wait) -[ID] (.*)/.exec(line) ?? [];
    return rule === undefined ? answer : ruled(`${change} ${rule}`, / -I /.test(line), answer);
  }

  function ruled(rule, isNew, answer) {
    has.rules = has.rules.filter(one => one !== rule).concat(isNew ? [rule] : []);
    return answer;
  }

  /** kind asks Docker for a container early on, and Docker makes it also when kind has been killed. */
  async function made(name, answer, time, socket) {
    const first = await waited(socket, time * 0.2);
    if (!first && chance() < 0.5) return null;
    if (!first) await new Promise(done => setTimeout(done, 1000 * chance()));
    has.clusters.set(name, `${'0'.repeat(60)}${process.pid % 10_000}`);
    return first && (await waited(socket, time * 0.8)) ? answer : null;
  }

  return {
    env: {ENGINE_PORT: `${server.address().port}`},
    bin,
    left: () => has.left(has),
    stop: () => server.close()
  };
}

/** What is asked of Docker's own things; null for anything else. */
function ofDocker(argv, line, {clusters, volumes}) {
  const [program, noun, verb, ...rest] = argv;
  if (line === 'kind get clusters')
    return clusters.size === 0
      ? {code: 0, stderr: 'No kind clusters found.\n'}
      : {code: 0, stdout: [...clusters.keys(), ''].join('\n')};
  if (/^docker ps .*--filter label=io\.x-k8s\.kind\.cluster=/.test(line)) {
    const id = clusters.get(/cluster=(.*)$/.exec(line)[1]);
    return {code: 0, stdout: id ? `${id}\n` : ''};
  }
  if (program !== 'docker' || noun !== 'volume') return null;
  const name = rest.at(-1);
  if (verb === 'create') volumes.set(name, volumes.get(name) ?? rest[1].replace(/^[^=]*=/, ''));
  if (!volumes.has(name)) return {code: 1, stderr: `Error: No such volume: ${name}\n`};
  const stdout = verb === 'inspect' ? `${volumes.get(name)}\n` : `${name}\n`;
  if (verb === 'rm') volumes.delete(name);
  return {code: 0, stdout};
}

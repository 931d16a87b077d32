import {spawn} from 'node:child_process';
import {once} from 'node:events';
import * as fs from 'node:fs';
import * as path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {expect, test} from '@jest/globals';
import {eachOnRunner} from './fake.ts';

const runner = eachOnRunner();
const root = path.join(import.meta.dirname, '..');
const {startEngine} = await import(path.join(root, 'rehearsal', 'engine.mjs'));

const calls = [
  {argv: ['kind', 'create', 'cluster', '--name', 'x'], code: 0, ms: 1000, stderr: 'made\n'},
  {argv: ['kind', 'delete', 'cluster', '--name', 'x'], code: 0, ms: 10},
  {argv: ['kubectl', 'get', 'a\nb'], code: 3, ms: 10, stdout: 'said'}
];

/** A machine with an engine, and how a program is asked there. */
async function machine(chance = 1) {
  const engine = await startEngine(
    {calls},
    path.join(runner.directory, 'machine'),
    runner.directory,
    false,
    {speed: 0.5, chance: () => chance}
  );
  const start = (...argv: string[]) =>
    spawn(path.join(engine.bin, argv[0] ?? ''), argv.slice(1), {
      env: {...process.env, ...engine.env}
    });
  const ask = async (...argv: string[]) => {
    const child = start(...argv);
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', chunk => {
        text += chunk;
      });
    const [code] = await once(child, 'close');
    return {code, text};
  };
  return {...engine, start, ask};
}

test('the engine answers as it was recorded, and keeps what was made until it is removed', async () => {
  const {ask, left, stop} = await machine();
  expect(await ask('kubectl', 'get', 'a\nb')).toEqual({code: 3, text: 'said'});
  expect(await ask('kind', 'create', 'cluster', '--name', 'x')).toEqual({code: 0, text: 'made\n'});
  await ask('docker', 'volume', 'create', '--label', 'a=b', 'v');
  expect(left()).toEqual(['cluster x', 'volume v']);
  expect(await ask('kind', 'get', 'clusters')).toEqual({code: 0, text: 'x\n'});
  await ask('kind', 'delete', 'cluster', '--name', 'x');
  await ask('docker', 'volume', 'rm', 'v');
  expect(left()).toEqual([]);
  stop();
});

test('a container comes although who asked for it was killed', async () => {
  const {start, left, stop} = await machine();
  const child = start('kind', 'create', 'cluster', '--name', 'x');
  await sleep(50);
  child.kill('SIGKILL');
  await once(child, 'close');
  expect(left()).toEqual([]);
  for (let turn = 0; turn < 100 && left().length === 0; turn++) await sleep(50);
  expect(left()).toEqual(['cluster x']);
  expect(fs.readdirSync(path.join(runner.directory, 'machine'))).toContain('bin');
  stop();
});

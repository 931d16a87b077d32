import {describe, expect, test} from '@jest/globals';
import {runner} from '../src/checks/runner.ts';
import {type Answer, fakeSh} from './fake.ts';
import {failures, look} from './things.ts';

const docker = 'docker version --format {{.Server.Version}}';
const kernel = 'sysctl -n net.ipv6.conf.all.disable_ipv6';
const watches = 'sysctl -n fs.inotify.max_user_watches';
const instances = 'sysctl -n fs.inotify.max_user_instances';
const healthy: Record<string, Answer> = {
  [docker]: '28.2.2\n',
  [kernel]: '0\n',
  [watches]: '524288\n',
  [instances]: '512\n'
};

describe('runner', () => {
  test('holds on a healthy machine', async () => {
    const found = await look(runner, {sh: fakeSh(healthy)});
    expect(failures(found)).toEqual({});
    expect(
      Object.fromEntries(Object.entries(found).map(([id, {observed}]) => [id, observed]))
    ).toMatchObject({
      'runner/docker/answers': 'version 28.2.2',
      'runner/kernel/ipv6': 'enabled',
      'runner/inotify/limits': '524288 watches, 512 instances'
    });
  });

  test('holds at the least that will do', async () => {
    const sh = fakeSh({...healthy, [watches]: '65536', [instances]: '128'});
    expect(failures(await look(runner, {sh}))).toEqual({});
  });

  test.each<[string, Record<string, Answer>, Record<string, string>]>([
    [
      'Docker does not answer',
      {[docker]: {code: 1, stderr: 'Cannot connect to the Docker daemon\n'}},
      {'runner/docker/answers': 'no answer: Cannot connect to the Docker daemon'}
    ],
    ['the kernel has no IPv6', {[kernel]: '1\n'}, {'runner/kernel/ipv6': 'disabled'}],
    [
      'the kernel was built without it',
      {[kernel]: {code: 255, stderr: 'cannot stat'}},
      {'runner/kernel/ipv6': 'disabled'}
    ],
    [
      'too few watches',
      {[watches]: '8192\n'},
      {'runner/inotify/limits': '8192 watches, 512 instances'}
    ],
    [
      'too few instances',
      {[instances]: '127\n'},
      {'runner/inotify/limits': '524288 watches, 127 instances'}
    ]
  ])('%s', async (_, answers, expected) => {
    expect(failures(await look(runner, {sh: fakeSh({...healthy, ...answers})}))).toEqual(expected);
  });
});

import {describe, expect, test} from '@jest/globals';
import {runner} from '../src/checks/runner.ts';
import {type Answer, fakeSh} from './fake.ts';
import {failures, look} from './things.ts';

const gibibyte = 1024 ** 3;

interface Machine {
  docker?: Answer;
  ipv6?: Answer;
  watches?: string;
  instances?: string;
  /** In bytes. */
  free?: Answer;
}
const dockerInfo = (memory: number): string =>
  JSON.stringify({ServerVersion: '28.2.2', MemTotal: memory, DockerRootDir: '/var/lib/docker'});

/** A machine that is healthy but for this. */
const machine = ({
  docker = dockerInfo(16 * gibibyte),
  ipv6 = '0\n',
  watches = '524288\n',
  instances = '512\n',
  free = `Avail\n${40 * gibibyte}\n`
}: Machine = {}) =>
  fakeSh(([program, , what]) => {
    if (program === 'docker') return docker;
    if (program === 'df') return free;
    if (what === 'net.ipv6.conf.all.disable_ipv6') return ipv6;
    return what === 'fs.inotify.max_user_watches' ? watches : instances;
  });

describe('runner', () => {
  test('holds on a healthy machine', async () => {
    const found = await look(runner, {sh: machine()});
    expect(failures(found)).toEqual({});
    expect(
      Object.fromEntries(Object.entries(found).map(([id, {observed}]) => [id, observed]))
    ).toEqual({
      'runner/docker/answers': 'version 28.2.2',
      'runner/docker/memory': '16.0 GiB',
      'runner/docker/disk': '40.0 GiB',
      'runner/kernel/ipv6': 'enabled',
      'runner/inotify/limits': '524288 watches, 512 instances'
    });
  });

  test.each([
    ['/mnt/docker', '/mnt/docker'],
    ['--files0-from=/etc/passwd', '/'],
    ['', '/']
  ])(
    'where Docker says that it keeps its data in "%s", asks for the room of %s',
    async (data, asked) => {
      const sh = machine({
        docker: JSON.stringify({ServerVersion: '28.2.2', MemTotal: gibibyte, DockerRootDir: data})
      });
      await look(runner, {sh});
      expect(sh.calls).toContain(`df --output=avail --block-size=1 ${asked}`);
    }
  );

  test('holds at the least that will do', async () => {
    const sh = machine({
      watches: '8192',
      instances: '128',
      docker: dockerInfo(3 * gibibyte),
      free: `Avail\n${4 * gibibyte}\n`
    });
    expect(failures(await look(runner, {sh}))).toEqual({});
  });

  test.each<[string, Machine, Record<string, string>]>([
    ['little memory', {docker: dockerInfo(2 * gibibyte)}, {'runner/docker/memory': '2.0 GiB'}],
    ['a full disk', {free: `Avail\n${gibibyte}\n`}, {'runner/docker/disk': '1.0 GiB'}],
    ['a disk that cannot be asked is no reason to stop', {free: {code: 1}}, {}],
    ['IPv6 is off by default, which Docker turns on for its own', {ipv6: '1\n'}, {}],
    [
      'the kernel was built without it',
      {ipv6: {code: 255, stderr: 'cannot stat'}},
      {'runner/kernel/ipv6': 'not in the kernel'}
    ],
    [
      'too few watches',
      {watches: '8191\n'},
      {'runner/inotify/limits': '8191 watches, 512 instances'}
    ],
    [
      'too few instances',
      {instances: '127\n'},
      {'runner/inotify/limits': '524288 watches, 127 instances'}
    ]
  ])('%s', async (_, given, expected) => {
    expect(failures(await look(runner, {sh: machine(given)}))).toEqual(expected);
  });

  test.each([
    // nodes, watches, instances, holds
    [1, 8192, 128, true],
    [4, 8192, 128, true],
    [5, 8192, 160, false],
    [5, 10240, 128, false],
    [5, 10240, 160, true],
    [12, 65536, 383, false]
  ])('%i nodes with %i watches and %i instances: %s', async (nodes, watches, instances, holds) => {
    const sh = machine({watches: `${watches}`, instances: `${instances}`});
    expect(Object.keys(failures(await look(runner, {sh, nodes})))).toEqual(
      holds ? [] : ['runner/inotify/limits']
    );
  });

  test('says how many it needs', async () => {
    const sh = machine({watches: '8192', instances: '128'});
    expect((await look(runner, {sh, nodes: 5}))['runner/inotify/limits']?.reason).toBe(
      '8192 watches, 128 instances; 5 nodes need 10240 and 160'
    );
  });

  test('without sysctl what it would tell is skipped, which accuses nobody', async () => {
    const sh = machine({ipv6: {code: 127, stderr: 'no such program'}, watches: '', instances: ''});
    const found = await look(runner, {sh});
    expect(failures(found)).toEqual({});
    for (const id of ['runner/kernel/ipv6', 'runner/inotify/limits'])
      expect(found[id]).toMatchObject({
        verdict: 'skipped',
        reason: expect.stringMatching(/sysctl/)
      });
  });

  test.each(['ipv6', 'watches', 'instances'] as const)(
    'a sysctl that does not answer in time accuses nobody: %s',
    async what => {
      const found = await look(runner, {sh: machine({[what]: {code: 124, timedOut: true}})});
      expect(failures(found)).toEqual({});
      expect(found['runner/kernel/ipv6']).toMatchObject({
        verdict: 'skipped',
        reason: 'sysctl timed out'
      });
    }
  );

  test.each<[string, Answer]>([
    [
      'its client knows of itself only',
      {code: 1, stdout: '{"ServerVersion": ""}', stderr: 'Cannot connect to the Docker daemon\n'}
    ],
    ['it is not there', {code: 127, stderr: 'Cannot connect to the Docker daemon\n'}]
  ])('Docker does not answer: %s', async (_, docker) => {
    const found = await look(runner, {sh: machine({docker})});
    expect(failures(found)).toEqual({
      'runner/docker/answers': 'no response: Cannot connect to the Docker daemon'
    });
    expect(Object.keys(found)).not.toContain('runner/docker/memory'); // nothing was reached
  });
});

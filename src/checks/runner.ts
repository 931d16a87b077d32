import {type Checks, compare, type Preflight, row} from './row.ts';

const files = {
  docker: ['docker', 'version', '--format', '{{.Server.Version}}'],
  kernel: ['sysctl', '-n', 'net.ipv6.conf.all.disable_ipv6'],
  watches: ['sysctl', '-n', 'fs.inotify.max_user_watches'],
  instances: ['sysctl', '-n', 'fs.inotify.max_user_instances']
};

// below these, kind's nodes fail in odd ways; kind's own documentation asks for 524288 and 512
const leastWatches = 65536;
const leastInstances = 128;

/** The machine that the cluster will run on. */
export const runner: Checks<Preflight> = {
  layer: 'runner',
  rows: [
    row('runner', 'runner/docker/answers', 'Docker answers', 'a server version'),
    row('runner', 'runner/kernel/ipv6', 'The kernel has IPv6', 'enabled', {family: 'ipv6'}),
    row(
      'runner',
      'runner/inotify/limits',
      'inotify limits suffice',
      `at least ${leastWatches} watches and ${leastInstances} instances`
    )
  ],
  look: async ({sh, tell}) => {
    const [docker, kernel, watches, instances] = await Promise.all([
      sh(files.docker, {seconds: 20}),
      sh(files.kernel, {seconds: 5}),
      sh(files.watches, {seconds: 5}),
      sh(files.instances, {seconds: 5})
    ]);
    const answers = docker.code === 0;
    const said = (answers ? docker.stdout : docker.stderr).trim();
    tell('runner/docker/answers', {
      observed: answers ? `version ${said}` : `no answer: ${said}`,
      verdict: answers ? 'passed' : 'failed',
      reason: answers ? null : `Docker does not answer: ${said}`,
      reproduce: files.docker.slice(0, 2).join(' ')
    });
    tell(
      'runner/kernel/ipv6',
      compare('enabled', kernel.stdout.trim() === '0' ? 'enabled' : 'disabled', {
        reproduce: files.kernel.join(' ')
      })
    );
    const enough =
      Number(watches.stdout) >= leastWatches && Number(instances.stdout) >= leastInstances;
    const observed = `${watches.stdout.trim()} watches, ${instances.stdout.trim()} instances`;
    tell('runner/inotify/limits', {
      observed,
      verdict: enough ? 'passed' : 'failed',
      reason: enough ? null : `inotify allows ${observed}`,
      reproduce: 'sysctl fs.inotify'
    });
  }
};

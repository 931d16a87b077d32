/** Checks of the machine that runs the cluster: Docker, IPv6, memory, disk, inotify. */
import {parseJsonObject} from '../base/json.ts';
import {
  defineCheck,
  type LayerChecks,
  type Outcome,
  type PreflightInput,
  skip
} from './definition.ts';

const commands = {
  docker: ['docker', 'info', '--format', '{{json .}}'],
  kernel: ['sysctl', '-n', 'net.ipv6.conf.all.disable_ipv6'],
  watches: ['sysctl', '-n', 'fs.inotify.max_user_watches'],
  instances: ['sysctl', '-n', 'fs.inotify.max_user_instances']
};

/** The parts of `docker info` that the checks read. */
interface DockerInfo {
  ServerVersion?: string;
  MemTotal?: number;
  DockerRootDir?: string;
}

// Below these limits, kind's nodes fail without a clear error. Measured: a control plane uses 27 instances and 257 watches,
// a worker 14 and 133. All processes of one user ID share the limits.
const leastWatches = (nodes: number) => Math.max(8192, 2048 * nodes);
const leastInstances = (nodes: number) => Math.max(128, 32 * nodes);
// measured: a cluster with the mesh uses 2.5 GiB of memory and 3 GiB of disk
const leastMemory = 3;
const leastDisk = 4;
const gibibyte = 1024 ** 3;

const ids = {
  docker: 'runner/docker/answers',
  memory: 'runner/docker/memory',
  disk: 'runner/docker/disk',
  ipv6: 'runner/kernel/ipv6',
  inotify: 'runner/inotify/limits'
};

/** The checks of the runner. */
export const runner: LayerChecks<PreflightInput> = {
  layer: 'runner',
  attribution: {
    class: 'infrastructure',
    hint: 'Check the runner: it does not meet a requirement of kind.',
    headline: family => `The runner does not support ${family || 'dual-stack'}`
  },
  definitions: [
    defineCheck('runner', ids.docker, 'The Docker server responds', 'a server version', {
      attribution: {
        hint: 'Start Docker, or give this user access to its socket (`DOCKER_HOST`).',
        headline: 'The Docker server does not respond'
      }
    }),
    defineCheck('runner', ids.memory, 'Docker has enough memory', `at least ${leastMemory} GiB`, {
      attribution: {
        hint: 'Use a larger runner, or give Docker more memory.',
        headline: 'Docker has too little memory'
      }
    }),
    defineCheck('runner', ids.disk, 'Docker has enough disk space', `at least ${leastDisk} GiB`, {
      attribution: {
        hint: 'Free disk space in the data directory of Docker (`docker system df`).',
        headline: 'Docker has too little disk space'
      }
    }),
    defineCheck('runner', ids.ipv6, 'The kernel supports IPv6', 'in the kernel', {
      family: 'ipv6',
      attribution: {
        hint: 'Boot a kernel that supports IPv6, without `ipv6.disable=1`.',
        headline: 'The runner’s kernel does not support IPv6'
      }
    }),
    defineCheck(
      'runner',
      ids.inotify,
      'The inotify limits are high enough',
      `at least ${leastWatches(1)} watches and ${leastInstances(1)} instances; more for more than 4 nodes`,
      {
        attribution: {
          hint: 'Raise the limits: `sysctl -w fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512`.',
          headline: 'The runner’s inotify limits are too low'
        }
      }
    )
  ],
  run: async ({sh, report, nodes}) => {
    const [docker, kernel, watches, instances] = await Promise.all([
      sh(commands.docker, {seconds: 20}),
      sh(commands.kernel, {seconds: 5}),
      sh(commands.watches, {seconds: 5}),
      sh(commands.instances, {seconds: 5})
    ]);
    const info = parseJsonObject<DockerInfo>(docker.stdout); // without a server, the client still prints its own data
    const said = info.ServerVersion
      ? `version ${info.ServerVersion}`
      : `no response: ${docker.stderr.trim()}`;
    report(ids.docker, judge(said, Boolean(info.ServerVersion), 'docker info'));
    if (info.ServerVersion) {
      report(ids.memory, atLeast(leastMemory, (info.MemTotal ?? 0) / gibibyte, 'docker info'));
      const {DockerRootDir: data = ''} = info;
      const df = ['df', '--output=avail', '--block-size=1', /^\//.test(data) ? data : '/'];
      const [, free] = (await sh(df, {seconds: 5})).stdout.trim().split('\n');
      report(ids.disk, atLeast(leastDisk, Number(free) / gibibyte, df.join(' ')));
    }
    const unasked =
      kernel.code === 127
        ? 'sysctl is not on PATH'
        : [kernel, watches, instances].some(({timedOut}) => timedOut)
          ? 'sysctl timed out'
          : null;
    if (unasked !== null) {
      for (const id of [ids.ipv6, ids.inotify]) report(id, skip(unasked));
      return;
    }
    // Only a kernel without IPv6, or with ipv6.disable=1, lacks this key. Its value does not matter: Docker enables IPv6
    // for its own bridges and containers (measured with `all.disable_ipv6=1`).
    report(
      ids.ipv6,
      judge(
        kernel.code !== 0
          ? 'not in the kernel'
          : kernel.stdout.trim() === '0'
            ? 'enabled'
            : 'in the kernel, off by default',
        kernel.code === 0,
        commands.kernel.join(' ')
      )
    );
    const [w, i] = [Number(watches.stdout), Number(instances.stdout)];
    const enough = w >= leastWatches(nodes) && i >= leastInstances(nodes);
    const limits = `${w} watches, ${i} instances`;
    report(ids.inotify, {
      ...judge(limits, enough, 'sysctl fs.inotify'),
      reason: enough
        ? null
        : `${limits}; ${nodes} node${nodes === 1 ? ' needs' : 's need'} ${leastWatches(nodes)} and ${leastInstances(nodes)}`
    });
  }
};

const judge = (observed: string, passed: boolean, reproduce: string): Outcome => ({
  observed,
  verdict: passed ? 'passed' : 'failed',
  reason: passed ? null : observed,
  reproduce
});

const atLeast = (least: number, found: number, reproduce: string): Outcome =>
  judge(
    Number.isNaN(found) ? 'unknown' : `${found.toFixed(1)} GiB`,
    Number.isNaN(found) || found >= least,
    reproduce
  );

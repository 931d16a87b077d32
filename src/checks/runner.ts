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

/** What we look at of `docker info`. */
interface DockerInfo {
  ServerVersion?: string;
  MemTotal?: number;
  DockerRootDir?: string;
}

// Below these, kind's nodes fail in odd ways. Measured: 27 instances and 257 watches of a control plane, 14 and 133 of a
// worker, so that the kernel's defaults do for a few nodes; all users of one number on the machine share them
const leastWatches = (nodes: number) => Math.max(8192, 2048 * nodes);
const leastInstances = (nodes: number) => Math.max(128, 32 * nodes);
// a cluster with the mesh took 2.5 GiB of memory and 3 GiB of disk
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

/** The machine that the cluster will run on. */
export const runner: LayerChecks<PreflightInput> = {
  layer: 'runner',
  attribution: {
    class: 'infrastructure',
    hint: 'The machine lacks something that kind needs.',
    headline: family => `The runner is not fit for ${family || 'dual-stack'}`
  },
  definitions: [
    defineCheck('runner', ids.docker, 'Docker answers', 'a server version', {
      attribution: {
        hint: 'Start Docker, or let this user reach its socket (`DOCKER_HOST`).',
        headline: 'Docker does not answer'
      }
    }),
    defineCheck('runner', ids.memory, 'Docker has memory enough', `at least ${leastMemory} GiB`, {
      attribution: {
        hint: 'Take a larger runner, or give Docker more memory.',
        headline: 'Docker has too little memory'
      }
    }),
    defineCheck('runner', ids.disk, 'Docker has disk enough', `at least ${leastDisk} GiB`, {
      attribution: {
        hint: 'Make room where Docker keeps its data (`docker system df`).',
        headline: 'Docker has too little disk'
      }
    }),
    defineCheck('runner', ids.ipv6, 'The kernel has IPv6', 'in the kernel', {
      family: 'ipv6',
      attribution: {
        hint: 'Start the machine without `ipv6.disable=1`, with a kernel that has IPv6.',
        headline: 'The runner’s kernel has no IPv6'
      }
    }),
    defineCheck(
      'runner',
      ids.inotify,
      'inotify limits suffice',
      `at least ${leastWatches(1)} watches and ${leastInstances(1)} instances; more for more than 4 nodes`,
      {
        attribution: {
          hint: 'Raise them: `sysctl -w fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512`.',
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
    const info = parseJsonObject<DockerInfo>(docker.stdout); // the client prints what it knows of itself even when no server answers
    const said = info.ServerVersion
      ? `version ${info.ServerVersion}`
      : `no answer: ${docker.stderr.trim()}`;
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
        ? 'there is no sysctl on PATH to ask'
        : [kernel, watches, instances].some(({timedOut}) => timedOut)
          ? 'sysctl did not answer in time' // which says nothing of what it was asked
          : null;
    if (unasked !== null) {
      for (const id of [ids.ipv6, ids.inotify]) report(id, skip(unasked));
      return;
    }
    // where interfaces have it off by default Docker turns it on for its bridges and containers (measured: they reach
    // each other with `all.disable_ipv6=1`); a kernel without IPv6, or started with ipv6.disable=1, has no such key
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

import {type Checks, compare, type Finding, type Preflight, row, skip} from './row.ts';

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

// below these, kind's nodes fail in odd ways; kind's own documentation asks for 524288 and 512
const leastWatches = 65536;
const leastInstances = 128;
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
export const runner: Checks<Preflight> = {
  layer: 'runner',
  blame: {
    class: 'infrastructure',
    hint: 'The machine lacks something that kind needs.',
    headline: family => `The runner is not fit for ${family || 'dual-stack'}`
  },
  rows: [
    row('runner', ids.docker, 'Docker answers', 'a server version', {
      blame: {
        hint: 'Start Docker, or let this user reach its socket (`DOCKER_HOST`).',
        headline: 'Docker does not answer'
      }
    }),
    row('runner', ids.memory, 'Docker has memory enough', `at least ${leastMemory} GiB`, {
      blame: {
        hint: 'Take a larger runner, or give Docker more memory.',
        headline: 'Docker has too little memory'
      }
    }),
    row('runner', ids.disk, 'Docker has disk enough', `at least ${leastDisk} GiB`, {
      blame: {
        hint: 'Make room where Docker keeps its data (`docker system df`).',
        headline: 'Docker has too little disk'
      }
    }),
    row('runner', ids.ipv6, 'The kernel has IPv6', 'enabled', {
      family: 'ipv6',
      blame: {
        hint: 'Enable IPv6: `sysctl -w net.ipv6.conf.all.disable_ipv6=0`.',
        headline: 'The runner’s kernel has IPv6 disabled'
      }
    }),
    row(
      'runner',
      ids.inotify,
      'inotify limits suffice',
      `at least ${leastWatches} watches and ${leastInstances} instances`,
      {
        blame: {
          hint: 'Raise them: `sysctl -w fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512`.',
          headline: 'The runner’s inotify limits are too low'
        }
      }
    )
  ],
  look: async ({sh, tell}) => {
    const [docker, kernel, watches, instances] = await Promise.all([
      sh(commands.docker, {seconds: 20}),
      sh(commands.kernel, {seconds: 5}),
      sh(commands.watches, {seconds: 5}),
      sh(commands.instances, {seconds: 5})
    ]);
    const info = readInfo(docker.stdout);
    const said = info.ServerVersion
      ? `version ${info.ServerVersion}`
      : `no answer: ${docker.stderr.trim()}`;
    tell(ids.docker, judge(said, Boolean(info.ServerVersion), 'docker info'));
    if (info.ServerVersion) {
      tell(ids.memory, atLeast(leastMemory, (info.MemTotal ?? 0) / gibibyte, 'docker info'));
      const df = ['df', '--output=avail', '--block-size=1', info.DockerRootDir ?? '/'];
      const [, free] = (await sh(df, {seconds: 5})).stdout.trim().split('\n');
      tell(ids.disk, atLeast(leastDisk, Number(free) / gibibyte, df.join(' ')));
    }
    const unasked =
      kernel.code === 127
        ? 'there is no sysctl on PATH to ask'
        : [kernel, watches, instances].some(({late}) => late)
          ? 'sysctl did not answer in time' // which says nothing of what it was asked
          : null;
    if (unasked !== null) {
      for (const id of [ids.ipv6, ids.inotify]) tell(id, skip(unasked));
      return;
    }
    const ipv6 = kernel.stdout.trim() === '0' ? 'enabled' : 'disabled';
    tell(ids.ipv6, compare('enabled', ipv6, {reproduce: commands.kernel.join(' ')}));
    const [w, i] = [Number(watches.stdout), Number(instances.stdout)];
    tell(
      ids.inotify,
      judge(
        `${w} watches, ${i} instances`,
        w >= leastWatches && i >= leastInstances,
        'sysctl fs.inotify'
      )
    );
  }
};

/** Docker's client prints what it knows of itself even when no server answers. */
function readInfo(text: string): DockerInfo {
  try {
    return JSON.parse(text) as DockerInfo;
  } catch {
    return {};
  }
}

const judge = (observed: string, passed: boolean, reproduce: string): Finding => ({
  observed,
  verdict: passed ? 'passed' : 'failed',
  reason: passed ? null : observed,
  reproduce
});

const atLeast = (least: number, found: number, reproduce: string): Finding =>
  judge(
    Number.isNaN(found) ? 'unknown' : `${found.toFixed(1)} GiB`,
    Number.isNaN(found) || found >= least,
    reproduce
  );

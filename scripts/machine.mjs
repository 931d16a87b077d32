// Counts what a run may leave on this machine.
import {spawnSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';

/** The lines that a docker command prints; none where it fails. */
const docker = (...args) =>
  (spawnSync('docker', args, {encoding: 'utf8', timeout: 60_000}).stdout ?? '')
    .split('\n')
    .filter(line => line !== '');

/** The processes that nobody waits for: their parent has ended, or is the first process. */
const orphans = () =>
  fs.readdirSync('/proc').filter(entry => {
    if (!/^\d+$/.test(entry)) return false;
    try {
      return / \S 1 /.test(fs.readFileSync(`/proc/${entry}/stat`, 'utf8').replace(/.*\)/, ')'));
    } catch {
      return false; // ended in the meantime
    }
  });

const megabytes = bytes => Math.round(bytes / 2 ** 20);

/** The memory that a new program could have, by the kernel's own estimate. */
function memory() {
  const [, kilobytes] = /^MemAvailable:\s+(\d+) kB/m.exec(fs.readFileSync('/proc/meminfo', 'utf8'));
  return megabytes(Number(kilobytes) * 1024);
}

function disk() {
  const {bavail, bsize} = fs.statfsSync('/');
  return megabytes(bavail * bsize);
}

/** {containers, networks, volumes, orphans, temporaryFiles: counts; memoryMegabytes, diskMegabytes: what is free}. */
export const machineNow = () => ({
  containers: docker('ps', '-aq').length,
  networks: docker('network', 'ls', '-q').length,
  volumes: docker('volume', 'ls', '-q').length,
  orphans: orphans().length,
  temporaryFiles: fs.readdirSync(os.tmpdir()).length,
  memoryMegabytes: memory(),
  diskMegabytes: disk()
});

import * as path from 'node:path';
import {curl, mostWritten} from '../base/curl.ts';
import {mirrored, shownUrl, wrongChecksum} from '../base/download.ts';
import {Fault} from '../base/fault.ts';
import {ownDirectory} from '../base/safe-fs.ts';
import {CommandError, runOrThrow, type Sh} from '../base/sh.ts';
import type {Plan} from '../plan/plan.ts';
import {gatewayApi, gatewayCrdUrl} from '../versions/pins.ts';

const folder = 'gateway-api';

/** In bytes; none of them has a megabyte. */
const most = 5_000_000;

/** Fetches a CRD. */
export const fetchCommand = (file: string, url: string): string[] =>
  curl(url, file, {most, seconds: 60, retries: 2});

export const gatewayCrdsCommand = ({directory}: Pick<Plan, 'directory'>): string[] => [
  ...['kubectl', 'create', '-f', path.join(directory, folder)]
];

/** Fetches the CRDs of the Gateway API into the run's directory, and holds them to their checksums. */
export async function fetchGatewayCrds(
  {directory}: Pick<Plan, 'directory'>,
  mirror: string | null,
  sh: Sh
): Promise<void> {
  const own = path.join(directory, folder);
  await ownDirectory(own, 0o700);
  await Promise.all(
    Object.entries(gatewayApi.crds).map(async ([name, expected]) => {
      const url = mirrored(gatewayCrdUrl(name), mirror);
      const file = path.join(own, `${name}.yaml`);
      const {code, stderr} = await sh(fetchCommand(file, url), {seconds: 200, file: mostWritten});
      if (code !== 0) throw unreachable(url, stderr);
      const [found = ''] = (await runOrThrow(sh, ['sha256sum', file])).split(/\s/);
      if (found !== expected) throw wrongChecksum(url, expected, found);
    })
  );
}

const unreachable = (url: string, said: string): Fault =>
  new Fault(
    `${shownUrl(url)}, a CRD of the Gateway API, could not be fetched: ${said.trim().slice(-500)}`,
    {
      class: 'infrastructure',
      layer: 'runner',
      hint: 'See whether the runner reaches that host; `mirror` names another place to fetch from, and `checks: !^(gateway/api|ambient/waypoint)` does without.',
      reproduce: `curl -fsSLO ${shownUrl(url)}`
    }
  );

/** Creates them; those that are there already stay as they are. */
export async function createGatewayCrds(plan: Pick<Plan, 'directory'>, sh: Sh): Promise<void> {
  const command = gatewayCrdsCommand(plan);
  const output = await sh(command, {seconds: 120});
  const others = output.stderr.split('\n').filter(line => !/^$|AlreadyExists/.test(line));
  if (output.code !== 0 && others.length > 0) throw new CommandError(command, output);
}

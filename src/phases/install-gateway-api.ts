/** Downloads and creates the CRDs of the Gateway API. */
import * as path from 'node:path';
import {buildCurlCommand, maxCurlFileBytes} from '../base/curl.ts';
import {createChecksumFault, getMirroredUrl, redactUrl} from '../base/download.ts';
import {Fault} from '../base/fault.ts';
import {ensureDirectory} from '../base/safe-fs.ts';
import {CommandError, runOrThrow, type Sh} from '../base/sh.ts';
import type {Plan} from '../plan/plan.ts';
import {gatewayApi, getGatewayCrdUrl} from '../versions/pins.ts';

const crdsFolder = 'gateway-api';

/** In bytes; each CRD has less than a megabyte. */
const maxCrdBytes = 5_000_000;

/** The command that downloads a CRD. */
export const buildFetchCommand = (file: string, url: string): string[] =>
  buildCurlCommand(url, file, {maxBytes: maxCrdBytes, seconds: 60, retries: 2});

export const buildCreateGatewayCrdsCommand = ({directory}: Pick<Plan, 'directory'>): string[] => [
  ...['kubectl', 'create', '-f', path.join(directory, crdsFolder)]
];

/** Downloads the CRDs of the Gateway API into the run's directory, and verifies their checksums. Throws a Fault. */
export async function fetchGatewayCrds(
  {directory}: Pick<Plan, 'directory'>,
  mirror: string | null,
  sh: Sh
): Promise<void> {
  const own = path.join(directory, crdsFolder);
  await ensureDirectory(own, 0o700);
  await Promise.all(
    Object.entries(gatewayApi.crds).map(async ([name, expected]) => {
      const url = getMirroredUrl(getGatewayCrdUrl(name), mirror);
      const file = path.join(own, `${name}.yaml`);
      const {code, stderr} = await sh(buildFetchCommand(file, url), {
        seconds: 200,
        file: maxCurlFileBytes
      });
      if (code !== 0) throw createUnreachableFault(url, stderr);
      const [found = ''] = (await runOrThrow(sh, ['sha256sum', file])).split(/\s/);
      if (found !== expected) throw createChecksumFault(url, expected, found);
    })
  );
}

const createUnreachableFault = (url: string, stderr: string): Fault =>
  new Fault(
    `${redactUrl(url)}, a CRD of the Gateway API, could not be downloaded: ${stderr.trim().slice(-500)}`,
    {
      class: 'infrastructure',
      layer: 'runner',
      hint: 'Check that the runner can reach that host. Set `mirror` to download from another host, or `checks: !^(gateway/api|ambient/waypoint)` to skip the checks that need it.',
      reproduce: `curl -fsSLO ${redactUrl(url)}`
    }
  );

/** Creates the CRDs. Leaves existing ones unchanged. Throws CommandError. */
export async function createGatewayCrds(plan: Pick<Plan, 'directory'>, sh: Sh): Promise<void> {
  const command = buildCreateGatewayCrdsCommand(plan);
  const output = await sh(command, {seconds: 120});
  const others = output.stderr.split('\n').filter(line => !/^$|AlreadyExists/.test(line));
  if (output.code !== 0 && others.length > 0) throw new CommandError(command, output);
}

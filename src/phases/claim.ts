/** Reserves a cluster name, so that two runs on one Docker host never create the same cluster. */
import {createInputFault, type Fault} from '../base/fault.ts';
import {CommandError, runOrThrow, type Sh} from '../base/sh.ts';

// kind checks the name, pulls its image, creates the containers, and deletes by name on failure. Of two runs that start
// together, one may delete the cluster of the other. Docker creates a volume of a name once and keeps the labels of the
// first creator, which identify the owner. A volume needs no image.
const claimLabel = 'dual-stack-check.claim';

/** The volume that reserves a name while its cluster is being created. A leftover belongs to an interrupted run. */
export const getClaimVolumeName = (name: string): string => `${name}.dual-stack-check-claim`;

const buildClaimCommand = (name: string, token: string): string[] => [
  ...['docker', 'volume', 'create', '--label', `${claimLabel}=${token}`, getClaimVolumeName(name)]
];
const buildOwnerCommand = (name: string): string[] => [
  ...[
    'docker',
    'volume',
    'inspect',
    '--format',
    `{{index .Labels "${claimLabel}"}}`,
    getClaimVolumeName(name)
  ]
];

/** Reserves a name for the owner of this token on this Docker host. Throws a Fault if another owner has it. */
export async function claimName(name: string, token: string, sh: Sh): Promise<void> {
  for (let again = 3; ; again--) {
    await runOrThrow(sh, buildClaimCommand(name, token), {seconds: 60});
    const owner = await sh(buildOwnerCommand(name), {seconds: 60});
    if (owner.code === 0 && owner.stdout.trim() === token) return;
    if (owner.code === 0) throw createNameClaimedFault(name);
    if (again === 0) throw new CommandError(buildOwnerCommand(name), owner); // the other owner released it in between
  }
}

/** Releases a name, unless another owner has claimed it. */
export async function releaseName(name: string, token: string, sh: Sh): Promise<void> {
  const owner = await sh(buildOwnerCommand(name), {seconds: 60});
  if (owner.code === 0 && owner.stdout.trim() === token)
    await sh(['docker', 'volume', 'rm', getClaimVolumeName(name)], {seconds: 60});
}

const createNameClaimedFault = (name: string): Fault =>
  createInputFault(
    `Invalid \`cluster-name\` "${name}": another run on this Docker host is creating a cluster of that name. Set another name, or leave it empty. If no other run is active, an interrupted one left the claim: \`docker volume rm ${getClaimVolumeName(name)}\` frees the name`
  );

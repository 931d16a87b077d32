import {createInputFault, type Fault} from '../base/fault.ts';
import {CommandError, runOrThrow, type Sh} from '../base/sh.ts';

// kind looks whether a name is free, pulls its image, makes the containers, and deletes by name when that fails: two that
// start at once may both find it free, and one then deletes the other's. Docker makes one volume of a name, and gives it
// to everyone else who asks for it, with the labels of the first: they tell whose it is. It needs no image.
const claimLabel = 'dual-stack-check.claim';

/** The volume that stands for a name while its cluster is being made; one that is left over was a run's that was cut off. */
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

/** Takes a name for the one who has this token, for all who ask the same Docker. Throws a Fault when somebody else has it. */
export async function claimName(name: string, token: string, sh: Sh): Promise<void> {
  for (let again = 3; ; again--) {
    await runOrThrow(sh, buildClaimCommand(name, token), {seconds: 60});
    const owner = await sh(buildOwnerCommand(name), {seconds: 60});
    if (owner.code === 0 && owner.stdout.trim() === token) return;
    if (owner.code === 0) throw createNameClaimedFault(name);
    if (again === 0) throw new CommandError(buildOwnerCommand(name), owner); // else its owner has released it in between
  }
}

/** Gives a name back; somebody else's claim stays. */
export async function releaseName(name: string, token: string, sh: Sh): Promise<void> {
  const owner = await sh(buildOwnerCommand(name), {seconds: 60});
  if (owner.code === 0 && owner.stdout.trim() === token)
    await sh(['docker', 'volume', 'rm', getClaimVolumeName(name)], {seconds: 60});
}

const createNameClaimedFault = (name: string): Fault =>
  createInputFault(
    `cluster-name: found "${name}", of which another run on this Docker host is making a cluster; accepted is a name that is free, or none (where no other run is under way, one was cut off: \`docker volume rm ${getClaimVolumeName(name)}\` frees the name)`
  );

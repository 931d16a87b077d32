import {Fault} from '../fault.ts';
import type {ImageUser, Plan} from '../plan.ts';
import type {Sh} from '../sh.ts';

/** The images that the local Docker has, of those that are given. */
export async function localImages(names: string[], sh: Sh): Promise<string[]> {
  const found = await Promise.all(
    names.map(name =>
      sh(['docker', 'image', 'inspect', '--format', '{{.Id}}', name], {seconds: 30})
    )
  );
  return names.filter((_, at) => found[at]?.code === 0);
}

export const imagesFor = ({images}: Plan, user: ImageUser): string[] =>
  images.filter(image => image.user === user).map(({name}) => name);

export const saveCommand = (images: string[]): string[] => ['docker', 'save', ...images];

// not `kind load`: it asks for all platforms, which a pulled multi-platform image does not have
export const importCommand = (node: string): string[] => [
  'docker',
  'exec',
  '--interactive',
  node,
  'ctr',
  '--namespace=k8s.io',
  'images',
  'import',
  '--snapshotter=overlayfs',
  '-'
];

/** Streams images from the local Docker into every node. */
export async function streamImages(images: string[], nodes: string[], sh: Sh): Promise<void> {
  if (images.length === 0) return;
  for (const node of nodes) {
    const {code, stderr} = await sh(saveCommand(images), {into: importCommand(node), seconds: 600});
    if (code !== 0)
      throw new Fault(
        `${images.join(', ')} could not be streamed into ${node}: ${stderr.trim().slice(-1000)}`,
        {
          class: 'infrastructure',
          layer: 'node',
          hint: 'See whether the image is whole (`docker save` alone) and whether the disk is full.',
          reproduce: `${saveCommand(images).join(' ')} | ${importCommand(node).join(' ')}`
        }
      );
  }
}

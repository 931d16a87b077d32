/** Preloads images of the local Docker into the nodes, and pulls the others. */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import {Fault} from '../base/fault.ts';
import {normalizeImageName, parseImage} from '../base/image.ts';
import {parseJsonObject} from '../base/json.ts';
import type {CommandOutput, Sh} from '../base/sh.ts';
import {buildPullWithLoginCommand, type Logins} from './logins.ts';

/** Where a node mounts the directory with the image archives, read-only. */
export const nodeImagesDirectory = '/mnt/dual-stack-images';

/** The directory that the nodes mount, so that archives do not pass through Docker a second time. */
export const getImagesDirectory = (directory: string): string => path.join(directory, 'images');

/** Image → its id; unknown ids are missing. */
export type ImageIds = Map<string, string>;

/** Image, as the pods name it → its name in the local Docker, and its id. */
export type LocalImages = Map<string, {name: string; id: string}>;

/**
 * The images that the local Docker has, by their own name or else by their other one. Omits an image with a digest: an
 * archive cannot name it, and the registry has the same one.
 */
export async function findLocalImages(
  images: string[],
  otherNames: Record<string, string>,
  sh: Sh
): Promise<LocalImages> {
  const inspect = async (name: string) => {
    const command = ['docker', 'image', 'inspect', '--format', '{{.Id}}', name];
    const {code, stdout} = await sh(command, {seconds: 30});
    return code === 0 ? [{name, id: stdout.trim()}] : [];
  };
  const tagged = images.filter(name => parseImage(name).digest === null);
  const found = await Promise.all(
    tagged.map(async image => {
      const other = otherNames[image];
      const names = other === undefined ? [image] : [image, other];
      const [first] = (await Promise.all(names.map(inspect))).flat();
      return first === undefined ? [] : [[image, first] as const];
    })
  );
  return new Map(found.flat());
}

export const buildSaveImagesCommand = (images: string[], file?: string): string[] => [
  ...['docker', 'save', ...(file === undefined ? [] : ['--output', file]), ...images]
];

/** containerd's snapshotter in a node, unless Docker's files are on ZFS or Docker is rootless. */
const defaultSnapshotter = 'overlayfs';

// not `kind load`: it requires all platforms, which a pulled multi-platform image lacks. The import of containerd 2 unpacks
// into overlayfs only (error: "no unpack platforms defined"). With another snapshotter, images are unpacked on first use.
export const buildImportImagesCommand = (
  node: string,
  from: string = '-',
  snapshotter: string = defaultSnapshotter
): string[] => [
  ...['docker', 'exec', ...(from === '-' ? ['--interactive'] : []), node],
  ...['ctr', '--namespace=k8s.io', 'images', 'import'],
  ...[snapshotter === defaultSnapshotter ? `--snapshotter=${snapshotter}` : '--no-unpack', from]
];

/** The snapshotter of the nodes' containerd, which kind's nodes choose when they start. */
export async function findSnapshotter(node: string, sh: Sh): Promise<string> {
  const {stdout} = await sh(['docker', 'exec', node, 'containerd', 'config', 'dump'], {
    seconds: 30
  });
  const [, found] = /^[ \t]{0,20}snapshotter = ['"]([\w-]{1,100})['"]/m.exec(stdout) ?? []; // the entries of runtimes are empty
  return found ?? defaultSnapshotter;
}

// detached: if the registry does not respond, the kubelet reports it
const buildPullCommand = (node: string, image: string, loggedIn = false): string[] => [
  ...['docker', 'exec', '--detach', node],
  ...(loggedIn ? buildPullWithLoginCommand(image) : ['crictl', 'pull', image])
];

/** Writes local images to an archive. Resolves to the ids in it: a tag may have moved since `findLocalImages`. Throws a Fault. */
export async function saveImages(found: LocalImages, file: string, sh: Sh): Promise<ImageIds> {
  if (found.size === 0) return new Map();
  const names = [...found.values()].map(({name}) => name);
  const command = buildSaveImagesCommand(names, file);
  const {code, stderr} = await sh(command, {seconds: 600});
  if (code !== 0) throw createImageFault(names, 'be saved', stderr, command);
  const {stdout} = await sh(buildReadManifestCommand(file), {seconds: 60});
  const saved = parseImageIds(stdout, names);
  return new Map([...found].map(([image, {name, id}]) => [image, saved.get(name) ?? id]));
}

const buildReadManifestCommand = (file: string): string[] => [
  ...['tar', '--extract', '--to-stdout', '--file', file, 'manifest.json']
];

/**
 * The ids of images in an archive's manifest.json: the digest of the configuration, which nodes report too.
 * With Docker's containerd image store `.Id` is another digest (docs.docker.com/engine/storage/containerd).
 */
function parseImageIds(manifest: string, images: string[]): ImageIds {
  const entries = readManifest(manifest);
  return new Map(
    images.flatMap(name => {
      const entry = entries.find(({RepoTags}) =>
        RepoTags?.some(tag => normalizeImageName(tag) === normalizeImageName(name))
      );
      const [digest] = /[0-9a-f]{64}/.exec(entry?.Config ?? '') ?? [];
      return digest === undefined ? [] : [[name, `sha256:${digest}`] as const];
    })
  );
}

/** The entries of manifest.json; none if it is unreadable: then the ids of Docker remain. */
function readManifest(text: string): {Config?: string; RepoTags?: string[] | null}[] {
  const entries: unknown = parseJsonObject(text);
  return Array.isArray(entries) ? entries.filter(entry => entry !== null) : [];
}

/** Imports the archive of these images into every node, and deletes it. Throws a Fault. */
export async function importImages(
  images: LocalImages,
  file: string,
  nodes: string[],
  snapshotter: string,
  sh: Sh
): Promise<void> {
  if (images.size === 0) return;
  const names = [...images.values()].map(({name}) => name);
  await Promise.all(
    nodes.map(async node => {
      await importIntoNode(node, file, names, snapshotter, sh);
      for (const [image, {name}] of images)
        if (image !== name) await renameImageInNode(node, name, image, sh);
    })
  );
  await fs.rm(file, {force: true});
}

/** Adds the name that the pods use to an image in a node. The local Docker stays unchanged. */
async function renameImageInNode(node: string, name: string, image: string, sh: Sh): Promise<void> {
  const command = buildTagImageCommand(node, normalizeImageName(name), normalizeImageName(image));
  const {code, stderr} = await sh(command, {seconds: 60});
  if (code !== 0) throw createImageFault([name], `be named ${image} in ${node}`, stderr, command);
}

/** Tags an image in a node. Both names must be full: containerd adds no defaults. */
export const buildTagImageCommand = (node: string, name: string, image: string): string[] => [
  ...['docker', 'exec', node, 'ctr', '--namespace=k8s.io', 'images', 'tag', '--force'],
  ...[name, image]
];

async function importIntoNode(
  node: string,
  file: string,
  images: string[],
  snapshotter: string,
  sh: Sh
): Promise<void> {
  const nodePath = path.posix.join(nodeImagesDirectory, path.basename(file));
  const mounted = buildImportImagesCommand(node, nodePath, snapshotter);
  const {code, stderr} = await sh(mounted, {seconds: 600});
  if (code === 0) return;
  const output: CommandOutput | null = /no such file|permission denied/i.test(stderr)
    ? await sh(['cat', file], {
        pipeTo: buildImportImagesCommand(node, '-', snapshotter),
        seconds: 600
      }) // the engine runs on another machine, or maps users
    : null;
  if (output?.code === 0) return;
  throw createImageFault(images, `be imported into ${node}`, output?.stderr ?? stderr, mounted);
}

/**
 * Starts pulls in every node before pods need the images. With a near registry this is faster than an archive (measured:
 * 3 s instead of 8). Local images still take precedence: they may exist nowhere else.
 */
export async function pullImages(
  images: string[],
  nodes: string[],
  logins: Logins,
  sh: Sh
): Promise<void> {
  const command = (node: string, image: string) =>
    buildPullCommand(node, image, logins.has(parseImage(image).registry));
  await Promise.all(
    nodes.flatMap(node => images.map(image => sh(command(node, image), {seconds: 30})))
  );
}

const createImageFault = (
  images: string[],
  what: string,
  stderr: string,
  command: string[]
): Fault =>
  new Fault(`${images.join(', ')} could not ${what}: ${stderr.trim().slice(-1000)}`, {
    class: 'infrastructure',
    layer: 'node',
    hint: 'Check that `docker save` alone can write the image, and that the disk is not full.',
    reproduce: command.join(' ')
  });

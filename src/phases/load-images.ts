import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import {Fault} from '../base/fault.ts';
import {normalizeImageName, parseImage} from '../base/image.ts';
import {parseJsonObject} from '../base/json.ts';
import type {CommandOutput, Sh} from '../base/sh.ts';
import {buildPullWithLoginCommand, type Logins} from './logins.ts';

/** Where a node sees `imagesIn(plan)`, read-only. */
export const nodeImagesDirectory = '/mnt/dual-stack-images';

/** The directory that is mounted into the nodes: what a node reads itself need not pass through Docker once more. */
export const getImagesDirectory = (directory: string): string => path.join(directory, 'images');

/** Image → its id, as far as what is asked knows them. */
export type ImageIds = Map<string, string>;

/** Image, as the pods name it → the name by which the local Docker has it, and its id. */
export type LocalImages = Map<string, {name: string; id: string}>;

/**
 * Those of these images that the local Docker has, by their own name or else by their other one. One with a digest is
 * left out: an archive cannot name it, and the registry has the same one.
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

/** What containerd keeps images in, as it is in a node unless Docker's own files are on ZFS, or Docker is rootless. */
const defaultSnapshotter = 'overlayfs';

// not `kind load`: it asks for all platforms, which a pulled multi-platform image does not have; and containerd 2's import
// unpacks into overlayfs only (seen: "no unpack platforms defined"), so another snapshotter's images are unpacked when a pod wants them
export const buildImportImagesCommand = (
  node: string,
  from: string = '-',
  snapshotter: string = defaultSnapshotter
): string[] => [
  ...['docker', 'exec', ...(from === '-' ? ['--interactive'] : []), node],
  ...['ctr', '--namespace=k8s.io', 'images', 'import'],
  ...[snapshotter === defaultSnapshotter ? `--snapshotter=${snapshotter}` : '--no-unpack', from]
];

/** The snapshotter that the nodes' containerd is configured with: kind's nodes choose it when they start. */
export async function findSnapshotter(node: string, sh: Sh): Promise<string> {
  const {stdout} = await sh(['docker', 'exec', node, 'containerd', 'config', 'dump'], {
    seconds: 30
  });
  const [, found] = /^[ \t]{0,20}snapshotter = ['"]([\w-]{1,100})['"]/m.exec(stdout) ?? []; // those of runtimes are empty
  return found ?? defaultSnapshotter;
}

// detached: where the registry does not answer, it is the kubelet that says so
const buildPullCommand = (node: string, image: string, loggedIn = false): string[] => [
  ...['docker', 'exec', '--detach', node],
  ...(loggedIn ? buildPullWithLoginCommand(image) : ['crictl', 'pull', image])
];

/** Writes local images to an archive, each layer once. The ids of what it holds: a tag may have been moved since they were found. */
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
 * The ids of images by an archive's manifest.json: the digest of an image's configuration is what a node tells of it too.
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

/** Of an archive's manifest.json; none where it cannot be read: then the ids are what Docker said. */
function readManifest(text: string): {Config?: string; RepoTags?: string[] | null}[] {
  const entries: unknown = parseJsonObject(text);
  return Array.isArray(entries) ? entries.filter(entry => entry !== null) : [];
}

/** Has every node import the archive of these images, and deletes it. */
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

/** Gives an image in a node the name by which the pods ask for it; what the user has in Docker stays as it is. */
async function renameImageInNode(node: string, name: string, image: string, sh: Sh): Promise<void> {
  const command = buildTagImageCommand(node, normalizeImageName(name), normalizeImageName(image));
  const {code, stderr} = await sh(command, {seconds: 60});
  if (code !== 0) throw createImageFault([name], `be named ${image} in ${node}`, stderr, command);
}

/** Both names are whole: containerd adds nothing to them. */
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
      }) // the engine is on another machine, or maps users
    : null;
  if (output?.code === 0) return;
  throw createImageFault(images, `be imported into ${node}`, output?.stderr ?? stderr, mounted);
}

/**
 * Has every node pull images before there is a pod that asks for them: the kubelet finds it done, or under way.
 * Where the registry is as near as the local Docker this takes half the time of an archive (measured: 3 s instead of 8);
 * but what the local Docker has is what is asked for, and may be nowhere else.
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
    hint: 'See whether the image is whole (`docker save` alone) and whether the disk is full.',
    reproduce: command.join(' ')
  });

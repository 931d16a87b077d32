import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import type {Sh} from '../src/base/sh.ts';
import {
  findLocal,
  findSnapshotter,
  importCommand,
  importImages,
  pullImages,
  saveCommand,
  saveImages
} from '../src/phases/images.ts';
import {eachOnRunner, fakeSh} from './fake.ts';

const runner = eachOnRunner();

async function transfer(
  images: string[],
  file: string,
  nodes: string[],
  sh: Sh,
  snapshotter = 'overlayfs'
): Promise<void> {
  await saveImages(images, file, sh);
  await importImages(images, file, nodes, snapshotter, sh);
}

describe('images', () => {
  const file = '/work/images/operator.tar';

  test('what the local Docker has is told from what it lacks', async () => {
    const sh = fakeSh(command =>
      command.at(-1) === 'b' ? {code: 1, stderr: 'No such image'} : 'sha256:1'
    );
    expect([...(await findLocal(['a', 'b', 'c'], sh))]).toEqual(['a', 'c']);
    expect(sh.calls).toContain('docker image inspect --format {{.Id}} b');
  });

  test('go to one archive, each layer once, which every node reads where it is mounted; it is removed', async () => {
    const archive = path.join(runner.directory, 'operator.tar');
    fs.writeFileSync(archive, '');
    const sh = fakeSh(() => '');
    await transfer(['a', 'b'], archive, ['one', 'two'], sh);
    expect(sh.calls).toEqual([
      `docker save --output ${archive} a b`,
      ...['one', 'two'].map(
        node =>
          `docker exec ${node} ctr --namespace=k8s.io images import --snapshotter=overlayfs /mnt/dual-stack-images/operator.tar`
      )
    ]);
    expect(fs.existsSync(archive)).toBe(false);
    expect(saveCommand(['a', 'b'])).toEqual(['docker', 'save', 'a', 'b']);
  });

  test.each([
    ['see', 'no such file or directory'],
    ['read', 'permission denied']
  ])('go through a pipe where the node cannot %s the archive', async (_, said) => {
    const sh = fakeSh(([program, verb]) =>
      program === 'docker' && verb === 'exec'
        ? {code: 1, stderr: `ctr: open …/operator.tar: ${said}`}
        : ''
    );
    await transfer(['a'], file, ['one'], sh);
    expect(sh.calls[2]).toBe(`cat ${file} | ${importCommand('one').join(' ')}`);
    expect(importCommand('one').slice(0, 4)).toEqual(['docker', 'exec', '--interactive', 'one']);
  });

  test.each([
    // of the lab's node (containerd 2.3), and as kind's own test of it has that of containerd 1.7
    [
      "    snapshotter = 'native'\n      [plugins.x.runtimes.runc]\n        snapshotter = ''\n",
      'native'
    ],
    ['      snapshotter = "fuse-overlayfs"\n', 'fuse-overlayfs'],
    ["          snapshotter = ''\n    snapshotter = 'overlayfs'\n", 'overlayfs'],
    ['', 'overlayfs'],
    [{code: 126, stderr: 'containerd: not found'}, 'overlayfs']
  ])('are kept in what the node says: %j', async (dump, expected) => {
    const sh = fakeSh({'docker exec one containerd config dump': dump});
    expect(await findSnapshotter('one', sh)).toBe(expected);
  });

  test('are only imported where that is another one, by either way', async () => {
    const sh = fakeSh(([program, verb]) =>
      program === 'docker' && verb === 'exec' ? {code: 1, stderr: 'no such file'} : ''
    );
    await transfer(['a'], file, ['one'], sh, 'native');
    expect(sh.calls.slice(1)).toEqual([
      'docker exec one ctr --namespace=k8s.io images import --no-unpack /mnt/dual-stack-images/operator.tar',
      `cat ${file} | docker exec --interactive one ctr --namespace=k8s.io images import --no-unpack -`
    ]);
  });

  test('none are neither transferred nor pulled', async () => {
    const sh = fakeSh({});
    await transfer([], file, ['one'], sh);
    await pullImages([], ['one'], sh);
    expect(sh.calls).toEqual([]);
  });

  test('that are missing are pulled by every node, and nobody waits for it', async () => {
    const sh = fakeSh(() => ({code: 1, stderr: 'no crictl'}));
    await pullImages(['a', 'b'], ['one', 'two'], sh);
    expect(sh.calls).toEqual(
      ['one', 'two'].flatMap(node =>
        ['a', 'b'].map(image => `docker exec --detach ${node} crictl pull ${image}`)
      )
    );
  });

  test.each([
    ['saved', 'save'],
    ['imported into one', 'exec']
  ])('that cannot be %s are the fault of the infrastructure', async (what, verb) => {
    const full = fakeSh(command =>
      command[1] === verb ? {code: 1, stderr: 'no space left on device\n'} : ''
    );
    await expect(transfer(['a'], file, ['one'], full)).rejects.toMatchObject({
      because: {class: 'infrastructure', layer: 'node'},
      message: `a could not be ${what}: no space left on device`
    });
  });
});

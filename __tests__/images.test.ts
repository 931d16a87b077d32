import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import type {Sh} from '../src/base/sh.ts';
import {
  buildImportImagesCommand,
  buildSaveImagesCommand,
  findLocalImages,
  findSnapshotter,
  importImages,
  pullImages,
  saveImages
} from '../src/phases/load-images.ts';
import {eachOnRunner, fakeSh} from './fake.ts';

const runner = eachOnRunner();

async function transfer(
  images: string[],
  file: string,
  nodes: string[],
  sh: Sh,
  snapshotter = 'overlayfs'
): Promise<void> {
  const local = new Map(images.map(name => [name, {name, id: 'sha256:1'}]));
  await saveImages(local, file, sh);
  await importImages(local, file, nodes, snapshotter, sh);
}

describe('images', () => {
  const file = '/work/images/operator.tar';

  test('what the local Docker has is told from what it lacks', async () => {
    const sh = fakeSh(command =>
      command.at(-1) === 'b' ? {code: 1, stderr: 'No such image'} : 'sha256:1'
    );
    expect([...(await findLocalImages(['a', 'b', 'c'], {}, sh))]).toEqual([
      ['a', {name: 'a', id: 'sha256:1'}],
      ['c', {name: 'c', id: 'sha256:1'}]
    ]);
    expect(sh.calls).toContain('docker image inspect --format {{.Id}} b');
  });

  const old = 'registry.istio.io/release/pilot:1.30.3';
  const moved = 'docker.io/istio/pilot:1.30.3';

  test.each([
    ['both names', () => true, moved],
    ['the name in the chart', (name: string) => name === old, old]
  ])('an image that the local Docker has by %s', async (_, has, name) => {
    const sh = fakeSh(command =>
      has(`${command.at(-1)}`) ? 'sha256:1' : {code: 1, stderr: 'No such image'}
    );
    const found = await findLocalImages([moved], {[moved]: old}, sh);
    expect([...found]).toEqual([[moved, {name, id: 'sha256:1'}]]);
  });

  test('one that the local Docker has by another name gets the name that the pods use, in the node alone', async () => {
    const sh = fakeSh(() => '');
    const local = new Map([[moved, {name: old, id: 'sha256:1'}]]);
    expect([...(await saveImages(local, '/x.tar', sh))]).toEqual([[moved, 'sha256:1']]);
    await importImages(local, '/x.tar', ['one'], 'overlayfs', sh);
    expect(sh.calls).toEqual([
      `docker save --output /x.tar ${old}`,
      'tar --extract --to-stdout --file /x.tar manifest.json',
      'docker exec one ctr --namespace=k8s.io images import --snapshotter=overlayfs /mnt/dual-stack-images/x.tar',
      `docker exec one ctr --namespace=k8s.io images tag --force ${old} ${moved}`
    ]);
  });

  test('one that is asked for by its digest is left to the registry, which gives no other', async () => {
    const sh = fakeSh(() => 'sha256:1');
    expect([...(await findLocalImages([`a@sha256:${'0'.repeat(64)}`], {}, sh))]).toEqual([]);
    expect(sh.calls).toEqual([]);
  });

  const id = '89184ea953a88e820aef19017bec3a3bbfda1cf453b5d89c0f1c14c44456de0c';
  test.each([
    // as Docker 20.10 writes it, and 25 and newer do
    [
      'an old archive',
      `[{"Config":"${id}.json","RepoTags":["curlimages/curl:8"]}]`,
      `sha256:${id}`
    ],
    [
      'an OCI archive',
      `[{"Config":"blobs/sha256/${id}","RepoTags":["curlimages/curl:8"]}]`,
      `sha256:${id}`
    ],
    ['one of another image', `[{"Config":"${id}.json","RepoTags":["curl:8"]}]`, 'sha256:1'],
    ['one of no name', `[{"Config":"${id}.json","RepoTags":null}]`, 'sha256:1'],
    ['nothing that can be read', {code: 2, stderr: 'tar: not found'}, 'sha256:1']
  ])('have the ids that the archive tells: %s', async (_, manifest, expected) => {
    const sh = fakeSh(([program]) => (program === 'tar' ? manifest : ''));
    const name = 'docker.io/curlimages/curl:8';
    const found = new Map([[name, {name, id: 'sha256:1'}]]);
    expect([...(await saveImages(found, file, sh)).values()]).toEqual([expected]);
    expect(sh.calls[1]).toBe(`tar --extract --to-stdout --file ${file} manifest.json`);
  });

  test('go to one archive, each layer once, which every node reads where it is mounted; it is removed', async () => {
    const archive = path.join(runner.directory, 'operator.tar');
    fs.writeFileSync(archive, '');
    const sh = fakeSh(() => '');
    await transfer(['a', 'b'], archive, ['one', 'two'], sh);
    expect(sh.calls).toEqual([
      `docker save --output ${archive} a b`,
      `tar --extract --to-stdout --file ${archive} manifest.json`,
      ...['one', 'two'].map(
        node =>
          `docker exec ${node} ctr --namespace=k8s.io images import --snapshotter=overlayfs /mnt/dual-stack-images/operator.tar`
      )
    ]);
    expect(fs.existsSync(archive)).toBe(false);
    expect(buildSaveImagesCommand(['a', 'b'])).toEqual(['docker', 'save', 'a', 'b']);
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
    expect(sh.calls[3]).toBe(`cat ${file} | ${buildImportImagesCommand('one').join(' ')}`);
    expect(buildImportImagesCommand('one').slice(0, 4)).toEqual([
      'docker',
      'exec',
      '--interactive',
      'one'
    ]);
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

  test('are found in no time in what is no configuration', async () => {
    const dump = `${'\n'.repeat(300_000)}snapshotter = "native"`;
    const sh = fakeSh({'docker exec one containerd config dump': dump});
    expect(await findSnapshotter('one', sh)).toBe('native');
  });

  test('are only imported where that is another one, by either way', async () => {
    const sh = fakeSh(([program, verb]) =>
      program === 'docker' && verb === 'exec' ? {code: 1, stderr: 'no such file'} : ''
    );
    await transfer(['a'], file, ['one'], sh, 'native');
    expect(sh.calls.slice(2)).toEqual([
      'docker exec one ctr --namespace=k8s.io images import --no-unpack /mnt/dual-stack-images/operator.tar',
      `cat ${file} | docker exec --interactive one ctr --namespace=k8s.io images import --no-unpack -`
    ]);
  });

  test('none are neither transferred nor pulled', async () => {
    const sh = fakeSh({});
    await transfer([], file, ['one'], sh);
    await pullImages([], ['one'], new Map(), sh);
    expect(sh.calls).toEqual([]);
  });

  test('that are missing are pulled by every node, and nobody waits for it', async () => {
    const sh = fakeSh(() => ({code: 1, stderr: 'no crictl'}));
    await pullImages(['a', 'b'], ['one', 'two'], new Map([['quay.io', 'x']]), sh);
    expect(sh.calls).toEqual(
      ['one', 'two'].flatMap(node =>
        ['a', 'b'].map(image => `docker exec --detach ${node} crictl pull ${image}`)
      )
    );
  });

  test('are pulled with the login of their registry, which no argument holds', async () => {
    const sh = fakeSh(() => '');
    await pullImages(['quay.io/a/b:1', 'c'], ['one'], new Map([['quay.io', 'bGFiOnB3']]), sh);
    expect(sh.calls).toEqual([
      expect.stringMatching(
        /^docker exec --detach one bash -c CRICTL_AUTH=\$\(jq .*\) exec crictl pull "\$1" pull quay.io\/a\/b:1 quay.io$/
      ),
      'docker exec --detach one crictl pull c'
    ]);
    expect(sh.calls.join()).not.toContain('bGFiOnB3');
  });

  test.each([
    ['saved', 'save'],
    ['imported into one', 'exec']
  ])('that cannot be %s are the fault of the infrastructure', async (what, verb) => {
    const full = fakeSh(command =>
      command[1] === verb ? {code: 1, stderr: 'no space left on device\n'} : ''
    );
    await expect(transfer(['a'], file, ['one'], full)).rejects.toMatchObject({
      attribution: {class: 'infrastructure', layer: 'node'},
      message: `a could not be ${what}: no space left on device`
    });
  });
});

import {describe, expect, test} from '@jest/globals';
import {
  imagesFor,
  importCommand,
  localImages,
  saveCommand,
  streamImages
} from '../src/phases/images.ts';
import {fakeSh} from './fake.ts';
import {planOf} from './planned.ts';

describe('images', () => {
  test('only those that the local Docker has are streamed', async () => {
    const sh = fakeSh(command =>
      command.at(-1) === 'b' ? {code: 1, stderr: 'No such image'} : 'sha256:1'
    );
    expect(await localImages(['a', 'b', 'c'], sh)).toEqual(['a', 'c']);
    expect(sh.calls).toContain('docker image inspect --format {{.Id}} b');
  });

  test('each has one user', () => {
    expect(imagesFor(planOf(), 'istiod')).toEqual(['registry.example/pilot:1.30.3']);
    expect(imagesFor(planOf(), 'samples')[0]).toBe('registry.example/proxyv2:1.30.3');
  });

  test('go into every node, by a pipe, all in one go', async () => {
    const sh = fakeSh(() => '');
    await streamImages(['a', 'b'], ['one', 'two'], sh);
    expect(sh.calls.sort()).toEqual(
      ['one', 'two'].map(node => `docker save a b | ${importCommand(node).join(' ')}`)
    );
    expect(saveCommand(['a', 'b'])).toEqual(['docker', 'save', 'a', 'b']);
    expect(importCommand('one').slice(0, 7)).toEqual([
      ...['docker', 'exec', '--interactive', 'one', 'ctr', '--namespace=k8s.io', 'images']
    ]);
  });

  test('nothing to stream runs nothing', async () => {
    const sh = fakeSh({});
    await streamImages([], ['one'], sh);
    expect(sh.calls).toEqual([]);
  });

  test('a transfer that fails is the fault of the infrastructure', async () => {
    const sh = fakeSh(() => ({code: 1, stderr: 'no space left on device\n'}));
    await expect(streamImages(['a'], ['one'], sh)).rejects.toMatchObject({
      because: {class: 'infrastructure', layer: 'node'},
      message: 'a could not be streamed into one: no space left on device'
    });
  });
});

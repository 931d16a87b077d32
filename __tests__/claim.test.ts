import {describe, expect, test} from '@jest/globals';
import {claimName, getClaimVolumeName, releaseName} from '../src/phases/claim.ts';
import {engine, fakeSh} from './fake.ts';

const name = 'istio-ds';
const volume = getClaimVolumeName(name);

describe('a claim', () => {
  test('is one volume, with the token of the one who has it', async () => {
    const docker = engine();
    const sh = fakeSh(docker.answer);
    await claimName(name, 'one', sh);
    expect(sh.calls).toEqual([
      `docker volume create --label dual-stack-check.claim=one ${volume}`,
      `docker volume inspect --format {{index .Labels "dual-stack-check.claim"}} ${volume}`
    ]);
    expect(docker.volumes).toEqual({[volume]: 'one'});
  });

  test('of two at the same time one has it, and the other is told so', async () => {
    const sh = fakeSh(engine().answer);
    const ended = await Promise.allSettled(['one', 'two'].map(token => claimName(name, token, sh)));
    expect(ended.map(({status}) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(ended.find(({status}) => status === 'rejected')).toMatchObject({
      reason: {
        attribution: {class: 'input'},
        message: expect.stringContaining(`docker volume rm ${volume}`)
      }
    });
  });

  test('three names are had by three', async () => {
    const docker = engine();
    const sh = fakeSh(docker.answer);
    await Promise.all(['a', 'b', 'c'].map(other => claimName(other, 'same', sh)));
    expect(Object.keys(docker.volumes)).toEqual(['a', 'b', 'c'].map(getClaimVolumeName));
  });

  test('that is given back is free again, for one', async () => {
    const docker = engine();
    const sh = fakeSh(docker.answer);
    await claimName(name, 'one', sh);
    await releaseName(name, 'one', sh);
    expect(docker.volumes).toEqual({});
    await claimName(name, 'two', sh);
    await expect(claimName(name, 'three', sh)).rejects.toMatchObject({name: 'Fault'});
  });

  test('cannot be given back by another', async () => {
    const docker = engine({[volume]: 'theirs'});
    await releaseName(name, 'ours', fakeSh(docker.answer));
    expect(docker.volumes).toEqual({[volume]: 'theirs'});
  });

  test('given back between the two questions is asked for again', async () => {
    const docker = engine({[volume]: 'theirs'});
    let inspected = 0;
    const sh = fakeSh(command => {
      if (command[2] === 'inspect' && inspected++ === 0) delete docker.volumes[volume];
      return docker.answer(command);
    });
    await claimName(name, 'ours', sh);
    expect(docker.volumes).toEqual({[volume]: 'ours'});
  });

  test('a volume that is nobody’s claim is not taken', async () => {
    const sh = fakeSh(engine({[volume]: ''}).answer);
    await expect(claimName(name, 'ours', sh)).rejects.toMatchObject({
      attribution: {class: 'input'}
    });
  });

  test.each(['create', 'inspect'])('a Docker that cannot %s is told', async verb => {
    const sh = fakeSh(command => (command[2] === verb ? {code: 1, stderr: 'no space'} : ''));
    await expect(claimName(name, 'ours', sh)).rejects.toMatchObject({
      name: 'CommandError',
      message: expect.stringContaining('no space')
    });
  });
});

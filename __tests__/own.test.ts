import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {ensureDirectory, ensurePrivateDirectory, replaceFile} from '../src/base/safe-fs.ts';
import {eachOnRunner} from './fake.ts';

const runner = eachOnRunner();
const at = (...names: string[]) => path.join(runner.directory, ...names);
const foreign = {name: 'Fault', attribution: {class: 'infrastructure', layer: 'runner'}};

describe('a directory of ours', () => {
  test('is made, with those above it, and taken when it is there', async () => {
    await ensureDirectory(at('a', 'b'));
    await ensureDirectory(at('a', 'b'));
    expect(fs.statSync(at('a', 'b')).isDirectory()).toBe(true);
  });

  test.each([
    ['a link to a directory', () => fs.symlinkSync('/tmp', at('x'))],
    ['a link to nothing', () => fs.symlinkSync('/tmp/no-such-place', at('x'))],
    ['a file', () => fs.writeFileSync(at('x'), '')]
  ])('%s in its place is refused', async (_, plant) => {
    plant();
    await expect(ensureDirectory(at('x'))).rejects.toMatchObject(foreign);
    await expect(ensurePrivateDirectory(at('x'))).rejects.toMatchObject(foreign);
  });

  test('a private one is open to nobody else', async () => {
    await ensurePrivateDirectory(at('p'));
    expect(fs.statSync(at('p')).mode & 0o777).toBe(0o700);
    await ensurePrivateDirectory(at('p'));
  });

  test.each([0o777, 0o750, 0o701])('one made beforehand with mode %o is refused', async mode => {
    fs.mkdirSync(at('p'));
    fs.chmodSync(at('p'), mode);
    await expect(ensurePrivateDirectory(at('p'))).rejects.toMatchObject({
      ...foreign,
      message: `${at('p')} is open to other users`
    });
  });

  const root = process.getuid?.() === 0 ? test : test.skip; // only root can give a directory away
  root("another user's is refused", async () => {
    fs.mkdirSync(at('p'), {mode: 0o700});
    fs.chownSync(at('p'), 12345, 12345);
    await expect(ensurePrivateDirectory(at('p'))).rejects.toMatchObject({
      message: expect.stringMatching(/belongs to another user/)
    });
  });
});

describe('a file of ours', () => {
  test('is written anew, and what a link in its place leads to stays as it is', async () => {
    fs.writeFileSync(at('victim'), 'whole');
    fs.symlinkSync(at('victim'), at('file'));
    await replaceFile(at('file'), 'ours', 0o600);
    expect(fs.readFileSync(at('victim'), 'utf8')).toBe('whole');
    expect(fs.readFileSync(at('file'), 'utf8')).toBe('ours');
    expect(fs.lstatSync(at('file')).isFile()).toBe(true);
    expect(fs.statSync(at('file')).mode & 0o777).toBe(0o600);
  });
});

/** Creates files and directories without following links that another user may have put in their place. */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import {Fault} from './fault.ts';

/** Creates a directory. An existing one must be a real directory, not a link; throws a Fault otherwise. */
export async function ensureDirectory(directory: string, mode = 0o755): Promise<void> {
  await fs.mkdir(path.dirname(directory), {recursive: true});
  await fs.mkdir(directory, {mode}).catch(error => {
    if (error.code !== 'EEXIST') throw error;
  });
  const found = await fs.lstat(directory);
  if (!found.isDirectory()) throw createForeignDirectoryFault(directory, 'is a link or a file');
}

/** Creates a directory for this user alone. An existing one must already be private; throws a Fault otherwise. */
export async function ensurePrivateDirectory(directory: string): Promise<void> {
  await ensureDirectory(directory, 0o700);
  const {uid, mode} = await fs.lstat(directory);
  if (process.getuid && uid !== process.getuid())
    throw createForeignDirectoryFault(directory, 'belongs to another user');
  if (mode & 0o077) throw createForeignDirectoryFault(directory, 'is open to other users');
}

/** Writes a file in place of an existing one. Removes a link instead of following it. */
export async function replaceFile(file: string, text: string, mode: number): Promise<void> {
  await fs.rm(file, {force: true});
  await fs.writeFile(file, text, {flag: 'wx', mode});
}

const createForeignDirectoryFault = (directory: string, what: string): Fault =>
  new Fault(`${directory} ${what}`, {
    class: 'infrastructure',
    layer: 'runner',
    hint: 'Another user or program on this machine created it. Check its owner, remove it, and run again.',
    reproduce: `ls -ld ${directory}`
  });

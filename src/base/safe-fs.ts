import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import {Fault} from './fault.ts';

/** Files and directories that are ours alone: no link that somebody put in their place is followed. */

/** Makes a directory; one that is there must be a real one, by no link. Throws a Fault. */
export async function ensureDirectory(directory: string, mode = 0o755): Promise<void> {
  await fs.mkdir(path.dirname(directory), {recursive: true});
  await fs.mkdir(directory, {mode}).catch(error => {
    if (error.code !== 'EEXIST') throw error;
  });
  const found = await fs.lstat(directory);
  if (!found.isDirectory()) throw createForeignDirectoryFault(directory, 'is a link or a file');
}

/** Makes a directory for nobody else; one that is there must be so already. Throws a Fault. */
export async function ensurePrivateDirectory(directory: string): Promise<void> {
  await ensureDirectory(directory, 0o700);
  const {uid, mode} = await fs.lstat(directory);
  if (process.getuid && uid !== process.getuid())
    throw createForeignDirectoryFault(directory, "is another user's");
  if (mode & 0o077) throw createForeignDirectoryFault(directory, 'is open to other users');
}

/** Writes a file anew, in the place of what has its name; a link there is removed, not followed. */
export async function replaceFile(file: string, text: string, mode: number): Promise<void> {
  await fs.rm(file, {force: true});
  await fs.writeFile(file, text, {flag: 'wx', mode});
}

const createForeignDirectoryFault = (directory: string, what: string): Fault =>
  new Fault(`${directory} ${what}`, {
    class: 'infrastructure',
    layer: 'runner',
    hint: 'Somebody else on this machine made it. See who, remove it, and run again.',
    reproduce: `ls -ld ${directory}`
  });

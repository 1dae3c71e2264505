import { constants } from 'node:fs';
import { lstat, open, realpath, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;
const WRITE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/**
 * Writes a file that only its owner may read (mode 0600), in one step: readers see the old one or the new one, whole and on
 * disk. Nothing is followed or reused: a symbolic link in its place is replaced, not written through, and so is what a killed writer
 * left (`FILE.new`). Rejects if its folder may be written by others, who could put anything in its place.
 */
export async function writeSecretFile(file: string, bytes: Uint8Array): Promise<void> {
  const folder = await ownFolder(dirname(file));
  const target = join(folder, basename(file));
  const fresh = `${target}.new`;
  await unlinkIfThere(fresh);
  try {
    const handle = await open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      await handle.chmod(0o600); // whatever the umask says
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(fresh, target);
  } catch (error) {
    await unlinkIfThere(fresh).catch(() => {});
    throw error;
  }
  await syncFolder(folder);
}

/** The folder's real path. It belongs to us or root, as do all above it, and nobody else may write there. */
async function ownFolder(given: string): Promise<string> {
  const folder = await realpath(given);
  const owner = process.geteuid?.() ?? 0;
  for (let at = folder; ; at = dirname(at)) {
    const { uid, mode } = await lstat(at);
    // In a folder above, the sticky bit keeps others from moving what is ours (/tmp).
    const isOpen = (mode & WRITE_BY_OTHERS) !== 0 && (at === folder || (mode & STICKY) === 0);
    if (isOpen) throw new Error(`${at} may be written by others, expected mode 0700`);
    if (uid !== 0 && uid !== owner)
      throw new Error(`${at} belongs to another user, expected a folder of ours`);
    if (at === dirname(at)) return folder;
  }
}

async function unlinkIfThere(file: string): Promise<void> {
  await unlink(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, O_RDONLY | O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../../src/lab/program.ts';
import { must } from '../../../src/lab/run.ts';

/** Everything about clean roots lies here: the root itself, an archive of it, and the hosts made of it. */
export const CLEAN_ROOT_FOLDER = join(PROJECT_ROOT, 'out/clean-root');

/** What every Debian host has beyond debootstrap's minimum and what packages cannot ask for: an init system, udev, modprobe. */
const PACKAGES = ['systemd-sysv', 'udev', 'kmod'];

/** What is missing to make a clean root here; undefined: nothing. */
export function missingForCleanRoot(): string | undefined {
  if (process.getuid?.() !== 0) return 'root';
  const hasDebootstrap = existsSync('/usr/sbin/debootstrap');
  return hasDebootstrap ? undefined : 'debootstrap is not installed (scripts/setup test installs it)';
}

/**
 * Path of a clean Debian 12, never to be written to: hosts lie over it ({@link CleanHost}). Made once, in half a minute, and kept in
 * `out/clean-root`.
 */
export async function cleanRoot(): Promise<string> {
  mkdirSync(CLEAN_ROOT_FOLDER, { recursive: true });
  await must([join(PROJECT_ROOT, 'scripts/clean-root'), CLEAN_ROOT_FOLDER, ...PACKAGES], {
    timeoutMs: 600_000,
  });
  return join(CLEAN_ROOT_FOLDER, 'root');
}

/** In front of a command line: what it starts ends with us, however we end. */
export const ENDS_WITH_US = ['setpriv', '--pdeathsig', 'KILL'] as const;

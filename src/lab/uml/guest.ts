import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host, LabProcess } from '../host.ts';
import { PROJECT_ROOT } from '../program.ts';
import { waitFor } from '../wait-for.ts';

/**
 * A guest: a stock Linux kernel as a process of this machine (User Mode Linux, Debian package `user-mode-linux`). Its root
 * is the machine's own, read-only, with a tmpfs over it; its interface is a tap on the outside bridge, and a routing host's second one the end of
 * a wire to the cluster bridge. /run and /tmp
 * are its own. What it shares with this machine is the lab's folder, and in it the folder `guest` of the host.
 */

const KERNEL = 'linux.uml';
const MEMORY = '512M';
const BOOT_TIMEOUT_MS = 60_000;
const SCRIPTS = join(PROJECT_ROOT, 'src/lab/uml');
const LOOP = 'guest-loop.sh';

export interface GuestFiles {
  readonly name: string;
  /** [what, over which path], as for other hosts. */
  readonly mounts: readonly (readonly [string, string])[];
  /** Lines of sysctl.conf. */
  readonly sysctls: readonly string[];
  /** Lines for `ip -batch`, about the interface `outside0`. */
  readonly network: readonly string[];
}

/** Writes what guest-init.sh reads, into the folder shared with the guest. */
export function writeGuestFiles(folder: string, { name, mounts, sysctls, network }: GuestFiles): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, 'commands'), { recursive: true, mode: 0o700 });
  copyFileSync(join(SCRIPTS, LOOP), join(folder, LOOP));
  const settings = [`export NAME='${name}'`, `PROJECT='${PROJECT_ROOT}'`, `LOOP='${join(folder, LOOP)}'`];
  const write = (file: string, lines: readonly string[]) =>
    writeFileSync(join(folder, file), lines.map((line) => `${line}\n`).join(''));
  write('settings', settings);
  write(
    'mounts',
    mounts.map((pair) => pair.join(' ')),
  );
  write('sysctls', sysctls);
  write('network', network);
}

export interface GuestPlace {
  /** The lab's folder. */
  readonly lab: string;
  /** The one that {@link writeGuestFiles} wrote. */
  readonly folder: string;
  /** The tap on the bridge. */
  readonly tap: string;
  /** The end of a wire to the cluster network, if it has one. */
  readonly port: string | undefined;
}

/** Starts a guest's kernel in the namespace where its tap is; it takes commands once `waitForGuest` has resolved. */
export function bootGuest(machine: Host, { lab, folder, tap, port }: GuestPlace): LabProcess {
  const argv = [
    KERNEL,
    `umid=${machine.name}`,
    // Its control socket: /run is the host's own, and the path is short.
    'uml_dir=/run/uml',
    `mem=${MEMORY}`,
    'rootfstype=hostfs',
    'rootflags=/',
    'ro',
    `init=${join(SCRIPTS, 'guest-init.sh')}`,
    `vec0:transport=tap,ifname=${tap},depth=128`,
    ...(port === undefined ? [] : [`vec1:transport=raw,ifname=${port},depth=128`]),
    'con=null',
    'con0=null,fd:1',
    'quiet',
    // Seconds for each new algorithm otherwise.
    'cryptomgr.notests=1',
    `DVIPA_LAB=${lab}`,
    `DVIPA_GUEST=${folder}`,
  ];
  return machine.spawn('kernel', argv, { group: KERNEL });
}

/** Resolves when the guest takes commands. */
export async function waitForGuest(kernel: LabProcess, folder: string): Promise<void> {
  const file = join(folder, 'ready');
  const said = await waitFor(
    `${kernel.host}: the guest takes commands`,
    () => {
      if (!kernel.isRunning()) return 'its kernel ended';
      const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
      return text.endsWith('\n') && text.trim();
    },
    { timeoutMs: BOOT_TIMEOUT_MS },
  );
  if (said !== 'up') throw new Error(`${kernel.host}: ${said}, see ${kernel.logFile}`);
}

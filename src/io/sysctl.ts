import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';

/** Whether this kernel has IPv6: it may be built without, or started with `ipv6.disable=1`. */
export function kernelHasIpv6(): boolean {
  return existsSync('/proc/sys/net/ipv6/conf');
}

/** Sets values below /proc/sys, and remembers what it changed so that it can be put back. */
export class Sysctls {
  readonly #before = new Map<string, string>();

  /**
   * `path` is relative to /proc/sys, e.g. `net/ipv4/conf/eth0/arp_ignore`. A present value that is in
   * `orBetter` is left alone.
   */
  async set(path: string, value: string, orBetter: readonly string[] = []): Promise<void> {
    const file = `/proc/sys/${path}`;
    const present = (await readFile(file, 'latin1')).trim();
    if (present === value || orBetter.includes(present)) return;
    if (!this.#before.has(file)) this.#before.set(file, present);
    await writeFile(file, value);
  }

  /** As `set`, where the kernel has such a value at all (IPv6 may be absent). */
  async setIfPresent(path: string, value: string): Promise<void> {
    await this.set(path, value).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }

  /** Puts back what this object changed; what has vanished meanwhile is passed over. */
  async restore(): Promise<void> {
    for (const [file, value] of this.#before) await writeFile(file, value).catch(() => {});
    this.#before.clear();
  }
}

import { readFile } from 'node:fs/promises';
import { Sysctls } from './sysctl.ts';

/** One range for all sockets of the network namespace, IPv6 included (ip-sysctl: `ip_local_port_range`). */
const RANGE = 'net/ipv4/ip_local_port_range';

/** Inclusive. */
export interface KernelPorts {
  readonly from: number;
  readonly to: number;
}

/** From which ports this host's kernel lets sockets speak that ask for none. */
export class KernelPortRange {
  readonly #sysctls = new Sysctls();

  async read(): Promise<KernelPorts> {
    const text = await readFile(`/proc/sys/${RANGE}`, 'latin1');
    const [from = 0, to = 0] = text.trim().split(/\s+/).map(Number);
    return { from, to };
  }

  async set({ from, to }: KernelPorts): Promise<void> {
    await this.#sysctls.set(RANGE, `${from}\t${to}`);
  }

  /** Puts back what was there before the first `set`. */
  async restore(): Promise<void> {
    await this.#sysctls.restore();
  }
}

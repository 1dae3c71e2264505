import { readFile } from 'node:fs/promises';

/** The MTU of a network interface, in bytes of whole IP packets; rejects if there is no such interface. */
export async function interfaceMtu(name: string): Promise<number> {
  return Number((await readFile(`/sys/class/net/${name}/mtu`, 'utf8')).trim());
}

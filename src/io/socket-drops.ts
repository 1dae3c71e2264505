import { readFile } from 'node:fs/promises';
import { parseIpv4Address } from '../packet/address.ts';

/**
 * Datagrams that the kernel dropped at the UDP socket bound to this address and port, because its buffer was
 * full; 0 if there is no such socket. node:dgram has no way to ask.
 */
export async function socketDrops(address: string, port: number): Promise<number> {
  return parseDrops(await readFile('/proc/net/udp', 'latin1'), address, port);
}

/** The table has addresses as the kernel stores them: network order, printed as a host number. */
export function parseDrops(table: string, address: string, port: number): number {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(parseIpv4Address(address) ?? 0);
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');
  const wanted = `${hex(bytes.readUInt32LE(), 8)}:${hex(port, 4)}`;
  for (const line of table.split('\n')) {
    const columns = line.trim().split(/\s+/);
    if (columns[1]?.toLowerCase() === wanted) return Number(columns.at(-1));
  }
  return 0;
}

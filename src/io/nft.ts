import { runCommand } from './run-command.ts';

/** How often a named counter's rule matched. */
export type NftCounters = Readonly<Record<string, number>>;

/**
 * Replaces a table of ours by what `body` says, in one transaction: there is no moment without rules, and
 * doing it twice is the same as once. Counters start at 0 again. The table is nobody else's.
 */
export async function installTable(name: string, body: string): Promise<void> {
  const script = `table inet ${name} {}\ndelete table inet ${name}\ntable inet ${name} {\n${body}\n}\n`;
  await runCommand('nft', ['-f', '-'], { input: script });
}

/** Removes a table of ours; nothing happens if it is not there. */
export async function removeTable(name: string): Promise<void> {
  await runCommand('nft', ['-f', '-'], { input: `table inet ${name} {}\ndelete table inet ${name}\n` });
}

/** Whether a table of ours is there. It is made and removed as a whole, so that is all there is to ask. */
export async function hasTable(name: string): Promise<boolean> {
  const text = await runCommand('nft', ['-j', 'list', 'tables', 'inet']);
  const { nftables } = JSON.parse(text) as { nftables: { table?: { name: string } }[] };
  return nftables.some(({ table }) => table?.name === name);
}

/** Packets per named counter of a table; empty if there is no such table. */
export async function readCounters(name: string): Promise<NftCounters> {
  let text: string;
  try {
    text = await runCommand('nft', ['-j', 'list', 'counters', 'table', 'inet', name]);
  } catch {
    return {};
  }
  const { nftables } = JSON.parse(text) as {
    nftables: { counter?: { name: string; packets: number } }[];
  };
  return Object.fromEntries(
    nftables.flatMap(({ counter }) => (counter === undefined ? [] : [[counter.name, counter.packets]])),
  );
}

/** A set of IPv4 addresses, empty or not; only what parses as an address gets into a rule. */
export function addressSet(name: string, addresses: readonly string[]): string {
  for (const address of addresses) {
    if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(address)) throw new Error(`not an IPv4 address: ${address}`);
  }
  const elements = addresses.length === 0 ? '' : ` elements = { ${[...new Set(addresses)].join(', ')} };`;
  return `set ${name} { type ipv4_addr;${elements} }`;
}

/** Quotes an interface name for a rule. */
export function interfaceName(name: string): string {
  if (!/^[A-Za-z0-9._@-]{1,15}$/.test(name))
    throw new Error(`not an interface name: ${JSON.stringify(name)}`);
  return `"${name}"`;
}

import { familyOf, formatAddress, parseAddress } from '../packet/address.ts';
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

/**
 * Two sets of addresses, `NAME4` and `NAME6`, each with those of its family, empty or not; only what parses as an address
 * gets into a rule.
 */
export function addressSets(name: string, addresses: readonly string[]): string {
  const parsed = addresses.map((text) => {
    const address = parseAddress(text);
    if (address === undefined) throw new Error(`not an IP address: ${text}`);
    return address;
  });
  const set = (family: 4 | 6) => {
    const texts = parsed
      .filter((address) => familyOf(address) === family)
      .map((words) => formatAddress(words));
    const elements = texts.length === 0 ? '' : ` elements = { ${[...new Set(texts)].join(', ')} };`;
    return `set ${name}${family} { type ipv${family}_addr;${elements} }`;
  };
  return `${set(4)}\n  ${set(6)}`;
}

/** Quotes an interface name for a rule. */
export function interfaceName(name: string): string {
  if (!/^[A-Za-z0-9._@-]{1,15}$/.test(name))
    throw new Error(`not an interface name: ${JSON.stringify(name)}`);
  return `"${name}"`;
}

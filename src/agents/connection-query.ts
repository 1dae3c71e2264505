import { z } from 'zod';
import type { ConnectionState } from '../connections/connection-table.ts';
import type { ConnectionKey } from '../connections/connection-key.ts';
import { TopCounter } from '../connections/top-counter.ts';
import type { ConnectionCounts, ConnectionSnapshot, TopSource } from '../observe/connection-snapshots.ts';
import { equalAddresses, formatAddress, type IpAddress } from '../packet/address.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { addressArgument, hostArgument } from './admin-arguments.ts';
import { networkOf } from './inbound-filter.ts';
import { addressOf } from './sa-settings.ts';

/** An answer is in memory as a whole, and the data plane waits while it is written. */
const MAX_LISTED = 100_001;
const DEFAULT_LISTED = 10_000;

const PROTOCOLS = {
  tcp: IP_PROTOCOL.TCP,
  udp: IP_PROTOCOL.UDP,
  icmp: IP_PROTOCOL.ICMP,
  icmpv6: IP_PROTOCOL.ICMPV6,
} as const;

const filters = {
  dvipa: addressArgument.optional(),
  target: hostArgument.optional(),
  source: z
    .union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], { error: 'expected an IP address or a network' })
    .optional(),
  /** At the DVIPA. */
  port: z.int().min(0).max(65_535).optional(),
  protocol: z.union([z.enum(['tcp', 'udp', 'icmp', 'icmpv6']), z.int().min(0).max(255)]).optional(),
  state: z.enum(['tentative', 'opening', 'confirmed', 'closing']).optional(),
};

export const listArguments = z.strictObject({
  ...filters,
  limit: z.int().min(1).max(MAX_LISTED).optional(),
});
export const countArguments = z.strictObject(filters);
export const topArguments = z.strictObject({ ...filters, top: z.int().min(1).max(1000) });

export type ConnectionFilter = z.infer<typeof countArguments>;

/** One connection as an agent's table shows it; the key may be another one's a moment later. */
export interface SeenConnection {
  readonly key: Readonly<ConnectionKey>;
  readonly target: string;
  readonly state: ConnectionSnapshot['state'];
  readonly remainingMs?: number | undefined;
}

/** Calls back for each connection that there is; `visit` says whether it wants more. */
export type VisitConnections = (visit: (seen: SeenConnection) => boolean) => Promise<void>;

/** Whether a connection is one of those that were asked for. */
export function connectionFilter(filter: ConnectionFilter): (seen: SeenConnection) => boolean {
  const { target, port, state } = filter;
  const dvipa = filter.dvipa === undefined ? undefined : addressOf(filter.dvipa);
  const protocol = typeof filter.protocol === 'string' ? PROTOCOLS[filter.protocol] : filter.protocol;
  const isFrom = sourceFilter(filter.source);
  return ({ key, target: itsTarget, state: itsState }) =>
    (port === undefined || key.destinationPort === port) &&
    (protocol === undefined || key.protocol === protocol) &&
    (state === undefined || itsState === state) &&
    (target === undefined || itsTarget === target) &&
    (dvipa === undefined || equalAddresses(key.dvipa, 0, dvipa, 0)) &&
    isFrom(key.source);
}

export async function listConnections(
  visit: VisitConnections,
  { limit = DEFAULT_LISTED, ...filter }: z.infer<typeof listArguments>,
): Promise<ConnectionSnapshot[]> {
  const isWanted = connectionFilter(filter);
  const found: ConnectionSnapshot[] = [];
  await visit((seen) => {
    if (isWanted(seen)) found.push(snapshotOf(seen));
    return found.length < limit;
  });
  return found;
}

export async function countConnections(
  visit: VisitConnections,
  filter: ConnectionFilter,
): Promise<ConnectionCounts> {
  const isWanted = connectionFilter(filter);
  const targets = new Map<string, Record<ConnectionSnapshot['state'], number>>();
  let total = 0;
  await visit((seen) => {
    if (!isWanted(seen)) return true;
    const { target, state } = seen;
    const counts = targets.get(target) ?? { tentative: 0, opening: 0, confirmed: 0, closing: 0 };
    counts[state]++;
    targets.set(target, counts);
    total++;
    return true;
  });
  const byName = [...targets].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return { total, targets: byName.map(([target, counts]) => ({ target, ...counts })) };
}

/** Sources with the most connections: one peer's inner address each. */
export async function topSources(
  visit: VisitConnections,
  { top, ...filter }: z.infer<typeof topArguments>,
): Promise<readonly TopSource[]> {
  const isWanted = connectionFilter(filter);
  const counter = new TopCounter();
  await visit((seen) => {
    if (isWanted(seen)) counter.add(`${seen.key.group} ${seen.key.source.join(' ')}`);
    return true;
  });
  const { error } = counter;
  return counter.top(top).map(([thing, connections]) => {
    const [group = 0, ...words] = thing.split(' ').map(Number);
    const source = formatAddress(Uint32Array.from(words));
    return { source, group, connections, ...(error > 0 && { error }) };
  });
}

export function stateForPeople(state: ConnectionState): ConnectionSnapshot['state'] {
  return state === 'established' ? 'confirmed' : state;
}

function snapshotOf({ key, target, state, remainingMs }: SeenConnection): ConnectionSnapshot {
  return {
    dvipa: formatAddress(key.dvipa),
    group: key.group,
    protocol: key.protocol,
    source: formatAddress(key.source),
    sourcePort: key.sourcePort,
    destinationPort: key.destinationPort,
    target,
    state,
    remainingMs: remainingMs === undefined ? undefined : Math.round(remainingMs),
  };
}

function sourceFilter(source: string | undefined): (address: IpAddress) => boolean {
  if (source === undefined) return () => true;
  if (!source.includes('/')) {
    const wanted = addressOf(source);
    return (address) => equalAddresses(address, 0, wanted, 0);
  }
  const network = networkOf(source);
  return (address) =>
    network === undefined ||
    address.every(
      (word, at) => ((word ^ (network.network[at] as number)) & (network.mask[at] as number)) === 0,
    );
}

import { readFileSync } from 'node:fs';
import type { DropReason } from '../../../../src/base/verdict.ts';
import type { Counters } from '../../../../src/observe/snapshots.ts';
import { waitFor } from '../../../../src/lab/wait-for.ts';
import { type Cluster, difference, type Drops } from '../cluster.ts';

/**
 * What the agents say became of packets that came in. With everything at rest, so that no packet is on its way or waits:
 *
 * ```
 * routing host   arrived   = packetsIn + receive-overrun
 *                packetsIn = linkOut + drops of the way in + messages of routers that were believed
 * the link       linkOut   = sum of the targets' linkIn + what the sockets of both ends lost
 * a target       linkIn    = packetsIn (taken by the TUN) + drops of the way in
 * charon         packets of the SA = sum of the targets' packetsIn: each number that was spent, once
 * ```
 *
 * `arrived` is counted by rules of the test at the interface. A message that is believed is dropped for no reason: the attacker sent
 * those, so the witness knows how many they are. If a packet were dropped under two reasons, or none, no line would hold.
 */
const WAY_IN: Record<'router' | 'target', readonly DropReason[]> = {
  router: [
    'truncated',
    'malformed',
    'fragment',
    'fragment-overlap',
    'fragment-duplicate',
    'fragment-overflow',
    'fragment-timeout',
    'checksum',
    'not-esp',
    'outer-not-dvipa',
    'path-mtu-refused',
    'unknown-spi',
    'sa-not-serving',
    'replay',
    'replay-conflict',
    'replay-undecided',
    'icv',
    'padding',
    'dummy',
    'congestion',
    'peek-malformed',
    'inner-not-dvipa',
    'tunnel-check',
    'filter',
    'clear',
    'no-target',
    'hold-overflow',
  ],
  target: [
    'truncated',
    'malformed',
    'unknown-spi',
    'replay',
    'icv',
    'padding',
    'dummy',
    'congestion',
    'inner-not-dvipa',
    'tunnel-check',
    'look-alike',
    'filter',
    'link-epoch',
    'link-replay',
    'hard-limit',
  ],
};

/** Packets lost between programs, at sockets. */
const LOST: readonly DropReason[] = ['receive-overrun', 'send-failed', 'queue-overflow'];

export interface HostBooks {
  readonly counters: Counters;
  readonly drops: Drops;
}

export type Books = Readonly<Record<string, HostBooks>>;

export async function readBooks(cluster: Cluster): Promise<Books> {
  const hosts = ['router1', ...cluster.targets];
  const read = async (host: string) => {
    const { counters } = await cluster.ask(host, 'status');
    return [host, { counters, drops: await cluster.drops(host) }] as const;
  };
  return Object.fromEntries(await Promise.all(hosts.map(read)));
}

/** Agents look for what their link sockets have lost every 5 s. */
const QUIET_MS = 6000;

/** Waits until nothing has moved for longer than anything may wait. */
export async function booksAtRest(cluster: Cluster): Promise<Books> {
  let last = '';
  let since = Date.now();
  return waitFor(
    'the cluster is at rest',
    async () => {
      const books = await readBooks(cluster);
      const now = JSON.stringify(books);
      if (now !== last) [last, since] = [now, Date.now()];
      return Date.now() - since >= QUIET_MS && books;
    },
    { timeoutMs: 60_000, everyMs: 500 },
  );
}

export function booksBetween(before: Books, after: Books): Books {
  const entries = Object.entries(after).map(([host, { counters, drops }]) => {
    const earlier = before[host];
    if (earlier === undefined) throw new Error(`nothing is known of ${host}`);
    const changed = Object.entries(counters).map(([name, count]) => [
      name,
      count - earlier.counters[name as keyof Counters],
    ]);
    return [
      host,
      { counters: Object.fromEntries(changed) as Counters, drops: difference(drops, earlier.drops) },
    ];
  });
  return Object.fromEntries(entries) as Books;
}

/** Drops of the way in, on the routing host or on a target. */
export function droppedOnWayIn({ drops }: HostBooks, role: 'router' | 'target'): number {
  return WAY_IN[role].reduce((sum, reason) => sum + (drops[reason] ?? 0), 0);
}

/** What sockets lost on these hosts: may be missing on any line, and is told by its own reasons. */
export function lostAtSockets(...hosts: readonly HostBooks[]): number {
  return hosts.reduce(
    (sum, { drops }) => sum + LOST.reduce((lost, reason) => lost + (drops[reason] ?? 0), 0),
    0,
  );
}

/** What the kernel of this machine lost between two interfaces since it runs: its queue of a CPU was full. Of all labs on it. */
export function lostInKernel(): number {
  const cpus = readFileSync('/proc/net/softnet_stat', 'utf8').trim().split('\n');
  return cpus.reduce((sum, line) => sum + Number.parseInt(line.split(' ')[1] ?? '', 16), 0);
}

import type { Host } from '../../../src/lab/host.ts';
import type { Cluster, Drops } from './cluster.ts';

/**
 * Packets on their way from the applications to the peers, as counted by those who have no part in it: the kernels of targets
 * and peers. Beside them what the agents say they have dropped.
 */
export interface TunnelBooks {
  /** Taken by the target agents from their TUNs. */
  readonly taken: number;
  /** Dropped by the targets' kernels because the TUN's queue was full: named there, and TCP's business. */
  readonly tunOverflow: number;
  /** Of all agents, by host and reason. */
  readonly drops: Readonly<Record<string, Drops>>;
  readonly peers: ReadonlyMap<string, PeerBooks>;
}

export interface PeerBooks {
  /** Packets that the peer has opened (kernel-libipsec), or that came to its XFRM (a kernel, which counts errors itself). */
  readonly received: number;
  /** Dropped by the peer's kernel because a queue of the peer was full. */
  readonly overflow: number;
}

interface LinkCounters {
  readonly stats64: Record<'rx' | 'tx', { packets: number; dropped: number }>;
}

async function linkOf(host: Host, name: string): Promise<LinkCounters> {
  const said = await host.must(['ip', '-s', '-j', 'link', 'show', 'dev', name]);
  const [link] = JSON.parse(said) as LinkCounters[];
  if (link === undefined) throw new Error(`${host.name}: no ${name}`);
  return link;
}

/** Has a guest count the ESP in UDP that comes to it. */
export async function countArrivals(kernel: Host, endpoint: string): Promise<void> {
  await kernel.must(['nft', '-f', '-'], {
    input: `table ip arrivals {
      counter esp { }
      chain arriving {
        type filter hook prerouting priority -300;
        ip saddr ${endpoint} udp sport 4500 udp length > 12 @th,64,32 != 0 counter name esp;
      }
    }`,
  });
}

async function libipsecBooks(client: Host): Promise<PeerBooks> {
  const { stats64 } = await linkOf(client, 'ipsec0');
  const snmp = await client.must(['cat', '/proc/net/snmp']);
  const [names = [], values = []] = snmp
    .split('\n')
    .filter((line) => line.startsWith('Udp:'))
    .map((line) => line.split(' '));
  return { received: stats64.rx.packets, overflow: Number(values[names.indexOf('RcvbufErrors')]) };
}

async function kernelBooks(cluster: Cluster, kernel: Host): Promise<PeerBooks> {
  const said = await kernel.must(['nft', 'list', 'counters', 'table', 'ip', 'arrivals']);
  const { stats64 } = await linkOf(cluster.lab.host('outside'), kernel.name);
  return { received: Number(/packets (\d+)/.exec(said)?.[1]), overflow: stats64.tx.dropped };
}

/** Looks into all books. They agree with each other only while nothing is under way. */
export async function readBooks(cluster: Cluster): Promise<TunnelBooks> {
  const { lab } = cluster;
  const tuns = await Promise.all(lab.hostsOf('target').map((target) => linkOf(target, 'dvipa0')));
  const sum = (key: 'packets' | 'dropped') => tuns.reduce((total, { stats64 }) => total + stats64.tx[key], 0);
  const peers = new Map<string, PeerBooks>();
  for (const client of lab.hostsOf('client')) peers.set(client.name, await libipsecBooks(client));
  for (const kernel of lab.hostsOf('kernel')) peers.set(kernel.name, await kernelBooks(cluster, kernel));
  return {
    taken: sum('packets'),
    tunOverflow: sum('dropped'),
    drops: await cluster.allDrops(),
    peers,
  };
}

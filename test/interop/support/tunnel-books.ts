import type { LabHostPlan } from '../../../src/lab/addresses.ts';
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

/** All of it is UDP to the peer: ESP and IKE. */
export interface PeerBooks {
  /** Datagrams that were read from the peer's socket, or taken by its XFRM (which counts errors itself). */
  readonly received: number;
  /** Dropped by a kernel because a queue of the peer was full. */
  readonly overflow: number;
  /** Packets that kernel-libipsec has opened and written to its TUN. */
  readonly opened?: number;
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

async function peerBooks(cluster: Cluster, { kind, name }: LabHostPlan): Promise<PeerBooks> {
  const peer = cluster.lab.host(name);
  const snmp = await peer.must(['cat', '/proc/net/snmp']);
  const [names = [], values = []] = snmp
    .split('\n')
    .filter((line) => line.startsWith('Udp:'))
    .map((line) => line.split(' '));
  const udp = (counter: string) => Number(values[names.indexOf(counter)]);
  const [received, overflow] = [udp('InDatagrams'), udp('RcvbufErrors')];
  if (kind === 'client')
    return { received, overflow, opened: (await linkOf(peer, 'ipsec0')).stats64.rx.packets };
  const tap = await linkOf(cluster.lab.host('outside'), name);
  return { received, overflow: overflow + tap.stats64.tx.dropped };
}

/** Looks into all books. They agree with each other only while nothing is under way. */
export async function readBooks(cluster: Cluster): Promise<TunnelBooks> {
  const { lab } = cluster;
  const tuns = await Promise.all(lab.hostsOf('target').map((target) => linkOf(target, 'dvipa0')));
  const sum = (key: 'packets' | 'dropped') => tuns.reduce((total, { stats64 }) => total + stats64.tx[key], 0);
  const peers = new Map<string, PeerBooks>();
  for (const plan of lab.plan)
    if (plan.kind === 'client' || plan.kind === 'kernel')
      peers.set(plan.name, await peerBooks(cluster, plan));
  return {
    taken: sum('packets'),
    tunOverflow: sum('dropped'),
    drops: await cluster.allDrops(),
    peers,
  };
}

import { leaseOf } from '../../connections/port-leases.ts';
import type { DvipaRecord, RouteRecord, SaInstallRecord } from '../../coupling/records.ts';
import type { OutboundPolicy } from '../../ipsec/sa.ts';
import type { AnySa, RoutingSas } from './routing-sas.ts';
import type { DvipaService } from './dvipa-service.ts';
import type { Cluster, TargetPeer } from './target-peers.ts';

/** The SA as this target gets it; undefined while its credit, or its sender id (outbound), is not stored yet. */
export function saInstallRecord(entry: AnySa, peer: TargetPeer): SaInstallRecord | undefined {
  const { sa, lifesize } = entry;
  if (!lifesize.hasCredit(peer.host)) return undefined;
  const credit = lifesize.creditOf(peer.host);
  if ('owners' in entry)
    return { sa, credit, window: entry.owners.snapshot(), isWindowComplete: !entry.isWaitingForWindows };
  const senderId = peer.senderIds.get(sa.id);
  if (senderId === undefined) return undefined;
  return { sa, credit, senderId, ...(entry.stampKeys && { stamping: entry.stampKeys }) };
}

/** The DVIPA with the source ports of this target. */
export function dvipaRecord({ record, distribution }: DvipaService, peer: TargetPeer): DvipaRecord {
  if (distribution.sourcePorts === undefined) return record;
  const { from, to } = distribution.sourcePorts;
  const leased = leaseOf(distribution.sourcePorts, peer.place);
  return { ...record, sourcePorts: { from, to, ...(leased && { leased }) } };
}

/** Everything that a target must have now: its DVIPAs, their SAs, their outbound policies. */
export function* snapshotRecords(
  cluster: Cluster,
  sas: RoutingSas,
  peer: TargetPeer,
  now: number,
): Iterable<RouteRecord> {
  for (const service of peer.services) yield* serviceRecords(service, cluster, sas, peer, now);
}

/** The same of one DVIPA. */
export function* serviceRecords(
  service: DvipaService,
  cluster: Cluster,
  sas: RoutingSas,
  peer: TargetPeer,
  now: number,
): Iterable<RouteRecord> {
  yield { kind: 'dvipa', body: dvipaRecord(service, peer) };
  for (const entry of sas.all()) {
    if (entry.service !== service) continue;
    const body = saInstallRecord(entry, peer);
    if (body === undefined) continue;
    yield { kind: 'sa-install', body };
    if (!('numbering' in entry) || !entry.fit.path.isLowered(now)) continue;
    yield { kind: 'path-mtu', body: { sa: entry.sa.id, mtu: entry.fit.path.current(now) } };
  }
  for (const policy of sas.outbound.policies())
    if (serviceOfPolicy(policy, cluster, sas) === service) yield { kind: 'policy-install', body: { policy } };
}

/** A policy may have come before its SA, which is then sent when the plugin tells it. */
export function serviceOfPolicy(
  policy: OutboundPolicy,
  cluster: Cluster,
  sas: RoutingSas,
): DvipaService | undefined {
  return sas.outbound.saOf(policy)?.service ?? cluster.serviceOf(policy);
}

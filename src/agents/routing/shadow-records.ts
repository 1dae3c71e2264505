import { leaseOf } from '../../connections/port-leases.ts';
import type { DvipaRecord, RouteRecord, SaInstallRecord } from '../../coupling/records.ts';
import type { AnySa, RoutingSas } from './routing-sas.ts';
import type { Cluster, DvipaService, TargetPeer } from './target-peers.ts';

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
function dvipaRecord({ record, distribution }: DvipaService, peer: TargetPeer): DvipaRecord {
  if (distribution.sourcePorts === undefined) return record;
  const { from, to } = distribution.sourcePorts;
  const leased = leaseOf(distribution.sourcePorts, peer.index);
  return { ...record, sourcePorts: { from, to, ...(leased && { leased }) } };
}

/** Everything that a target must have now: its DVIPAs, their SAs, their outbound policies. */
export function* snapshotRecords(
  cluster: Cluster,
  sas: RoutingSas,
  peer: TargetPeer,
  now: number,
): Iterable<RouteRecord> {
  for (const service of cluster.dvipas.values()) {
    if (service.targets.has(peer.host)) yield { kind: 'dvipa', body: dvipaRecord(service, peer) };
  }
  for (const entry of sas.all()) {
    if (!entry.service.targets.has(peer.host)) continue;
    const body = saInstallRecord(entry, peer);
    if (body === undefined) continue;
    yield { kind: 'sa-install', body };
    if (!('numbering' in entry) || !entry.fit.path.isLowered(now)) continue;
    yield { kind: 'path-mtu', body: { sa: entry.sa.id, mtu: entry.fit.path.current(now) } };
  }
  for (const policy of sas.outbound.policies()) {
    // It may have come before its SA, which is then sent when the plugin tells it.
    const service = sas.outbound.saOf(policy)?.service ?? cluster.serviceOf(policy);
    if (service?.targets.has(peer.host) === true) yield { kind: 'policy-install', body: { policy } };
  }
}

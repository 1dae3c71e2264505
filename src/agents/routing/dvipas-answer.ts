import type { Distributor } from '../../connections/distributor.ts';
import { leaseOf } from '../../connections/port-leases.ts';
import type { ServiceSettings } from '../../connections/service.ts';
import type {
  DistributionSnapshot,
  DvipaDetails,
  DvipaTargetSnapshot,
} from '../../observe/dvipa-snapshot.ts';
import { IP_PROTOCOL } from '../../packet/protocols.ts';
import type { DrainedTargets } from './drained-targets.ts';
import type { RoutingSas } from './routing-sas.ts';
import type { DvipaService } from './dvipa-service.ts';
import { type Cluster, couplingState, type TargetPeer } from './target-peers.ts';

export interface DvipaParts {
  readonly cluster: Cluster;
  readonly host: {
    readonly sas: RoutingSas;
    readonly distributor: Distributor;
    readonly drains: DrainedTargets;
  };
}

/** DVIPAs of this routing host. */
export function dvipasAnswer(parts: DvipaParts): DvipaDetails[] {
  const sas = new Map<DvipaService, number>();
  for (const { service } of parts.host.sas.all()) sas.set(service, (sas.get(service) ?? 0) + 1);
  return Array.from(parts.cluster.dvipas.values(), (service) =>
    detailsOf(service, sas.get(service) ?? 0, parts),
  );
}

function detailsOf(service: DvipaService, sas: number, parts: DvipaParts): DvipaDetails {
  const { record, distribution } = service;
  const { cluster } = parts;
  const hostOf = (index: number) => cluster.peerAt(index)?.host ?? '';
  return {
    address: record.address,
    endpoints: record.endpoints,
    inboundFilter: record.filterMode,
    clearText: record.clearText,
    returnVia: record.returnVia,
    distribution: distributionOf(distribution, hostOf),
    services: (distribution.services ?? []).map((one) => ({
      protocol: one.protocol === IP_PROTOCOL.TCP ? 'tcp' : 'udp',
      port: one.port,
      ...distributionOf(one, hostOf),
      targets: (one.targets ?? []).map(hostOf),
    })),
    sourcePorts: distribution.sourcePorts,
    sas,
    targets: cluster.authorised(service).map((peer) => targetOf(peer, service, parts)),
  };
}

function distributionOf(
  { distribution = 'round-robin', affinity = 'none', switchBack, weights }: ServiceSettings,
  hostOf: (index: number) => string,
): DistributionSnapshot {
  const bySource = typeof affinity === 'object';
  return {
    method: distribution,
    affinity: bySource ? 'source' : affinity,
    affinitySeconds: bySource ? affinity.sourceSeconds : undefined,
    switchBack: distribution === 'hot-standby' ? switchBack : undefined,
    weights: Array.from(weights ?? [], ([index, weight]) => ({ host: hostOf(index), weight })),
  };
}

function targetOf(peer: TargetPeer, service: DvipaService, { host }: DvipaParts): DvipaTargetSnapshot {
  const { distributor, drains } = host;
  const { address, record, distribution } = service;
  const state = couplingState(peer);
  const heard = distributor.listenersOf(peer.index, address);
  return {
    host: peer.host,
    state,
    isDraining: drains.drainingOf(peer).includes(record.address),
    connections: distributor.activeOf(peer.index, address),
    busyPerMille: state === 'up' ? distributor.loadOf(peer.index) : undefined,
    sourcePorts: distribution.sourcePorts && leaseOf(distribution.sourcePorts, peer.place),
    listeners: heard && { tcp: portsOf(heard, IP_PROTOCOL.TCP), udp: portsOf(heard, IP_PROTOCOL.UDP) },
  };
}

/** Of `listenerKey`s those of the protocol, ascending. */
function portsOf(listeners: ReadonlySet<number>, protocol: number): number[] {
  const ports = [...listeners].filter((key) => key >>> 16 === protocol).map((key) => key & 0xffff);
  return ports.toSorted((a, b) => a - b);
}

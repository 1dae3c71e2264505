import type { DropCounters } from '../../base/verdict.ts';
import type { RouteConfig } from '../../config/index.ts';
import type { Distributor } from '../../connections/distributor.ts';
import type { Funnel } from '../../dataplane/funnel.ts';
import type { OpeningInbound } from '../../dataplane/opening-inbound.ts';
import type { RoutingInbound } from '../../dataplane/routing-inbound.ts';
import type { SealedSender } from '../../dataplane/sealed-sender.ts';
import { formatSpi } from '../../ipsec/sa.ts';
import type {
  AdminHandlers,
  ConnectionSnapshot,
  CouplingState,
  SaSnapshot,
  SendingWay,
  StatusSnapshot,
  TargetSnapshot,
} from '../../observe/snapshots.ts';
import { packageVersion } from '../../observe/version.ts';
import { formatAddress } from '../../packet/address.ts';
import { peerText } from '../peer-text.ts';
import { algorithmName } from '../algorithm-name.ts';
import type { Rekeyer } from './rekeyer.ts';
import type { AnySa, InboundSa, RoutingSas } from './routing-sas.ts';
import type { Cluster, TargetPeer } from './target-peers.ts';

export interface CharonState {
  isConnected: boolean;
  instance: string | undefined;
  version: string | undefined;
}

export interface RoutingParts {
  readonly config: RouteConfig;
  readonly startedAt: number;
  readonly now: () => number;
  readonly epoch: () => number;
  readonly cluster: Cluster;
  readonly sas: RoutingSas;
  readonly charon: CharonState;
  readonly rekeyer: Rekeyer;
  readonly inbound: RoutingInbound<InboundSa>;
  readonly opening: Pick<OpeningInbound<InboundSa>, 'opened'>;
  readonly sealedSender: Pick<SealedSender, 'sent'>;
  readonly funnel: Funnel;
  readonly distributor: Distributor;
  readonly drops: DropCounters;
}

/** What a routing host's admin socket answers. */
export function routingAnswers(parts: RoutingParts): AdminHandlers {
  return {
    status: () => status(parts),
    sas: () => [...parts.sas.all()].map((entry) => saSnapshot(entry, parts)),
    targets: () => parts.cluster.peers.map((peer) => targetSnapshot(peer, parts)),
    connections: () => connections(parts),
    drops: () => parts.drops.toJSON(),
  };
}

function status(parts: RoutingParts): StatusSnapshot {
  const { config, startedAt, now, epoch, cluster, charon, inbound, opening, sealedSender, funnel, drops } =
    parts;
  return {
    role: 'route',
    host: config.host,
    version: packageVersion(),
    uptimeMs: Math.round(now() - startedAt),
    epoch: epoch(),
    dvipas: [...cluster.dvipas.values()].map(({ record, targets }) => ({
      address: record.address,
      endpoints: record.endpoints,
      inboundFilter: record.filterMode,
      serving: cluster.peers
        .filter((peer) => targets.has(peer.host) && stateOf(peer) === 'up')
        .map(({ host }) => host),
    })),
    charon: { connected: charon.isConnected, instance: charon.instance, version: charon.version },
    coupling: cluster.peers.map((peer) => ({
      host: peer.host,
      address: peer.address,
      state: stateOf(peer),
      lastHeardMs: sinceHeard(peer, now()),
    })),
    counters: {
      packetsIn: inbound.packets,
      packetsOut: funnel.sent.packets,
      bytesIn: inbound.bytes,
      bytesOut: funnel.sent.bytes,
      opened: opening.opened,
      sealed: funnel.sent.sealed,
      linkIn: funnel.linkPackets,
      linkOut: inbound.dispatched + sealedSender.sent,
      dropped: Object.values(drops.toJSON()).reduce((sum, count) => sum + count, 0),
    },
  };
}

function stateOf(peer: TargetPeer): CouplingState {
  if (peer.session?.isOpen !== true) return 'down';
  return peer.hasSnapshot ? 'up' : 'snapshot';
}

function sinceHeard({ session, lastHeardAt }: TargetPeer, now: number): number | undefined {
  const heardAt = session?.heardAt ?? lastHeardAt;
  return heardAt === undefined ? undefined : Math.round(now - heardAt);
}

function saSnapshot(entry: AnySa, { cluster, rekeyer, now }: RoutingParts): SaSnapshot {
  const { sa } = entry;
  const isInbound = 'owners' in entry;
  const { bytes, packets, idleMs } = entry.lifesize.totals(now());
  const names = rekeyer.namesOf(entry);
  const installedOn = isInbound
    ? cluster.peers.filter(({ index }) => entry.serving.has(index)).map(({ host }) => host)
    : [...entry.installedOn];
  const { source, sourcePort, destination, destinationPort } = sa.outer;
  return {
    id: sa.id,
    spi: formatSpi(sa.spi),
    direction: sa.direction,
    dvipa: sa.dvipa,
    peer: isInbound ? peerText(source, sourcePort) : peerText(destination, destinationPort),
    mode: sa.mode,
    encapsulation: sa.hasUdpEncapsulation ? 'udp' : 'none',
    group: sa.group,
    ikeName: names?.ike,
    childName: names?.child,
    reqid: sa.reqid,
    algorithm: algorithmName(sa),
    bytes,
    packets,
    idleMs,
    limits: { bytes: sa.lifetime.bytes, packets: sa.lifetime.packets },
    state: entry.isRekeying ? 'rekeying' : installedOn.length > 0 ? 'serving' : 'installing',
    installedOn,
    way: isInbound ? undefined : wayOf(entry.numbering.state),
    openedHere: isInbound ? entry.openedHere : 0,
  };
}

function wayOf(state: { readonly name: string; readonly target?: string }): SendingWay {
  if (state.name === 'exclusive') return `exclusive:${state.target ?? ''}`;
  return state.name === 'idle' || state.name === 'blocked' ? 'idle' : 'funnel';
}

function targetSnapshot(peer: TargetPeer, { sas, distributor, epoch, now }: RoutingParts): TargetSnapshot {
  let connectionCount = 0;
  for (const { target } of distributor.table.entries(now())) if (target === peer.index) connectionCount++;
  return {
    host: peer.host,
    address: peer.address,
    state: stateOf(peer),
    incarnation: peer.incarnation?.toString(),
    lastHeardMs: sinceHeard(peer, now()),
    sas: [...sas.all()].filter((entry) =>
      'owners' in entry ? entry.serving.has(peer.index) : entry.installedOn.has(peer.host),
    ).length,
    connections: connectionCount,
    epoch: peer.session?.epoch ?? epoch(),
  };
}

function connections({ distributor, cluster, now }: RoutingParts): ConnectionSnapshot[] {
  return Array.from(distributor.table.entries(now()), (entry) => ({
    dvipa: formatAddress(entry.dvipa),
    group: entry.group,
    protocol: entry.protocol,
    source: formatAddress(entry.source),
    sourcePort: entry.sourcePort,
    destinationPort: entry.destinationPort,
    target: cluster.peers[entry.target]?.host ?? '',
    state: entry.state === 'established' ? 'confirmed' : entry.state,
    remainingMs: Math.round(entry.remainingMs),
  }));
}

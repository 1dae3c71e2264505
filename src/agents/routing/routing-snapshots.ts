import { formatSpi } from '../../ipsec/sa.ts';
import type { AdminHandlers } from '../../observe/admin-answers.ts';
import type {
  OpeningSnapshot,
  SaSnapshot,
  SaTargetSnapshot,
  StatusSnapshot,
  TargetSnapshot,
} from '../../observe/snapshots.ts';
import { packageVersion } from '../../observe/version.ts';
import { filterSnapshot } from '../filter-snapshot.ts';
import { crewSnapshot } from '../open-crew.ts';
import { peerText } from '../peer-text.ts';
import { algorithmName } from '../algorithm-name.ts';
import { withoutArguments } from '../admin-arguments.ts';
import { connectionCounts, connectionList, connectionTop } from './connection-answers.ts';
import { dvipasAnswer } from './dvipas-answer.ts';
import { lifesizeAnswer } from './lifesize-answer.ts';
import { numberingAnswer } from './numbering-answer.ts';
import { routingHealth } from './routing-health.ts';
import type { RoutingHost } from './routing-host.ts';
import type { RoutingParts } from './routing-parts.ts';
import type { AnySa } from './routing-sas.ts';
import { inboundPhase, outboundPhase, saAtTarget } from './sa-target-states.ts';
import { type Cluster, couplingState, type TargetPeer } from './target-peers.ts';
import { sendingWay } from './way-history.ts';

/** What a routing host's admin socket answers. */
export function routingAnswers(parts: RoutingParts): AdminHandlers {
  return {
    status: withoutArguments(() => status(parts)),
    dvipas: withoutArguments(() => dvipasAnswer(parts)),
    sas: withoutArguments(() => {
      const inUse = outboundInUse(parts);
      return [...parts.host.sas.all()].map((entry) => saSnapshot(entry, parts, inUse));
    }),
    targets: withoutArguments(() => parts.cluster.peers.map((peer) => targetSnapshot(peer, parts))),
    connections: (given = {}) => connectionList(parts, given),
    'connection-counts': (given = {}) => connectionCounts(parts, given),
    'connection-top': (given = {}) => connectionTop(parts, given),
    numbering: withoutArguments(() => numberingAnswer(parts)),
    filters: withoutArguments(() =>
      Array.from(parts.cluster.dvipas.values(), (dvipa) => filterSnapshot(dvipa, 'filter')),
    ),
    lifesize: withoutArguments(() => lifesizeAnswer(parts)),
    drops: withoutArguments(() => parts.drops.toJSON()),
  };
}

function status(parts: RoutingParts): StatusSnapshot {
  const { config, now, epoch, cluster, charon, drops } = parts;
  const { startedAt, inbound, funnel, stamping, clearReturn, opening, sealedSender, clearSender } =
    parts.host;
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
      clearText: record.clearText,
      serving: cluster.peers
        .filter((peer) => targets.has(peer.host) && couplingState(peer) === 'up')
        .map(({ host }) => host),
    })),
    charon: { connected: charon.isConnected, instance: charon.instance, version: charon.version },
    coupling: cluster.peers.map((peer) => ({
      host: peer.host,
      address: peer.address,
      state: couplingState(peer),
      lastHeardMs: sinceHeard(peer, now()),
    })),
    counters: {
      packetsIn: inbound.packets,
      packetsOut: funnel.sent.packets + stamping.sent.packets + clearReturn.packets,
      bytesIn: inbound.bytes,
      bytesOut: funnel.sent.bytes + stamping.sent.bytes + clearReturn.bytes,
      opened: opening.opened,
      sealed: funnel.sent.sealed,
      linkIn: funnel.linkPackets + stamping.linkPackets,
      linkOut: inbound.dispatched + sealedSender.sent + clearSender.sent,
      dropped: Object.values(drops.toJSON()).reduce((sum, count) => sum + count, 0),
    },
    link: parts.link.stats(),
    crew: crewSnapshot(parts.crew),
    sending: parts.raw.sending(),
    health: routingHealth(parts),
    opening: openingSnapshot(parts.host, now()),
  };
}

function openingSnapshot({ budget, opening, sas }: RoutingHost, now: number): OpeningSnapshot {
  const { perSecond, granted, refused } = budget;
  const { opened, inPlaceOfTargets, waiting } = opening;
  let attackedSas = 0;
  for (const { suspicion } of sas.inbound.values()) if (suspicion.isRaised(now)) attackedSas++;
  const { used, capacity } = sas.rings;
  return {
    perSecond,
    granted,
    refused,
    opened,
    inPlaceOfTargets,
    waiting,
    attackedSas,
    rings: { used, capacity },
  };
}

function sinceHeard({ session, lastHeardAt }: TargetPeer, now: number): number | undefined {
  const heardAt = session?.heardAt ?? lastHeardAt;
  return heardAt === undefined ? undefined : Math.round(now - heardAt);
}

/** Outbound SAs that a policy names: charon has switched to them. */
function outboundInUse({ host }: RoutingParts): ReadonlySet<AnySa | undefined> {
  const { outbound } = host.sas;
  return new Set(outbound.policies().map((policy) => outbound.saOf(policy)));
}

function targetsOf(entry: AnySa, cluster: Cluster, isInUse: boolean): SaTargetSnapshot[] {
  const isInbound = 'owners' in entry;
  const phase = isInbound ? inboundPhase(entry) : outboundPhase(isInUse, entry.isReplaced);
  return cluster.authorised(entry.service).map((peer) =>
    saAtTarget({
      host: peer.host,
      isConnected: couplingState(peer) === 'up',
      refusal: entry.refusals.get(peer.host),
      isAcknowledged: isServedBy(entry, peer),
      phase,
    }),
  );
}

function isServedBy(entry: AnySa, peer: TargetPeer): boolean {
  return 'owners' in entry ? entry.serving.has(peer.index) : entry.installedOn.has(peer.host);
}

function saSnapshot(
  entry: AnySa,
  { cluster, rekeyer, now }: RoutingParts,
  inUse: ReadonlySet<AnySa | undefined>,
): SaSnapshot {
  const { sa } = entry;
  const isInbound = 'owners' in entry;
  const { bytes, packets, idleMs } = entry.lifesize.totals(now());
  const names = rekeyer.namesOf(entry);
  const installedOn = cluster.peers.filter((peer) => isServedBy(entry, peer)).map(({ host }) => host);
  const targets = targetsOf(entry, cluster, inUse.has(entry));
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
    state: stateOfSa(entry, targets),
    installedOn,
    targets,
    isAttacked: isInbound ? entry.suspicion.isRaised(now()) : undefined,
    way: isInbound ? undefined : sendingWay(entry.numbering),
    openedHere: isInbound ? entry.openedHere : 0,
  };
}

/** `refused`: by every target that is there. */
function stateOfSa(entry: AnySa, targets: readonly SaTargetSnapshot[]): SaSnapshot['state'] {
  if (entry.isRekeying) return 'rekeying';
  const states = targets.map(({ state }) => state).filter((state) => state !== 'down');
  if (states.length > 0 && states.every((state) => state === 'failed')) return 'refused';
  return states.some((state) => state !== 'failed' && state !== 'offered') ? 'serving' : 'installing';
}

function targetSnapshot(peer: TargetPeer, { host, epoch, now }: RoutingParts): TargetSnapshot {
  const { sas, distributor, drains } = host;
  return {
    host: peer.host,
    address: peer.address,
    state: couplingState(peer),
    incarnation: peer.incarnation?.toString(),
    lastHeardMs: sinceHeard(peer, now()),
    sas: [...sas.all()].filter((entry) => isServedBy(entry, peer)).length,
    connections: distributor.table.sizeOfTarget(peer.index),
    epoch: peer.session?.epoch ?? epoch(),
    draining: drains.drainingOf(peer),
    maintenance: drains.isInMaintenance(peer),
  };
}

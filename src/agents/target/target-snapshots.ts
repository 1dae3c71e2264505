import type { RecentRise } from '../../base/recent-rise.ts';
import type { DropCounters } from '../../base/verdict.ts';
import type { FlowTracker } from '../../connections/flow-tracker.ts';
import type { TargetConfig } from '../../config/index.ts';
import type { ClearText } from '../../dataplane/clear-text.ts';
import type { InnerDelivery } from '../../dataplane/inner-delivery.ts';
import type { SealedInbound } from '../../dataplane/sealed-inbound.ts';
import type { TargetInbound } from '../../dataplane/target-inbound.ts';
import type { TargetOutbound } from '../../dataplane/target-outbound.ts';
import { formatSpi, type SecurityAssociation } from '../../ipsec/sa.ts';
import type { Crew } from '../../io/crew.ts';
import type { AdminHandlers } from '../../observe/admin-answers.ts';
import type { CouplingSnapshot, SaSnapshot, StatusSnapshot } from '../../observe/snapshots.ts';
import { packageVersion } from '../../observe/version.ts';
import { filterSnapshot } from '../filter-snapshot.ts';
import type { OpenLink } from '../open-link.ts';
import { crewSnapshot } from '../open-crew.ts';
import type { RawSocket } from '../../io/raw-socket.ts';
import { peerText } from '../peer-text.ts';
import { algorithmName } from '../algorithm-name.ts';
import { withoutArguments } from '../admin-arguments.ts';
import { connectionCounts, connectionList, connectionTop } from './connection-answers.ts';
import { dvipasAnswer } from './dvipas-answer.ts';
import { lifesizeAnswer } from './lifesize-answer.ts';
import { numberingAnswer, sendingWay } from './numbering-answer.ts';
import { targetHealth } from './target-health.ts';
import type { ShadowCache } from './shadow-cache.ts';
import type { ListeningSource } from './target-listeners.ts';
import type { TargetMaintenance } from './target-maintenance.ts';
import type { TargetRelations } from './target-session.ts';

export interface TargetParts {
  readonly config: TargetConfig;
  readonly startedAt: number;
  readonly now: () => number;
  readonly cache: ShadowCache;
  readonly relations: TargetRelations;
  readonly inbound: TargetInbound;
  readonly delivery: InnerDelivery;
  readonly sealedInbound: SealedInbound;
  readonly clearText: ClearText;
  readonly outbound: TargetOutbound;
  readonly flows: FlowTracker;
  readonly maintenance: TargetMaintenance;
  readonly listening: ListeningSource;
  readonly drops: DropCounters;
  readonly overrun: RecentRise;
  readonly link: Pick<OpenLink, 'stats'>;
  readonly crew?: Pick<Crew, 'stats'>;
  readonly raw: Pick<RawSocket, 'sending'>;
}

/** What a target's admin socket answers. */
export function targetAnswers(parts: TargetParts): AdminHandlers {
  const host = parts.config.host;
  const seen = { flows: parts.flows, host };
  return {
    status: withoutArguments(() => status(parts)),
    dvipas: withoutArguments(() => {
      const { state } = couplingOf(parts.config, parts.relations, parts.now());
      return dvipasAnswer({ ...parts, host, state });
    }),
    sas: withoutArguments(() => [
      ...[...parts.cache.inbound.values()].map(({ sa, meter }) => saSnapshot(sa, meter, parts)),
      ...[...parts.cache.outbound.values()].map((entry) => ({
        ...saSnapshot(entry.sa, entry.meter, parts),
        way: sendingWay(entry, host),
      })),
    ]),
    targets: withoutArguments(() => []),
    connections: (given = {}) => connectionList(seen, given),
    'connection-counts': (given = {}) => connectionCounts(seen, given),
    'connection-top': (given = {}) => connectionTop(seen, given),
    numbering: withoutArguments(() => numberingAnswer(parts.cache, host, parts.now())),
    filters: withoutArguments(() =>
      Array.from(parts.cache.services, (dvipa) => filterSnapshot(dvipa, 'bypass')),
    ),
    lifesize: withoutArguments(() => lifesizeAnswer(parts.cache, host)),
    drops: withoutArguments(() => parts.drops.toJSON()),
  };
}

function status({
  config,
  startedAt,
  now,
  cache,
  relations,
  inbound,
  delivery,
  sealedInbound,
  clearText,
  outbound,
  maintenance,
  drops,
  overrun,
  link,
  crew,
  raw,
}: TargetParts): StatusSnapshot {
  return {
    role: 'target',
    host: config.host,
    version: packageVersion(),
    uptimeMs: Math.round(now() - startedAt),
    epoch: relations.epoch,
    dvipas: cache.dvipas.map(({ address, endpoints, filterMode, clearText: clear }) => ({
      address,
      endpoints,
      inboundFilter: filterMode,
      clearText: clear,
      serving: relations.session === undefined ? [] : [config.host],
    })),
    coupling: [couplingOf(config, relations, now())],
    counters: {
      packetsIn: delivery.packets,
      packetsOut: outbound.sent.packets + clearText.packets,
      bytesIn: delivery.bytes,
      bytesOut: outbound.sent.bytes + clearText.bytes,
      opened: inbound.opened,
      sealed: outbound.sent.sealed + outbound.stamped,
      linkIn: inbound.linkPackets + sealedInbound.packets,
      linkOut: outbound.funnelled + outbound.stamped + clearText.handedOver,
      dropped: Object.values(drops.toJSON()).reduce((sum, count) => sum + count, 0),
    },
    link: link.stats(),
    crew: crewSnapshot(crew),
    sending: raw.sending(),
    health: targetHealth(config.router.host, relations, maintenance, overrun.isRecent(now())),
  };
}

function couplingOf(config: TargetConfig, relations: TargetRelations, now: number): CouplingSnapshot {
  const { session } = relations;
  const heardAt = session?.heardAt ?? relations.lastHeardAt;
  const state = session === undefined ? 'connecting' : relations.isSnapshotComplete ? 'up' : 'snapshot';
  return {
    host: config.router.host,
    address: config.router.address,
    state,
    lastHeardMs: heardAt === undefined ? undefined : Math.round(now - heardAt),
  };
}

function saSnapshot(
  sa: SecurityAssociation,
  meter: { readonly bytes: number; readonly packets: number },
  { config, inbound }: TargetParts,
): SaSnapshot {
  const isInbound = sa.direction === 'in';
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
    reqid: sa.reqid,
    algorithm: algorithmName(sa),
    bytes: meter.bytes,
    packets: meter.packets,
    limits: { bytes: sa.lifetime.bytes, packets: sa.lifetime.packets },
    state: 'serving',
    installedOn: [config.host],
    openedHere: isInbound && inbound.opened > 0 ? meter.packets : 0,
  };
}

import { randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { DropCounters } from '../../base/verdict.ts';
import { CLEAR_GROUP, type ConnectionKey } from '../../connections/connection-key.ts';
import type { Distributor } from '../../connections/distributor.ts';
import type { CloseReason } from '../../coupling/errors.ts';
import type { FlowRecord, RouteRecord, TargetBodies, TargetRecord } from '../../coupling/records.ts';
import type { RoutingHandlers, RoutingSession } from '../../coupling/session.ts';
import type { OpeningInbound } from '../../dataplane/opening-inbound.ts';
import { capByNumbers } from '../../ipsec/granted-numbers.ts';
import { LINK_KEY_BYTES, type NewLinkCipher } from '../../ipsec/link-cipher.ts';
import { formatSpi, type SaId } from '../../ipsec/sa.ts';
import type { Log } from '../../observe/log.ts';
import { equalAddresses, parseAddress } from '../../packet/address.ts';
import { IP_PROTOCOL } from '../../packet/protocols.ts';
import { drawKey } from '../draw-key.ts';
import { connectionKeyOf } from '../flow-record.ts';
import type { Acquires } from './acquires.ts';
import type { DrainedTargets } from './drained-targets.ts';
import type { LifesizeRunner } from './lifesize-runner.ts';
import type { NumberingRunner } from './numbering-runner.ts';
import type { OpeningRunner } from './opening-runner.ts';
import type { PeerMoves } from './peer-moves.ts';
import type { AnySa, InboundSa, OutboundSa, RoutingSas } from './routing-sas.ts';
import type { SaLifecycle } from './sa-lifecycle.ts';
import { snapshotRecords } from './shadow-records.ts';
import type { TargetAuthority } from './target-authority.ts';
import type { TargetCompleteness } from './target-completeness.ts';
import type { Cluster, TargetPeer } from './target-peers.ts';

/** Without ESN no number is beyond (RFC 4303 section 3.3.3). */
const LAST_SEQUENCE = 0xffff_ffffn;
/** A target sends the list of its connections at once; one that never ends it is not believed for ever. */
const LISTING_MS = 10_000;
/** A target asks again for what a DVIPA has, after a reload of its own. */
const WANTED_INTERVAL_MS = 1000;
/** Changes of mind of a target about its maintenance that are taken in a minute: each is an event, and moves connections. */
const MAINTENANCE_WORDS = 20;
const MAINTENANCE_WORDS_MS = 60_000;

export interface TargetSessionsOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly drops: DropCounters;
  readonly cluster: Cluster;
  readonly sas: RoutingSas;
  readonly lifecycle: SaLifecycle;
  readonly numbering: NumberingRunner;
  readonly lifesize: LifesizeRunner;
  readonly distributor: Distributor;
  readonly moves: PeerMoves;
  readonly opening: OpeningInbound<InboundSa>;
  readonly opened: OpeningRunner;
  readonly completeness: TargetCompleteness;
  readonly acquires: Acquires;
  readonly authority: TargetAuthority;
  readonly drains: DrainedTargets;
  readonly newLinkCipher: NewLinkCipher;
}

/**
 * The routing host's relation to its targets: what they get when they come, what their records do, what their
 * loss means. A target is believed only about what it was given; the rest is `coupling-not-granted`.
 */
export class TargetSessions implements RoutingHandlers {
  readonly #options: TargetSessionsOptions;

  constructor(options: TargetSessionsOptions) {
    this.#options = options;
  }

  onOpen(session: RoutingSession): void {
    const { clock, log, sas, authority } = this.#options;
    const peer = this.#peer(session);
    const now = clock.now();
    const isReborn = peer.incarnation !== undefined && peer.incarnation !== session.incarnation;
    peer.session = session;
    peer.hasSnapshot = false;
    peer.incarnation = session.incarnation;
    peer.listsUntil = now + LISTING_MS;
    peer.senderIds.clear();
    log.info('target connected', {
      target: peer.host,
      incarnation: session.incarnation,
      epoch: session.epoch,
      event: 'target-up',
    });
    this.#sendLinkKey(peer, session);
    for (const entry of sas.all()) {
      if (!entry.service.targets.has(peer.host)) continue;
      if ('owners' in entry && isReborn) entry.given.restarted(peer.index);
      authority.ready(entry, peer, session.incarnation);
    }
  }

  snapshot(session: RoutingSession): Iterable<RouteRecord> {
    const { cluster, sas, distributor, clock, completeness } = this.#options;
    const peer = this.#peer(session);
    const records = [...snapshotRecords(cluster, sas, peer, clock.now())];
    for (const service of peer.services) {
      const body = { dvipa: service.record.address, complete: completeness.isComplete(service) };
      records.push({ kind: 'completeness', body });
    }
    peer.snapshotAt = clock.now();
    peer.hasSnapshot = true; // what changes from now on is sent behind it
    for (const { address } of peer.services) distributor.addTarget(address, peer.index);
    return records;
  }

  onClose(session: RoutingSession, reason: CloseReason, cause?: unknown): void {
    const { log, sas, distributor, opening, completeness, authority } = this.#options;
    const peer = this.#options.cluster.peer(session.host);
    if (peer?.session !== session) return;
    peer.lastHeardAt = session.heardAt;
    peer.session = undefined;
    peer.hasSnapshot = false;
    completeness.lost(peer); // first of all: the others must know before a segment of its connections comes to them
    const connections = distributor.removeTarget(peer.index);
    opening.targetLost(peer.index);
    for (const entry of sas.all()) if (entry.service.targets.has(peer.host)) authority.lost(entry, peer);
    log.warn('target lost', { target: peer.host, reason, connections, error: cause, event: 'target-down' });
  }

  onRecord(session: RoutingSession, record: TargetRecord): void {
    const peer = this.#peer(session);
    if (!this.#handle(peer, record)) {
      this.#options.drops.count('coupling-not-granted');
      this.#options.log.debug('record refused', { target: peer.host, kind: record.kind });
    }
  }

  /** False: the target was not given what it speaks of. */
  #handle(peer: TargetPeer, { kind, body }: TargetRecord): boolean {
    const { lifecycle, sas } = this.#options;
    switch (kind) {
      case 'sa-installed':
        return this.#installed(peer, body);
      case 'policy-installed':
        lifecycle.policies.served(body.key, peer.host);
        return true;
      case 'window': {
        const entry = this.#inbound(body.sa, peer);
        // Only while it is waited for: a target could stop an SA with a window that is far ahead.
        if (entry?.awaiting.has(peer.host) === true) {
          if (!entry.sa.hasEsn && body.top > LAST_SEQUENCE) return false;
          entry.owners.merge(body);
          entry.returned.set(peer.host, body.isComplete);
        }
        return entry !== undefined || sas.get(body.sa) === undefined; // gone meanwhile
      }
      case 'windows-end':
        peer.listsUntil = 0;
        lifecycle.windowsEnded(peer, body.livesMs);
        this.#options.completeness.listed(peer); // a target lists its connections before this
        return true;
      case 'replay-report':
        return this.#replayReport(peer, body);
      case 'claim-answer': {
        const entry = this.#inbound(body.sa, peer);
        if (entry === undefined) return sas.get(body.sa) === undefined;
        return this.#options.opened.answered(entry, peer, body);
      }
      case 'mapping-report': {
        const entry = this.#inbound(body.sa, peer);
        if (entry === undefined) return sas.get(body.sa) === undefined;
        return this.#options.moves.reported(entry, peer, body);
      }
      case 'lifesize-report':
        return this.#lifesizeReport(peer, body);
      case 'flow-report':
        return this.#flowReport(peer, body);
      case 'flow-ask':
        return this.#flowAsk(peer, body);
      case 'acquire':
        return this.#options.acquires.asked(peer, body);
      case 'listeners':
        return this.#listeners(peer, body);
      case 'dvipa-wanted':
        return this.#dvipaWanted(peer, body);
      case 'load':
        this.#options.distributor.setLoad(peer.index, body.busyPerMille);
        return true;
      case 'maintenance':
        return this.#maintenance(peer, body);
      case 'lease-request':
        return this.#onNumbering(body.sa, peer, (entry, now) =>
          entry.numbering.leaseRequest(peer.host, body.count, now),
        );
      case 'lease-return':
        return this.#onNumbering(body.sa, peer, (entry, now) =>
          entry.numbering.leaseReturn(peer.host, body.lease, body.firstUnused, now),
        );
      case 'flush':
        return this.#onNumbering(body.sa, peer, (entry, now) =>
          entry.numbering.flush(peer.host, body.counter, now),
        );
    }
  }

  #installed(peer: TargetPeer, body: TargetBodies['sa-installed']): boolean {
    const entry = this.#granted(body.id, peer);
    if (entry === undefined) return this.#options.sas.get(body.id) === undefined;
    if (body.ok) this.#options.lifecycle.served(entry, peer);
    else {
      const { spi, direction } = entry.sa;
      const fields = { target: peer.host, sa: body.id, spi: formatSpi(spi), direction, reason: body.reason };
      entry.refusals.set(peer.host, body.reason ?? 'failed');
      this.#options.log.error('target refused the SA', { ...fields, event: 'sa-refused' });
    }
    return true;
  }

  #replayReport(peer: TargetPeer, body: TargetBodies['replay-report']): boolean {
    const entry = this.#inbound(body.sa, peer);
    if (entry === undefined) return this.#options.sas.get(body.sa) === undefined;
    const { refused } = entry.owners.reported(peer.index, body.numbers, peer.floorOf(body.floor));
    if (body.wrongIcvs > 0) this.#options.opened.wrongIcvs(entry, body.wrongIcvs);
    return refused === 0;
  }

  #lifesizeReport(peer: TargetPeer, body: TargetBodies['lifesize-report']): boolean {
    const { sas, clock, lifesize } = this.#options;
    const entry = this.#granted(body.sa, peer);
    if (entry === undefined) return sas.get(body.sa) === undefined;
    const believed =
      'owners' in entry
        ? entry.given.cap(peer.index, body)
        : capByNumbers(body, entry.numbering.numbersUsableBy(peer.host));
    const isAllowed = entry.lifesize.reported(peer.host, believed, clock.now());
    lifesize.changed(entry);
    return isAllowed && believed.bytes === body.bytes && believed.packets === body.packets;
  }

  /** The list of a new session is believed where no other target has the connection; what comes later, where it was given it. */
  #flowReport(peer: TargetPeer, body: TargetBodies['flow-report']): boolean {
    const { distributor, clock } = this.#options;
    const now = clock.now();
    let refused = 0;
    for (const flow of body.opened) {
      const key = this.#connectionKey(peer, flow);
      const isGranted =
        key !== undefined &&
        (now < peer.listsUntil || distributor.mayReport(key, peer.index, now)) &&
        distributor.confirm(key, peer.index, now) !== 'refused';
      if (!isGranted) refused++;
    }
    for (const flow of body.closed) {
      const key = this.#connectionKey(peer, flow);
      // Of no entry it is merely late.
      const owner = key === undefined ? -1 : distributor.table.lookup(key);
      if (key === undefined || (owner >= 0 && owner !== peer.index)) refused++;
      else distributor.close(key, peer.index, now);
    }
    return refused === 0;
  }

  /** Whose answers would come to another target may not be opened; that is the answer, and no lie. */
  #flowAsk(peer: TargetPeer, { flow }: TargetBodies['flow-ask']): boolean {
    const { distributor, clock } = this.#options;
    const key = flow.group === CLEAR_GROUP ? undefined : this.#connectionKey(peer, flow);
    const isYours = key !== undefined && distributor.open(key, peer.index, clock.now());
    peer.session?.send('flow-answer', { flow, isYours });
    return key !== undefined;
  }

  #listeners(peer: TargetPeer, { dvipa, tcp, udp }: TargetBodies['listeners']): boolean {
    const address = parseAddress(dvipa);
    if (address === undefined || !peer.dvipas.has(address)) return false;
    const ports = new Set<number>();
    for (const port of tcp) ports.add((IP_PROTOCOL.TCP << 16) | port);
    for (const port of udp) ports.add((IP_PROTOCOL.UDP << 16) | port);
    this.#options.distributor.setListeners(peer.index, address, ports);
    return true;
  }

  /** Not more often than a person reloads: everything of a DVIPA is much. */
  #dvipaWanted(peer: TargetPeer, { dvipa }: TargetBodies['dvipa-wanted']): boolean {
    const { cluster, clock, authority } = this.#options;
    const service = cluster.dvipas.get(dvipa);
    if (service === undefined || !service.targets.has(peer.host)) return service === undefined;
    const now = clock.now();
    const last = peer.wantedAt.get(service);
    if (last !== undefined && now - last < WANTED_INTERVAL_MS) return false;
    peer.wantedAt.set(service, now);
    authority.grant({ service, peer });
    return true;
  }

  #maintenance(peer: TargetPeer, { isOn }: TargetBodies['maintenance']): boolean {
    const { clock, drains } = this.#options;
    const { maintenanceWords: words } = peer;
    if (isOn === drains.isInMaintenance(peer)) return true;
    const now = clock.now();
    if (now - words.since >= MAINTENANCE_WORDS_MS) Object.assign(words, { since: now, count: 0 });
    if (++words.count > MAINTENANCE_WORDS) return false;
    drains.maintenance(peer, isOn);
    return true;
  }

  #onNumbering(sa: SaId, peer: TargetPeer, input: (entry: OutboundSa, now: number) => boolean): boolean {
    const { sas, clock, numbering } = this.#options;
    const entry = this.#granted(sa, peer);
    if (entry === undefined || !('numbering' in entry)) return sas.get(sa) === undefined;
    const isGranted = input(entry, clock.now());
    numbering.changed(entry);
    // A lease that ended here first is late, not a lie.
    return isGranted || entry.installedOn.has(peer.host);
  }

  #granted(id: SaId, peer: TargetPeer): AnySa | undefined {
    const entry = this.#options.sas.get(id);
    return entry?.service.targets.has(peer.host) === true ? entry : undefined;
  }

  #inbound(id: SaId, peer: TargetPeer): InboundSa | undefined {
    const entry = this.#granted(id, peer);
    return entry !== undefined && 'owners' in entry ? entry : undefined;
  }

  #connectionKey(peer: TargetPeer, flow: FlowRecord): ConnectionKey | undefined {
    const key = connectionKeyOf(flow);
    if (key === undefined || !peer.dvipas.has(key.dvipa)) return undefined;
    const { dvipa } = key;
    const isGiven =
      flow.group === CLEAR_GROUP
        ? peer.services.some(
            ({ address, distributesClear }) => distributesClear && equalAddresses(address, 0, dvipa, 0),
          )
        : this.#options.sas.group(flow.group).size > 0;
    return isGiven ? key : undefined;
  }

  #sendLinkKey(peer: TargetPeer, session: RoutingSession): void {
    const key = drawKey(LINK_KEY_BYTES);
    const toRouter = drawKey(LINK_KEY_BYTES);
    const keyId = randomBytes(4).readUInt32BE(0);
    session.send('link-key', { key, toRouter, keyId, dispatched: peer.dispatched });
    peer.linkKeys.install(keyId, key, toRouter, this.#options.newLinkCipher);
  }

  #peer(session: RoutingSession): TargetPeer {
    const peer = this.#options.cluster.peer(session.host);
    if (peer === undefined) throw new Error(`${session.host} is no configured target`);
    return peer;
  }
}

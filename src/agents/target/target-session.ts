import type { Clock } from '../../base/clock.ts';
import { Deadlines } from '../../base/deadlines.ts';
import type { DropCounters } from '../../base/verdict.ts';
import type { CloseReason } from '../../coupling/errors.ts';
import type { TargetEvent } from '../../coupling/records.ts';
import type { TargetHandlers, TargetSession } from '../../coupling/session.ts';
import { DispatchFloor } from '../../dataplane/dispatch-floor.ts';
import type { Acquiring } from '../../dataplane/acquiring.ts';
import type { OpenedFlows } from '../../dataplane/opened-flows.ts';
import type { ShadowOutboundSa, TargetOutbound } from '../../dataplane/target-outbound.ts';
import type { WithheldResets } from '../../dataplane/withheld-resets.ts';
import type { HolderAction } from '../../ipsec/numbering-holder.ts';
import { formatSpi } from '../../ipsec/sa.ts';
import type { Log } from '../../observe/log.ts';
import type { NewLinkCipher } from '../../ipsec/link-cipher.ts';
import { LinkKeys } from '../link-keys.ts';
import { connectionKeyOf } from '../flow-record.ts';
import { addressOf } from '../sa-settings.ts';
import type { ShadowCache } from './shadow-cache.ts';
import type { TargetListeners } from './target-listeners.ts';
import type { TargetLoad } from './target-load.ts';
import type { TargetMaintenance } from './target-maintenance.ts';
import type { TargetReports } from './target-reports.ts';

export interface TargetRelationsOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly drops: DropCounters;
  readonly cache: ShadowCache;
  readonly reports: TargetReports;
  readonly listeners: TargetListeners;
  readonly load: TargetLoad;
  readonly maintenance: TargetMaintenance;
  readonly resets: WithheldResets;
  /** Settings of a DVIPA have come, or one is gone. */
  readonly onDvipas: () => void;
  /** The way out; it is made after this, since it asks for numbers here. */
  readonly outbound: () => TargetOutbound;
  /** What waits for this session's answers. */
  readonly opened: OpenedFlows;
  readonly acquiring: Acquiring;
  readonly newLinkCipher: NewLinkCipher;
}

/**
 * A target's relation to its routing host: obeys the records, fences old epochs, and carries out what the
 * numbering of each outbound SA wants. It outlives sessions; the dispatch floor is per session.
 */
export class TargetRelations implements TargetHandlers {
  readonly linkKeys = new LinkKeys();
  readonly #options: TargetRelationsOptions;
  readonly #deadlines: Deadlines<ShadowOutboundSa>;
  #session: TargetSession | undefined;
  readonly #bornAt: number;
  #epoch = 0;
  /** Of the present session; undefined until the routing host has said where its dispatches begin. */
  #floor: DispatchFloor | undefined;
  /** When the session before was heard last, for people. */
  lastHeardAt: number | undefined;
  isSnapshotComplete = false;

  constructor(options: TargetRelationsOptions) {
    this.#options = options;
    this.#bornAt = options.clock.now();
    this.#deadlines = new Deadlines(options.clock, (entry, now) => {
      entry.holder.tick(now);
      this.numberingChanged(entry);
    });
  }

  /** The owner's epoch; 0: none known yet. */
  get epoch(): number {
    return this.#epoch;
  }

  /** What the link is accepted by; undefined: nothing is. */
  get link(): { readonly epoch: number; readonly floor: DispatchFloor } | undefined {
    return this.#floor === undefined ? undefined : { epoch: this.#epoch, floor: this.#floor };
  }

  get session(): TargetSession | undefined {
    return this.#session;
  }

  onOpen(session: TargetSession): void {
    const { cache, reports, listeners, load, maintenance, log, clock } = this.#options;
    const isNewEpoch = session.epoch !== this.#epoch;
    // Fence first: nothing is accepted until dispatches of this session begin, so the windows below are final.
    this.#epoch = session.epoch;
    this.#floor = undefined;
    this.#session = session;
    this.isSnapshotComplete = false;
    log.info('routing host connected', {
      router: session.host,
      epoch: session.epoch,
      event: 'router-up',
    });
    maintenance.sessionOpened(session); // first of all: new connections may come with the snapshot
    for (const { sa, window, isWindowComplete: isComplete } of cache.inbound.values()) {
      session.send('window', { sa: sa.id, isComplete, ...window.snapshot() });
    }
    // Connections before the end of the windows: with it the routing host dispatches again, and a segment that it
    // knows no connection for goes by hash, to a host that resets it.
    reports.sessionOpened(session);
    listeners.sessionOpened(session);
    load.sessionOpened(session);
    session.send('windows-end', { livesMs: Math.floor(clock.now() - this.#bornAt) });
    for (const entry of cache.outbound.values()) {
      entry.holder.sessionStarted(isNewEpoch, clock.now());
      this.numberingChanged(entry);
    }
  }

  onClose(session: TargetSession, reason: CloseReason, cause?: unknown): void {
    this.lastHeardAt = session.heardAt;
    this.#session = undefined;
    this.isSnapshotComplete = false;
    this.linkKeys.wipe(); // the next session brings others; until then nothing goes to the funnel
    const { reports, listeners, load, maintenance, resets, log } = this.#options;
    reports.sessionClosed();
    listeners.sessionClosed();
    load.sessionClosed();
    maintenance.sessionClosed();
    resets.forget(); // whoever is lost meanwhile, this target does not hear of it
    log.warn('routing host lost', { router: session.host, reason, error: cause, event: 'router-down' });
  }

  onRecord(session: TargetSession, event: TargetEvent): void {
    const { cache, listeners, resets, log, clock } = this.#options;
    const now = clock.now();
    switch (event.kind) {
      case 'snapshot-begin':
        break;
      case 'snapshot-end':
        this.isSnapshotComplete = true;
        this.#options.opened.sessionOpened();
        this.#options.acquiring.sessionOpened(now);
        log.info('snapshot complete', {
          sas: cache.inbound.size + cache.outbound.size,
          event: 'snapshot-complete',
        });
        break;
      case 'dvipa':
        if (cache.setDvipa(event.body)) listeners.served(event.body.address);
        else {
          log.warn('DVIPA is not in the configuration of this host', { dvipa: event.body.address });
        }
        this.#options.onDvipas();
        break;
      case 'dvipa-remove':
        cache.removeDvipa(event.body.address);
        listeners.withdrawn(event.body.address);
        this.#options.onDvipas();
        break;
      case 'completeness':
        if (cache.serves(event.body.dvipa))
          resets.setComplete(addressOf(event.body.dvipa), event.body.complete);
        break;
      case 'link-key':
        this.linkKeys.install(
          event.body.keyId,
          event.body.toRouter,
          event.body.key,
          this.#options.newLinkCipher,
        );
        this.#floor = new DispatchFloor(event.body.dispatched);
        this.#options.reports.dispatchBegins(this.#floor);
        break;
      case 'sa-install': {
        const { sa } = event.body;
        const reason = cache.install(event.body, session.epoch);
        session.send('sa-installed', {
          id: sa.id,
          ok: reason === undefined,
          ...(reason === undefined ? {} : { reason }),
        });
        const fields = { sa: sa.id, spi: formatSpi(sa.spi), direction: sa.direction, dvipa: sa.dvipa };
        if (reason === undefined) log.info('SA installed', { ...fields, event: 'sa-installed' });
        else log.warn('SA refused', { ...fields, reason, event: 'sa-refused' });
        this.#options.acquiring.changed(now);
        break;
      }
      case 'sa-update':
        cache.update(event.body.id, event.body.outer, event.body.hasUdpEncapsulation);
        break;
      case 'claim': {
        const { sa, sequence } = event.body;
        // Marked like a number that was delivered: whatever of it is still on its way here is refused.
        const window = cache.inbound.get(sa)?.window;
        const isGiven = window?.commit(Number(sequence >> 32n), Number(sequence & 0xffff_ffffn)) === true;
        session.send('claim-answer', { sa, sequence, isGiven });
        break;
      }
      case 'path-mtu':
        cache.outbound.get(event.body.sa)?.fit.lower(event.body.mtu, 0, now);
        break;
      case 'sa-remove':
        this.#removed(cache.remove(event.body.id), now);
        log.info('SA removed', { sa: event.body.id, event: 'sa-removed' });
        break;
      case 'policy-install':
        cache.installPolicy(event.body.policy);
        session.send('policy-installed', { key: event.body.policy.key });
        this.#options.acquiring.changed(now);
        break;
      case 'policy-remove':
        cache.outbound.removePolicy(event.body.key);
        break;
      case 'lease-grant': {
        const { sa, lease, first, count, ttlMs } = event.body;
        const entry = cache.outbound.get(sa);
        entry?.holder.granted(lease, first, count, ttlMs, now);
        this.numberingChanged(entry);
        break;
      }
      case 'lease-revoke': {
        const entry = cache.outbound.get(event.body.sa);
        entry?.holder.revoked(event.body.lease, now);
        this.numberingChanged(entry);
        break;
      }
      case 'way': {
        const entry = cache.outbound.get(event.body.sa);
        if (entry !== undefined) entry.holder.way(event.body.way, this.#sharedCounter(entry), now);
        this.numberingChanged(entry);
        break;
      }
      case 'credit':
        cache.inbound.get(event.body.sa)?.meter.granted(event.body);
        cache.outbound.get(event.body.sa)?.meter.granted(event.body);
        break;
      case 'flow-answer': {
        const key = connectionKeyOf(event.body.flow);
        if (key !== undefined) this.#options.opened.answered(key, event.body.isYours, now);
        break;
      }
    }
  }

  /** Carries out what the numbering of an SA wants, and arms its timer. */
  numberingChanged(entry: ShadowOutboundSa | undefined): void {
    if (entry === undefined) return;
    for (const action of entry.holder.takeActions()) this.#carryOut(entry, action);
    this.#deadlines.set(entry, entry.holder.deadline());
    this.#options.reports.meterUsed(entry);
  }

  close(): void {
    this.#deadlines.close();
    this.linkKeys.wipe();
  }

  /** The last counter that it used on the shared way that it is on. */
  #sharedCounter({ holder, lastStamped }: ShadowOutboundSa): bigint {
    return holder.state === 'stamping' ? BigInt(lastStamped) : (this.linkKeys.sealer?.lastCounter ?? 0n);
  }

  #carryOut(entry: ShadowOutboundSa, action: HolderAction): void {
    const sa = entry.sa.id;
    switch (action.kind) {
      case 'lease-request':
        this.#session?.send('lease-request', { sa, count: action.count });
        break;
      case 'lease-return':
        this.#session?.send('lease-return', { sa, lease: action.lease, firstUnused: action.firstUnused });
        break;
      case 'flush':
        this.#session?.send('flush', { sa, counter: action.counter });
        break;
      case 'resume':
        this.#options.outbound().resume(entry, this.#options.clock.now());
        break;
    }
  }

  #removed(entry: ShadowOutboundSa | undefined, now: number): void {
    if (entry === undefined) return;
    this.#deadlines.delete(entry);
    this.#options.outbound().removed(entry, now);
    this.#deadlines.delete(entry);
  }
}

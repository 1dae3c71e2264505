import type { Clock } from '../../base/clock.ts';
import type { DropCounters } from '../../base/verdict.ts';
import type { Distributor } from '../../connections/distributor.ts';
import type { OpeningInbound } from '../../dataplane/opening-inbound.ts';
import type { RoutingInbound } from '../../dataplane/routing-inbound.ts';
import type { Funnel } from '../../dataplane/funnel.ts';
import type { Stamping } from '../../dataplane/stamping.ts';
import { formatSpi, type SaId } from '../../ipsec/sa.ts';
import type { Log } from '../../observe/log.ts';
import { parseSaState } from '../../store/state-codec.ts';
import type { CouplingStore, SaState } from '../../store/store.ts';
import {
  acknowledge,
  type PluginChange,
  type PluginSa,
  type PluginSnapshot,
  type Requester,
  wipePluginSa,
} from '../../vici/index.ts';
import { saIdOf, toSecurityAssociation, withUpdate } from '../plugin-sa.ts';
import { outerHeaderOf, pathFitOf } from '../sa-settings.ts';
import type { LifesizeLearning } from './lifesize-learning.ts';
import type { LifesizeRunner } from './lifesize-runner.ts';
import type { NumberingRunner } from './numbering-runner.ts';
import type { PeerMoves } from './peer-moves.ts';
import { PolicyLifecycle } from './policy-lifecycle.ts';
import type { Rekeyer } from './rekeyer.ts';
import type { AnySa, InboundSa, OutboundSa, RoutingSas } from './routing-sas.ts';
import { UNDECIDED } from './sa-marks.ts';
import { saInstallRecord } from './shadow-records.ts';
import type { Cluster, TargetPeer } from './target-peers.ts';

/** In place of a target that would have to return its window, and cannot: it is dead. */
const NOBODY = '(lost)';

/** Targets that had an SA before this agent was restarted have so long to return their windows. */
const WINDOWS_WAIT_MS = 1500;

/** Longer than a link packet takes on a busy host. strongSwan keeps its own end of a rekeyed SA for 5 s (delete_rekeyed_delay). */
const REPLACED_LINGERS_MS = 300;

export interface SaLifecycleOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly drops: DropCounters;
  readonly cluster: Cluster;
  readonly sas: RoutingSas;
  readonly store: CouplingStore;
  /** The plugin's socket. */
  readonly plugin: Requester;
  readonly epoch: () => number;
  /** When this agent became the owner: SAs made later cannot have been used by another. */
  readonly ownerSince: number;
  readonly learning: LifesizeLearning;
  readonly numbering: () => NumberingRunner;
  readonly lifesize: () => LifesizeRunner;
  readonly rekeyer: () => Rekeyer;
  readonly inbound: () => RoutingInbound<InboundSa>;
  readonly opening: () => OpeningInbound<InboundSa>;
  readonly funnel: () => Funnel;
  readonly stamping: () => Stamping<OutboundSa>;
  readonly distributor: Distributor;
  readonly moves: PeerMoves;
}

/**
 * The life of SAs on the routing host, with that of their policies: what charon installs and deletes (over the plugin) becomes
 * entries here and shadow SAs on the authorised targets (claim 1), and charon is told when one of them serves.
 */
export class SaLifecycle {
  readonly #options: SaLifecycleOptions;
  readonly policies: PolicyLifecycle;
  /** charon's SAs and policies have been listed in this life: what no policy is about is known to be so. */
  isListed = false;

  constructor(options: SaLifecycleOptions) {
    this.#options = options;
    this.policies = new PolicyLifecycle({
      ...options,
      acknowledge: (policy) => this.#tell(acknowledge(options.plugin, { policy })),
    });
  }

  /** The whole truth: what is not named is gone. Ages in it are of `askedAt` or later, so an SA never seems younger. */
  snapshot(snapshot: PluginSnapshot, askedAt = this.#options.clock.now()): void {
    const { sas } = this.#options;
    const named = new Set<SaId>(snapshot.sas.map(({ id }) => saIdOf(snapshot.instance, id)));
    for (const { sa } of sas.all()) if (!named.has(sa.id)) this.#remove(sa.id);
    for (const sa of snapshot.sas) {
      if (sas.get(saIdOf(snapshot.instance, sa.id)) === undefined) this.#add(snapshot.instance, sa, askedAt);
      else wipePluginSa(sa);
    }
    this.policies.snapshot(snapshot.policies);
    this.isListed = true;
  }

  change(instance: string, change: PluginChange): void {
    switch (change.type) {
      case 'sa-add':
        this.#add(instance, change.sa, this.#options.clock.now());
        break;
      case 'sa-update':
        this.#update(saIdOf(instance, change.sa.id), change.sa);
        break;
      case 'sa-delete':
        this.#deleted(saIdOf(instance, change.id));
        break;
      case 'policy-add':
        this.policies.add(change.policy);
        break;
      case 'policy-delete':
        this.policies.remove(change.key);
        break;
    }
  }

  /** A target serves the SA: connections may go there, and charon's barrier opens. */
  served(entry: AnySa, peer: TargetPeer): void {
    entry.refusals.delete(peer.host);
    if ('owners' in entry) {
      entry.serving.add(peer.index);
      this.#options.inbound().release(entry.sa.spi, this.#options.clock.now());
    } else entry.installedOn.add(peer.host);
    this.#acknowledge(entry);
  }

  /**
   * A target has told all its windows, and its connections; it lives since `livesMs`. Of an SA that it does not have, and that is
   * younger, it never had anything. An older one, or one whose window is not complete, it may have had in an earlier life: what
   * that delivered is lost, and the wait ends in a rekey.
   */
  windowsEnded(peer: TargetPeer, livesMs: number): void {
    const { sas, clock } = this.#options;
    const bornAt = clock.now() - livesMs;
    for (const entry of sas.inbound.values()) {
      if (!entry.awaiting.has(peer.host)) continue;
      if (!(entry.returned.get(peer.host) ?? bornAt < entry.createdAt)) continue;
      entry.awaiting.delete(peer.host);
      if (entry.awaiting.size === 0) this.#windowsComplete(entry);
    }
  }

  /** Dispatch begins again; and who has the SA learns what all have delivered. */
  #windowsComplete(entry: InboundSa): void {
    entry.isWaitingForWindows = false;
    for (const peer of this.#options.cluster.connected(entry.service)) this.install(entry, peer);
    this.#options.inbound().release(entry.sa.spi, this.#options.clock.now());
  }

  /**
   * A target was lost with numbers of this SA that it may have delivered. They are refused here, but the next life of
   * this agent would not know them, and the target's next life does not either: so the SA is marked until its rekey.
   */
  undecided(entry: InboundSa): void {
    const { rekeyer, store, log } = this.#options;
    rekeyer().request(entry, 'replay-undecided');
    store.putSa(entry.sa.id, UNDECIDED).catch((error: unknown) => {
      log.warn('an SA is not marked as undecided', { sa: entry.sa.id, error, event: 'store-failed' });
    });
  }

  /** Sends the SA to one target, in the form that is its, and what has waited for it. */
  install(entry: AnySa, peer: TargetPeer): void {
    const record = saInstallRecord(entry, peer);
    if (record === undefined) return;
    peer.session?.send('sa-install', record);
    const { outbound } = this.#options.sas;
    if (!('numbering' in entry)) return;
    for (const policy of outbound.policies())
      if (outbound.saOf(policy) === entry) peer.session?.send('policy-install', { policy });
  }

  #add(instance: string, given: PluginSa, agedAt: number): void {
    const { log, cluster, clock, sas, learning, epoch, store } = this.#options;
    const fields = {
      sa: saIdOf(instance, given.id),
      spi: formatSpi(given.spi),
      direction: given.direction,
      dvipa: given.dvipa,
    };
    const translated = toSecurityAssociation(instance, given);
    const service = cluster.dvipas.get(given.dvipa);
    if (!translated.ok || service === undefined) {
      wipePluginSa(given);
      log.warn('SA cannot be served', {
        ...fields,
        reason: translated.ok ? 'dvipa-not-configured' : translated.reason,
        event: 'sa-refused',
      });
      return;
    }
    const now = clock.now();
    const isOurs = agedAt - given.ageMs > this.#options.ownerSince;
    const origin = isOurs && given.state === undefined ? 'new' : 'restored';
    const stored = given.state === undefined ? {} : parseSaState(given.state);
    if (stored === undefined)
      log.warn('stored state is doubtful, the SA must be rekeyed', { ...fields, event: 'store-doubtful' });
    const kept = stored ?? doubtful(given.direction);
    if (given.state !== undefined) store.restored(fields.sa, kept);
    try {
      const entry = sas.add({
        sa: translated.value,
        pluginId: given.id,
        service,
        numbering: { origin, marks: kept.marks, epoch: epoch(), now },
        lifesize: learning.termsOf(translated.value, service, kept.lifesize),
        createdAt: agedAt - given.ageMs,
        now,
      });
      if ('owners' in entry) {
        if (kept.marks !== undefined) entry.awaiting.add(NOBODY);
        this.#startInbound(entry, origin === 'restored');
      } else this.#startOutbound(entry);
      log.info('SA added', { ...fields, reqid: entry.sa.reqid, event: 'sa-added' }); // last: charon waits for the targets
    } catch (error) {
      log.warn('SA cannot be served', { ...fields, error, event: 'sa-refused' });
      this.#remove(fields.sa); // whatever of it was installed before that
    }
    this.#options.rekeyer().refreshNames();
  }

  #startInbound(entry: InboundSa, isRestored: boolean): void {
    const { cluster, sas, lifesize, clock } = this.#options;
    for (const older of sas.group(entry.sa.group)) {
      // A younger SA of the group: the rekey that was asked for has come.
      if (older === entry || !('owners' in older)) continue;
      older.lifesize.replaced();
      older.isReplaced = true;
    }
    if (isRestored) this.#awaitWindows(entry);
    const peers = cluster.connected(entry.service);
    for (const peer of peers) {
      entry.lifesize.targetReady(peer.host, peer.incarnation ?? 0n, clock.now());
      this.install(entry, peer);
    }
    lifesize().changed(entry);
    if (peers.length === 0) this.#acknowledge(entry);
  }

  #startOutbound(entry: OutboundSa): void {
    const { cluster, numbering, lifesize, clock } = this.#options;
    const peers = cluster.connected(entry.service);
    for (const peer of peers) {
      entry.lifesize.targetReady(peer.host, peer.incarnation ?? 0n, clock.now());
      entry.numbering.targetReady(peer.host, peer.incarnation ?? 0n, clock.now());
    }
    numbering().changed(entry);
    lifesize().changed(entry);
    if (peers.length === 0) this.#acknowledge(entry);
  }

  /** This agent was restarted: whoever had the SA returns its window before anything is dispatched (docs/inbound.md). */
  #awaitWindows(entry: InboundSa): void {
    const { cluster, clock, log, rekeyer, sas } = this.#options;
    for (const peer of cluster.authorised(entry.service)) entry.awaiting.add(peer.host);
    entry.isWaitingForWindows = entry.awaiting.size > 0;
    clock.after(WINDOWS_WAIT_MS, () => {
      if (!entry.isWaitingForWindows || sas.inbound.get(entry.sa.id) !== entry) return;
      const target = [...entry.awaiting].join(' ');
      log.warn('windows of the SA are lost, it must be rekeyed', {
        sa: entry.sa.id,
        spi: formatSpi(entry.sa.spi),
        target,
        event: 'windows-lost',
      });
      rekeyer().request(entry, 'windows-lost');
    });
  }

  #update(id: SaId, update: Parameters<typeof withUpdate>[1]): void {
    const { sas, cluster, log } = this.#options;
    const entry = sas.get(id);
    if (entry === undefined) return;
    const sa = withUpdate(entry.sa, update);
    try {
      const outer = outerHeaderOf(sa);
      const fit = pathFitOf(sa, sas.paths);
      // A peer that moves may also choose another of our endpoints (RFC 4555).
      if ('numbering' in entry) Object.assign(entry, { outer, fit });
      else sas.inbound.receiveAt(entry, outer.destination);
    } catch (error) {
      // The peer moved to where we cannot follow: the SA stays as it is, and charon's liveness check ends it.
      log.warn('update of an SA cannot be served', { sa: id, spi: formatSpi(sa.spi), error });
      return;
    }
    Object.assign(entry, { sa });
    sas.overlaps.update(sa);
    for (const peer of cluster.connected(entry.service))
      peer.session?.send('sa-update', { id, outer: sa.outer, hasUdpEncapsulation: sa.hasUdpEncapsulation });
  }

  /**
   * charon has deleted an SA. What targets sealed on an outbound one before they switched may still be on its way to the stamper: charon's
   * barrier waits for their switch, not for the link. The peer takes it, as what is on the wire outside.
   */
  #deleted(id: SaId): void {
    const { sas, clock } = this.#options;
    const entry = sas.get(id);
    if (entry !== undefined && 'numbering' in entry && entry.isReplaced)
      clock.after(REPLACED_LINGERS_MS, () => this.#remove(id));
    else this.#remove(id);
  }

  #remove(id: SaId): void {
    const { sas, store, cluster, numbering, lifesize, log, clock, funnel, stamping, distributor, moves } =
      this.#options;
    const entry = sas.remove(id);
    if (entry === undefined) return;
    for (const peer of cluster.authorised(entry.service)) {
      peer.senderIds.delete(id);
      if (peer.hasSnapshot) peer.session?.send('sa-remove', { id });
    }
    lifesize().removed(entry);
    store.forgetSa(id);
    moves.removed(id);
    if ('numbering' in entry) {
      numbering().removed(entry);
      funnel().removed(entry, clock.now());
      stamping().removed(entry, clock.now());
    } else this.#options.opening().removed(entry);
    if (sas.group(entry.sa.group).size === 0) distributor.removeGroup(entry.sa.group);
    const { spi, direction } = entry.sa;
    log.info('SA removed', { sa: id, spi: formatSpi(spi), direction, event: 'sa-removed' });
  }

  #acknowledge(entry: AnySa): void {
    if (entry.isAcknowledged) return;
    entry.isAcknowledged = true;
    this.#tell(acknowledge(this.#options.plugin, { sa: entry.pluginId }));
  }

  /** charon's barrier ends by itself; a lost acknowledgement costs its wait. */
  #tell(told: Promise<void>): void {
    told.catch((error: unknown) =>
      this.#options.log.debug('acknowledgement did not reach charon', { error }),
    );
  }
}

/** Nobody can read what was kept: nothing is sent on the SA, and nothing of it is dispatched, until it is rekeyed. */
function doubtful(direction: 'in' | 'out'): SaState {
  return direction === 'in' ? { marks: UNDECIDED } : {};
}

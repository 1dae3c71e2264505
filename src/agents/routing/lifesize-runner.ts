import { type Clock, every, type Timer } from '../../base/clock.ts';
import type { RoutingOutboundSa } from '../../dataplane/funnel.ts';
import type { LifesizeMarks } from '../../ipsec/lifesize-marks.ts';
import type { LifesizeAction } from '../../ipsec/lifesize-owner.ts';
import type { Log } from '../../observe/log.ts';
import type { CouplingStore } from '../../store/store.ts';
import { pushCounters, type Requester, type SaCounters } from '../../vici/index.ts';
import type { LifesizeLearning } from './lifesize-learning.ts';
import type { Rekeyer } from './rekeyer.ts';
import { type AnySa, FUNNEL_USER, type InboundSa, type RoutingSas } from './routing-sas.ts';
import type { Cluster, TargetPeer } from './target-peers.ts';

/** charon sees the cluster's totals that often, as far as they changed; they never go back there. */
const PUSH_MS = 250;
/** Rekeys and writes that did not finish are looked at that often. */
const TICK_MS = 1000;
/** The funnel's own meters are read that often. */
const FUNNEL_LOOK_MS = 100;
/** This host's own use of an SA without limits is kept that often, for people: no more than so many SAs in a second. */
const KEEP_MS = 5000;
const KEPT_PER_TICK = 64;

export interface LifesizeRunnerOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly sas: RoutingSas;
  readonly cluster: Cluster;
  readonly store: CouplingStore;
  readonly plugin: Requester;
  readonly rekeyer: Rekeyer;
  readonly learning: LifesizeLearning;
  /** The target has its credit: the SA can be installed there. */
  readonly install: (entry: AnySa, peer: TargetPeer) => void;
}

/** Carries out what the lifesize of each SA wants, and tells charon the totals (claims 13 to 18). */
export class LifesizeRunner {
  readonly #options: LifesizeRunnerOptions;
  readonly #timers: Timer[];
  readonly #pushed = new Map<string, number>();
  /** This host's own packets as the store has them, and since when. */
  readonly #kept = new WeakMap<AnySa, { readonly packets: number; readonly at: number }>();

  constructor(options: LifesizeRunnerOptions) {
    this.#options = options;
    const { clock, sas } = options;
    this.#timers = [
      every(clock, FUNNEL_LOOK_MS, () => this.#readFunnel()),
      every(clock, PUSH_MS, () => this.#push(sas.all())),
      every(clock, TICK_MS, () => this.#tick()),
    ];
  }

  /** After any input to `entry.lifesize`. */
  changed(entry: AnySa): void {
    const { rekeyer, learning, clock } = this.#options;
    for (const action of entry.lifesize.takeActions()) {
      switch (action.kind) {
        case 'store-marks':
          void this.#store(entry, action.marks);
          break;
        case 'credit':
          this.#grant(entry, action);
          break;
        case 'rekey':
          this.#push([entry]); // before the SA goes: charon tells people what it carried
          rekeyer.request(entry, action.cause);
          break;
        case 'expire':
          learning.expired(entry, clock.now());
          rekeyer.expire(entry);
          break;
      }
    }
  }

  /** The funnel sealed on this SA: where its credit runs low, more comes at once, not at the next look. */
  funnelUsed({ sa, meter }: RoutingOutboundSa): void {
    if (!meter.isDue) return;
    const { sas, clock } = this.#options;
    const entry = sas.outbound.get(sa.id);
    if (entry !== undefined) this.#readMeter(entry, clock.now());
  }

  /** This host opened packets of the SA: the same for them. */
  usedHere(entry: InboundSa): void {
    this.#readMeter(entry, this.#options.clock.now());
  }

  removed(entry: AnySa): void {
    this.#pushed.delete(entry.pluginId);
    this.#options.learning.removed(entry);
  }

  close(): void {
    for (const timer of this.#timers) timer.cancel();
  }

  #grant(entry: AnySa, { target, isFirst, bytes, packets }: LifesizeAction & { kind: 'credit' }): void {
    if (target === FUNNEL_USER) {
      entry.meter?.granted({ bytes, packets });
      return;
    }
    const peer = this.#options.cluster.peer(target);
    if (peer?.hasSnapshot !== true) return; // the snapshot has it
    if (isFirst) this.#options.install(entry, peer);
    else peer.session?.send('credit', { sa: entry.sa.id, bytes, packets });
  }

  /** No credit is granted before the store has it. */
  async #store(entry: AnySa, marks: LifesizeMarks): Promise<void> {
    const { store, clock, log, sas } = this.#options;
    const { id } = entry.sa;
    try {
      await store.putLifesize(id, marks);
      entry.lifesize.storeDone(clock.now());
    } catch (error) {
      entry.lifesize.storeFailed(clock.now());
      if (sas.get(id) === entry)
        log.warn('lifesize of an SA is not stored', { sa: id, error, event: 'store-failed' });
    }
    if (sas.get(id) === entry) this.changed(entry);
  }

  #readFunnel(): void {
    const now = this.#options.clock.now();
    for (const entry of this.#options.sas.all()) this.#readMeter(entry, now);
  }

  #readMeter(entry: AnySa, now: number): void {
    const report = entry.meter?.report(now);
    if (report === undefined) return;
    entry.lifesize.reported(FUNNEL_USER, report, now);
    this.changed(entry);
  }

  #tick(): void {
    const { clock, sas, learning } = this.#options;
    const now = clock.now();
    let left = KEPT_PER_TICK;
    for (const entry of sas.all()) {
      learning.assign(entry);
      entry.lifesize.tick(now);
      if (left > 0 && this.#keepOwn(entry, now)) left--;
      this.changed(entry);
    }
  }

  #keepOwn(entry: AnySa, now: number): boolean {
    const packets = entry.meter?.packets ?? 0;
    const kept = this.#kept.get(entry);
    if (packets === (kept?.packets ?? 0) || (kept !== undefined && now - kept.at < KEEP_MS)) return false;
    this.#kept.set(entry, { packets, at: now });
    entry.lifesize.keepTotals(now);
    return true;
  }

  #push(entries: Iterable<AnySa>): void {
    const { clock, plugin, log } = this.#options;
    const now = clock.now();
    const totals = new Map<string, SaCounters>();
    for (const { lifesize, pluginId } of entries) {
      const { bytes, packets, idleMs } = lifesize.totals(now);
      if (idleMs === undefined || this.#pushed.get(pluginId) === packets) continue;
      this.#pushed.set(pluginId, packets);
      totals.set(pluginId, { bytes, packets, idleMs });
    }
    if (totals.size === 0) return;
    pushCounters(plugin, totals).catch((error: unknown) => {
      this.#pushed.clear(); // once more next time
      log.debug('counters did not reach charon', { error });
    });
  }
}

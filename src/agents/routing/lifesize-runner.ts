import { type Clock, every, type Timer } from '../../base/clock.ts';
import type { RoutingOutboundSa } from '../../dataplane/funnel.ts';
import type { Log } from '../../observe/log.ts';
import { pushCounters, type Requester, type SaCounters } from '../../vici/index.ts';
import type { Rekeyer } from './rekeyer.ts';
import { type AnySa, FUNNEL_USER, type InboundSa, type RoutingSas } from './routing-sas.ts';
import type { Cluster } from './target-peers.ts';

/** charon sees the cluster's totals that often, as far as they changed; they never go back there. */
const PUSH_MS = 250;
/** Rekeys that did not finish are looked at that often. */
const TICK_MS = 1000;
/** The funnel's own meters are read that often. */
const FUNNEL_LOOK_MS = 100;

/** Carries out what the lifesize of each SA wants, and tells charon the totals (claims 13 to 16). */
export class LifesizeRunner {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #sas: RoutingSas;
  readonly #cluster: Cluster;
  readonly #plugin: Requester;
  readonly #rekeyer: Rekeyer;
  readonly #timers: Timer[];
  readonly #pushed = new Map<string, number>();

  constructor(options: {
    clock: Clock;
    log: Log;
    sas: RoutingSas;
    cluster: Cluster;
    plugin: Requester;
    rekeyer: Rekeyer;
  }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#sas = options.sas;
    this.#cluster = options.cluster;
    this.#plugin = options.plugin;
    this.#rekeyer = options.rekeyer;
    this.#timers = [
      every(options.clock, FUNNEL_LOOK_MS, () => this.#readFunnel()),
      every(options.clock, PUSH_MS, () => this.#push(this.#sas.all())),
      every(options.clock, TICK_MS, () => this.#tick()),
    ];
  }

  /** After any input to `entry.lifesize`. */
  changed(entry: AnySa): void {
    for (const action of entry.lifesize.takeActions()) {
      switch (action.kind) {
        case 'credit':
          this.#grant(entry, action.target, { bytes: action.bytes, packets: action.packets });
          break;
        case 'rekey':
          this.#push([entry]); // before the SA goes: charon tells people what it carried
          this.#rekeyer.request(entry, action.cause);
          break;
        case 'expire':
          this.#rekeyer.expire(entry);
          break;
      }
    }
  }

  /** The funnel sealed on this SA: where its credit runs low, more comes at once, not at the next look. */
  funnelUsed({ sa, meter }: RoutingOutboundSa): void {
    if (!meter.isDue) return;
    const entry = this.#sas.outbound.get(sa.id);
    if (entry !== undefined) this.#readMeter(entry, this.#clock.now());
  }

  /** This host opened packets of the SA: the same for them. */
  usedHere(entry: InboundSa): void {
    this.#readMeter(entry, this.#clock.now());
  }

  removed(entry: AnySa): void {
    this.#pushed.delete(entry.pluginId);
  }

  close(): void {
    for (const timer of this.#timers) timer.cancel();
  }

  #grant(entry: AnySa, target: string, credit: { bytes: number; packets: number }): void {
    if (target === FUNNEL_USER) {
      entry.meter?.granted(credit);
      return;
    }
    const peer = this.#cluster.peer(target);
    if (peer?.hasSnapshot === true) peer.session?.send('credit', { sa: entry.sa.id, ...credit });
  }

  #readFunnel(): void {
    const now = this.#clock.now();
    for (const entry of this.#sas.all()) this.#readMeter(entry, now);
  }

  #readMeter(entry: AnySa, now: number): void {
    const report = entry.meter?.report(now);
    if (report === undefined) return;
    entry.lifesize.reported(FUNNEL_USER, report, now);
    this.changed(entry);
  }

  #tick(): void {
    const now = this.#clock.now();
    for (const entry of this.#sas.all()) {
      entry.lifesize.tick(now);
      this.changed(entry);
    }
  }

  #push(entries: Iterable<AnySa>): void {
    const now = this.#clock.now();
    const totals = new Map<string, SaCounters>();
    for (const { lifesize, pluginId } of entries) {
      const { bytes, packets, idleMs } = lifesize.totals(now);
      if (idleMs === undefined || this.#pushed.get(pluginId) === packets) continue;
      this.#pushed.set(pluginId, packets);
      totals.set(pluginId, { bytes, packets, idleMs });
    }
    if (totals.size === 0) return;
    pushCounters(this.#plugin, totals).catch((error: unknown) => {
      this.#pushed.clear(); // once more next time
      this.#log.debug('counters did not reach charon', { error });
    });
  }
}

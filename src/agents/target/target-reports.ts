import { type Clock, every, type Timer } from '../../base/clock.ts';
import type { ConnectionKey } from '../../connections/connection-key.ts';
import type { FlowTracker } from '../../connections/flow-tracker.ts';
import type { TargetSession } from '../../coupling/session.ts';
import type { DispatchFloor } from '../../dataplane/dispatch-floor.ts';
import { REPORT_BATCH_NUMBERS, REPORT_INTERVAL_MS } from '../../dataplane/replay-reports.ts';
import type { ShadowInboundSa } from '../../dataplane/target-inbound.ts';
import type { TouchedEntries } from '../../dataplane/touched-entries.ts';
import type { PacketVector } from '../../dataplane/vector.ts';
import type { LifesizeMeter } from '../../ipsec/lifesize-meter.ts';
import type { SaId } from '../../ipsec/sa.ts';
import type { OutboundPolicy } from '../../ipsec/sa.ts';
import { ADDRESS_WORDS, equalAddresses, formatAddress, isUnicastAddress } from '../../packet/address.ts';
import { hasPorts } from '../../packet/protocols.ts';
import { flowRecord } from '../flow-record.ts';
import type { ShadowCache } from './shadow-cache.ts';

/** How often meters are asked whether a lifesize report is due (it is so once a second, or when credit runs low). */
const LIFESIZE_LOOK_MS = 100;
const FLOW_SWEEP_MS = 1000;
const FLOWS_PER_RECORD = 512;
/** charon needs a moment to follow a peer that moved; until then every packet of it would say so again. */
const MOVED_INTERVAL_MS = 1000;

interface MeteredSa {
  readonly sa: { readonly id: SaId };
  readonly meter: LifesizeMeter;
}

/**
 * What a target tells the routing host while there is traffic: committed numbers with the floor (every 5 ms
 * or 3840 numbers), opened and closed connections (with them), lifesize (once a second, or when credit runs low). Without
 * a session nothing is kept back: the routing host burns what was not reported, windows and totals are told anew.
 */
export class TargetReports {
  readonly #clock: Clock;
  readonly #cache: ShadowCache;
  readonly #flows: FlowTracker;
  #session: TargetSession | undefined;
  #floor: DispatchFloor | undefined;
  /** SAs that packets came for since their last report: their numbers are not settled yet. */
  readonly #unsettled = new Set<ShadowInboundSa>();
  /** When it was told last that the SA's peer has moved. */
  readonly #movedAt = new WeakMap<ShadowInboundSa, number>();
  #tick: Timer | undefined;
  readonly #timers: Timer[];

  constructor(clock: Clock, cache: ShadowCache, flows: FlowTracker) {
    this.#clock = clock;
    this.#cache = cache;
    this.#flows = flows;
    this.#timers = [
      every(clock, LIFESIZE_LOOK_MS, () => this.#lookAtMeters()),
      every(clock, FLOW_SWEEP_MS, () => flows.sweep(clock.now())),
    ];
  }

  /** Sends what the routing host must have before it dispatches: every connection, and what was used. */
  sessionOpened(session: TargetSession): void {
    this.#session = session;
    this.#floor = undefined;
    for (const entry of this.#cache.inbound.values()) entry.committed.take(); // burnt with the session before
    this.#unsettled.clear();
    this.#flows.listAll();
    for (const entry of [...this.#cache.inbound.values(), ...this.#cache.outbound.values()]) {
      this.#sendLifesize(entry);
    }
    this.#sendFlows(session);
    this.#arm();
  }

  /** `floor` numbers the dispatches of this session. */
  dispatchBegins(floor: DispatchFloor): void {
    this.#floor = floor;
    this.#arm();
  }

  sessionClosed(): void {
    this.#session = undefined;
  }

  /** A vector of dispatches was handled; `entries` are the SAs that it had packets for. */
  inboundHandled(entries: TouchedEntries<ShadowInboundSa>): void {
    for (let n = 0; n < entries.size; n++) {
      const entry = entries.at(n);
      this.#unsettled.add(entry);
      if (entry.committed.count >= REPORT_BATCH_NUMBERS) this.numbersDue(entry);
      if (entry.meter.isDue) this.#sendLifesize(entry);
    }
    this.#arm();
  }

  /** The buffer of this SA must be emptied now. The floor stays: it moves with the clock only. */
  numbersDue(entry: ShadowInboundSa): void {
    const numbers = entry.committed.take();
    if (numbers.length === 0) return;
    const floor = this.#floor?.floor ?? 0n;
    this.#session?.send('replay-report', {
      sa: entry.sa.id,
      numbers,
      floor,
      wrongIcvs: takeWrongIcvs(entry),
    });
  }

  /** The peer of the SA sends from elsewhere: packet `i` is authenticated, and the newest so far. */
  peerMoved(entry: ShadowInboundSa, vector: PacketVector, i: number): void {
    const session = this.#session;
    const words = i * ADDRESS_WORDS;
    const port = vector.outerSourcePort[i] as number;
    // Nobody vouches for the outer header: whoever is on the way may have changed it to one that has no answer.
    const isOurs = equalAddresses(vector.outerSource, words, entry.destination, 0);
    if (port === 0 || isOurs || !isUnicastAddress(vector.outerSource, words)) return;
    const now = this.#clock.now();
    const before = this.#movedAt.get(entry);
    if (session === undefined || (before !== undefined && now - before < MOVED_INTERVAL_MS)) return;
    this.#movedAt.set(entry, now);
    const high = BigInt(vector.sequenceHigh[i] as number);
    session.send('mapping-report', {
      sa: entry.sa.id,
      address: formatAddress(vector.outerSource, words),
      port,
      sequence: (high << 32n) | BigInt(vector.sequenceLow[i] as number),
    });
  }

  /** May this target open the flow? */
  askForFlow(key: ConnectionKey): void {
    this.#session?.send('flow-ask', { flow: flowRecord(key) });
  }

  /** Packet `i` waits for an SA. False: there is nobody to tell. */
  askForSa({ key }: OutboundPolicy, vector: PacketVector, i: number): boolean {
    const protocol = vector.protocol[i] as number;
    const words = i * ADDRESS_WORDS;
    const showsPorts = hasPorts(protocol); // what ICMP has in their place means something else each way
    this.#session?.send('acquire', {
      key,
      protocol,
      source: formatAddress(vector.innerSource, words),
      sourcePort: showsPorts ? (vector.sourcePort[i] as number) : 0,
      destination: formatAddress(vector.innerDestination, words),
      destinationPort: showsPorts ? (vector.destinationPort[i] as number) : 0,
    });
    return this.#session !== undefined;
  }

  /** Credit ran low on the way out. */
  meterUsed(entry: MeteredSa): void {
    if (entry.meter.isDue) this.#sendLifesize(entry);
  }

  flowsChanged(): void {
    if (this.#flows.hasEvents) this.#arm();
  }

  close(): void {
    this.#tick?.cancel();
    for (const timer of this.#timers) timer.cancel();
  }

  #arm(): void {
    this.#tick ??= this.#clock.after(REPORT_INTERVAL_MS, () => {
      this.#tick = undefined;
      this.#report();
    });
  }

  #report(): void {
    const session = this.#session;
    const floor = this.#floor;
    if (session === undefined || floor === undefined) return;
    const reached = floor.advance();
    for (const entry of this.#unsettled) {
      const numbers = entry.committed.take();
      const wrongIcvs = takeWrongIcvs(entry);
      session.send('replay-report', { sa: entry.sa.id, numbers, floor: reached, wrongIcvs });
    }
    // Once more after the last packet: then the floor has passed all of them, and nothing is left unsettled.
    if (floor.isBehind) this.#arm();
    else this.#unsettled.clear();
    this.#sendFlows(session);
  }

  #sendFlows(session: TargetSession): void {
    for (;;) {
      const events = this.#flows.take(FLOWS_PER_RECORD);
      if (events === undefined) return;
      session.send('flow-report', {
        opened: events.opened.map(flowRecord),
        closed: events.closed.map(flowRecord),
        full: events.full,
      });
    }
  }

  #lookAtMeters(): void {
    if (this.#session === undefined) return;
    for (const entry of this.#cache.inbound.values()) this.#reportMeter(entry);
    for (const entry of this.#cache.outbound.values()) this.#reportMeter(entry);
    if (this.#flows.hasEvents) this.#arm();
  }

  #reportMeter(entry: MeteredSa): void {
    const report = entry.meter.report(this.#clock.now());
    if (report !== undefined) this.#session?.send('lifesize-report', { sa: entry.sa.id, ...report });
  }

  #sendLifesize(entry: MeteredSa): void {
    const report = entry.meter.current(this.#clock.now());
    if (report.packets > 0 || entry.meter.refused > 0) {
      this.#session?.send('lifesize-report', { sa: entry.sa.id, ...report });
    }
  }
}

function takeWrongIcvs(entry: ShadowInboundSa): number {
  const count = entry.wrongIcvs;
  entry.wrongIcvs = 0;
  return Math.min(count, 0xffff_ffff);
}

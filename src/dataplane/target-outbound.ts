import { type DropCounters, ELSEWHERE, KEEP, SENT, verdictOf } from '../base/verdict.ts';
import type { LifesizeMeter } from '../ipsec/lifesize-meter.ts';
import { type NumberingHolder, TAKE_FUNNEL, TAKE_WAIT } from '../ipsec/numbering-holder.ts';
import type { PacketCrypto } from '../ipsec/packet-crypto.ts';
import type { IvCounter } from '../ipsec/sender-ids.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { encapsulate, type OuterHeader } from './encapsulate.ts';
import { HoldQueue, TAKEN } from './hold-queue.ts';
import { readInnerHeaders } from './inner-headers.ts';
import type { OutboundEntry, OutboundSad } from './outbound-sad.ts';
import type { PacketSink } from './ports.ts';
import { PacketVector } from './vector.ts';

const SOURCE_NOT_DVIPA = verdictOf('source-not-dvipa');
const NO_POLICY = verdictOf('no-policy');
const NO_SA = verdictOf('no-sa');
const NO_NUMBER = verdictOf('no-number');
const HARD_LIMIT = verdictOf('hard-limit');
const QUEUE_OVERFLOW = verdictOf('queue-overflow');
const QUEUE_TIMEOUT = verdictOf('queue-timeout');

/** Packets that wait for sequence numbers, and for how long: a lease is granted in one round trip. */
const QUEUE_PACKETS = 1024;
const QUEUE_MS = 500;

/** A shadow SA, outbound. */
export interface ShadowOutboundSa extends OutboundEntry {
  outer: OuterHeader;
  readonly holder: NumberingHolder;
  /** Undefined until the routing host has given a sender id: nothing is sealed. */
  iv: IvCounter | undefined;
  readonly meter: LifesizeMeter;
}

export interface TargetOutboundOptions {
  readonly sad: OutboundSad<ShadowOutboundSa>;
  readonly crypto: PacketCrypto;
  readonly raw: PacketSink;
  readonly drops: DropCounters;
  readonly dvipas: ReadonlySet<number>;
  /** Seals the packets with verdict 0 for the link and sends them to the routing host; `saSlot` says whose they are. */
  readonly sendToFunnel: (vector: PacketVector) => void;
  /** The holder may have actions, or another deadline. */
  readonly onNumbering: (entry: ShadowOutboundSa) => void;
  /** A packet that leaves, before it is sealed: for flow tracking. */
  readonly onOutbound: (vector: PacketVector, i: number, entry: ShadowOutboundSa) => void;
}

/**
 * A target's way out: inner packet from the TUN, policy (RFC 4301 section 5.1), number, seal, outer headers,
 * raw socket with the DVIPA's endpoint as source; or, on the funnel, sealed over the trusted link.
 * What matches no policy or has no usable SA is dropped: no path leads out in clear.
 */
export class TargetOutbound {
  readonly #options: TargetOutboundOptions;
  readonly #queue = new HoldQueue({ capacity: QUEUE_PACKETS, holdMs: QUEUE_MS });
  readonly #released: PacketVector;
  /** Numbers taken per slot in this vector, given to `sent` after the send call. */
  readonly #taken = new Map<ShadowOutboundSa, number>();
  /** SAs that had no number for a packet of this vector. */
  readonly #waiting = new Set<ShadowOutboundSa>();
  sealed = 0;
  sentPackets = 0;
  sentBytes = 0;
  funnelled = 0;

  constructor(options: TargetOutboundOptions, capacity = 64) {
    this.#options = options;
    this.#released = new PacketVector(capacity);
  }

  /** One vector of inner packets from the TUN. */
  run(vector: PacketVector, now: number): void {
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] === KEEP) vector.verdict[i] = this.#choose(vector, i, now);
    }
    this.#transmit(vector, now);
  }

  /**
   * Numbers have come, the way has changed, or the SA is gone and another has taken its place: what waits goes out,
   * in order, before anything newer.
   */
  resume(entry: ShadowOutboundSa, now: number): void {
    const vector = this.#released;
    vector.reset();
    this.#queue.drain(entry.slot, (packet) => {
      if (vector.count === vector.capacity) {
        this.#transmit(vector, now);
        vector.reset();
      }
      vector.push(packet);
      const i = vector.count - 1;
      const bad = this.#policy(vector, i);
      const slot = vector.saSlot[i] as number;
      const isBehind = slot !== entry.slot && this.#queue.has(slot);
      const verdict = bad !== KEEP ? bad : isBehind ? ELSEWHERE : this.#number(vector, i, now);
      if (verdict === ELSEWHERE) {
        vector.count--;
        return slot; // charon has switched SAs meanwhile, perhaps
      }
      vector.verdict[i] = verdict;
      return TAKEN;
    });
    this.#transmit(vector, now);
    this.#options.onNumbering(entry);
  }

  /** Drops what has waited too long. */
  tick(now: number): void {
    this.#queue.expire(
      now,
      () => QUEUE_TIMEOUT,
      (verdict) => this.#options.drops.add(verdict),
    );
  }

  #choose(vector: PacketVector, i: number, now: number): number {
    const bad = this.#policy(vector, i);
    if (bad !== KEEP) return bad;
    const slot = vector.saSlot[i] as number;
    const verdict = this.#queue.has(slot) ? ELSEWHERE : this.#number(vector, i, now);
    if (verdict !== ELSEWHERE) return verdict;
    return this.#queue.hold(vector.packet(i), slot, now) ? ELSEWHERE : QUEUE_OVERFLOW;
  }

  #policy(vector: PacketVector, i: number): number {
    const bad = readInnerHeaders(vector, i);
    if (bad !== KEEP) return bad;
    const { sad, dvipas } = this.#options;
    const source = vector.innerSource[i] as number;
    if (!dvipas.has(source)) return SOURCE_NOT_DVIPA;
    const policy = sad.policyFor(
      source,
      vector.innerDestination[i] as number,
      vector.protocol[i] as number,
      vector.sourcePort[i] as number,
      vector.destinationPort[i] as number,
    );
    if (policy === undefined) return NO_POLICY;
    const entry = sad.saOf(policy);
    if (entry?.iv === undefined) return NO_SA;
    vector.saSlot[i] = entry.slot;
    return KEEP;
  }

  /** KEEP: it has a number, or (`FUNNEL` in `nextHeader`) goes to the routing host. ELSEWHERE: it must wait. */
  #number(vector: PacketVector, i: number, now: number): number {
    const entry = this.#options.sad.at(vector.saSlot[i] as number) as ShadowOutboundSa;
    const number = entry.holder.take(1, now);
    if (number === TAKE_WAIT) {
      this.#waiting.add(entry);
      return ELSEWHERE;
    }
    this.#options.onOutbound(vector, i, entry);
    if (number === TAKE_FUNNEL) {
      vector.nextHeader[i] = FUNNEL;
      return KEEP;
    }
    this.#taken.set(entry, (this.#taken.get(entry) ?? 0) + 1);
    const counter = entry.iv?.take(1) ?? -1;
    if (counter < 0) return NO_NUMBER;
    if (!entry.meter.count(1, vector.length[i] as number)) return HARD_LIMIT;
    vector.sequenceHigh[i] = Math.floor(number / 0x1_0000_0000);
    vector.sequenceLow[i] = number >>> 0;
    vector.ivHigh[i] = entry.iv?.high(counter) ?? 0;
    vector.ivLow[i] = entry.iv?.low(counter) ?? 0;
    vector.nextHeader[i] = IP_PROTOCOL.IPV4;
    return KEEP;
  }

  #transmit(vector: PacketVector, now: number): void {
    const toFunnel = this.#setAside(vector);
    this.#sealAndSend(vector);
    for (const [entry, count] of this.#taken) {
      entry.holder.sent(count, now);
      this.#options.onNumbering(entry);
    }
    this.#taken.clear();
    for (const entry of this.#waiting) this.#options.onNumbering(entry);
    this.#waiting.clear();
    if (toFunnel > 0) {
      this.#takeBack(vector);
      this.#options.sendToFunnel(vector);
      this.funnelled += toFunnel;
    }
    vector.countDrops(this.#options.drops);
  }

  #setAside(vector: PacketVector): number {
    let count = 0;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP || vector.nextHeader[i] !== FUNNEL) continue;
      vector.verdict[i] = FUNNEL_ASIDE;
      count++;
    }
    return count;
  }

  #takeBack(vector: PacketVector): void {
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] === FUNNEL_ASIDE) vector.verdict[i] = KEEP;
      else if (vector.verdict[i] === KEEP) vector.verdict[i] = SENT;
    }
  }

  #sealAndSend(vector: PacketVector): void {
    const { sad, crypto, raw } = this.#options;
    crypto.seal(vector);
    let kept = 0;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP) continue;
      encapsulate(vector, i, (sad.at(vector.saSlot[i] as number) as ShadowOutboundSa).outer);
      this.sentBytes += vector.length[i] as number;
      kept++;
    }
    if (kept === 0) return;
    this.sealed += kept;
    this.sentPackets += raw.send(vector);
  }
}

/** In `nextHeader` until the packet is sealed: it goes to the funnel. 255 is reserved by IANA. */
const FUNNEL = 255;
/** Set aside while the others of its vector are sealed and sent. */
const FUNNEL_ASIDE = 253;

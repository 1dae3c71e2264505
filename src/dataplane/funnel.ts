import { type DropCounters, ELSEWHERE, KEEP, verdictOf } from '../base/verdict.ts';
import type { LifesizeMeter } from '../ipsec/lifesize-meter.ts';
import { LINK_KIND, LinkHeader, type LinkOpener } from '../ipsec/link-seal.ts';
import type { NumberingOwner } from '../ipsec/numbering-owner.ts';
import type { PacketCrypto } from '../ipsec/packet-crypto.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { encapsulate, type OuterHeader } from './encapsulate.ts';
import { HoldQueue, TAKEN } from './hold-queue.ts';
import { readInnerHeaders } from './inner-headers.ts';
import type { OutboundEntry, OutboundSad } from './outbound-sad.ts';
import type { PacketSink } from './ports.ts';
import { PacketVector } from './vector.ts';

const LINK_EPOCH = verdictOf('link-epoch');
const LINK_UNKNOWN_KIND = verdictOf('link-unknown-kind');
const SOURCE_NOT_DVIPA = verdictOf('source-not-dvipa');
const NO_POLICY = verdictOf('no-policy');
const NO_SA = verdictOf('no-sa');
const NO_NUMBER = verdictOf('no-number');
const HARD_LIMIT = verdictOf('hard-limit');
const QUEUE_OVERFLOW = verdictOf('queue-overflow');
const QUEUE_TIMEOUT = verdictOf('queue-timeout');

/** While a lease is called back (one round trip) and the path difference passes. */
const QUEUE_PACKETS = 1024;
const QUEUE_MS = 300;

/** A sending target, as the funnel knows it. */
export interface FunnelPeer {
  readonly host: string;
  readonly opener: LinkOpener;
  /** DVIPAs that this target is authorised for: it may send from no other address. */
  readonly dvipas: ReadonlySet<number>;
}

/** An outbound SA on the routing host. */
export interface RoutingOutboundSa extends OutboundEntry {
  outer: OuterHeader;
  readonly numbering: NumberingOwner;
  /** What this host seals itself, counted like one more target. */
  readonly meter: LifesizeMeter;
}

export interface FunnelOptions {
  readonly sad: OutboundSad<RoutingOutboundSa>;
  readonly crypto: PacketCrypto;
  readonly raw: PacketSink;
  readonly drops: DropCounters;
  /** The numbering may have actions, or another deadline. */
  readonly onNumbering: (entry: RoutingOutboundSa) => void;
}

/**
 * The funnel (docs/outbound.md, way C): inner packets that several targets send on one SA come here over the
 * sealed link, and one sender numbers and seals them. A target is believed only about what it was given: the
 * source must be a DVIPA it serves, and the policy, not the target, names the SA.
 */
export class Funnel {
  readonly #options: FunnelOptions;
  readonly #queue = new HoldQueue({ capacity: QUEUE_PACKETS, holdMs: QUEUE_MS });
  readonly #released = new PacketVector(64);
  readonly #header = new LinkHeader();
  /** SAs whose numbering was used in this vector; told after it, because that may lead back to `resume`. */
  readonly #touched = new Set<RoutingOutboundSa>();
  sealed = 0;
  sentPackets = 0;
  sentBytes = 0;
  linkPackets = 0;

  constructor(options: FunnelOptions) {
    this.#options = options;
  }

  /** One vector of sealed link packets of one target. */
  run(vector: PacketVector, peer: FunnelPeer, epoch: number, current: number, now: number): void {
    this.linkPackets += vector.count;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP) continue;
      vector.verdict[i] = epoch === current ? this.#accept(vector, i, peer, epoch, now) : LINK_EPOCH;
    }
    this.#transmit(vector);
    this.#reportNumbering();
  }

  /** The SA gives numbers again, or is gone and another has taken its place: what waits goes out, in order. */
  resume(entry: RoutingOutboundSa, now: number): void {
    const vector = this.#released;
    vector.reset();
    this.#queue.drain(entry.slot, (packet) => {
      if (vector.count === vector.capacity) {
        this.#transmit(vector);
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
    this.#transmit(vector);
    this.#reportNumbering();
  }

  /** Drops what has waited too long. */
  tick(now: number): void {
    this.#queue.expire(
      now,
      () => QUEUE_TIMEOUT,
      (verdict) => this.#options.drops.add(verdict),
    );
  }

  #accept(vector: PacketVector, i: number, peer: FunnelPeer, epoch: number, now: number): number {
    const bad = peer.opener.open(vector, i, epoch, this.#header);
    if (bad !== KEEP) return bad;
    if (this.#header.kind !== LINK_KIND.FUNNEL) return LINK_UNKNOWN_KIND;
    const refused = this.#policy(vector, i);
    if (refused !== KEEP) return refused;
    if (!peer.dvipas.has(vector.innerSource[i] as number)) return SOURCE_NOT_DVIPA;
    const entry = this.#options.sad.at(vector.saSlot[i] as number) as RoutingOutboundSa;
    this.#touched.add(entry);
    if (!entry.numbering.funnelArrived(peer.host, this.#header.counter, now)) return NO_NUMBER;
    const verdict = this.#queue.has(entry.slot) ? ELSEWHERE : this.#number(vector, i, now);
    if (verdict !== ELSEWHERE) return verdict;
    return this.#queue.hold(vector.packet(i), entry.slot, now) ? ELSEWHERE : QUEUE_OVERFLOW;
  }

  #policy(vector: PacketVector, i: number): number {
    const bad = readInnerHeaders(vector, i);
    if (bad !== KEEP) return bad;
    const { sad } = this.#options;
    const policy = sad.policyFor(
      vector.innerSource[i] as number,
      vector.innerDestination[i] as number,
      vector.protocol[i] as number,
      vector.sourcePort[i] as number,
      vector.destinationPort[i] as number,
    );
    if (policy === undefined) return NO_POLICY;
    const entry = sad.saOf(policy);
    if (entry === undefined) return NO_SA;
    vector.saSlot[i] = entry.slot;
    return KEEP;
  }

  /** KEEP with number and IV in the vector; ELSEWHERE: it must wait. */
  #number(vector: PacketVector, i: number, now: number): number {
    const entry = this.#options.sad.at(vector.saSlot[i] as number) as RoutingOutboundSa;
    const number = entry.numbering.takeNumbers(1, now);
    this.#touched.add(entry);
    if (number < 0) return ELSEWHERE;
    const iv = entry.numbering.iv;
    const counter = iv?.take(1) ?? -1;
    if (iv === undefined || counter < 0) return NO_NUMBER;
    if (!entry.meter.count(1, vector.length[i] as number)) return HARD_LIMIT;
    vector.sequenceHigh[i] = Math.floor(number / 0x1_0000_0000);
    vector.sequenceLow[i] = number >>> 0;
    vector.ivHigh[i] = iv.high(counter);
    vector.ivLow[i] = iv.low(counter);
    vector.nextHeader[i] = IP_PROTOCOL.IPV4;
    return KEEP;
  }

  #reportNumbering(): void {
    const touched = [...this.#touched];
    this.#touched.clear();
    for (const entry of touched) this.#options.onNumbering(entry);
  }

  #transmit(vector: PacketVector): void {
    const { sad, crypto, raw, drops } = this.#options;
    crypto.seal(vector);
    let kept = 0;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP) continue;
      encapsulate(vector, i, (sad.at(vector.saSlot[i] as number) as RoutingOutboundSa).outer);
      this.sentBytes += vector.length[i] as number;
      kept++;
    }
    this.sealed += kept;
    if (kept > 0) this.sentPackets += raw.send(vector);
    vector.countDrops(drops);
  }
}

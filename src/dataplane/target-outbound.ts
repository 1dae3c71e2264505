import { type DropCounters, KEEP, SENT, ELSEWHERE, type Verdict, verdictOf } from '../base/verdict.ts';
import type { GroupOverlaps } from '../ipsec/group-overlaps.ts';
import { type NumberingHolder, TAKE_FUNNEL, TAKE_WAIT } from '../ipsec/numbering-holder.ts';
import type { PacketCrypto } from '../ipsec/packet-crypto.ts';
import type { IvCounter } from '../ipsec/sender-ids.ts';
import { ADDRESS_WORDS } from '../packet/address.ts';
import type { AddressSet } from '../packet/address-map.ts';
import type { WordHash } from '../packet/fragment-table.ts';
import type { FragmentMemory } from './fragment-memory.ts';
import { InnerFit } from './inner-fit.ts';
import { readInnerHeaders } from './inner-headers.ts';
import type { OutboundSad } from './outbound-sad.ts';
import {
  assignNumber,
  type ChoosePolicy,
  findOutboundSa,
  SentCounts,
  sealAndSend,
  type SendingParts,
} from './outbound-steps.ts';
import type { SendingSa } from './sending-sa.ts';
import { OuterCut } from './outer-cut.ts';
import type { PacketSink } from './ports.ts';
import type { PacketVector } from './vector.ts';
import { WaitingLine } from './waiting-line.ts';

const SOURCE_NOT_DVIPA = verdictOf('source-not-dvipa');
const NO_SA = verdictOf('no-sa');

/** Packets that wait for sequence numbers, and for how long: a lease is granted in one round trip. */
const WAITING = { capacity: 1024, perKey: 512, holdMs: 500 };

/** In `nextHeader` until the packet is sealed: it goes to the funnel. 255 is reserved by IANA. */
const FUNNEL = 255;
/** Set aside while the others of its vector are sealed and sent. */
const FUNNEL_ASIDE = 253;

/** A shadow SA, outbound. */
export interface ShadowOutboundSa extends SendingSa {
  readonly holder: NumberingHolder;
  /** Undefined until the routing host has given a sender id: nothing is sealed. */
  iv: IvCounter | undefined;
}

export interface TargetOutboundOptions {
  readonly sad: OutboundSad<ShadowOutboundSa>;
  readonly overlaps: GroupOverlaps;
  readonly crypto: PacketCrypto;
  readonly raw: PacketSink;
  /** This host's kernel, for what it must hear about its packets. */
  readonly kernel: PacketSink;
  /** SAs (slots) of datagrams whose first fragment went out. */
  readonly fragments: FragmentMemory;
  /** Keyed hash for the table of fragments. */
  readonly fragmentHash: WordHash;
  readonly drops: DropCounters;
  readonly dvipas: AddressSet;
  /** Which peer a packet is for, where several look alike. */
  readonly choosePolicy: ChoosePolicy;
  /** May a packet of the kernel leave at all, now that its SA is known? KEEP: yes. */
  readonly withhold: (vector: PacketVector, i: number, entry: ShadowOutboundSa) => Verdict;
  /** Seals the packets with verdict 0 for the link and sends them to the routing host; `saSlot` says whose they are. */
  readonly sendToFunnel: (vector: PacketVector) => void;
  /** The holder may have actions, or another deadline. */
  readonly onNumbering: (entry: ShadowOutboundSa) => void;
  /** A packet that leaves, before it is sealed: for flow tracking. */
  readonly onOutbound: (vector: PacketVector, i: number, entry: ShadowOutboundSa) => void;
}

/**
 * A target's way out: inner packet from the TUN, policy (RFC 4301 section 5.1), fit, number, seal, outer headers,
 * raw socket with the DVIPA's endpoint as source; or, on the funnel, sealed over the trusted link.
 * What matches no policy or has no usable SA is dropped: no path leads out in clear.
 */
export class TargetOutbound {
  readonly #options: TargetOutboundOptions;
  readonly #line: WaitingLine;
  readonly #fit: InnerFit;
  readonly #sending: SendingParts;
  /** Numbers taken per slot in this vector, given to `sent` after the send call. */
  readonly #taken = new Map<ShadowOutboundSa, number>();
  /** SAs that had no number for a packet of this vector. */
  readonly #waiting = new Set<ShadowOutboundSa>();
  readonly sent = new SentCounts();
  funnelled = 0;

  constructor(options: TargetOutboundOptions, vectorPackets?: number) {
    this.#options = options;
    const { sad, crypto, raw, kernel, drops, fragmentHash } = options;
    this.#fit = new InnerFit({ kernel, drops, hash: fragmentHash });
    this.#sending = { sad, crypto, raw, cut: new OuterCut(raw) };
    const steps = {
      findSa: this.#findSa.bind(this),
      number: this.#number.bind(this),
      transmit: this.#transmit.bind(this),
    };
    this.#line = new WaitingLine(steps, WAITING, vectorPackets);
  }

  /** One vector of inner packets from the TUN. */
  run(vector: PacketVector, now: number): void {
    this.#runOnce(vector, now);
    this.#drainFit(now);
  }

  /**
   * Numbers have come, the way has changed, or the SA is gone and another has taken its place: what waits goes out,
   * in order, before anything newer.
   */
  resume(entry: ShadowOutboundSa, now: number): void {
    this.#line.resume(entry.slot, now);
    this.#options.onNumbering(entry);
  }

  /** The SA is gone: its slot will be another's. What waits for it asks for another SA. */
  removed(entry: ShadowOutboundSa, now: number): void {
    this.#options.fragments.forget(entry.slot);
    this.resume(entry, now);
  }

  /** Drops what has waited too long. */
  tick(now: number): void {
    this.#line.expire(now, this.#options.drops);
    this.#fit.tick(now);
  }

  #drainFit(now: number): void {
    this.#fit.drain((made) => this.#runOnce(made, now));
  }

  #runOnce(vector: PacketVector, now: number): void {
    for (let i = 0; i < vector.count; i++) {
      if (this.#fit.mustDrain) {
        this.#sendBefore(vector, i, now);
        this.#drainFit(now);
      }
      if (vector.verdict[i] === KEEP) vector.verdict[i] = this.#admit(vector, i, now);
    }
    this.#transmit(vector, now);
  }

  /** What stands before `end` goes out now, since numbers leave in their order. */
  #sendBefore(vector: PacketVector, end: number, now: number): void {
    const { count } = vector;
    vector.count = end;
    this.#transmit(vector, now);
    vector.count = count;
    vector.verdict.fill(ELSEWHERE, 0, end); // all of it was sent or counted
  }

  #admit(vector: PacketVector, i: number, now: number): number {
    const bad = this.#findSa(vector, i);
    if (bad !== KEEP) return bad;
    const entry = this.#options.sad.at(vector.saSlot[i] as number) as ShadowOutboundSa;
    const withheld = this.#options.withhold(vector, i, entry);
    if (withheld !== KEEP) return withheld;
    const unfit = this.#fit.check(vector, i, entry, now);
    return unfit === KEEP ? this.#line.admit(vector, i, now) : unfit;
  }

  #findSa(vector: PacketVector, i: number): number {
    const { sad, dvipas, choosePolicy, fragments, overlaps } = this.#options;
    const malformed = readInnerHeaders(vector, i);
    if (malformed !== KEEP) return malformed;
    if (!dvipas.has(vector.innerSource, i * ADDRESS_WORDS)) return SOURCE_NOT_DVIPA;
    const refused = findOutboundSa(vector, i, sad, choosePolicy, fragments, overlaps);
    if (refused !== KEEP) return refused;
    const entry = sad.at(vector.saSlot[i] as number);
    return entry?.iv === undefined ? NO_SA : KEEP;
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
    return assignNumber(vector, i, entry, number, entry.iv);
  }

  #transmit(vector: PacketVector, now: number): void {
    const toFunnel = this.#setAside(vector);
    sealAndSend(vector, this.#sending, this.sent, now);
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
}

import { ELSEWHERE, KEEP, SENT, type Verdict, verdictOf } from '../base/verdict.ts';
import { FRAGMENT } from '../ipsec/inner-columns.ts';
import { type NumberingHolder, TAKE_FUNNEL, TAKE_WAIT } from '../ipsec/numbering-holder.ts';
import type { IvCounter } from '../ipsec/sender-ids.ts';
import { ADDRESS_WORDS } from '../packet/address.ts';
import type { AddressSet } from '../packet/address-map.ts';
import type { WordHash } from '../packet/fragment-table.ts';
import { type FragmentMemory, OWN_FRAGMENTS } from './fragment-memory.ts';
import { readInnerHeaders } from './inner-headers.ts';
import { clampInnerMss } from './mss-clamp.ts';
import { FIT, fitOf } from './outbound-fit.ts';
import type { OutboundSad } from './outbound-sad.ts';
import { assignNumber, type ChoosePolicy, findOutboundSa, type SendingSa } from './outbound-steps.ts';
import { Cutter, OwnReassembly } from './oversized.ts';
import type { PacketSink } from './ports.ts';
import { TooBigAnswers } from './too-big-answers.ts';
import { type SentCounts, Transmitter, type TransmitterOptions } from './transmit.ts';
import type { PacketVector } from './vector.ts';
import { WaitingLine } from './waiting-line.ts';

const SOURCE_NOT_DVIPA = verdictOf('source-not-dvipa');
const NO_SA = verdictOf('no-sa');
const TOO_BIG = verdictOf('too-big');

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

export interface TargetOutboundOptions extends TransmitterOptions {
  readonly sad: OutboundSad<ShadowOutboundSa>;
  /** Takes what our own kernel is told about packets that do not fit. */
  readonly tun: PacketSink;
  /** Which SA fragments without ports go to. Nothing else uses it. */
  readonly fragments: FragmentMemory;
  /** Keyed, for the table of fragments. */
  readonly fragmentHash: WordHash;
  readonly dvipas: AddressSet;
  /** Which peer a packet is for, where several look alike. */
  readonly choosePolicy: ChoosePolicy;
  /** Seals the packets with verdict 0 for the link and sends them to the routing host; `saSlot` says whose they are. */
  readonly sendToFunnel: (vector: PacketVector) => void;
  /** The holder may have actions, or another deadline. */
  readonly onNumbering: (entry: ShadowOutboundSa) => void;
  /** A packet that leaves, before it is sealed: for flow tracking. */
  readonly onOutbound: (vector: PacketVector, i: number, entry: ShadowOutboundSa) => void;
}

/**
 * A target's way out: inner packet from the TUN, policy (RFC 4301 section 5.1), fit (docs/mtu.md), number, seal, outer headers,
 * raw socket with the DVIPA's endpoint as source; or, on the funnel, sealed over the trusted link.
 * What matches no policy or has no usable SA is dropped: no path leads out in clear.
 */
export class TargetOutbound {
  readonly #options: TargetOutboundOptions;
  readonly #line: WaitingLine;
  readonly #transmitter: Transmitter;
  readonly #answers: TooBigAnswers;
  readonly #cutter: Cutter;
  readonly #reassembly: OwnReassembly;
  /** Numbers taken per slot in this vector, given to `sent` after the send call. */
  readonly #taken = new Map<ShadowOutboundSa, number>();
  /** SAs that had no number for a packet of this vector. */
  readonly #waiting = new Set<ShadowOutboundSa>();
  #now = 0;
  funnelled = 0;

  constructor(options: TargetOutboundOptions, vectorPackets?: number) {
    this.#options = options;
    const { drops, fragmentHash, identification } = options;
    this.#transmitter = new Transmitter(options);
    this.#answers = new TooBigAnswers(options);
    this.#cutter = new Cutter(identification);
    this.#reassembly = new OwnReassembly({ hash: fragmentHash, drops });
    const steps = {
      findSa: this.#findSa.bind(this),
      number: this.#number.bind(this),
      transmit: this.#transmit.bind(this),
    };
    this.#line = new WaitingLine(steps, WAITING, vectorPackets);
  }

  get sent(): SentCounts {
    return this.#transmitter.sent;
  }

  /** One vector of inner packets from the TUN. */
  run(vector: PacketVector, now: number): void {
    this.#now = now;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] === KEEP) vector.verdict[i] = this.#take(vector, i, now);
    }
    this.#transmit(vector, now);
  }

  /**
   * Numbers have come, the way has changed, or the SA is gone and another has taken its place: what waits goes out,
   * in order, before anything newer.
   */
  resume(entry: ShadowOutboundSa, now: number): void {
    this.#now = now;
    this.#line.resume(entry.slot, now);
    this.#options.onNumbering(entry);
  }

  /** The SA is gone: nothing that still comes of it may go to whoever gets its slot. */
  removed(entry: ShadowOutboundSa, now: number): void {
    this.#options.fragments.forget(entry.slot);
    this.resume(entry, now);
  }

  /** Drops what has waited too long. */
  tick(now: number): void {
    this.#line.expire(now, this.#options.drops);
    this.#reassembly.tick(now);
  }

  #take(vector: PacketVector, i: number, now: number): Verdict {
    const bad = this.#findSa(vector, i);
    if (bad !== KEEP) return bad;
    const entry = this.#entryOf(vector, i);
    const isPart = vector.fragment[i] !== FRAGMENT.WHOLE;
    if (isPart && entry.outer.mode === 'transport') return this.#rebuild(vector, i, now);
    return this.#admit(vector, i, entry, now);
  }

  /** By its size: as it is, in pieces, or not at all. */
  #admit(vector: PacketVector, i: number, entry: ShadowOutboundSa, now: number): Verdict {
    switch (fitOf(vector, i, entry, now)) {
      case FIT.SEAL:
        return this.#line.admit(vector, i, now);
      case FIT.CUT: {
        this.#sendBefore(vector, i, now);
        const take = (pieces: PacketVector) => this.#admitPieces(pieces, now);
        const verdict = this.#cutter.cut(vector, i, entry.fit.payloadBytes, take);
        return verdict === KEEP ? ELSEWHERE : verdict;
      }
      case FIT.TELL:
        this.#answers.answer(vector, i, entry.fit.innerMtu(vector.family[i] as number), now);
        return TOO_BIG;
      case FIT.NEVER:
        return TOO_BIG;
    }
  }

  #admitPieces(pieces: PacketVector, now: number): void {
    for (let i = 0; i < pieces.count; i++) {
      const bad = this.#findSa(pieces, i);
      pieces.verdict[i] = bad === KEEP ? this.#line.admit(pieces, i, now) : bad;
    }
    this.#transmit(pieces, now);
  }

  /** A fragment for transport mode, which seals whole datagrams; they are cut again after ESP. */
  #rebuild(vector: PacketVector, i: number, now: number): Verdict {
    const verdict = this.#reassembly.take(vector, i, now);
    if (verdict !== KEEP) return verdict;
    this.#sendBefore(vector, i, now);
    const { rebuilt } = this.#reassembly;
    const bad = this.#findSa(rebuilt, 0);
    rebuilt.dontFragment[0] = 0; // its sender has cut it before
    rebuilt.verdict[0] = bad === KEEP ? this.#admit(rebuilt, 0, this.#entryOf(rebuilt, 0), now) : bad;
    this.#transmit(rebuilt, now);
    return ELSEWHERE;
  }

  /** What stands before `end` goes out now: numbers leave in their order. */
  #sendBefore(vector: PacketVector, end: number, now: number): void {
    const { count } = vector;
    vector.count = end;
    this.#transmit(vector, now);
    vector.count = count;
    vector.verdict.fill(ELSEWHERE, 0, end); // all of it was sent or counted
  }

  #entryOf(vector: PacketVector, i: number): ShadowOutboundSa {
    return this.#options.sad.at(vector.saSlot[i] as number) as ShadowOutboundSa;
  }

  #findSa(vector: PacketVector, i: number): Verdict {
    const { sad, dvipas } = this.#options;
    const malformed = readInnerHeaders(vector, i);
    if (malformed !== KEEP) return malformed;
    if (!dvipas.has(vector.innerSource, i * ADDRESS_WORDS)) return SOURCE_NOT_DVIPA;
    const refused = this.#findByPolicy(vector, i);
    if (refused !== KEEP) return refused;
    const entry = sad.at(vector.saSlot[i] as number) as ShadowOutboundSa;
    clampInnerMss(vector, i, entry.fit, this.#now);
    return entry.iv === undefined ? NO_SA : KEEP;
  }

  /** A later fragment goes where the first one of its datagram did: it shows no ports (RFC 4301 section 7.3). */
  #findByPolicy(vector: PacketVector, i: number): Verdict {
    const { sad, choosePolicy, fragments } = this.#options;
    const fragment = vector.fragment[i];
    if (fragment === FRAGMENT.LATER) {
      const slot = fragments.recall(vector, i, OWN_FRAGMENTS, this.#now);
      vector.saSlot[i] = slot;
      if (slot >= 0) return KEEP;
    }
    const refused = findOutboundSa(vector, i, sad, choosePolicy);
    if (refused !== KEEP || fragment !== FRAGMENT.FIRST) return refused;
    fragments.note(vector, i, OWN_FRAGMENTS, vector.saSlot[i] as number, this.#now);
    return KEEP;
  }

  /** KEEP: it has a number, or (`FUNNEL` in `nextHeader`) goes to the routing host. ELSEWHERE: it must wait. */
  #number(vector: PacketVector, i: number, now: number): number {
    const entry = this.#entryOf(vector, i);
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
    this.#transmitter.send(vector, now);
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

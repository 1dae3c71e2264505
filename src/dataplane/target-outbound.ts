import { type DropCounters, KEEP, SENT, ELSEWHERE, type Verdict, verdictOf } from '../base/verdict.ts';
import type { GroupOverlaps } from '../ipsec/group-overlaps.ts';
import { type NumberingHolder, TAKE_FUNNEL, TAKE_STAMP, TAKE_WAIT } from '../ipsec/numbering-holder.ts';
import type { IvCounter } from '../ipsec/sender-ids.ts';
import type { PacketCrypto, SaMasker } from '../ipsec/packet-crypto.ts';
import { ADDRESS_WORDS } from '../packet/address.ts';
import type { AddressSet } from '../packet/address-map.ts';
import type { WordHash } from '../packet/fragment-table.ts';
import type { ClearDvipa } from './clear-check.ts';
import type { ClearText } from './clear-text.ts';
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
  type SealingParts,
} from './outbound-steps.ts';
import { type DescribePacket, PacketTap } from './packet-tap.ts';
import { followsInner } from './runs.ts';
import type { SendingSa } from './sending-sa.ts';
import { ofDeparture } from './tap-subjects.ts';
import { OuterCut } from './outer-cut.ts';
import { LINK_PROTOCOL, type PacketSink } from './ports.ts';
import { TouchedEntries } from './touched-entries.ts';
import type { PacketVector } from './vector.ts';
import { WaitingLine } from './waiting-line.ts';

const SOURCE_NOT_DVIPA = verdictOf('source-not-dvipa');
const NO_POLICY = verdictOf('no-policy');
const NO_SA = verdictOf('no-sa');
const NO_NUMBER = verdictOf('no-number');
const RETURN_ROUTER = verdictOf('return-router');

/** Packets that wait for sequence numbers, and for how long: a lease is granted in one round trip. */
const WAITING = { capacity: 1024, perKey: 512, holdMs: 500 };

/** In `linkProtocol`: straight to the peer. */
const DIRECT = 0;
/** Verdict of a packet that is set aside while those of its vector that go another way are sealed and sent. */
const ASIDE = 253;

/** A shadow SA, outbound. */
export interface ShadowOutboundSa extends SendingSa {
  readonly holder: NumberingHolder;
  /** The DVIPA that it serves; its settings may change. */
  readonly dvipa: Pick<ClearDvipa, 'returnVia'>;
  /** Undefined until the routing host has given a sender id: nothing is sealed. */
  iv: IvCounter | undefined;
  /** Masks what the routing host shall stamp; undefined: it gave no keys for that. */
  stamp: SaMasker | undefined;
  /** The last IV counter of what went there to be stamped, 0: none. */
  lastStamped: number;
}

export interface TargetOutboundOptions {
  readonly sad: OutboundSad<ShadowOutboundSa>;
  readonly overlaps: GroupOverlaps;
  readonly crypto: PacketCrypto;
  readonly raw: PacketSink;
  /** For captures. */
  readonly tap?: PacketTap;
  /** This host's kernel, for what it must hear about its packets. */
  readonly kernel: PacketSink;
  /** SAs (slots) of datagrams whose first fragment went out. */
  readonly fragments: FragmentMemory;
  /** Keyed hash for the table of fragments. */
  readonly fragmentHash: WordHash;
  readonly drops: DropCounters;
  /** For what no policy is about. */
  readonly clear: Pick<ClearText, 'outbound' | 'flush'>;
  readonly dvipas: AddressSet;
  /** Which peer a packet is for, where several look alike. */
  readonly choosePolicy: ChoosePolicy;
  /** Sends the packets with verdict 0, masked already, to the routing host, which stamps them. */
  readonly sendToStamper: (vector: PacketVector) => void;
  /** Of the routing host that is there, 0: none is. What is masked for another is not sent. */
  readonly epoch: () => number;
  /** May a packet of the kernel leave at all, now that its SA is known? KEEP: yes. ELSEWHERE: it comes again. */
  readonly withhold: (vector: PacketVector, i: number, entry: ShadowOutboundSa, now: number) => Verdict;
  /** For what a policy is about that has no SA: as `withhold`. */
  readonly acquire: (vector: PacketVector, i: number, now: number) => Verdict;
  /** Seals the packets with verdict 0 for the link and sends them to the routing host; `saSlot` says whose they are. */
  readonly sendToFunnel: (vector: PacketVector) => void;
  /** The holder may have actions, or another deadline. */
  readonly onNumbering: (entry: ShadowOutboundSa) => void;
  /** A packet that leaves, before it is sealed: for flow tracking. True: another one like it, now, is of no interest. */
  readonly onOutbound: (vector: PacketVector, i: number, entry: ShadowOutboundSa, now: number) => boolean;
}

/**
 * A target's way out: inner packet from the TUN, policy (RFC 4301 section 5.1), fit, number, seal, outer headers,
 * raw socket with the DVIPA's endpoint as source; or by way of the routing host: masked to be stamped, or on the funnel, sealed for the trusted link.
 * What has no usable SA is dropped, and what matches no policy as well, unless it answers what came in clear (`clear-text.ts`): no other path
 * leads out in clear.
 */
export class TargetOutbound {
  readonly #options: TargetOutboundOptions;
  readonly #line: WaitingLine;
  readonly #fit: InnerFit;
  readonly #sending: SealingParts;
  readonly #tap: PacketTap;
  readonly #describe: DescribePacket;
  /** Numbers taken per slot in this vector, given to `sent` after the send call. */
  readonly #taken = new TouchedEntries<ShadowOutboundSa>();
  /** SAs that had no number for a packet of this vector, or used their credit with one to be stamped: told after it. */
  readonly #touched = new TouchedEntries<ShadowOutboundSa>();
  /** What `onOutbound` said last. */
  #isFlowSettled = false;
  readonly sent = new SentCounts();
  funnelled = 0;
  stamped = 0;

  constructor(options: TargetOutboundOptions, vectorPackets?: number) {
    this.#options = options;
    const { sad, crypto, raw, kernel, drops, fragmentHash } = options;
    this.#tap = options.tap ?? new PacketTap();
    this.#describe = ofDeparture((vector, i) => sad.at(vector.saSlot[i] as number));
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
    const watched = this.#tap.isOn ? this.#tap.watch(vector) : undefined;
    this.#runOnce(vector, now);
    this.#drainFit(now);
    this.#options.clear.flush();
    if (watched !== undefined) this.#tap.judged('target/tun-in', watched, vector, this.#describe);
  }

  /**
   * Numbers have come, the way has changed, or the SA is gone and another has taken its place: what waits goes out,
   * in order, before anything newer.
   */
  resume(entry: ShadowOutboundSa, now: number): void {
    this.#line.resume(entry.slot, now);
    this.#options.onNumbering(entry);
  }

  /** Is there an SA that packet `i` could be sealed with? */
  hasSa(vector: PacketVector, i: number): boolean {
    return this.#findSa(vector, i) === KEEP;
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
    const malformed = readInnerHeaders(vector, i);
    if (malformed !== KEEP) return malformed;
    const { sad } = this.#options;
    if (followsInner(vector, i)) vector.saSlot[i] = vector.saSlot[i - 1] as number;
    else {
      const refused = this.#chooseSa(vector, i, now);
      if (refused !== KEEP) return refused;
    }
    const entry = sad.at(vector.saSlot[i] as number) as ShadowOutboundSa;
    const unfit = this.#fit.check(vector, i, entry, now);
    return unfit === KEEP ? this.#line.admit(vector, i, now) : unfit;
  }

  /** The SA of packet `i`, whose headers were read, and whether it may leave by it. KEEP: yes. */
  #chooseSa(vector: PacketVector, i: number, now: number): number {
    const bad = this.#matchSa(vector, i);
    if (bad === NO_POLICY) return this.#options.clear.outbound(vector, i);
    if (bad === NO_SA) return this.#options.acquire(vector, i, now);
    if (bad !== KEEP) return bad;
    const entry = this.#options.sad.at(vector.saSlot[i] as number) as ShadowOutboundSa;
    return this.#options.withhold(vector, i, entry, now);
  }

  #findSa(vector: PacketVector, i: number): number {
    const malformed = readInnerHeaders(vector, i);
    return malformed === KEEP ? this.#matchSa(vector, i) : malformed;
  }

  #matchSa(vector: PacketVector, i: number): number {
    const { sad, dvipas, choosePolicy, fragments, overlaps } = this.#options;
    if (!dvipas.has(vector.innerSource, i * ADDRESS_WORDS)) return SOURCE_NOT_DVIPA;
    const refused = findOutboundSa(vector, i, sad, choosePolicy, fragments, overlaps);
    if (refused !== KEEP) return refused;
    const entry = sad.at(vector.saSlot[i] as number);
    return entry?.iv === undefined ? NO_SA : KEEP;
  }

  /** KEEP: it has a number, or (see `linkProtocol`) gets one from the routing host. ELSEWHERE: it must wait. */
  #number(vector: PacketVector, i: number, now: number): number {
    const entry = this.#options.sad.at(vector.saSlot[i] as number) as ShadowOutboundSa;
    const number = entry.holder.take(1, now);
    if (number === TAKE_WAIT) {
      this.#touched.add(entry);
      return ELSEWHERE;
    }
    if (!this.#isFlowSettled || !followsInner(vector, i))
      this.#isFlowSettled = this.#options.onOutbound(vector, i, entry, now);
    vector.linkProtocol[i] = DIRECT;
    if (number === TAKE_FUNNEL) {
      vector.linkProtocol[i] = LINK_PROTOCOL.SEALED;
      return KEEP;
    }
    if (number === TAKE_STAMP) return this.#forStamp(vector, i, entry);
    this.#taken.add(entry);
    // The owner grants no such lease. If it did, the packet must not leave here all the same.
    if (entry.dvipa.returnVia === 'router') return RETURN_ROUTER;
    return assignNumber(vector, i, entry, number, entry.iv);
  }

  /** The routing host numbers it; the IV is from here. */
  #forStamp(vector: PacketVector, i: number, entry: ShadowOutboundSa): Verdict {
    const { stamp } = entry;
    if (stamp === undefined || stamp.epoch !== this.#options.epoch()) return NO_NUMBER;
    const verdict = assignNumber(vector, i, entry, 0, entry.iv);
    if (verdict !== KEEP) return verdict;
    vector.linkProtocol[i] = LINK_PROTOCOL.STAMP;
    entry.lastStamped = entry.iv?.last ?? 0;
    this.#touched.add(entry);
    return KEEP;
  }

  #transmit(vector: PacketVector, now: number): void {
    const aside = this.#setAside(vector);
    sealAndSend(vector, this.#sending, this.sent, now);
    if (this.#tap.isOn) this.#tap.passing('target/sealed', vector, this.#describe);
    for (let n = 0; n < this.#taken.size; n++) {
      const entry = this.#taken.at(n);
      entry.holder.sent(this.#taken.countOf(entry), now);
      this.#options.onNumbering(entry);
    }
    this.#taken.clear();
    for (let n = 0; n < this.#touched.size; n++) this.#options.onNumbering(this.#touched.at(n));
    this.#touched.clear();
    if (aside > 0) this.#share(vector);
    vector.countDrops(this.#options.drops);
  }

  /** What goes by way of the routing host. */
  #share(vector: PacketVector): void {
    const { sad, crypto, sendToStamper, sendToFunnel } = this.#options;
    const toStamp = this.#takeBack(vector, LINK_PROTOCOL.STAMP);
    if (toStamp > 0) {
      crypto.sealForStamp(vector, (slot) => sad.at(slot)?.stamp);
      sendToStamper(vector);
      this.stamped += toStamp;
    }
    const toFunnel = this.#takeBack(vector, LINK_PROTOCOL.SEALED);
    if (toFunnel > 0) {
      sendToFunnel(vector);
      this.funnelled += toFunnel;
    }
  }

  #setAside(vector: PacketVector): number {
    let count = 0;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP || vector.linkProtocol[i] === DIRECT) continue;
      vector.verdict[i] = ASIDE;
      count++;
    }
    return count;
  }

  /** Those of one way have verdict 0 then, and no others. */
  #takeBack(vector: PacketVector, way: number): number {
    let count = 0;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] === KEEP) vector.verdict[i] = SENT;
      else if (vector.verdict[i] === ASIDE && vector.linkProtocol[i] === way) {
        vector.verdict[i] = KEEP;
        count++;
      }
    }
    return count;
  }
}

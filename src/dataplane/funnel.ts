import { type DropCounters, ELSEWHERE, KEEP, verdictOf } from '../base/verdict.ts';
import type { GroupOverlaps } from '../ipsec/group-overlaps.ts';
import { LINK_KIND, LinkHeaders, type LinkOpener } from '../ipsec/link-seal.ts';
import type { NumberingOwner } from '../ipsec/numbering-owner.ts';
import type { PacketCrypto } from '../ipsec/packet-crypto.ts';
import type { OutboundPolicy } from '../ipsec/sa.ts';
import { ADDRESS_WORDS } from '../packet/address.ts';
import type { AddressSet } from '../packet/address-map.ts';
import type { ClearReturn } from './clear-return.ts';
import type { FragmentMemory } from './fragment-memory.ts';
import { readInnerHeaders } from './inner-headers.ts';
import type { OutboundSad } from './outbound-sad.ts';
import {
  assignNumber,
  findOutboundSa,
  type SealingParts,
  SentCounts,
  sealAndSend,
} from './outbound-steps.ts';
import type { SendingSa } from './sending-sa.ts';
import { OuterCut } from './outer-cut.ts';
import type { PacketSink } from './ports.ts';
import type { PacketVector } from './vector.ts';
import { WaitingLine } from './waiting-line.ts';

const LINK_EPOCH = verdictOf('link-epoch');
const LINK_UNKNOWN_KIND = verdictOf('link-unknown-kind');
const SOURCE_NOT_DVIPA = verdictOf('source-not-dvipa');
const NO_NUMBER = verdictOf('no-number');

/** Packets that wait while a lease is called back (one round trip) and the path difference passes. */
const WAITING = { capacity: 4096, perKey: 1024, holdMs: 300 };

/** A sending target, as the funnel knows it. */
export interface FunnelPeer {
  readonly host: string;
  readonly index: number;
  readonly opener: LinkOpener;
  /** DVIPAs that this target is authorised for: it may send from no other address. */
  readonly dvipas: AddressSet;
}

/** An outbound SA on the routing host; its meter counts what this host seals itself, like one more target. */
export interface RoutingOutboundSa extends SendingSa {
  readonly numbering: NumberingOwner;
}

export interface FunnelOptions {
  readonly sad: OutboundSad<RoutingOutboundSa>;
  readonly overlaps: GroupOverlaps;
  readonly crypto: PacketCrypto;
  readonly raw: PacketSink;
  /** SAs (slots) of datagrams whose first fragment came. */
  readonly fragments: FragmentMemory;
  /** For answers in clear of DVIPAs with `return: router`. */
  readonly clear: Pick<ClearReturn, 'take' | 'flush'>;
  readonly drops: DropCounters;
  /** The numbering may have actions, or another deadline. */
  readonly onNumbering: (entry: RoutingOutboundSa) => void;
}

/**
 * The funnel (docs/outbound.md, way C): inner packets that several targets send on one SA come here over the
 * sealed link, and one sender numbers and seals them. A target is believed only about what it was given: the
 * source must be a DVIPA it serves, and the policy, not the target, names the SA. Where policies of several peers match, since these
 * look alike, the target says which peer it means.
 */
export class Funnel {
  readonly #options: FunnelOptions;
  readonly #line: WaitingLine;
  readonly #sending: SealingParts;
  readonly #headers = new LinkHeaders();
  readonly #choosePolicy = this.#choose.bind(this);
  /** SAs whose numbering was used in this vector; told after it, because that may lead back to `resume`. */
  readonly #touched = new Set<RoutingOutboundSa>();
  #highestCounter = 0;
  /** The SA group that the packet at hand is meant for. */
  #meant = 0;
  readonly sent = new SentCounts();
  linkPackets = 0;

  constructor(options: FunnelOptions) {
    this.#options = options;
    const { sad, crypto, raw } = options;
    this.#sending = { sad, crypto, raw, cut: new OuterCut(raw) };
    const steps = {
      findSa: this.#findSa.bind(this),
      number: this.#number.bind(this),
      transmit: this.#transmit.bind(this),
    };
    this.#line = new WaitingLine(steps, WAITING);
  }

  /**
   * One vector of sealed link packets of one target; `current` is this host's epoch, 0 while it is not the owner. Returns
   * the highest link counter that proved genuine, or 0: it says how far a flush has come.
   */
  run(vector: PacketVector, peer: FunnelPeer, epoch: number, current: number, now: number): number {
    this.#highestCounter = 0;
    this.linkPackets += vector.count;
    const isCurrent = epoch === current && epoch !== 0;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP) continue;
      if (!isCurrent) vector.verdict[i] = LINK_EPOCH;
    }
    peer.opener.open(vector, epoch, this.#headers);
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] === KEEP) vector.verdict[i] = this.#accept(vector, i, peer, now);
    }
    this.#options.clear.flush();
    this.#transmit(vector, now);
    this.#reportNumbering();
    return this.#highestCounter;
  }

  /** The SA gives numbers again, or is gone and another has taken its place: what waits goes out, in order. */
  resume(entry: RoutingOutboundSa, now: number): void {
    this.#meant = entry.sa.group;
    this.#line.resume(entry.slot, now);
    this.#reportNumbering();
  }

  /** The SA is gone: its slot will be another's. What waits for it asks for another SA. */
  removed(entry: RoutingOutboundSa, now: number): void {
    this.#options.fragments.forget(entry.slot);
    this.resume(entry, now);
  }

  /** Drops what has waited too long. */
  tick(now: number): void {
    this.#line.expire(now, this.#options.drops);
  }

  #accept(vector: PacketVector, i: number, peer: FunnelPeer, now: number): number {
    const kind = this.#headers.kind[i];
    const counter = this.#headers.counter[i] as number;
    this.#highestCounter = Math.max(this.#highestCounter, counter);
    if (kind !== LINK_KIND.FUNNEL && kind !== LINK_KIND.CLEAR) return LINK_UNKNOWN_KIND;
    this.#meant = this.#headers.group[i] as number;
    const malformed = readInnerHeaders(vector, i);
    if (malformed !== KEEP) return malformed;
    if (!peer.dvipas.has(vector.innerSource, i * ADDRESS_WORDS)) return SOURCE_NOT_DVIPA;
    if (kind === LINK_KIND.CLEAR) return this.#options.clear.take(vector, i, peer.index, now);
    const refused = this.#policyAndSa(vector, i);
    if (refused !== KEEP) return refused;
    const entry = this.#options.sad.at(vector.saSlot[i] as number) as RoutingOutboundSa;
    this.#touched.add(entry);
    if (!entry.numbering.sharedArrived(peer.host, counter, now)) return NO_NUMBER;
    return this.#line.admit(vector, i, now);
  }

  #findSa(vector: PacketVector, i: number): number {
    const malformed = readInnerHeaders(vector, i);
    if (malformed !== KEEP) return malformed;
    return this.#policyAndSa(vector, i);
  }

  #policyAndSa(vector: PacketVector, i: number): number {
    const { sad, fragments, overlaps } = this.#options;
    return findOutboundSa(vector, i, sad, this.#choosePolicy, fragments, overlaps);
  }

  #choose(vector: PacketVector, i: number, best: OutboundPolicy): OutboundPolicy | undefined {
    const { sad, overlaps } = this.#options;
    const isClear = best.group === this.#meant || !overlaps.has(best.group);
    return isClear ? best : sad.policyOfGroup(vector, i, this.#meant);
  }

  /** KEEP with number and IV in the vector; ELSEWHERE: it must wait. */
  #number(vector: PacketVector, i: number, now: number): number {
    const entry = this.#options.sad.at(vector.saSlot[i] as number) as RoutingOutboundSa;
    const number = entry.numbering.takeNumbers(1, now);
    this.#touched.add(entry);
    if (number < 0) return ELSEWHERE;
    return assignNumber(vector, i, entry, number, entry.numbering.iv);
  }

  #reportNumbering(): void {
    const touched = [...this.#touched];
    this.#touched.clear();
    for (const entry of touched) this.#options.onNumbering(entry);
  }

  #transmit(vector: PacketVector, now: number): void {
    sealAndSend(vector, this.#sending, this.sent, now);
    vector.countDrops(this.#options.drops);
  }
}

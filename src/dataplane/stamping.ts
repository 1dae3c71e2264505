import { type DropCounters, ELSEWHERE, KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import type { NumberingOwner } from '../ipsec/numbering-owner.ts';
import type { StampCrypto } from '../ipsec/stamp-crypto.ts';
import { parseStampHeader, readStampCounter, StampHeader } from '../ipsec/stamp-packet.ts';
import type { OutboundSad } from './outbound-sad.ts';
import { SentCounts, sendSealed, type SendingParts } from './outbound-steps.ts';
import { OuterCut } from './outer-cut.ts';
import type { PacketSink } from './ports.ts';
import type { SendingSa } from './sending-sa.ts';
import type { PacketVector } from './vector.ts';
import { WaitingLine } from './waiting-line.ts';

const NO_SA = verdictOf('no-sa');
const STAMP_EPOCH = verdictOf('stamp-epoch');
const STAMP_SENDER = verdictOf('stamp-sender');

/** Packets that wait while a lease is called back (one round trip) and the path difference passes. */
const WAITING = { capacity: 4096, perKey: 1024, holdMs: 300 };

/** An outbound SA on the routing host, as the stamper knows it. */
export interface StampedSa extends SendingSa {
  readonly numbering: NumberingOwner;
  /** Else its packets go through the funnel. */
  readonly isStamped: boolean;
}

export interface StampingOptions<Entry extends StampedSa> {
  readonly sad: OutboundSad<Entry>;
  /** With the SAs that are stamped, by slot. */
  readonly stamps: StampCrypto;
  readonly raw: PacketSink;
  readonly drops: DropCounters;
  /** The numbering may have actions, or another deadline. */
  readonly onNumbering: (entry: Entry) => void;
}

/**
 * Stamping (docs/outbound.md, way B): packets that several targets sealed on one SA come here masked; the next sequence number is written
 * into each, its ICV is corrected for it, and it goes to the peer. What is inside stays closed: this host needs no key of the SA for it.
 * Each packet leaves at most once, whatever is repeated or changed on the link.
 */
export class Stamping<Entry extends StampedSa> {
  readonly #options: StampingOptions<Entry>;
  readonly #line: WaitingLine;
  readonly #sending: SendingParts;
  readonly #header = new StampHeader();
  /** SAs whose numbering was used in this vector; told after it, because that may lead back to `resume`. */
  readonly #touched = new Set<Entry>();
  readonly sent = new SentCounts();
  linkPackets = 0;

  constructor(options: StampingOptions<Entry>) {
    this.#options = options;
    const { sad, raw } = options;
    this.#sending = { sad, raw, cut: new OuterCut(raw) };
    this.#line = new WaitingLine(
      {
        findSa: this.#findSa.bind(this),
        number: this.#number.bind(this),
        transmit: this.#transmit.bind(this),
      },
      WAITING,
    );
  }

  /** One vector of packets of one target; `current` is this host's epoch, 0 while it is not the owner. */
  run(vector: PacketVector, host: string, epoch: number, current: number, now: number): void {
    this.linkPackets += vector.count;
    const isCurrent = epoch === current && epoch !== 0;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP) continue;
      vector.verdict[i] = isCurrent ? this.#assign(vector, i, host) : STAMP_EPOCH;
    }
    this.#options.stamps.accept(vector, epoch);
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] === KEEP) vector.verdict[i] = this.#arrived(vector, i, host, now);
    }
    this.#transmit(vector, now);
    this.#reportNumbering();
  }

  /** The SA gives numbers again: what waits goes out, in order. */
  resume(entry: Entry, now: number): void {
    this.#line.resume(entry.slot, now);
    this.#reportNumbering();
  }

  /** The SA is gone, and with it what waits: it was sealed with that SA's key. */
  removed(entry: Entry, now: number): void {
    this.resume(entry, now);
  }

  /** Drops what has waited too long. */
  tick(now: number): void {
    this.#line.expire(now, this.#options.drops);
  }

  /** SA and sender id of packet `i`. */
  #assign(vector: PacketVector, i: number, host: string): Verdict {
    const unknown = this.#findSa(vector, i);
    if (unknown !== KEEP) return unknown;
    const entry = this.#options.sad.at(vector.saSlot[i] as number) as Entry;
    vector.senderId[i] = entry.numbering.senderIdOf(host) ?? 0;
    return entry.isStamped ? KEEP : NO_SA;
  }

  /** Numbers accepted packet `i`, or lets it wait. */
  #arrived(vector: PacketVector, i: number, host: string, now: number): Verdict {
    const entry = this.#options.sad.at(vector.saSlot[i] as number) as Entry;
    this.#touched.add(entry);
    const counter = readStampCounter(vector.slab, vector.offset[i] as number);
    if (!entry.numbering.sharedArrived(host, counter, now)) return STAMP_SENDER;
    return this.#line.admit(vector, i, now);
  }

  /** Also of what waited: the SA may be gone. */
  #findSa(vector: PacketVector, i: number): Verdict {
    const header = this.#header;
    const malformed = parseStampHeader(
      vector.slab,
      vector.offset[i] as number,
      vector.length[i] as number,
      header,
    );
    if (malformed !== KEEP) return malformed;
    const entry = this.#options.sad.find(header.group, header.spi);
    if (entry === undefined) return NO_SA;
    vector.saSlot[i] = entry.slot;
    vector.trafficClass[i] = header.trafficClass;
    vector.hopLimit[i] = header.hopLimit;
    vector.dontFragment[i] = header.dontFragment ? 1 : 0;
    return KEEP;
  }

  /** KEEP: the number is in the vector. ELSEWHERE: there is none now. */
  #number(vector: PacketVector, i: number, now: number): Verdict {
    const entry = this.#options.sad.at(vector.saSlot[i] as number) as Entry;
    this.#touched.add(entry);
    const number = entry.numbering.takeNumbers(1, now);
    if (number < 0) return ELSEWHERE;
    vector.sequenceHigh[i] = Math.floor(number / 0x1_0000_0000);
    vector.sequenceLow[i] = number >>> 0;
    return KEEP;
  }

  #transmit(vector: PacketVector, now: number): void {
    this.#options.stamps.stamp(vector);
    sendSealed(vector, this.#sending, this.sent, now);
    vector.countDrops(this.#options.drops);
  }

  #reportNumbering(): void {
    const touched = [...this.#touched];
    this.#touched.clear();
    for (const entry of touched) this.#options.onNumbering(entry);
  }
}

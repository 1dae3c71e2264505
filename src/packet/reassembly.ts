import { NONE } from '../base/slot-list.ts';
import { type DropCounters, ELSEWHERE, KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { internetChecksum } from './checksum.ts';
import { FragmentHeader, MAX_DATAGRAM_BYTES, parseFragment } from './fragment-header.ts';
import { BLOCK_BYTES, blocksFor, FragmentPieces } from './fragment-pieces.ts';
import { FragmentTable, type WordHash } from './fragment-table.ts';
import { IPV6_HEADER_BYTES } from './ipv6.ts';

const MALFORMED = verdictOf('malformed');
const OVERLAP = verdictOf('fragment-overlap');
const DUPLICATE = verdictOf('fragment-duplicate');
const OVERFLOW = verdictOf('fragment-overflow');
const TIMEOUT = verdictOf('fragment-timeout');

const DF = 0x4000;
/** The codepoint "congestion experienced" of ECN, and the sets in which it and "not ECN-capable" are seen. */
const CE = 3;
const SEEN_CE = 1 << CE;
const SEEN_NOT_ECT = 1 << 0;

/** What the reassembly of outer datagrams may hold. Whoever sends fragments is not authenticated. */
export interface ReassemblyLimits {
  /** Datagrams in progress, in all and of one source; a refused one keeps its place until it times out. */
  readonly datagrams: number;
  readonly datagramsPerSource: number;
  /** Memory in bytes, in all and for one source, counted in blocks of 2048. */
  readonly bytes: number;
  readonly bytesPerSource: number;
  readonly fragmentsPerDatagram: number;
  /**
   * From the first fragment that arrives. RFC 8200 section 4.5 allows 60 s, RFC 1122 section 3.3.2 wants as much; but fragments of
   * one datagram leave together and arrive within milliseconds, while half ones of an attacker hold memory for as long as this.
   */
  readonly timeoutMs: number;
}

export const DEFAULT_REASSEMBLY_LIMITS: ReassemblyLimits = {
  datagrams: 1024,
  datagramsPerSource: 64,
  bytes: 8 * 2 ** 20,
  bytesPerSource: 2 ** 20,
  fragmentsPerDatagram: 128,
  timeoutMs: 5_000,
};

export interface ReassemblerOptions {
  readonly hash: WordHash;
  /** Fragments that were taken and are given up later are counted here; the verdict of `take` is the caller's to count. */
  readonly drops: DropCounters;
  readonly limits?: Partial<ReassemblyLimits>;
}

/**
 * Reassembly of outer datagrams (RFC 791 section 3.2, RFC 8200 section 4.5). Fragments that overlap make the whole datagram
 * worthless, those still to come included (RFC 5722), and so do fragments that disagree about its end; for IPv4, where RFC 791 would
 * have the newest bytes win, as well: no sender makes such fragments, only attackers do.
 *
 * When a limit of a source is reached, it loses its own oldest datagram. When all is full, of the oldest datagrams the one goes whose
 * source holds most. So nobody loses a datagram to a source that holds as many, or more.
 */
export class Reassembler {
  /** The rebuilt datagram, from 0, after `take` said `KEEP`; valid until the next call. */
  readonly slab = Buffer.alloc(MAX_DATAGRAM_BYTES);
  length = 0;
  readonly #limits: ReassemblyLimits;
  readonly #drops: DropCounters;
  readonly #fragment = new FragmentHeader();
  readonly #pieces: FragmentPieces;
  readonly #table: FragmentTable;
  readonly #head: Int32Array;
  /** The block with the rebuilt datagram's header, and what is in it (`FragmentHeader`). */
  readonly #headerBlock: Int32Array;
  readonly #headerBytes: Uint16Array;
  readonly #namedAt: Int16Array;
  readonly #nextHeader: Uint8Array;
  readonly #fragments: Uint16Array;
  /** Bytes of data that are there; where the highest ends; where the datagram ends, 0 = not known. */
  readonly #received: Uint32Array;
  readonly #highest: Uint32Array;
  readonly #end: Uint32Array;
  readonly #ecnSeen: Uint8Array;
  /** Why the datagram is given up although it keeps its place; 0 = it is not. */
  readonly #spoiled: Uint8Array;

  constructor(options: ReassemblerOptions) {
    this.#limits = { ...DEFAULT_REASSEMBLY_LIMITS, ...options.limits };
    this.#drops = options.drops;
    this.#pieces = new FragmentPieces(Math.floor(this.#limits.bytes / BLOCK_BYTES));
    const slots = this.#limits.datagrams;
    this.#table = new FragmentTable(slots, options.hash);
    this.#head = new Int32Array(slots).fill(NONE);
    this.#headerBlock = new Int32Array(slots).fill(NONE);
    this.#headerBytes = new Uint16Array(slots);
    this.#namedAt = new Int16Array(slots);
    this.#nextHeader = new Uint8Array(slots);
    this.#fragments = new Uint16Array(slots);
    this.#received = new Uint32Array(slots);
    this.#highest = new Uint32Array(slots);
    this.#end = new Uint32Array(slots);
    this.#ecnSeen = new Uint8Array(slots);
    this.#spoiled = new Uint8Array(slots);
  }

  /** Datagrams in progress, those given up that keep their place included. */
  get datagrams(): number {
    return this.#table.size;
  }

  /** Blocks of 2048 bytes that are free. */
  get freeBlocks(): number {
    return this.#pieces.freeBlocks;
  }

  /**
   * Takes one fragment as captured. `ELSEWHERE`: it waits for others. `KEEP`: the datagram is complete and stands in `slab`, an
   * IPv4 header without fragment bits or an IPv6 header without fragment header in front; so does a packet that was whole, which
   * an atomic fragment is (RFC 6946). Else a reason to drop this fragment.
   */
  take(slab: Buffer, offset: number, length: number, now: number): Verdict {
    this.expire(now);
    const fragment = this.#fragment;
    const bad = parseFragment(slab, offset, length, fragment);
    if (bad !== KEEP) return bad;
    if (fragment.isWhole) return this.#copyWhole(slab, offset);
    if (fragment.headerBytes > BLOCK_BYTES) return MALFORMED;
    const found = this.#table.find(fragment);
    const slot = found === NONE ? this.#begin(now) : found;
    if (this.#spoiled[slot] !== 0) return this.#spoiled[slot] as Verdict;
    return this.#add(slot, slab, offset);
  }

  /** Gives up what waited too long (`fragment-timeout`); returns how many datagrams. Call it now and then, or `take` does. */
  expire(now: number): number {
    let expired = 0;
    for (let slot = this.#table.oldest; slot !== NONE; slot = this.#table.oldest) {
      if ((this.#table.startedAt[slot] as number) + this.#limits.timeoutMs > now) break;
      this.#discard(slot, TIMEOUT);
      expired++;
    }
    return expired;
  }

  #begin(now: number): number {
    const share = this.#table.shareOf(this.#fragment.source);
    if (this.#table.datagramsOf(share) >= this.#limits.datagramsPerSource)
      this.#discard(this.#table.oldestOf(share), OVERFLOW);
    if (this.#table.isFull) this.#discard(this.#table.victimFor(share), OVERFLOW);
    const slot = this.#table.begin(this.#fragment, now);
    this.#fragments[slot] = 0;
    this.#received[slot] = 0;
    this.#highest[slot] = 0;
    this.#end[slot] = 0;
    this.#ecnSeen[slot] = 0;
    this.#spoiled[slot] = 0;
    return slot;
  }

  #add(slot: number, slab: Buffer, offset: number): Verdict {
    const { dataOffset, dataBytes, hasMore } = this.#fragment;
    const at = offset + this.#fragment.dataAt;
    const head = this.#head[slot] as number;
    if (this.#contradictsEnd(slot, dataOffset + dataBytes, hasMore)) return this.#spoil(slot, OVERLAP);
    const overlap = this.#pieces.compare(head, slab, at, dataOffset, dataBytes);
    if (overlap === 'duplicate') return DUPLICATE;
    if (overlap === 'overlap') return this.#spoil(slot, OVERLAP);
    const isOneTooMany = this.#fragments[slot] === this.#limits.fragmentsPerDatagram;
    const isFirst = dataOffset === 0;
    const blocks = blocksFor(dataBytes) + (isFirst ? 1 : 0);
    if (isOneTooMany || !this.#makeRoom(slot, blocks)) return this.#spoil(slot, OVERFLOW);
    this.#table.countBlocks(slot, blocks);
    this.#head[slot] = this.#pieces.insert(head, slab, at, dataOffset, dataBytes);
    if (isFirst) this.#keepHeader(slot, slab, offset);
    this.#note(slot, dataOffset + dataBytes);
    // Nothing overlaps and nothing lies behind the end: as many bytes as it has are all of them.
    return this.#received[slot] === this.#end[slot] ? this.#complete(slot) : ELSEWHERE;
  }

  #keepHeader(slot: number, slab: Buffer, offset: number): void {
    const { headerBytes, namedAt, nextHeader } = this.#fragment;
    this.#headerBlock[slot] = this.#pieces.insert(NONE, slab, offset, 0, headerBytes);
    this.#headerBytes[slot] = headerBytes;
    this.#namedAt[slot] = namedAt;
    this.#nextHeader[slot] = nextHeader;
  }

  #note(slot: number, end: number): void {
    const { dataBytes, hasMore, ecn } = this.#fragment;
    this.#fragments[slot] = (this.#fragments[slot] as number) + 1;
    this.#received[slot] = (this.#received[slot] as number) + dataBytes;
    this.#highest[slot] = Math.max(this.#highest[slot] as number, end);
    if (!hasMore) this.#end[slot] = end;
    this.#ecnSeen[slot] = (this.#ecnSeen[slot] as number) | (1 << ecn);
  }

  /** Data behind the end, a second end elsewhere, or a middle that ends where the last fragment does. */
  #contradictsEnd(slot: number, end: number, hasMore: boolean): boolean {
    const known = this.#end[slot] as number;
    if (known === 0) return !hasMore && end <= (this.#highest[slot] as number);
    return hasMore ? end >= known : end !== known;
  }

  #complete(slot: number): Verdict {
    const headerBytes = this.#headerBytes[slot] as number;
    const total = headerBytes + (this.#end[slot] as number);
    const ecnSeen = this.#ecnSeen[slot] as number;
    const hasCongestion = (ecnSeen & SEEN_CE) !== 0;
    // RFC 3168 section 5.3: congestion seen by one fragment is seen by the datagram, unless another denies ECN.
    if (total > MAX_DATAGRAM_BYTES || (hasCongestion && (ecnSeen & SEEN_NOT_ECT) !== 0)) {
      this.#fragments[slot] = (this.#fragments[slot] as number) - 1; // the one at hand is the caller's to count
      return this.#spoil(slot, MALFORMED);
    }
    this.#pieces.copyOut(this.#headerBlock[slot] as number, this.slab, 0);
    this.#pieces.copyOut(this.#head[slot] as number, this.slab, headerBytes);
    const namedAt = this.#namedAt[slot] as number;
    if (namedAt >= 0) this.#finish6(total, namedAt, this.#nextHeader[slot] as number, hasCongestion);
    else this.#finish4(total, headerBytes, hasCongestion);
    this.#remove(slot);
    return KEEP;
  }

  #finish4(total: number, headerBytes: number, hasCongestion: boolean): void {
    const { slab } = this;
    if (hasCongestion) slab.writeUInt8(slab.readUInt8(1) | CE, 1);
    slab.writeUInt16BE(total, 2);
    slab.writeUInt16BE(slab.readUInt16BE(6) & DF, 6);
    slab.writeUInt16BE(0, 10);
    slab.writeUInt16BE(internetChecksum(slab, 0, headerBytes), 10);
    this.length = total;
  }

  #finish6(total: number, namedAt: number, nextHeader: number, hasCongestion: boolean): void {
    const { slab } = this;
    if (hasCongestion) slab.writeUInt8(slab.readUInt8(1) | (CE << 4), 1);
    slab.writeUInt16BE(total - IPV6_HEADER_BYTES, 4);
    slab.writeUInt8(nextHeader, namedAt);
    this.length = total;
  }

  #copyWhole(slab: Buffer, offset: number): Verdict {
    const { headerBytes, dataAt, dataBytes, namedAt, nextHeader } = this.#fragment;
    const total = headerBytes + dataBytes;
    if (total > MAX_DATAGRAM_BYTES) return MALFORMED;
    slab.copy(this.slab, 0, offset, offset + headerBytes);
    slab.copy(this.slab, headerBytes, offset + dataAt, offset + dataAt + dataBytes);
    this.length = total;
    if (namedAt >= 0) this.#finish6(total, namedAt, nextHeader, false);
    return KEEP;
  }

  /** At the cost of this source's other datagrams, then of whoever holds most. False: this datagram alone is too much. */
  #makeRoom(slot: number, blocks: number): boolean {
    const perSource = Math.floor(this.#limits.bytesPerSource / BLOCK_BYTES);
    while (this.#table.blocksOfSourceOf(slot) + blocks > perSource) {
      const victim = this.#table.oldestBesides(slot);
      if (victim === NONE) return false;
      this.#discard(victim, OVERFLOW);
    }
    while (this.#pieces.freeBlocks < blocks) {
      const victim = this.#table.victimForBlocks(slot);
      if (victim === NONE) return false;
      this.#discard(victim, OVERFLOW);
    }
    return true;
  }

  /** The datagram is worthless, and so is what still comes of it: it keeps its place, without what was taken. */
  #spoil(slot: number, reason: Verdict): Verdict {
    this.#drops.add(reason, this.#fragments[slot]);
    this.#releaseBlocks(slot);
    this.#fragments[slot] = 0;
    this.#spoiled[slot] = reason;
    return reason;
  }

  #discard(slot: number, reason: Verdict): void {
    this.#drops.add(reason, this.#fragments[slot]);
    this.#remove(slot);
  }

  #remove(slot: number): void {
    this.#releaseBlocks(slot);
    this.#table.end(slot);
  }

  #releaseBlocks(slot: number): void {
    this.#pieces.release(this.#head[slot] as number);
    this.#pieces.release(this.#headerBlock[slot] as number);
    this.#head[slot] = NONE;
    this.#headerBlock[slot] = NONE;
    this.#table.countBlocks(slot, -(this.#table.blocks[slot] as number));
  }
}

import { newSlotChain, NONE, type SlotChain, SlotIndex, SlotLinks, SlotList } from '../base/slot-list.ts';
import { ADDRESS_WORDS, copyAddress, equalAddresses, isIpv4 } from './address.ts';
import type { FragmentHeader } from './fragment-header.ts';

/** A keyed hash of five 32-bit words, 32 bits, so that nobody outside can aim at an entry or a share (`KeyedHash`). */
export interface WordHash {
  words(a: number, b: number, c: number, d: number, e: number): number;
}

/** More than there are datagrams: two sources seldom meet in one share, and then they have it together. */
const SHARES = 4096;
/** When room must be made, so many of the oldest datagrams are looked at: a flood must not buy a walk along all of them. */
const EVICTION_LOOKS = 32;
/** "share": keeps hashes of sources apart from those of datagrams. */
const SHARE_WORD = 0x7368_6172;

/**
 * The datagrams that wait for fragments: a slot each, found by addresses, protocol and identification (RFC 791 section 2.3, RFC
 * 8200 section 4.5), in the order in which they began; and how much each source holds. A source is an IPv4 address or an
 * IPv6 network of 64 bits, since one host has as many addresses in it as it likes.
 */
export class FragmentTable {
  readonly startedAt: Float64Array;
  /** Blocks of memory that the datagram has; `countBlocks` sets it. */
  readonly blocks: Uint16Array;
  readonly #share: Uint16Array;
  /** The datagrams of each share, oldest first. */
  readonly #shares = Array.from({ length: SHARES }, newSlotChain);
  readonly #links: SlotLinks;
  readonly #blocksOfShare = new Uint32Array(SHARES);
  readonly #hash: WordHash;
  readonly #index: SlotIndex;
  readonly #order: SlotList;
  readonly #free: SlotList;
  readonly #addresses: Uint32Array;
  readonly #protocol: Uint8Array;
  readonly #identification: Uint32Array;

  constructor(slots: number, hash: WordHash) {
    this.#hash = hash;
    this.#index = new SlotIndex(slots);
    this.#order = new SlotList(slots);
    this.#links = new SlotLinks(slots);
    this.#free = new SlotList(slots);
    for (let slot = 0; slot < slots; slot++) this.#free.append(slot);
    this.startedAt = new Float64Array(slots);
    this.blocks = new Uint16Array(slots);
    this.#share = new Uint16Array(slots);
    this.#addresses = new Uint32Array(slots * 2 * ADDRESS_WORDS);
    this.#protocol = new Uint8Array(slots);
    this.#identification = new Uint32Array(slots);
  }

  get size(): number {
    return this.#order.size;
  }

  get isFull(): boolean {
    return this.#free.size === 0;
  }

  /** The datagram that began first, or `NONE`. */
  get oldest(): number {
    return this.#order.first;
  }

  /** The fragment's datagram, or `NONE`. */
  find(fragment: FragmentHeader): number {
    const hash = this.#hashOf(fragment);
    let slot = this.#index.first(hash);
    while (slot !== NONE && !this.#isOf(slot, fragment)) slot = this.#index.after(slot);
    return slot;
  }

  /** A slot for a datagram that `find` does not find; the table must not be full. */
  begin(fragment: FragmentHeader, now: number): number {
    const slot = this.#free.first;
    this.#free.remove(slot);
    this.#order.append(slot);
    this.#index.add(slot, this.#hashOf(fragment));
    copyAddress(fragment.source, 0, this.#addresses, slot * 2 * ADDRESS_WORDS);
    copyAddress(fragment.destination, 0, this.#addresses, slot * 2 * ADDRESS_WORDS + ADDRESS_WORDS);
    this.#identification[slot] = fragment.identification;
    this.#protocol[slot] = fragment.protocol;
    const share = this.shareOf(fragment.source);
    this.#share[slot] = share;
    this.#links.append(this.#chainOf(slot), slot);
    this.startedAt[slot] = now;
    this.blocks[slot] = 0;
    return slot;
  }

  /** Its blocks were given back. */
  end(slot: number): void {
    this.#links.remove(this.#chainOf(slot), slot);
    this.#index.remove(slot);
    this.#order.remove(slot);
    this.#free.append(slot);
  }

  countBlocks(slot: number, by: number): void {
    const share = this.#share[slot] as number;
    this.blocks[slot] = (this.blocks[slot] as number) + by;
    this.#blocksOfShare[share] = (this.#blocksOfShare[share] as number) + by;
  }

  shareOf(source: Uint32Array): number {
    const hash = isIpv4(source)
      ? this.#hash.words(4, 0, source[3] as number, 0, SHARE_WORD)
      : this.#hash.words(6, source[0] as number, source[1] as number, 0, SHARE_WORD);
    return hash & (SHARES - 1);
  }

  datagramsOf(share: number): number {
    return (this.#shares[share] as SlotChain).size;
  }

  blocksOfSourceOf(slot: number): number {
    return this.#blocksOfShare[this.#share[slot] as number] as number;
  }

  /** The share's oldest datagram, or `NONE`. */
  oldestOf(share: number): number {
    return (this.#shares[share] as SlotChain).first;
  }

  /** Of the oldest datagrams the one whose source has most, and more than this share; else this share's oldest. */
  victimFor(share: number): number {
    let found = this.oldestOf(share);
    let most = this.datagramsOf(share);
    let slot = this.#order.first;
    for (let looks = 0; looks < EVICTION_LOOKS && slot !== NONE; looks++) {
      if (this.#chainOf(slot).size > most) {
        found = slot;
        most = this.#chainOf(slot).size;
      }
      slot = this.#order.after(slot);
    }
    return found;
  }

  /** The oldest datagram with blocks, other than this one, of the same source; `NONE`: there is none. */
  oldestBesides(slot: number): number {
    let other = this.#chainOf(slot).first;
    while (other !== NONE && (other === slot || this.blocks[other] === 0)) other = this.#links.after(other);
    return other;
  }

  /** As `victimFor`, by blocks, and never this datagram: `NONE` if nothing else of its own source is there either. */
  victimForBlocks(slot: number): number {
    let found: number = NONE;
    let most = this.blocksOfSourceOf(slot);
    let other = this.#order.first;
    for (let looks = 0; looks < EVICTION_LOOKS && other !== NONE; other = this.#order.after(other)) {
      if (other === slot || this.blocks[other] === 0) continue; // nothing to be had there
      looks++;
      const blocks = this.blocksOfSourceOf(other);
      if (blocks <= most) continue;
      found = other;
      most = blocks;
    }
    return found === NONE ? this.oldestBesides(slot) : found;
  }

  #chainOf(slot: number): SlotChain {
    return this.#shares[this.#share[slot] as number] as SlotChain;
  }

  #hashOf({ source, destination, identification, protocol }: FragmentHeader): number {
    return this.#hashAddress(destination, this.#hashAddress(source, identification) ^ protocol);
  }

  #hashAddress(address: Uint32Array, word: number): number {
    return this.#hash.words(
      address[0] as number,
      address[1] as number,
      address[2] as number,
      address[3] as number,
      word,
    );
  }

  #isOf(slot: number, { source, destination, identification, protocol }: FragmentHeader): boolean {
    const at = slot * 2 * ADDRESS_WORDS;
    return (
      this.#identification[slot] === identification &&
      this.#protocol[slot] === protocol &&
      equalAddresses(this.#addresses, at, source, 0) &&
      equalAddresses(this.#addresses, at + ADDRESS_WORDS, destination, 0)
    );
  }
}

import { newSlotChain, NONE, type SlotChain, SlotIndex, SlotLinks, SlotList } from '../base/slot-list.ts';
import { ADDRESS_WORDS, copyAddress, equalAddresses } from '../packet/address.ts';
import { KeyedHash } from './connection-key.ts';

/**
 * What tells datagrams apart of which we see fragments: RFC 791 section 2.3 and RFC 8200 section 4.5, plus the SA group. The hot path keeps
 * one object and writes its fields per packet.
 */
export interface FragmentKey {
  group: number;
  /** Four words each, from these places on. */
  source: Uint32Array;
  sourceAt: number;
  destination: Uint32Array;
  destinationAt: number;
  protocol: number;
  /** 16 bits of IPv4, 32 of IPv6. */
  identification: number;
}

export interface FragmentTrackerOptions {
  /** 8 random bytes. */
  readonly seed: Uint8Array;
  /** Datagrams, in all and of one SA group. */
  readonly capacity?: number;
  readonly perGroup?: number;
  /** From when the first fragment was seen; later ones do not prolong it. */
  readonly ageMs?: number;
}

const DEFAULT_CAPACITY = 4096;
const DEFAULT_PER_GROUP = 256;
/** Fragments of one datagram follow each other within milliseconds; identifications come round again. */
const DEFAULT_AGE_MS = 2_000;
/** When all is full, so many of the oldest entries are looked at for one of a larger group. */
const EVICTION_LOOKS = 16;

/**
 * Where the fragments of an inner datagram go. Only the first one shows ports, from which a target follows (on the routing host) or a
 * policy (outbound, on a target); later ones have no more than addresses and an identification. So what was found for the first one
 * is remembered for a moment: `value` is a target's index, or a slot.
 *
 * What a routing host learns is peeked, so not authenticated. An entry keeps its value until it is too old, whatever comes; when a
 * group has its quota, it loses its own oldest entry; when all is full, a group loses one only to a group that has fewer still.
 * Outbound everything is our own, and one group for all is enough (`perGroup` = `capacity`).
 *
 * Nothing here allocates per packet; the first fragment of a group that had none does.
 */
export class FragmentTracker {
  readonly #hash: KeyedHash;
  readonly #capacity: number;
  readonly #perGroup: number;
  readonly #ageMs: number;
  readonly #index: SlotIndex;
  /** Oldest first, which is also the order in which they are too old. */
  readonly #order: SlotList;
  readonly #free: SlotList;
  readonly #group: Uint32Array;
  readonly #addresses: Uint32Array;
  readonly #protocol: Uint8Array;
  readonly #identification: Uint32Array;
  readonly #value: Int32Array;
  readonly #learntAt: Float64Array;
  /** The entries of each group, oldest first; a group without one is not in it. */
  readonly #groups = new Map<number, SlotChain>();
  readonly #links: SlotLinks;

  constructor(options: FragmentTrackerOptions) {
    this.#capacity = options.capacity ?? DEFAULT_CAPACITY;
    this.#perGroup = Math.min(options.perGroup ?? DEFAULT_PER_GROUP, this.#capacity);
    this.#ageMs = options.ageMs ?? DEFAULT_AGE_MS;
    this.#hash = new KeyedHash(options.seed);
    this.#index = new SlotIndex(this.#capacity);
    this.#order = new SlotList(this.#capacity);
    this.#links = new SlotLinks(this.#capacity);
    this.#free = new SlotList(this.#capacity);
    for (let slot = 0; slot < this.#capacity; slot++) this.#free.append(slot);
    this.#group = new Uint32Array(this.#capacity);
    this.#addresses = new Uint32Array(this.#capacity * 2 * ADDRESS_WORDS);
    this.#protocol = new Uint8Array(this.#capacity);
    this.#identification = new Uint32Array(this.#capacity);
    this.#value = new Int32Array(this.#capacity);
    this.#learntAt = new Float64Array(this.#capacity);
  }

  /** Entries, those too old included that nobody has asked for yet. */
  get size(): number {
    return this.#order.size;
  }

  /**
   * The first fragment was seen, and this is its value. Returns the value that the datagram has now: this one, or the one that it had
   * already, which the first fragment should follow as well, so that all meet; -1: there is no room, nothing was noted.
   */
  learn(key: FragmentKey, value: number, now: number): number {
    this.expire(now);
    const hash = this.#hashOf(key);
    const known = this.#find(key, hash);
    if (known !== NONE) return this.#value[known] as number;
    if (!this.#makeRoom(key.group)) return -1;
    const slot = this.#free.first;
    this.#free.remove(slot);
    this.#order.append(slot);
    this.#index.add(slot, hash);
    this.#group[slot] = key.group;
    copyAddress(key.source, key.sourceAt, this.#addresses, slot * 2 * ADDRESS_WORDS);
    copyAddress(
      key.destination,
      key.destinationAt,
      this.#addresses,
      slot * 2 * ADDRESS_WORDS + ADDRESS_WORDS,
    );
    this.#protocol[slot] = key.protocol;
    this.#identification[slot] = key.identification;
    this.#value[slot] = value;
    this.#learntAt[slot] = now;
    this.#addToGroup(key.group, slot);
    return value;
  }

  /** As `learn` for what is authenticated or our own: this first fragment counts, whatever was noted before. False: no room. */
  assign(key: FragmentKey, value: number, now: number): boolean {
    const known = this.#find(key, this.#hashOf(key));
    if (known !== NONE) this.#remove(known);
    return this.learn(key, value, now) === value;
  }

  /** The value of a later fragment's datagram; -1: the first one was not seen, or too long ago. */
  lookup(key: FragmentKey, now: number): number {
    const slot = this.#find(key, this.#hashOf(key));
    if (slot === NONE || this.#isTooOld(slot, now)) return -1;
    return this.#value[slot] as number;
  }

  /** Forgets what is too old; `learn` does it as well. Returns how many. */
  expire(now: number): number {
    let expired = 0;
    for (let slot = this.#order.first; slot !== NONE && this.#isTooOld(slot, now); slot = this.#order.first) {
      this.#remove(slot);
      expired++;
    }
    return expired;
  }

  /** The group is gone, or a value no longer means anything (a target is lost): its entries go. */
  removeWhere(matches: (group: number, value: number) => boolean): void {
    for (let slot = this.#order.first; slot !== NONE; ) {
      const next = this.#order.after(slot);
      if (matches(this.#group[slot] as number, this.#value[slot] as number)) this.#remove(slot);
      slot = next;
    }
  }

  /** The keyed hash of a datagram. */
  hashOf(key: FragmentKey): number {
    return this.#hashOf(key);
  }

  #isTooOld(slot: number, now: number): boolean {
    return (this.#learntAt[slot] as number) + this.#ageMs <= now;
  }

  #makeRoom(group: number): boolean {
    const own = this.#groups.get(group);
    if (own !== undefined && own.size >= this.#perGroup) {
      this.#remove(own.first);
      return true;
    }
    if (this.#free.size > 0) return true;
    const size = own?.size ?? 0;
    // With the average or more, a group need not look for a larger one.
    const hasItsPart = size * this.#groups.size >= this.#capacity;
    let slot = hasItsPart ? NONE : this.#order.first;
    for (let looks = 0; looks < EVICTION_LOOKS && slot !== NONE; looks++) {
      if (this.#groupOf(slot).size > size + 1) {
        this.#remove(slot);
        return true;
      }
      slot = this.#order.after(slot);
    }
    if (own === undefined) return false;
    this.#remove(own.first);
    return true;
  }

  #groupOf(slot: number): SlotChain {
    return this.#groups.get(this.#group[slot] as number) as SlotChain;
  }

  #addToGroup(group: number, slot: number): void {
    let chain = this.#groups.get(group);
    if (chain === undefined) {
      chain = newSlotChain();
      this.#groups.set(group, chain);
    }
    this.#links.append(chain, slot);
  }

  #remove(slot: number): void {
    const chain = this.#groupOf(slot);
    this.#links.remove(chain, slot);
    if (chain.size === 0) this.#groups.delete(this.#group[slot] as number);
    this.#index.remove(slot);
    this.#order.remove(slot);
    this.#free.append(slot);
  }

  #find(key: FragmentKey, hash: number): number {
    let slot = this.#index.first(hash);
    while (slot !== NONE && !this.#isOf(slot, key)) slot = this.#index.after(slot);
    return slot;
  }

  #isOf(slot: number, key: FragmentKey): boolean {
    const at = slot * 2 * ADDRESS_WORDS;
    return (
      this.#identification[slot] === key.identification &&
      this.#group[slot] === key.group &&
      this.#protocol[slot] === key.protocol &&
      equalAddresses(this.#addresses, at, key.source, key.sourceAt) &&
      equalAddresses(this.#addresses, at + ADDRESS_WORDS, key.destination, key.destinationAt)
    );
  }

  /** Eleven words in three rounds of five: what the one makes goes into the next. */
  #hashOf(key: FragmentKey): number {
    const first = this.#hash.words(
      key.group,
      key.protocol,
      key.identification,
      key.source[key.sourceAt] as number,
      key.source[key.sourceAt + 1] as number,
    );
    const second = this.#hash.words(
      first,
      key.source[key.sourceAt + 2] as number,
      key.source[key.sourceAt + 3] as number,
      key.destination[key.destinationAt] as number,
      key.destination[key.destinationAt + 1] as number,
    );
    return this.#hash.words(
      second,
      key.destination[key.destinationAt + 2] as number,
      key.destination[key.destinationAt + 3] as number,
      0,
      0,
    );
  }
}

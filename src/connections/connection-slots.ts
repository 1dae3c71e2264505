import { ADDRESS_WORDS, copyAddress, equalAddresses, type IpAddress } from '../packet/address.ts';
import { type ConnectionKey, newConnectionKey } from './connection-key.ts';

/** `state` of a free slot; what other values mean is the user's. */
export const FREE = 0;

/**
 * Words of a record. What a look-up needs are the first twelve: a large array begins 16 bytes behind a border of cache lines, as
 * allocators have it, so these twelve lie in one line, and a look-up waits for memory twice: for the index, and for this.
 */
const SOURCE = 0;
const DVIPA = SOURCE + ADDRESS_WORDS;
const PORTS = DVIPA + ADDRESS_WORDS;
const GROUP = PORTS + 1;
/** With `TAKEN`; 0 in a free slot. */
const PROTOCOL = GROUP + 1;
const VALUE = PROTOCOL + 1;
const HASH = VALUE + 1;
/** In a free slot that was taken before: the next one, 0 for none. */
const NEXT_FREE = HASH;
const RECORD_WORDS = 16;

const TAKEN = 0x100;

/** At most half of the index is taken, so that a search ends after one or two places. */
const PLACES_PER_SLOT = 2;
/** An entry of the index: the number of the slot and one, and above it bits of the hash that its place does not say. */
const SLOT_BITS = 21;
const SLOT_MASK = 2 ** SLOT_BITS - 1;
const MAX_SLOTS = 2 ** (SLOT_BITS - 1);

/**
 * Storage for connections (the routing host's table, a target's flows): records of one cache line each, and an index of them, open addressing
 * with linear probing. Removal moves later entries of the index back, so there are no tombstones and a search
 * ends at the first free place; a record stays in its slot. `state`, `time` and the value are the user's; the first two are columns of their
 * own, because sweeps look at nothing else.
 */
export class ConnectionSlots {
  readonly slots: number;
  readonly state: Uint8Array;
  readonly time: Float64Array;
  readonly #mask: number;
  readonly #index: Uint32Array;
  readonly #records: Uint32Array;
  /** Slots from here on were never taken. */
  #unused = 0;
  /** One that was, and the number of the next is in it; one more than the slot, 0: none. */
  #firstFree = 0;
  /** What was found last: packets come in runs. */
  #last = 0;

  /** `slots`: a power of two, at most 2^20. There must never be more entries. */
  constructor(slots: number) {
    if (slots < 1 || slots > MAX_SLOTS || (slots & (slots - 1)) !== 0)
      throw new RangeError('slots must be a power of two up to 2^20');
    this.slots = slots;
    this.#mask = slots * PLACES_PER_SLOT - 1;
    this.state = new Uint8Array(slots);
    this.time = new Float64Array(slots);
    this.#index = new Uint32Array(slots * PLACES_PER_SLOT);
    this.#records = new Uint32Array(slots * RECORD_WORDS);
  }

  /** Memory of a slot, free or not, with its part of the index. */
  get bytesPerSlot(): number {
    const { state, time } = this;
    const bytes = [state, time, this.#index, this.#records].reduce(
      (sum, { byteLength }) => sum + byteLength,
      0,
    );
    return bytes / this.slots;
  }

  /** The slot of the key if it is the one that was found or taken last, or -1: saves the hash. */
  findAgain(key: ConnectionKey): number {
    return this.#isAt(this.#last, key) ? this.#last : -1;
  }

  /** `hash`: of the key, 32 bits (`KeyedHash.hash`). The slot of the key, or -1 - (the free place where it belongs). */
  find(key: ConnectionKey, hash: number): number {
    const index = this.#index;
    const tag = (hash >>> SLOT_BITS) << SLOT_BITS;
    let place = hash & this.#mask;
    for (;;) {
      const entry = index[place] as number;
      if (entry === 0) return -1 - place;
      if (((entry ^ tag) | 0) >>> SLOT_BITS === 0) {
        const slot = (entry & SLOT_MASK) - 1;
        if (this.#isAt(slot, key)) {
          this.#last = slot;
          return slot;
        }
      }
      place = (place + 1) & this.#mask;
    }
  }

  /** Writes the key into a slot, whose number it returns; `place` is what `find` said. */
  occupy(place: number, key: ConnectionKey, hash: number, state: number): number {
    const records = this.#records;
    const slot = this.#takeSlot();
    const at = slot * RECORD_WORDS;
    copyAddress(key.source, 0, records, at + SOURCE);
    copyAddress(key.dvipa, 0, records, at + DVIPA);
    records[at + PORTS] = (key.sourcePort << 16) | key.destinationPort;
    records[at + GROUP] = key.group;
    records[at + PROTOCOL] = key.protocol | TAKEN;
    records[at + HASH] = hash;
    this.#index[place] = ((hash >>> SLOT_BITS) << SLOT_BITS) | (slot + 1);
    this.state[slot] = state;
    this.#last = slot;
    return slot;
  }

  /** Frees the slot. */
  release(slot: number): void {
    this.#removeFromIndex(slot);
    const at = slot * RECORD_WORDS;
    this.state[slot] = FREE;
    this.#records[at + PROTOCOL] = 0;
    this.#records[at + NEXT_FREE] = this.#firstFree;
    this.#firstFree = slot + 1;
  }

  /** The user's value, 32 bits, unsigned. */
  valueAt(slot: number): number {
    return this.#records[slot * RECORD_WORDS + VALUE] as number;
  }

  setValue(slot: number, value: number): void {
    this.#records[slot * RECORD_WORDS + VALUE] = value;
  }

  groupAt(slot: number): number {
    return this.#records[slot * RECORD_WORDS + GROUP] as number;
  }

  isOfDvipa(slot: number, dvipa: IpAddress): boolean {
    return equalAddresses(this.#records, slot * RECORD_WORDS + DVIPA, dvipa, 0);
  }

  protocolAt(slot: number): number {
    return (this.#records[slot * RECORD_WORDS + PROTOCOL] as number) & 0xff;
  }

  /** A copy of the key in an occupied slot. For slow paths. */
  keyAt(slot: number): ConnectionKey {
    const key = newConnectionKey();
    this.readKey(slot, key);
    return key;
  }

  /** As `keyAt`, into a key of the caller's: no allocation. */
  readKey(slot: number, key: ConnectionKey): void {
    const records = this.#records;
    const at = slot * RECORD_WORDS;
    const ports = records[at + PORTS] as number;
    copyAddress(records, at + DVIPA, key.dvipa, 0);
    key.group = records[at + GROUP] as number;
    key.protocol = this.protocolAt(slot);
    copyAddress(records, at + SOURCE, key.source, 0);
    key.sourcePort = ports >>> 16;
    key.destinationPort = ports & 0xffff;
  }

  #isAt(slot: number, key: ConnectionKey): boolean {
    const records = this.#records;
    const at = slot * RECORD_WORDS;
    return (
      records[at + PORTS] === ((key.sourcePort << 16) | key.destinationPort) >>> 0 &&
      records[at + GROUP] === key.group &&
      records[at + PROTOCOL] === (key.protocol | TAKEN) &&
      equalAddresses(records, at + SOURCE, key.source, 0) &&
      equalAddresses(records, at + DVIPA, key.dvipa, 0)
    );
  }

  /** The slots that were taken before come first, so that few connections use few pages of memory. */
  #takeSlot(): number {
    const slot = this.#firstFree - 1;
    if (slot < 0) {
      if (this.#unused >= this.slots) throw new RangeError('no slot is free');
      return this.#unused++;
    }
    this.#firstFree = this.#records[slot * RECORD_WORDS + NEXT_FREE] as number;
    return slot;
  }

  #removeFromIndex(slot: number): void {
    const index = this.#index;
    let hole = this.#homeOf(slot);
    while (((index[hole] as number) & SLOT_MASK) - 1 !== slot) hole = (hole + 1) & this.#mask;
    let next = hole;
    for (;;) {
      next = (next + 1) & this.#mask;
      const entry = index[next] as number;
      if (entry === 0) break;
      const home = this.#homeOf((entry & SLOT_MASK) - 1);
      // May `next` move to the hole? Not if its home lies cyclically in (hole, next].
      if (((next - home) & this.#mask) < ((next - hole) & this.#mask)) continue;
      index[hole] = entry;
      hole = next;
    }
    index[hole] = 0;
  }

  #homeOf(slot: number): number {
    return (this.#records[slot * RECORD_WORDS + HASH] as number) & this.#mask;
  }
}

import { ADDRESS_WORDS, copyAddress, equalAddresses } from '../packet/address.ts';
import type { ConnectionKey } from './connection-key.ts';

/** `state` of a free slot; what other values mean is the user's. */
export const FREE = 0;

/**
 * Storage for connections (the routing host's table, a target's flows): open addressing with linear probing in parallel typed arrays, at
 * most half full. Removal moves later entries of the run back, so there are no tombstones and a look-up
 * ends at the first free slot. `value` and `time` are the user's.
 */
export class ConnectionSlots {
  readonly slots: number;
  readonly state: Uint8Array;
  readonly value: Int32Array;
  readonly time: Float64Array;
  readonly group: Uint32Array;
  readonly protocol: Uint8Array;
  readonly #mask: number;
  readonly #hash: Int32Array;
  readonly #dvipa: Uint32Array;
  readonly #source: Uint32Array;
  readonly #ports: Uint32Array;
  readonly #columns: readonly (Uint8Array | Int32Array | Uint32Array | Float64Array)[];

  /** `slots`: a power of two. */
  constructor(slots: number) {
    this.slots = slots;
    this.#mask = slots - 1;
    this.state = new Uint8Array(slots);
    this.value = new Int32Array(slots);
    this.time = new Float64Array(slots);
    this.group = new Uint32Array(slots);
    this.#hash = new Int32Array(slots);
    this.#dvipa = new Uint32Array(slots * ADDRESS_WORDS);
    this.#source = new Uint32Array(slots * ADDRESS_WORDS);
    this.#ports = new Uint32Array(slots);
    this.protocol = new Uint8Array(slots);
    this.#columns = [this.state, this.value, this.time, this.group, this.#hash, this.#ports, this.protocol];
  }

  /** Memory of a slot, free or not. */
  get bytesPerSlot(): number {
    const columns = [...this.#columns, this.#dvipa, this.#source];
    return columns.reduce((sum, { byteLength }) => sum + byteLength, 0) / this.slots;
  }

  /** `hash`: of the key, 32 bits, signed (`KeyedHash.hash`). The slot of the key, or -1 - (the free slot where it belongs). */
  find(key: ConnectionKey, hash: number): number {
    const ports = ((key.sourcePort << 16) | key.destinationPort) >>> 0;
    let slot = hash & this.#mask;
    while (this.state[slot] !== FREE) {
      if (
        this.#hash[slot] === hash &&
        this.#ports[slot] === ports &&
        this.group[slot] === key.group &&
        this.protocol[slot] === key.protocol &&
        equalAddresses(this.#source, slot * ADDRESS_WORDS, key.source, 0) &&
        equalAddresses(this.#dvipa, slot * ADDRESS_WORDS, key.dvipa, 0)
      ) {
        return slot;
      }
      slot = (slot + 1) & this.#mask;
    }
    return -1 - slot;
  }

  /** Writes the key into a free slot found by `find`. */
  occupy(slot: number, key: ConnectionKey, hash: number, state: number): void {
    this.#hash[slot] = hash;
    copyAddress(key.dvipa, 0, this.#dvipa, slot * ADDRESS_WORDS);
    this.group[slot] = key.group;
    copyAddress(key.source, 0, this.#source, slot * ADDRESS_WORDS);
    this.#ports[slot] = (key.sourcePort << 16) | key.destinationPort;
    this.protocol[slot] = key.protocol;
    this.state[slot] = state;
  }

  /** Frees the slot. What stands in it afterwards is another entry that has moved up, or nothing. */
  release(slot: number): void {
    let hole = slot;
    let next = slot;
    for (;;) {
      next = (next + 1) & this.#mask;
      if (this.state[next] === FREE) break;
      const home = (this.#hash[next] as number) & this.#mask;
      // May `next` move to the hole? Not if its home lies cyclically in (hole, next].
      if (((next - home) & this.#mask) < ((next - hole) & this.#mask)) continue;
      this.#move(next, hole);
      hole = next;
    }
    this.state[hole] = FREE;
  }

  /** A copy of the key in an occupied slot. For slow paths. */
  keyAt(slot: number): ConnectionKey {
    const ports = this.#ports[slot] as number;
    const words = slot * ADDRESS_WORDS;
    return {
      dvipa: this.#dvipa.slice(words, words + ADDRESS_WORDS),
      group: this.group[slot] as number,
      protocol: this.protocol[slot] as number,
      source: this.#source.slice(words, words + ADDRESS_WORDS),
      sourcePort: ports >>> 16,
      destinationPort: ports & 0xffff,
    };
  }

  /** As `keyAt`, into a key of the caller's: no allocation. */
  readKey(slot: number, key: ConnectionKey): void {
    const ports = this.#ports[slot] as number;
    copyAddress(this.#dvipa, slot * ADDRESS_WORDS, key.dvipa, 0);
    key.group = this.group[slot] as number;
    key.protocol = this.protocol[slot] as number;
    copyAddress(this.#source, slot * ADDRESS_WORDS, key.source, 0);
    key.sourcePort = ports >>> 16;
    key.destinationPort = ports & 0xffff;
  }

  #move(from: number, to: number): void {
    for (const column of this.#columns) column[to] = column[from] as number;
    for (const words of [this.#dvipa, this.#source]) {
      copyAddress(words, from * ADDRESS_WORDS, words, to * ADDRESS_WORDS);
    }
  }
}

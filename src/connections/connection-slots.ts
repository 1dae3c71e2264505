import { ADDRESS_WORDS, copyAddress, equalAddresses, type IpAddress } from '../packet/address.ts';
import { type ConnectionKey, newConnectionKey } from './connection-key.ts';

/** `state` of a free slot; what other values mean is the user's. */
export const FREE = 0;

/** Words of a record: what a look-up needs lies together, so that it waits for memory once or twice, and not for every field. */
const HASH = 0;
const PORTS = 1;
const GROUP = 2;
/** With `TAKEN`; 0 in a free slot. */
const PROTOCOL = 3;
const VALUE = 4;
const SOURCE = 5;
const DVIPA = SOURCE + ADDRESS_WORDS;
const RECORD_WORDS = DVIPA + ADDRESS_WORDS;

const TAKEN = 0x100;

/**
 * Storage for connections (the routing host's table, a target's flows): open addressing with linear probing in typed arrays, at
 * most half full. Removal moves later entries of the run back, so there are no tombstones and a look-up
 * ends at the first free slot. `state`, `time` and the value are the user's; the first two are columns of their own, because
 * sweeps look at nothing else.
 */
export class ConnectionSlots {
  readonly slots: number;
  readonly state: Uint8Array;
  readonly time: Float64Array;
  readonly #mask: number;
  readonly #records: Uint32Array;

  /** `slots`: a power of two. */
  constructor(slots: number) {
    this.slots = slots;
    this.#mask = slots - 1;
    this.state = new Uint8Array(slots);
    this.time = new Float64Array(slots);
    this.#records = new Uint32Array(slots * RECORD_WORDS);
  }

  /** Memory of a slot, free or not. */
  get bytesPerSlot(): number {
    return (this.state.byteLength + this.time.byteLength + this.#records.byteLength) / this.slots;
  }

  /** `hash`: of the key, 32 bits (`KeyedHash.hash`). The slot of the key, or -1 - (the free slot where it belongs). */
  find(key: ConnectionKey, hash: number): number {
    const records = this.#records;
    const unsigned = hash >>> 0;
    const ports = ((key.sourcePort << 16) | key.destinationPort) >>> 0;
    const protocol = key.protocol | TAKEN;
    let slot = hash & this.#mask;
    for (;;) {
      const at = slot * RECORD_WORDS;
      const taken = records[at + PROTOCOL];
      if (taken === 0) return -1 - slot;
      if (
        records[at + HASH] === unsigned &&
        records[at + PORTS] === ports &&
        records[at + GROUP] === key.group &&
        taken === protocol &&
        equalAddresses(records, at + SOURCE, key.source, 0) &&
        equalAddresses(records, at + DVIPA, key.dvipa, 0)
      ) {
        return slot;
      }
      slot = (slot + 1) & this.#mask;
    }
  }

  /** Writes the key into a free slot found by `find`. */
  occupy(slot: number, key: ConnectionKey, hash: number, state: number): void {
    const records = this.#records;
    const at = slot * RECORD_WORDS;
    records[at + HASH] = hash;
    records[at + PORTS] = (key.sourcePort << 16) | key.destinationPort;
    records[at + GROUP] = key.group;
    records[at + PROTOCOL] = key.protocol | TAKEN;
    copyAddress(key.source, 0, records, at + SOURCE);
    copyAddress(key.dvipa, 0, records, at + DVIPA);
    this.state[slot] = state;
  }

  /** Frees the slot. What stands in it afterwards is another entry that has moved up, or nothing. */
  release(slot: number): void {
    const records = this.#records;
    let hole = slot;
    let next = slot;
    for (;;) {
      next = (next + 1) & this.#mask;
      if (records[next * RECORD_WORDS + PROTOCOL] === 0) break;
      const home = (records[next * RECORD_WORDS + HASH] as number) & this.#mask;
      // May `next` move to the hole? Not if its home lies cyclically in (hole, next].
      if (((next - home) & this.#mask) < ((next - hole) & this.#mask)) continue;
      this.#move(next, hole);
      hole = next;
    }
    this.state[hole] = FREE;
    records[hole * RECORD_WORDS + PROTOCOL] = 0;
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

  #move(from: number, to: number): void {
    const at = from * RECORD_WORDS;
    this.#records.copyWithin(to * RECORD_WORDS, at, at + RECORD_WORDS);
    this.state[to] = this.state[from] as number;
    this.time[to] = this.time[from] as number;
  }
}

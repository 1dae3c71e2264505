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
  readonly value: Int16Array;
  readonly time: Float64Array;
  readonly reqid: Uint32Array;
  readonly #mask: number;
  readonly #hash: Uint32Array;
  readonly #dvipa: Uint32Array;
  readonly #source: Uint32Array;
  readonly #ports: Uint32Array;
  readonly #protocol: Uint8Array;
  readonly #columns: readonly (Uint8Array | Int16Array | Uint32Array | Float64Array)[];

  /** `slots`: a power of two. */
  constructor(slots: number) {
    this.slots = slots;
    this.#mask = slots - 1;
    this.state = new Uint8Array(slots);
    this.value = new Int16Array(slots);
    this.time = new Float64Array(slots);
    this.reqid = new Uint32Array(slots);
    this.#hash = new Uint32Array(slots);
    this.#dvipa = new Uint32Array(slots);
    this.#source = new Uint32Array(slots);
    this.#ports = new Uint32Array(slots);
    this.#protocol = new Uint8Array(slots);
    this.#columns = [
      this.state,
      this.value,
      this.time,
      this.reqid,
      this.#hash,
      this.#dvipa,
      this.#source,
      this.#ports,
      this.#protocol,
    ];
  }

  /** The slot of the key, or -1 - (the free slot where it belongs). */
  find(key: ConnectionKey, hash: number): number {
    const ports = ((key.sourcePort << 16) | key.destinationPort) >>> 0;
    let slot = hash & this.#mask;
    while (this.state[slot] !== FREE) {
      if (
        this.#hash[slot] === hash &&
        this.#source[slot] === key.source &&
        this.#ports[slot] === ports &&
        this.#dvipa[slot] === key.dvipa &&
        this.reqid[slot] === key.reqid &&
        this.#protocol[slot] === key.protocol
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
    this.#dvipa[slot] = key.dvipa;
    this.reqid[slot] = key.reqid;
    this.#source[slot] = key.source;
    this.#ports[slot] = (key.sourcePort << 16) | key.destinationPort;
    this.#protocol[slot] = key.protocol;
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
    return {
      dvipa: this.#dvipa[slot] as number,
      reqid: this.reqid[slot] as number,
      protocol: this.#protocol[slot] as number,
      source: this.#source[slot] as number,
      sourcePort: ports >>> 16,
      destinationPort: ports & 0xffff,
    };
  }

  #move(from: number, to: number): void {
    for (const column of this.#columns) column[to] = column[from] as number;
  }
}

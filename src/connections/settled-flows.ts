import { type ConnectionKey, KeyedHash } from './connection-key.ts';
import { ConnectionSlots, FREE } from './connection-slots.ts';

/** States of a slot. */
const HEARD = 1;
const GRANTED = 2;

/**
 * Flows of which a target knows that what the peer answers comes here: their packets came from the routing host, or it has said so.
 * For a time after that. Bounded: what finds no room is asked for again.
 */
export class SettledFlows {
  readonly #slots: ConnectionSlots;
  readonly #hash: KeyedHash;
  readonly #lifeMs: number;
  #size = 0;
  #sweepAt = 0;

  /** `maxFlows`: a power of two. */
  constructor(options: { readonly seed: Uint8Array; readonly maxFlows: number; readonly lifeMs: number }) {
    this.#slots = new ConnectionSlots(options.maxFlows);
    this.#hash = new KeyedHash(options.seed);
    this.#lifeMs = options.lifeMs;
  }

  get size(): number {
    return this.#size;
  }

  /** A packet of it came from the routing host. */
  heard(key: ConnectionKey, now: number): void {
    this.#add(key, HEARD, now);
  }

  /** The routing host says that it is this target's. */
  granted(key: ConnectionKey, now: number): void {
    this.#add(key, GRANTED, now);
  }

  /** A new life of the routing host knows nothing of what the one before has granted. */
  forgetGranted(): void {
    for (let slot = 0; slot < this.#slots.slots; slot++) {
      if (this.#slots.state[slot] === GRANTED) this.#release(slot);
    }
  }

  #add(key: ConnectionKey, state: number, now: number): void {
    const hash = this.#hash.hash(key);
    let slot = this.#slots.find(key, hash);
    if (slot < 0) {
      if (this.#size >= this.#slots.slots) return;
      slot = this.#slots.occupy(-1 - slot, key, hash, state);
      this.#size++;
    }
    this.#slots.state[slot] = Math.max(this.#slots.state[slot] as number, state);
    this.#slots.time[slot] = now + this.#lifeMs;
  }

  /** How long the flow stays settled, milliseconds; 0: it is not. */
  remainingMs(key: ConnectionKey, now: number): number {
    const slot = this.#slots.find(key, this.#hash.hash(key));
    return slot < 0 ? 0 : Math.max(0, (this.#slots.time[slot] as number) - now);
  }

  forget(key: ConnectionKey): void {
    const slot = this.#slots.find(key, this.#hash.hash(key));
    if (slot >= 0) this.#release(slot);
  }

  /** Call it regularly; it looks at a part of the table each time. */
  sweep(now: number, budget = this.#slots.slots / 64): void {
    const { slots, state, time } = this.#slots;
    for (let looked = 0; looked < budget; looked++) {
      if (state[this.#sweepAt] !== FREE && (time[this.#sweepAt] as number) <= now)
        this.#release(this.#sweepAt);
      this.#sweepAt = (this.#sweepAt + 1) % slots;
    }
  }

  #release(slot: number): void {
    this.#slots.release(slot);
    this.#size--;
  }
}

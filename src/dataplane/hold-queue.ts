import type { Verdict } from '../base/verdict.ts';
import type { PacketVector } from './vector.ts';

interface Held {
  readonly packet: Buffer;
  readonly key: number;
  readonly until: number;
}

/**
 * Packets that wait a moment for something that is on its way: an SA, a target that serves it, a sequence
 * number. Bounded in count and time; what does not fit or waits too long is handed back to be counted.
 */
export class HoldQueue {
  #held: Held[] = [];
  readonly #capacity: number;
  readonly #holdMs: number;

  constructor(limits: { readonly capacity: number; readonly holdMs: number }) {
    this.#capacity = limits.capacity;
    this.#holdMs = limits.holdMs;
  }

  get size(): number {
    return this.#held.length;
  }

  /** Copies the packet (it outlives its vector); false when full: the caller drops it. `key` is what it waits for. */
  hold(packet: Uint8Array, key: number, now: number): boolean {
    if (this.#held.length >= this.#capacity) return false;
    this.#held.push({ packet: Buffer.from(packet), key, until: now + this.#holdMs });
    return true;
  }

  /** True if packets of `key` wait: later ones of the same key must queue behind them. */
  has(key: number): boolean {
    return this.#held.length > 0 && this.#held.some((held) => held.key === key);
  }

  /** Moves at most `max` packets of `key`, oldest first, into the vector as far as there is room; returns how many. */
  release(key: number, into: PacketVector, max = into.capacity): number {
    let moved = 0;
    const rest: Held[] = [];
    for (const held of this.#held) {
      if (held.key === key && moved < max && into.push(held.packet)) moved++;
      else rest.push(held);
    }
    this.#held = rest;
    return moved;
  }

  /** Removes what has waited too long; `expired` says which verdict to count for a key. */
  expire(now: number, expired: (key: number) => Verdict, count: (verdict: Verdict) => void): void {
    if (this.#held.length === 0) return;
    const rest: Held[] = [];
    for (const held of this.#held) {
      if (held.until > now) rest.push(held);
      else count(expired(held.key));
    }
    this.#held = rest;
  }

  /** Drops everything of a key (its SA is gone) and returns how many. Plaintext is wiped. */
  discard(key: number): number {
    const before = this.#held.length;
    this.#held = this.#held.filter((held) => {
      if (held.key !== key) return true;
      held.packet.fill(0);
      return false;
    });
    return before - this.#held.length;
  }
}

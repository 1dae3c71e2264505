import type { Verdict } from '../base/verdict.ts';

interface Held {
  readonly packet: Buffer;
  readonly until: number;
}

/**
 * Packets that wait a moment for something that is on its way: an SA, a target that serves it, a sequence
 * number. First in, first out per key (what they wait for); bounded in count, over all keys, and in time.
 */
export class HoldQueue {
  readonly #byKey = new Map<number, Held[]>();
  readonly #capacity: number;
  readonly #holdMs: number;
  #size = 0;

  constructor(limits: { readonly capacity: number; readonly holdMs: number }) {
    this.#capacity = limits.capacity;
    this.#holdMs = limits.holdMs;
  }

  get size(): number {
    return this.#size;
  }

  /** Copies the packet (it outlives its vector); false when full: the caller drops it. */
  hold(packet: Uint8Array, key: number, now: number): boolean {
    if (this.#size >= this.#capacity) return false;
    const queue = this.#byKey.get(key);
    const held = { packet: Buffer.from(packet), until: now + this.#holdMs };
    if (queue === undefined) this.#byKey.set(key, [held]);
    else queue.push(held);
    this.#size++;
    return true;
  }

  /** True if packets of `key` wait: later ones of the same key must queue behind them. */
  has(key: number): boolean {
    return this.#byKey.has(key);
  }

  /**
   * Offers the packets of `key` in order until `take` returns false; that one stays, and those behind it. `take` must
   * not call back into this queue. A packet is wiped when it was taken: it may be plaintext.
   */
  drain(key: number, take: (packet: Buffer) => boolean): void {
    const queue = this.#byKey.get(key);
    if (queue === undefined) return;
    let taken = 0;
    while (taken < queue.length && take((queue[taken] as Held).packet)) taken++;
    this.#remove(key, queue, taken);
  }

  /** Removes what has waited too long; `expired` says which verdict to count for a key. */
  expire(now: number, expired: (key: number) => Verdict, count: (verdict: Verdict) => void): void {
    for (const [key, queue] of this.#byKey) {
      let late = 0;
      while (late < queue.length && (queue[late] as Held).until <= now) late++;
      for (let i = 0; i < late; i++) count(expired(key));
      this.#remove(key, queue, late);
    }
  }

  #remove(key: number, queue: Held[], count: number): void {
    for (const { packet } of queue.splice(0, count)) packet.fill(0);
    this.#size -= count;
    if (queue.length === 0) this.#byKey.delete(key);
  }
}

import type { Verdict } from '../base/verdict.ts';

/** Of `drain`: the packet waits no more. */
export const TAKEN = -1;

interface Held {
  readonly packet: Buffer;
  readonly until: number;
}

/**
 * Packets that wait a moment for something that is on its way: an SA, a target that serves it, a sequence
 * number. First in, first out per key (what they wait for); bounded in count, in all and per key, and in time.
 */
export class HoldQueue {
  readonly #byKey = new Map<number, Held[]>();
  readonly #capacity: number;
  readonly #perKey: number;
  readonly #holdMs: number;
  #size = 0;

  /** `perKey` (default: all of it): so that what waits for one thing leaves room for others. */
  constructor(limits: { readonly capacity: number; readonly perKey?: number; readonly holdMs: number }) {
    this.#capacity = limits.capacity;
    this.#perKey = limits.perKey ?? limits.capacity;
    this.#holdMs = limits.holdMs;
  }

  get size(): number {
    return this.#size;
  }

  /** Copies the packet (it outlives its vector); false when full: the caller drops it. */
  hold(packet: Uint8Array, key: number, now: number): boolean {
    if (this.#size >= this.#capacity || (this.#byKey.get(key)?.length ?? 0) >= this.#perKey) return false;
    this.#append(key, { packet: Buffer.from(packet), until: now + this.#holdMs });
    this.#size++;
    return true;
  }

  /** True if packets of `key` wait: later ones of the same key must queue behind them. */
  has(key: number): boolean {
    return this.#size > 0 && this.#byKey.has(key);
  }

  /** What packets wait for. */
  keys(): IterableIterator<number> {
    return this.#byKey.keys();
  }

  /**
   * Offers the packets of `key` in order. `take` answers what the packet waits for now: `TAKEN` (it is wiped, since it
   * may be plaintext), another key (it goes to the end of that one's packets), or `key` itself: it stays, and so do
   * those behind it. `take` must not call back into this queue.
   */
  drain(key: number, take: (packet: Buffer) => number): void {
    const queue = this.#byKey.get(key);
    if (queue === undefined) return;
    let done = 0;
    for (const held of queue) {
      const waitsFor = take(held.packet);
      if (waitsFor === key) break;
      done++;
      if (waitsFor === TAKEN) this.#forget(held);
      else this.#append(waitsFor, held);
    }
    this.#cut(key, queue, done);
  }

  /** Removes what has waited too long; `expired` says which verdict to count for a key. */
  expire(now: number, expired: (key: number) => Verdict, count: (verdict: Verdict) => void): void {
    for (const [key, queue] of this.#byKey) {
      let late = 0;
      while (late < queue.length && (queue[late] as Held).until <= now) late++;
      for (const held of queue.slice(0, late)) {
        count(expired(key));
        this.#forget(held);
      }
      this.#cut(key, queue, late);
    }
  }

  #append(key: number, held: Held): void {
    const queue = this.#byKey.get(key);
    if (queue === undefined) this.#byKey.set(key, [held]);
    else queue.push(held);
  }

  #forget({ packet }: Held): void {
    packet.fill(0);
    this.#size--;
  }

  #cut(key: number, queue: Held[], count: number): void {
    queue.splice(0, count);
    if (queue.length === 0) this.#byKey.delete(key);
  }
}

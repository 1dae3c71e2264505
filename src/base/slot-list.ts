/** No slot. */
export const NONE = -1;

/**
 * Slots (small numbers) in the order in which they were appended, removable from anywhere; each is in the list once at most.
 * Allocates nothing after it was made.
 */
export class SlotList {
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  #first = NONE;
  #last = NONE;
  #size = 0;

  /** `slots`: their numbers are below it. */
  constructor(slots: number) {
    this.#next = new Int32Array(slots);
    this.#previous = new Int32Array(slots);
  }

  get size(): number {
    return this.#size;
  }

  /** The one that was appended before all others, or `NONE`. */
  get first(): number {
    return this.#first;
  }

  /** The one after it, or `NONE`. */
  after(slot: number): number {
    return this.#next[slot] as number;
  }

  append(slot: number): void {
    this.#next[slot] = NONE;
    this.#previous[slot] = this.#last;
    if (this.#last === NONE) this.#first = slot;
    else this.#next[this.#last] = slot;
    this.#last = slot;
    this.#size++;
  }

  remove(slot: number): void {
    const next = this.#next[slot] as number;
    const previous = this.#previous[slot] as number;
    if (previous === NONE) this.#first = next;
    else this.#next[previous] = next;
    if (next === NONE) this.#last = previous;
    else this.#previous[next] = previous;
    this.#size--;
  }
}

/** Slots by a 32-bit hash of what is in them, chained. The user compares; this only says where to look. */
export class SlotIndex {
  readonly #mask: number;
  readonly #heads: Int32Array;
  readonly #next: Int32Array;
  readonly #hash: Uint32Array;

  constructor(slots: number) {
    const buckets = 2 ** Math.ceil(Math.log2(slots));
    this.#mask = buckets - 1;
    this.#heads = new Int32Array(buckets).fill(NONE);
    this.#next = new Int32Array(slots);
    this.#hash = new Uint32Array(slots);
  }

  /** The first slot with this hash, or `NONE`. */
  first(hash: number): number {
    return this.#from(this.#heads[hash & this.#mask] as number, hash);
  }

  /** The next one with the same hash. */
  after(slot: number): number {
    return this.#from(this.#next[slot] as number, this.#hash[slot] as number);
  }

  add(slot: number, hash: number): void {
    const bucket = hash & this.#mask;
    this.#hash[slot] = hash;
    this.#next[slot] = this.#heads[bucket] as number;
    this.#heads[bucket] = slot;
  }

  remove(slot: number): void {
    const bucket = (this.#hash[slot] as number) & this.#mask;
    let at = this.#heads[bucket] as number;
    if (at === slot) {
      this.#heads[bucket] = this.#next[slot] as number;
      return;
    }
    while (this.#next[at] !== slot) at = this.#next[at] as number;
    this.#next[at] = this.#next[slot] as number;
  }

  #from(slot: number, hash: number): number {
    let at = slot;
    while (at !== NONE && this.#hash[at] !== hash) at = this.#next[at] as number;
    return at;
  }
}

/** No slot. */
export const NONE = -1;

/** One list among several over the same slots: first, last and how many. */
export interface SlotChain {
  first: number;
  last: number;
  size: number;
}

export function newSlotChain(): SlotChain {
  return { first: NONE, last: NONE, size: 0 };
}

/**
 * Lists of slots (small numbers below `slots`), each in the order in which they were appended, removable from anywhere. A slot is in one
 * list at most. Allocates nothing after it was made.
 */
export class SlotLinks {
  readonly #next: Int32Array;
  readonly #previous: Int32Array;

  constructor(slots: number) {
    this.#next = new Int32Array(slots);
    this.#previous = new Int32Array(slots);
  }

  /** The one after it in its list, or `NONE`. */
  after(slot: number): number {
    return this.#next[slot] as number;
  }

  append(chain: SlotChain, slot: number): void {
    this.#next[slot] = NONE;
    this.#previous[slot] = chain.last;
    if (chain.last === NONE) chain.first = slot;
    else this.#next[chain.last] = slot;
    chain.last = slot;
    chain.size++;
  }

  remove(chain: SlotChain, slot: number): void {
    const next = this.#next[slot] as number;
    const previous = this.#previous[slot] as number;
    if (previous === NONE) chain.first = next;
    else this.#next[previous] = next;
    if (next === NONE) chain.last = previous;
    else this.#previous[next] = previous;
    chain.size--;
  }
}

/** One list with links of its own. */
export class SlotList {
  readonly #links: SlotLinks;
  readonly #chain = newSlotChain();

  constructor(slots: number) {
    this.#links = new SlotLinks(slots);
  }

  get size(): number {
    return this.#chain.size;
  }

  /** The one that was appended before all others, or `NONE`. */
  get first(): number {
    return this.#chain.first;
  }

  after(slot: number): number {
    return this.#links.after(slot);
  }

  append(slot: number): void {
    this.#links.append(this.#chain, slot);
  }

  remove(slot: number): void {
    this.#links.remove(this.#chain, slot);
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

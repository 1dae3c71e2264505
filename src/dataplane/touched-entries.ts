const FIRST_SLOTS = 64;

/**
 * The SAs that packets of one vector were of, each once, in the order in which they came, and how often. As a `Map` with counts, which would be
 * filled and emptied for each vector; this allocates nothing once it has seen as many.
 */
export class TouchedEntries<Entry extends { readonly slot: number }> {
  /** Used again: those beyond `#size` are of no meaning. */
  readonly #entries: (Entry | undefined)[] = [];
  #size = 0;
  /** By slot. */
  #counts = new Uint32Array(FIRST_SLOTS);

  get size(): number {
    return this.#size;
  }

  add(entry: Entry): void {
    const { slot } = entry;
    if (slot >= this.#counts.length) this.#grow(slot);
    const count = this.#counts[slot] as number;
    if (count === 0) this.#entries[this.#size++] = entry;
    this.#counts[slot] = count + 1;
  }

  countOf({ slot }: Entry): number {
    return this.#counts[slot] ?? 0;
  }

  clear(): void {
    for (let at = 0; at < this.#size; at++) {
      this.#counts[(this.#entries[at] as Entry).slot] = 0;
      this.#entries[at] = undefined; // it may be removed
    }
    this.#size = 0;
  }

  /** The `n`th of them, below `size`: no iterator, which would be made for each vector. */
  at(n: number): Entry {
    return this.#entries[n] as Entry;
  }

  #grow(slot: number): void {
    const grown = new Uint32Array(Math.max(slot + 1, this.#counts.length * 2));
    grown.set(this.#counts);
    this.#counts = grown;
  }
}

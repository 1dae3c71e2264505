/**
 * Small integers for SAs: packets carry one in `saSlot`, keys are installed under it. A slot is reused after
 * `free`, so nothing may keep one across turns of the event loop.
 */
export class Slots<Entry> {
  readonly #entries: (Entry | undefined)[] = [];
  readonly #free: number[] = [];
  #size = 0;

  add(make: (slot: number) => Entry): Entry {
    const slot = this.#free.pop() ?? this.#entries.length;
    const entry = make(slot);
    this.#entries[slot] = entry;
    this.#size++;
    return entry;
  }

  free(slot: number): void {
    if (this.#entries[slot] === undefined) return;
    this.#entries[slot] = undefined;
    this.#free.push(slot);
    this.#size--;
  }

  at(slot: number): Entry | undefined {
    return this.#entries[slot];
  }

  *values(): IterableIterator<Entry> {
    for (const entry of this.#entries) if (entry !== undefined) yield entry;
  }

  get size(): number {
    return this.#size;
  }
}

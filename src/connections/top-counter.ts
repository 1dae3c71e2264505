/** Things that are counted at once. */
const CAPACITY = 65_536;

/**
 * Counts things of which there may be too many to keep, to find those that come most often (Misra and Gries, 1982): what was counted
 * is too low by at most `error`, and whatever came more often than that is there. Exact while there is room for all.
 */
export class TopCounter {
  readonly #capacity: number;
  readonly #counts = new Map<string, number>();
  #error = 0;

  constructor(capacity = CAPACITY) {
    this.#capacity = capacity;
  }

  /** How much too low a count may be; 0: all are exact. */
  get error(): number {
    return this.#error;
  }

  add(thing: string): void {
    const count = this.#counts.get(thing);
    if (count !== undefined || this.#counts.size < this.#capacity) {
      this.#counts.set(thing, (count ?? 0) + 1);
      return;
    }
    // No room: this one and one of each other go together.
    this.#error++;
    for (const [other, its] of this.#counts) {
      if (its === 1) this.#counts.delete(other);
      else this.#counts.set(other, its - 1);
    }
  }

  /** The `n` highest, the highest first; equal ones in the order of their names. */
  top(n: number): readonly (readonly [thing: string, count: number])[] {
    return [...this.#counts].toSorted(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).slice(0, n);
  }
}

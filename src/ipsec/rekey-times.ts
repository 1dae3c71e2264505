/** Until rekeys of a configuration were seen: the traffic of this time must fit below the hard limit. */
export const DEFAULT_REKEY_MS = 500;
/** The last so many are believed: a peer's path may change. */
const KEPT = 64;
/** From so many on the measured ones are enough alone. */
const ENOUGH = 8;
const PART = 0.99;

/** How long rekeys take, from the request to the outbound switch. */
export class RekeyTimes {
  readonly #times: number[] = [];

  add(durationMs: number): void {
    this.#times.push(durationMs);
    if (this.#times.length > KEPT) this.#times.shift();
  }

  get count(): number {
    return this.#times.length;
  }

  /** Of 100 rekeys 99 were faster: milliseconds. With few samples no less than the cautious default. */
  get p99Ms(): number {
    const sorted = this.#times.toSorted((a, b) => a - b);
    const seen = sorted[Math.ceil(sorted.length * PART) - 1] ?? 0;
    return sorted.length < ENOUGH ? Math.max(seen, DEFAULT_REKEY_MS) : seen;
  }
}

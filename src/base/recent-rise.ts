/** Whether a counter has risen lately. */
export class RecentRise {
  readonly #forMs: number;
  #value = 0;
  #roseAt = Number.NEGATIVE_INFINITY;

  /** A rise is recent for so long. */
  constructor(forMs: number) {
    this.#forMs = forMs;
  }

  look(value: number, now: number): void {
    if (value > this.#value) this.#roseAt = now;
    this.#value = value;
  }

  isRecent(now: number): boolean {
    return now - this.#roseAt < this.#forMs;
  }
}

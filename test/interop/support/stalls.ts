const EVERY_MS = 10;

/** How long this machine let nobody run, at most: a timer that should have come was late by so much. */
export class StallWatch {
  #lastAt = performance.now();
  #longestMs = 0;
  readonly #timer = setInterval(() => this.#look(), EVERY_MS);

  #look(): void {
    const now = performance.now();
    this.#longestMs = Math.max(this.#longestMs, now - this.#lastAt - EVERY_MS);
    this.#lastAt = now;
  }

  /** Milliseconds; ends the watch. */
  stop(): number {
    this.#look();
    clearInterval(this.#timer);
    return Math.round(this.#longestMs);
  }
}

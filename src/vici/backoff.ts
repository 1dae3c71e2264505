export interface BackoffOptions {
  /** Delay after the first failure. */
  readonly firstMs: number;
  readonly maxMs: number;
  /** A connection that lived this long was healthy: the next failure counts as the first again. */
  readonly healthyMs: number;
}

export const DEFAULT_BACKOFF: BackoffOptions = { firstMs: 100, maxMs: 5000, healthyMs: 5000 };

/** Delays between attempts: doubling, each between half and the whole of its step (`random` in 0..1). */
export class Backoff {
  readonly #options: BackoffOptions;
  readonly #random: () => number;
  #failures = 0;

  constructor(options: BackoffOptions, random: () => number) {
    this.#options = options;
    this.#random = random;
  }

  /** `livedMs`: how long the connection that just ended had been up; 0 if the attempt failed. */
  nextDelayMs(livedMs: number): number {
    if (livedMs >= this.#options.healthyMs) this.#failures = 0;
    const stepMs = Math.min(this.#options.maxMs, this.#options.firstMs * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return stepMs * (0.5 + this.#random() / 2);
  }
}

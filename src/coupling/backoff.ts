export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  /** A session of this length was a success: the next wait is the first again. */
  readonly healthyMs: number;
  /** 0 <= random < 1. */
  readonly random: () => number;
}

/** Fast, for a routing host that was restarted: its targets should be back within a second. */
export const RECONNECT = { firstMs: 50, maxMs: 1000, healthyMs: 2000 } as const;

/** How long to wait before the next attempt: doubled each time, and somewhere in its upper half, so that many do not come at once. */
export class Backoff {
  readonly #options: BackoffOptions;
  #limitMs: number;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#limitMs = options.firstMs;
  }

  /** `livedMs`: how long the session was open that ended now; 0 if it never was. */
  next(livedMs: number): number {
    const { firstMs, maxMs, healthyMs, random } = this.#options;
    if (livedMs >= healthyMs) this.#limitMs = firstMs;
    const waitMs = this.#limitMs * (0.5 + random() / 2);
    this.#limitMs = Math.min(maxMs, this.#limitMs * 2);
    return waitMs;
  }
}

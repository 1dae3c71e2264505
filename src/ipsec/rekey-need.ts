/** First pause before a rekey that did not finish is asked for again; doubles up to the second value. */
export const REKEY_RETRY_MS = 10_000;
export const REKEY_RETRY_MAX_MS = 300_000;

/**
 * "This SA needs a rekey", said once: the first `raise` answers true, later ones false until the
 * back-off has passed without `settled()`. So a need makes one request and never a storm, and a
 * request that charon lost (peer away, collision) is repeated.
 */
export class RekeyNeed {
  #nextAt = Number.NEGATIVE_INFINITY;
  #retryMs = REKEY_RETRY_MS;
  #isSettled = false;
  #raised = 0;

  /** How often a rekey was asked for. */
  get raised(): number {
    return this.#raised;
  }

  /** When a need that still exists is due again; -Infinity before the first. */
  get nextAt(): number {
    return this.#isSettled ? Number.POSITIVE_INFINITY : this.#nextAt;
  }

  /** True: ask charon now. Call it as often as the need is seen. */
  raise(now: number): boolean {
    if (this.#isSettled || now < this.#nextAt) return false;
    if (this.#raised > 0) this.#retryMs = Math.min(this.#retryMs * 2, REKEY_RETRY_MAX_MS);
    this.#nextAt = now + this.#retryMs;
    this.#raised++;
    return true;
  }

  /** The SA was replaced (outbound switch seen): nothing is asked for any more. */
  settled(): void {
    this.#isSettled = true;
  }
}

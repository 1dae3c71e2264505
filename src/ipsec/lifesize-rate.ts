/** Rates are measured over at least this time. */
const RATE_PERIOD_MS = 500;
/** In a first moment a rate may be seen sooner, or an SA would be used up before its rate is known. */
const FIRST_PERIOD_MS = 50;
/** A rate falls by no more than a fifth per period: a reserve that is too large costs little. */
const FALL = 0.8;

/** How fast one SA is used by the whole cluster, as the reports show it. A rise is followed at once. */
export class LifesizeRate {
  #at: number;
  #bytes = 0;
  #packets = 0;
  #isFirst = true;
  bytesPerMs = 0;
  packetsPerMs = 0;

  constructor(now: number) {
    this.#at = now;
  }

  /** Totals that were there before. */
  begin(bytes: number, packets: number): void {
    this.#bytes = bytes;
    this.#packets = packets;
  }

  /** Of older use that is heard of only now: it says nothing of the rate. */
  skip(bytes: number, packets: number): void {
    this.#bytes += bytes;
    this.#packets += packets;
  }

  measure(bytes: number, packets: number, now: number): void {
    const elapsed = now - this.#at;
    if (elapsed < (this.#isFirst ? FIRST_PERIOD_MS : RATE_PERIOD_MS)) return;
    if (this.#isFirst && packets === this.#packets && bytes === this.#bytes) {
      this.#at = now; // not used yet: the time before is nobody's
      return;
    }
    this.#isFirst = false;
    this.bytesPerMs = Math.max((bytes - this.#bytes) / elapsed, this.bytesPerMs * FALL);
    this.packetsPerMs = Math.max((packets - this.#packets) / elapsed, this.packetsPerMs * FALL);
    this.#at = now;
    this.#bytes = bytes;
    this.#packets = packets;
  }
}

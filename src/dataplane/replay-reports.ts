import type { SaId } from '../ipsec/sa.ts';

/** Numbers in one report record at the most. */
export const REPORT_MAX_NUMBERS = 1024;
/** A report goes out when so many numbers are waiting, or `REPORT_INTERVAL_MS` after the first. */
export const REPORT_BATCH_NUMBERS = 256;
export const REPORT_INTERVAL_MS = 5;

/**
 * The numbers that a target has committed on one SA and not yet reported, packed as they go on the coupling
 * channel (64 bits, big endian). Lossless: a full buffer asks to be taken at once.
 */
export class CommittedNumbers {
  readonly sa: SaId;
  readonly #packed = Buffer.alloc(REPORT_MAX_NUMBERS * 8);
  #count = 0;

  constructor(sa: SaId) {
    this.sa = sa;
  }

  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === REPORT_MAX_NUMBERS;
  }

  /** Throws when full: the caller takes before it adds. */
  add(high: number, low: number): void {
    if (this.isFull) throw new RangeError('report of committed numbers is full');
    const at = this.#count++ * 8;
    this.#packed.writeUInt32BE(high, at);
    this.#packed.writeUInt32BE(low, at + 4);
  }

  /** A copy of what is waiting, and empties it. */
  take(): Uint8Array {
    const taken = Uint8Array.prototype.slice.call(this.#packed, 0, this.#count * 8);
    this.#count = 0;
    return taken;
  }
}

/** Few enough for what one small thing keeps alive when all its neighbours are gone. */
const PIECE_BYTES = 1024;
/** What is longer has memory of its own. */
const LONGEST_BYTES = 128;
const ALIGNED_BYTES = 4;

export interface Place {
  readonly piece: ArrayBuffer;
  readonly at: number;
}

/**
 * Memory for what thousands of objects keep a few bytes of each. A buffer of its own takes 350 bytes besides what is in it; these lie in pieces, each of which
 * lives as long as somebody has it. No place is given twice: whoever still looks at one that was given up sees what was left there.
 */
export class Pieces {
  #piece = new ArrayBuffer(PIECE_BYTES);
  #used = 0;

  /** So many bytes, zeros, on a multiple of four. */
  take(bytes: number): Place {
    if (bytes > LONGEST_BYTES) return { piece: new ArrayBuffer(bytes), at: 0 };
    if (this.#used + bytes > PIECE_BYTES) {
      this.#piece = new ArrayBuffer(PIECE_BYTES);
      this.#used = 0;
    }
    const at = this.#used;
    this.#used += Math.ceil(bytes / ALIGNED_BYTES) * ALIGNED_BYTES;
    return { piece: this.#piece, at };
  }
}

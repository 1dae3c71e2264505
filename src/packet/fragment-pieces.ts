import { NONE } from '../base/slot-list.ts';

/** A fragment of a link of 1500 bytes fills most of one block; a longer fragment takes several. */
export const BLOCK_BYTES = 2048;

/** How the bytes of one more fragment stand to those that are there. */
export type Overlap = 'apart' | 'duplicate' | 'overlap';

/**
 * Where reassembly keeps what it waits with: a fixed number of blocks, in lists sorted by offset, one list per datagram. The user
 * keeps the head of each list (`NONE` when empty). No two pieces of a list overlap. Allocates nothing after it was made.
 */
export class FragmentPieces {
  readonly #slab: Buffer;
  readonly #next: Int32Array;
  /** Of the piece in the datagram's data. */
  readonly #offset: Uint32Array;
  readonly #bytes: Uint16Array;
  /** Length of the whole fragment in its first piece, 0 in the others. */
  readonly #fragmentBytes: Uint16Array;
  #free = NONE;
  #freeBlocks: number;

  constructor(blocks: number) {
    this.#slab = Buffer.alloc(blocks * BLOCK_BYTES);
    this.#next = new Int32Array(blocks);
    this.#offset = new Uint32Array(blocks);
    this.#bytes = new Uint16Array(blocks);
    this.#fragmentBytes = new Uint16Array(blocks);
    for (let block = 0; block < blocks; block++) {
      this.#next[block] = this.#free;
      this.#free = block;
    }
    this.#freeBlocks = blocks;
  }

  get freeBlocks(): number {
    return this.#freeBlocks;
  }

  /** `duplicate`: the same fragment, byte for byte, is there (RFC 8200 section 4.5 lets those pass as harmless). */
  compare(head: number, slab: Buffer, at: number, offset: number, bytes: number): Overlap {
    let piece = head;
    while (piece !== NONE && this.#end(piece) <= offset) piece = this.#next[piece] as number;
    if (piece === NONE || (this.#offset[piece] as number) >= offset + bytes) return 'apart';
    if (this.#offset[piece] !== offset || this.#fragmentBytes[piece] !== bytes) return 'overlap';
    for (let done = 0; done < bytes; piece = this.#next[piece] as number) {
      const start = piece * BLOCK_BYTES;
      const end = start + (this.#bytes[piece] as number);
      const from = at + done;
      done += end - start;
      if (this.#slab.compare(slab, from, at + done, start, end) !== 0) return 'overlap';
    }
    return 'duplicate';
  }

  /** Copies a fragment in that is `apart`; returns the list's new head. There must be `blocksFor(bytes)` free. */
  insert(head: number, slab: Buffer, at: number, offset: number, bytes: number): number {
    let before: number = NONE;
    let after = head;
    while (after !== NONE && (this.#offset[after] as number) < offset) {
      before = after;
      after = this.#next[after] as number;
    }
    let newHead = head;
    for (let done = 0; done < bytes; done += BLOCK_BYTES) {
      const block = this.#take(slab, at + done, Math.min(BLOCK_BYTES, bytes - done));
      this.#offset[block] = offset + done;
      this.#fragmentBytes[block] = done === 0 ? bytes : 0;
      if (before === NONE) newHead = block;
      else this.#next[before] = block;
      before = block;
    }
    this.#next[before] = after;
    return newHead;
  }

  /** Copies every piece of the list to its offset behind `at`. */
  copyOut(head: number, out: Buffer, at: number): void {
    for (let piece = head; piece !== NONE; piece = this.#next[piece] as number) {
      const start = piece * BLOCK_BYTES;
      this.#slab.copy(
        out,
        at + (this.#offset[piece] as number),
        start,
        start + (this.#bytes[piece] as number),
      );
    }
  }

  /** Frees every block of the list. */
  release(head: number): void {
    for (let piece = head; piece !== NONE; ) {
      const next = this.#next[piece] as number;
      this.#next[piece] = this.#free;
      this.#free = piece;
      this.#freeBlocks++;
      piece = next;
    }
  }

  #end(piece: number): number {
    return (this.#offset[piece] as number) + (this.#bytes[piece] as number);
  }

  #take(slab: Buffer, at: number, bytes: number): number {
    const block = this.#free;
    this.#free = this.#next[block] as number;
    this.#freeBlocks--;
    slab.copy(this.#slab, block * BLOCK_BYTES, at, at + bytes);
    this.#bytes[block] = bytes;
    this.#next[block] = NONE;
    return block;
  }
}

export function blocksFor(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES);
}

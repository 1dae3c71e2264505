import { copyAddress, equalAddresses, type IpAddress } from '../packet/address.ts';

/** Words of a row: two rows share a cache line. */
const SPI = 0;
/** The slot and one; 0: the row is free. */
const SLOT = 1;
/** Four words. */
const DESTINATION = 2;
const ROW_WORDS = 8;
/** At most half of the rows are taken. */
const ROWS_PER_ENTRY = 2;
const FIRST_ROWS = 16;

/**
 * Slots of inbound SAs by SPI, each with its outer destination beside it: open addressing with linear probing, so that a look-up waits for
 * memory once. Grows; it does not shrink. An SPI may be given signed: the engine makes an object of a number above 2^31. Our own charon draws the SPIs in it, so no keyed hash is needed.
 */
export class SpiTable {
  #rows = new Uint32Array(FIRST_ROWS * ROW_WORDS);
  #mask = FIRST_ROWS - 1;
  #size = 0;

  /** The SPI must not be there. */
  add(spi: number, slot: number, destination: IpAddress): void {
    if (++this.#size * ROWS_PER_ENTRY > this.#mask + 1) this.#grow();
    const at = (-1 - this.#find(spi)) * ROW_WORDS;
    this.#rows[at + SPI] = spi;
    this.#rows[at + SLOT] = slot + 1;
    copyAddress(destination, 0, this.#rows, at + DESTINATION);
  }

  /** The SA with this SPI is reached there from now on. It must be there. */
  setDestination(spi: number, destination: IpAddress): void {
    copyAddress(destination, 0, this.#rows, this.#find(spi) * ROW_WORDS + DESTINATION);
  }

  /** It must be there. Later rows of the run move back, so a search ends at the first free row. */
  remove(spi: number): void {
    this.#size--;
    let hole = this.#find(spi);
    for (let next = (hole + 1) & this.#mask; ; next = (next + 1) & this.#mask) {
      const at = next * ROW_WORDS;
      if (this.#rows[at + SLOT] === 0) break;
      const home = this.#homeOf(this.#rows[at + SPI] as number);
      // May `next` move to the hole? Not if its home lies cyclically in (hole, next].
      if (((next - home) & this.#mask) < ((next - hole) & this.#mask)) continue;
      this.#rows.copyWithin(hole * ROW_WORDS, at, at + ROW_WORDS);
      hole = next;
    }
    this.#rows[hole * ROW_WORDS + SLOT] = 0;
  }

  /** The slot, or -1. */
  slotOf(spi: number): number {
    const row = this.#find(spi);
    return row < 0 ? -1 : (this.#rows[row * ROW_WORDS + SLOT] as number) - 1;
  }

  /** The same, or -1 if the SA's destination is not the one that begins at `at`. */
  lookup(spi: number, destinations: Uint32Array, at: number): number {
    const row = this.#find(spi);
    if (row < 0 || !equalAddresses(this.#rows, row * ROW_WORDS + DESTINATION, destinations, at)) return -1;
    return (this.#rows[row * ROW_WORDS + SLOT] as number) - 1;
  }

  /** The row, or -1 - (the free one where it belongs). */
  #find(spi: number): number {
    const wanted = spi | 0;
    for (let row = this.#homeOf(spi); ; row = (row + 1) & this.#mask) {
      const at = row * ROW_WORDS;
      if (this.#rows[at + SLOT] === 0) return -1 - row;
      if (((this.#rows[at + SPI] as number) | 0) === wanted) return row;
    }
  }

  #homeOf(spi: number): number {
    return (Math.imul(spi, 0x9e3779b1) >>> 8) & this.#mask;
  }

  #grow(): void {
    const before = this.#rows;
    this.#rows = new Uint32Array(before.length * 2);
    this.#mask = this.#mask * 2 + 1;
    for (let at = 0; at < before.length; at += ROW_WORDS) {
      if (before[at + SLOT] === 0) continue;
      const to = (-1 - this.#find(before[at + SPI] as number)) * ROW_WORDS;
      this.#rows.set(before.subarray(at, at + ROW_WORDS), to);
    }
  }
}

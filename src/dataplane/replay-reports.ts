import { putRange, RANGE_BYTES } from '../ipsec/number-ranges.ts';
import type { SaId } from '../ipsec/sa.ts';

/** Numbers in one report record at the most. */
export const REPORT_MAX_NUMBERS = 4096;
/** A report goes out when so many numbers are waiting, or `REPORT_INTERVAL_MS` after the first: a vector more (256) still fits it. */
export const REPORT_BATCH_NUMBERS = 3840;
export const REPORT_INTERVAL_MS = 5;

/** Words of a range: high and low half of its first number, how many. */
const RANGE_WORDS = 3;
/** Room to begin with, and by how much it becomes larger or smaller at a time: an SA without traffic has next to none. */
const FIRST_RANGES = 8;
const ROOM_FACTOR = 4;
const NO_ROOM = new Uint32Array(0);
/** First rooms that reports have emptied, for the next SA with something to report: SAs by turns allocate none. */
const SPARE_ROOMS = 1024;
const spareRooms: Uint32Array[] = [];

/**
 * The numbers that a target has committed on one SA and not yet reported, as ranges (`number-ranges.ts`): what comes in its order costs
 * nothing but its count. Lossless: a full buffer asks to be taken at once. Room follows what a report carries, so that with
 * steady traffic nothing is allocated but the reports.
 */
export class CommittedNumbers {
  readonly sa: SaId;
  #ranges: Uint32Array = NO_ROOM;
  /** Words of `#ranges` that are in use. */
  #words = 0;
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
    this.#count++;
    const last = this.#words - RANGE_WORDS;
    const ranges = this.#ranges;
    // The first number after 2^32 - 1 has another high half, and a range of its own.
    if (
      last >= 0 &&
      ranges[last] === high &&
      (ranges[last + 1] as number) + (ranges[last + 2] as number) === low
    )
      ranges[last + 2] = (ranges[last + 2] as number) + 1;
    else this.#begin(high, low);
  }

  /** What is waiting, packed (`number-ranges.ts`), and empties it. */
  take(): Uint8Array {
    const ranges = this.#ranges;
    const count = this.#words / RANGE_WORDS;
    const taken = new Uint8Array(count * RANGE_BYTES);
    for (let i = 0; i < count; i++) {
      const at = i * RANGE_WORDS;
      putRange(taken, i, ranges[at] as number, ranges[at + 1] as number, ranges[at + 2] as number);
    }
    if (this.#words * ROOM_FACTOR <= ranges.length) this.#giveUpRoom();
    this.#count = 0;
    this.#words = 0;
    return taken;
  }

  #begin(high: number, low: number): void {
    const at = this.#words;
    if (at === this.#ranges.length) this.#grow();
    this.#ranges[at] = high;
    this.#ranges[at + 1] = low;
    this.#ranges[at + 2] = 1;
    this.#words = at + RANGE_WORDS;
  }

  #giveUpRoom(): void {
    const isFirst = this.#ranges.length === FIRST_RANGES * RANGE_WORDS;
    if (isFirst && spareRooms.length < SPARE_ROOMS) spareRooms.push(this.#ranges);
    this.#ranges = NO_ROOM;
  }

  #grow(): void {
    const spare = this.#ranges === NO_ROOM ? spareRooms.pop() : undefined;
    if (spare !== undefined) {
      this.#ranges = spare;
      return;
    }
    const room = Math.max(this.#ranges.length * ROOM_FACTOR, FIRST_RANGES * RANGE_WORDS);
    const larger = new Uint32Array(Math.min(room, REPORT_MAX_NUMBERS * RANGE_WORDS));
    larger.set(this.#ranges);
    this.#ranges = larger;
  }
}

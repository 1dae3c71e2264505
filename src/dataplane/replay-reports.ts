import type { SaId } from '../ipsec/sa.ts';
import { putUint32 } from '../packet/bytes.ts';

/** Numbers in one report record at the most. */
export const REPORT_MAX_NUMBERS = 4096;
/** A report goes out when so many numbers are waiting, or `REPORT_INTERVAL_MS` after the first: a vector more (256) still fits it. */
export const REPORT_BATCH_NUMBERS = 3840;
export const REPORT_INTERVAL_MS = 5;

const NUMBER_BYTES = 8;
/** Room to begin with, and by how much it becomes larger or smaller at a time: an SA without traffic has next to none. */
const FIRST_NUMBERS = 16;
const ROOM_FACTOR = 4;
const NO_ROOM = Buffer.alloc(0);
/** First rooms that reports have emptied, for the next SA with something to report: SAs by turns allocate none. */
const SPARE_ROOMS = 1024;
const spareRooms: Buffer[] = [];

/**
 * The numbers that a target has committed on one SA and not yet reported, packed as they go on the coupling
 * channel (64 bits, big endian). Lossless: a full buffer asks to be taken at once. Room follows what a report carries, so that with
 * steady traffic nothing is allocated but the reports.
 */
export class CommittedNumbers {
  readonly sa: SaId;
  #packed: Buffer = NO_ROOM;
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
    const at = this.#count++ * NUMBER_BYTES;
    if (at === this.#packed.length) this.#grow();
    putUint32(this.#packed, at, high);
    putUint32(this.#packed, at + 4, low);
  }

  /** A copy of what is waiting, and empties it. */
  take(): Uint8Array {
    const bytes = this.#count * NUMBER_BYTES;
    const taken = Uint8Array.prototype.slice.call(this.#packed, 0, bytes);
    this.#count = 0;
    if (bytes * ROOM_FACTOR <= this.#packed.length) this.#giveUpRoom();
    return taken;
  }

  #giveUpRoom(): void {
    const isFirst = this.#packed.length === FIRST_NUMBERS * NUMBER_BYTES;
    if (isFirst && spareRooms.length < SPARE_ROOMS) spareRooms.push(this.#packed);
    this.#packed = NO_ROOM;
  }

  #grow(): void {
    const spare = this.#packed === NO_ROOM ? spareRooms.pop() : undefined;
    if (spare !== undefined) {
      this.#packed = spare;
      return;
    }
    const room = Math.max(this.#packed.length * ROOM_FACTOR, FIRST_NUMBERS * NUMBER_BYTES);
    const larger = Buffer.alloc(Math.min(room, REPORT_MAX_NUMBERS * NUMBER_BYTES));
    larger.set(this.#packed);
    this.#packed = larger;
  }
}

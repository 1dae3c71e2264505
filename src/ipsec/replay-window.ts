import { smallWords } from '../base/small-arrays.ts';
import type { ReplaySnapshot } from './replay-snapshot.ts';

/** Largest window that can be configured; 128 KiB of bits. */
export const REPLAY_WINDOW_MAX_PACKETS = 1 << 20;

const TWO_32 = 0x1_0000_0000;
/** A ring to begin with. */
const FIRST_BITS = 512;
/** Of a window that nothing was accepted in: whatever comes moves the top first. */
const NO_BITS = new Uint32Array(0);

/**
 * Anti-replay window of one inbound SA (RFC 4303 section 3.4.3 and appendix A).
 *
 *            top - packets            top
 *   too old  |  1 0 1 1 0 1 1 1 1 1 1 1 |  fresh
 *   refused  |  bit set = refused       |
 *
 * Two verbs, in this order: `check` before the ICV is verified changes nothing; `commit` only after.
 * Sequence numbers are 64 bits as two uint32 halves (without ESN the high half is 0): exact, and nothing
 * is allocated per packet. `bigint` appears only in snapshots.
 *
 * The bits are a ring of the next power of two, so that the place of a number is its low bits. It begins small, and doubles while there are
 * numbers up to the top that have no place of their own: most SAs of a quiet cluster never need all of it, and none before their first packet.
 */
export class ReplayWindow {
  /** 0 = replay check off: everything but number 0 is fresh. */
  readonly packets: number;
  #bits: Uint32Array = NO_BITS;
  #mask: number;
  /** What `#mask` becomes at the most. */
  readonly #fullMask: number;
  #topHigh = 0;
  #topLow = 0;

  constructor(packets: number) {
    if (!Number.isInteger(packets) || packets < 0 || packets > REPLAY_WINDOW_MAX_PACKETS) {
      throw new RangeError(`a replay window of ${packets} packets is not possible`);
    }
    this.packets = packets;
    const ring = 2 ** Math.ceil(Math.log2(Math.max(packets, 32)));
    this.#fullMask = ring - 1;
    this.#mask = Math.min(ring, FIRST_BITS) - 1;
  }

  get topHigh(): number {
    return this.#topHigh;
  }

  get topLow(): number {
    return this.#topLow;
  }

  get top(): bigint {
    return (BigInt(this.#topHigh) << 32n) | BigInt(this.#topLow);
  }

  /** Would this number be accepted now? Changes nothing: safe before authentication. */
  check(high: number, low: number): boolean {
    if (high === 0 && low === 0) return false; // section 2.2: the first packet has number 1
    if (this.packets === 0) return true;
    const behind = this.#behindTop(high, low);
    if (behind < 0) return true;
    return behind < this.packets && !this.#isMarked(low);
  }

  /**
   * Accepts the number of an *authenticated* packet: marks it and moves the window if it is the highest.
   * False (and no change) if it is not fresh; two packets with one number never both get true.
   */
  commit(high: number, low: number): boolean {
    const ahead = -this.#behindTop(high, low);
    if (ahead > 0) this.#moveTop(ahead, high, low);
    else if (!this.check(high, low)) return false;
    this.#mark(low);
    return true;
  }

  /** As `commit` of `count` numbers from this one on, one after the other, all with one high half; says nothing of which were fresh. */
  commitRun(high: number, low: number, count: number): void {
    if (this.packets === 0 || count === 0) return;
    const last = low + count - 1;
    const ahead = -this.#behindTop(high, last);
    if (ahead > 0) this.#moveTop(ahead, high, last);
    const marked = Math.min(count, this.#numbersBehind - this.#behindTop(high, last));
    if (marked > 0) this.#markRun(last - marked + 1, marked);
  }

  /** Higher than every number that was accepted. */
  isBeyondTop(high: number, low: number): boolean {
    return this.#behindTop(high, low) < 0;
  }

  /** So far behind the top that it is refused without a mark of its own. */
  hasPassed(high: number, low: number): boolean {
    return this.packets > 0 && this.#behindTop(high, low) >= this.packets;
  }

  /**
   * Refuses the number from now on without accepting a packet. Never moves the window, because a burnt
   * number need not be genuine: false if it is beyond the top, where the caller must remember it itself.
   */
  burn(high: number, low: number): boolean {
    const behind = this.#behindTop(high, low);
    if (behind < 0) return false;
    if (behind < this.packets) this.#mark(low);
    return true;
  }

  /** Refuses every number up to this one, itself included, and moves the window there if it is behind. */
  markAllUpTo(high: number, low: number): void {
    const ahead = -this.#behindTop(high, low);
    if (ahead > 0) this.#moveTop(ahead, high, low);
    const behind = this.#behindTop(high, low);
    const end = this.#numbersBehind;
    for (let back = behind; back < end; back++) this.#mark((this.#topLow - back) >>> 0);
  }

  /**
   * The high half of a number of which only the low half is on the wire (appendix A2.2), from the highest
   * authenticated number. A wrong guess shows as a bad ICV, since the high half is authenticated.
   */
  inferHigh(low: number): number {
    const high = this.#topHigh;
    const top = this.#topLow;
    const bottom = top - Math.max(this.packets, 1) + 1;
    if (bottom >= 0) return low >= bottom ? high : (high + 1) >>> 0; // case A: the window is in one subspace
    // Case B: it spans two. In the very first there is none before, and a low half up there is just far ahead.
    return low >= bottom + TWO_32 && high > 0 ? high - 1 : high;
  }

  /** Bit i of the bitmap (byte i >> 3, lowest bit first) is set if the number top - i is refused. */
  snapshot(): ReplaySnapshot {
    const bitmap = new Uint8Array(Math.ceil(this.packets / 8));
    const end = this.#numbersBehind;
    for (let back = 0; back < end; back++) {
      if (this.#isMarked((this.#topLow - back) >>> 0)) {
        bitmap[back >> 3] = (bitmap[back >> 3] as number) | (1 << (back & 7));
      }
    }
    return { top: this.top, bitmap };
  }

  /**
   * Takes a snapshot over in place of what was known. Numbers left of a shorter snapshot are unknown, so
   * they are refused: never twice goes before never lost.
   */
  restore(snapshot: ReplaySnapshot): void {
    this.#topHigh = Number(snapshot.top >> 32n);
    this.#topLow = Number(snapshot.top & 0xffff_ffffn);
    this.#bits.fill(0);
    this.#makeRoomFor(this.#topHigh, this.#topLow);
    for (let back = 0; back < this.packets; back++) {
      const byte = snapshot.bitmap[back >> 3];
      const isRefused = byte === undefined || ((byte >> (back & 7)) & 1) === 1;
      if (isRefused && BigInt(back) < snapshot.top) this.#mark((this.#topLow - back) >>> 0);
    }
  }

  /** How far the number lies behind the top; negative beyond it. Sign exact always, value wherever it matters. */
  #behindTop(high: number, low: number): number {
    return (this.#topHigh - high) * TWO_32 + (this.#topLow - low);
  }

  /** How many numbers there are from the top back that the window reaches: there are none below 0, and no places for such in a small ring. */
  get #numbersBehind(): number {
    return this.#topHigh > 0 ? this.packets : Math.min(this.packets, this.#topLow + 1);
  }

  #isMarked(low: number): boolean {
    const place = low & this.#mask;
    return (((this.#bits[place >>> 5] as number) >>> (place & 31)) & 1) === 1;
  }

  #mark(low: number): void {
    const place = low & this.#mask;
    this.#bits[place >>> 5] = (this.#bits[place >>> 5] as number) | (1 << (place & 31));
  }

  /** A word at a time where a whole word is marked. */
  #markRun(low: number, count: number): void {
    let place = low & this.#mask;
    let left = count;
    while (left > 0) {
      const bit = place & 31;
      const run = Math.min(32 - bit, left);
      const marked = run === 32 ? 0xffffffff : ((1 << run) - 1) << bit;
      this.#bits[place >>> 5] = (this.#bits[place >>> 5] as number) | marked;
      place = (place + run) & this.#mask;
      left -= run;
    }
  }

  /** While the ring is not the full one, all numbers up to the top have places of their own, which stay theirs in a larger one. */
  #makeRoomFor(high: number, low: number): void {
    const hasRoom = this.#mask === this.#fullMask || (high === 0 && low <= this.#mask);
    if (hasRoom && this.#bits !== NO_BITS) return;
    if (high > 0 || low >= this.#fullMask) this.#mask = this.#fullMask;
    else while (low > this.#mask) this.#mask = this.#mask * 2 + 1;
    const larger = smallWords((this.#mask + 1) / 32);
    larger.set(this.#bits);
    this.#bits = larger;
  }

  /** Clears the places of the numbers that come in, a word at a time where a whole word comes in. */
  #moveTop(ahead: number, high: number, low: number): void {
    this.#makeRoomFor(high, low);
    if (ahead > this.#mask) {
      this.#bits.fill(0);
    } else {
      let place = (this.#topLow + 1) & this.#mask;
      let left = ahead;
      while (left > 0) {
        const bit = place & 31;
        const run = Math.min(32 - bit, left);
        const cleared = run === 32 ? 0xffffffff : ((1 << run) - 1) << bit;
        this.#bits[place >>> 5] = (this.#bits[place >>> 5] as number) & ~cleared;
        place = (place + run) & this.#mask;
        left -= run;
      }
    }
    this.#topHigh = high;
    this.#topLow = low;
  }
}

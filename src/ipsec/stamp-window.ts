import { LAST_IV_COUNTER } from './numbering-constants.ts';

/** The link may reorder a little. */
const WINDOW_PACKETS = 64;

/**
 * Which packets of one sender were there: the 64 highest counters, bit i of `high | low` = top - i. A bit is never cleared, and nothing
 * goes back. Counters are 48 bits, so a `number` is exact.
 */
export class StampWindow {
  #top = 0;
  #high = 0;
  #low = 0;

  /** True once for each counter, and never for one left of the window. */
  mark(counter: number): boolean {
    if (!Number.isInteger(counter) || counter < 1 || counter > LAST_IV_COUNTER) return false;
    const ahead = counter - this.#top;
    if (ahead > 0) {
      this.#moveTop(ahead);
      this.#top = counter;
      return true;
    }
    const behind = -ahead;
    if (behind >= WINDOW_PACKETS) return false;
    const bit = 1 << (behind & 31);
    if (((behind < 32 ? this.#low : this.#high) & bit) !== 0) return false;
    if (behind < 32) this.#low |= bit;
    else this.#high |= bit;
    return true;
  }

  #moveTop(ahead: number): void {
    if (ahead >= 32) {
      this.#high = ahead < WINDOW_PACKETS ? this.#low << (ahead - 32) : 0;
      this.#low = 0;
    } else {
      this.#high = (this.#high << ahead) | (this.#low >>> (32 - ahead));
      this.#low <<= ahead;
    }
    this.#low |= 1;
  }
}

/**
 * The windows of all senders of one SA, for the SA's whole life: a sender that is gone keeps its own, since a packet of it may come again.
 * There are at most 65 535, sender ids being 16 bits.
 */
export class StampWindows {
  readonly #bySender = new Map<number, StampWindow>();

  /** See `StampWindow`; also false for what is no sender id. */
  mark(senderId: number, counter: number): boolean {
    let window = this.#bySender.get(senderId);
    if (window === undefined) {
      if (!Number.isInteger(senderId) || senderId < 1 || senderId > 0xffff) return false;
      window = new StampWindow();
      this.#bySender.set(senderId, window);
    }
    return window.mark(counter);
  }
}

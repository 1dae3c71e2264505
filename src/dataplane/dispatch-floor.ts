import { ReplayWindow } from '../ipsec/replay-window.ts';

/** Reordering on the trusted link that is tolerated, in packets. */
const LINK_WINDOW_PACKETS = 4096;

/**
 * A target's side of dispatch numbers, one per coupling session: each dispatch is accepted once, and
 * `advance` moves a floor below which none is accepted any more. The floor is what lets the routing host
 * forget: "nothing dispatched up to here will still be delivered" (docs/inbound.md).
 */
export class DispatchFloor {
  readonly #window = new ReplayWindow(LINK_WINDOW_PACKETS);
  #floor = 0n;
  /** The top when `advance` was called last: by the next call, what is still missing below it is late. */
  #topBefore = 0n;

  /** `dispatched`: the last dispatch that is no more to be accepted; 0: none. */
  constructor(dispatched = 0n) {
    this.#floor = dispatched;
    this.#topBefore = dispatched;
    if (dispatched > 0n)
      this.#window.markAllUpTo(Number(dispatched >> 32n), Number(dispatched & 0xffff_ffffn));
  }

  /** False: this dispatch was seen before, or comes after the floor passed it. */
  accept(low: number): boolean {
    const high = this.#window.inferHigh(low);
    return this.#window.commit(high, low);
  }

  /** One reporting interval has passed: what was the top at the last call becomes the floor. Returns the floor. */
  advance(): bigint {
    const top = this.#window.top;
    if (this.#topBefore > this.#floor) {
      this.#floor = this.#topBefore;
      this.#window.markAllUpTo(Number(this.#floor >> 32n), Number(this.#floor & 0xffff_ffffn));
    }
    this.#topBefore = top;
    return this.#floor;
  }

  get floor(): bigint {
    return this.#floor;
  }

  /** True if `advance` would still change something. */
  get isBehind(): boolean {
    return this.#window.top > this.#floor;
  }
}

/** Values of a slot's owner besides target indexes. */
export const FREE = -1;
export const BURNT = -2;

/** Unsettled numbers that one SA can have; more than a report round trip carries. A power of two. */
export const UNSETTLED_SLOTS = 4096;
/** 28 bytes a slot: 115 KB a ring, 118 MB for all. */
const DEFAULT_RINGS = 1024;

/** Parallel arrays of the unsettled numbers of one SA; the place of a number is its low bits. */
export class UnsettledRing {
  readonly slots: number;
  readonly high: Uint32Array;
  readonly low: Uint32Array;
  readonly owner: Int32Array;
  readonly dispatch: Float64Array;
  readonly source: Float64Array;

  constructor(slots: number) {
    this.slots = slots;
    this.high = new Uint32Array(slots);
    this.low = new Uint32Array(slots);
    this.owner = new Int32Array(slots).fill(FREE);
    this.dispatch = new Float64Array(slots);
    this.source = new Float64Array(slots);
  }

  clear(): void {
    this.owner.fill(FREE);
  }
}

/**
 * The rings of all SAs of a routing host: so many, made when they are needed, used again. An SA gets one with its first packet and
 * gives it back when it is idle; one that gets none has its packets opened on the routing host.
 */
export class RingPool {
  readonly slots: number;
  /** Rings that there may be. */
  readonly capacity: number;
  readonly #spare: UnsettledRing[] = [];
  #made = 0;

  constructor(options: { readonly slots?: number; readonly rings?: number } = {}) {
    this.slots = options.slots ?? UNSETTLED_SLOTS;
    if (this.slots < 1 || (this.slots & (this.slots - 1)) !== 0)
      throw new RangeError('slots must be a power of two');
    this.capacity = options.rings ?? DEFAULT_RINGS;
  }

  /** Rings that SAs have now. */
  get used(): number {
    return this.#made - this.#spare.length;
  }

  /** `take` would return undefined. */
  get isExhausted(): boolean {
    return this.#spare.length === 0 && this.#made >= this.capacity;
  }

  /** An empty ring, or undefined if all are in use. */
  take(): UnsettledRing | undefined {
    const spare = this.#spare.pop();
    if (spare !== undefined) return spare;
    if (this.#made >= this.capacity) return undefined;
    this.#made++;
    return new UnsettledRing(this.slots);
  }

  give(ring: UnsettledRing): void {
    ring.clear();
    this.#spare.push(ring);
  }
}

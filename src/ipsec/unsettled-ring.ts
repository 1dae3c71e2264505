/** Owners of a place besides target indexes. */
export const FREE = -1;
export const BURNT = -2;

/**
 * Unsettled numbers that one SA can have; more than a report round trip carries, also where both ends wait for a processor for a moment
 * (65 ms at 250 000 packets a second). A power of two.
 */
export const UNSETTLED_SLOTS = 16_384;
/** Places of a new ring: most SAs have a few numbers on their way, and rings of many SAs must be small to stay in caches. */
const FIRST_SLOTS = 16;
/** Places for all rings: 32 bytes each, 134 MB. */
const DEFAULT_RINGS = 256;

/** Of a place, in words of 32 bits, and in doubles: all of it lies in one cache line. */
const PLACE_WORDS = 8;
const PLACE_DOUBLES = PLACE_WORDS / 2;
const LOW = 0;
const HIGH = 1;
/** `owner + OWNER_BIAS`, so that a new ring is a free one. */
const OWNER = 2;
const OWNER_BIAS = 2;
const DISPATCH = 2;
const SOURCE = 3;
/** `FREE` is what stands in a new ring, so it comes first. */
const STORED_FREE = 0;
const STORED_BURNT = 1;

/** The unsettled numbers of one SA; the place of a number is its low bits. */
export class UnsettledRing {
  readonly slots: number;
  readonly #words: Uint32Array;
  readonly #doubles: Float64Array;

  /** `slots`: a power of two. */
  constructor(slots: number) {
    this.slots = slots;
    this.#words = new Uint32Array(slots * PLACE_WORDS);
    this.#doubles = new Float64Array(this.#words.buffer);
  }

  /** Where the number belongs. */
  slotOf(low: number): number {
    return low & (this.slots - 1);
  }

  lowAt(slot: number): number {
    return this.#words[slot * PLACE_WORDS + LOW] as number;
  }

  highAt(slot: number): number {
    return this.#words[slot * PLACE_WORDS + HIGH] as number;
  }

  /** A target, `FREE` or `BURNT`. */
  ownerAt(slot: number): number {
    const stored = this.#words[slot * PLACE_WORDS + OWNER] as number;
    if (stored === STORED_FREE) return FREE;
    return stored === STORED_BURNT ? BURNT : stored - OWNER_BIAS;
  }

  setOwner(slot: number, owner: number): void {
    const stored = owner === FREE ? STORED_FREE : owner === BURNT ? STORED_BURNT : owner + OWNER_BIAS;
    this.#words[slot * PLACE_WORDS + OWNER] = stored;
  }

  dispatchAt(slot: number): number {
    return this.#doubles[slot * PLACE_DOUBLES + DISPATCH] as number;
  }

  sourceAt(slot: number): number {
    return this.#doubles[slot * PLACE_DOUBLES + SOURCE] as number;
  }

  /** The place has, or had last, this number. */
  holds(slot: number, high: number, low: number): boolean {
    const at = slot * PLACE_WORDS;
    return this.#words[at + LOW] === low && this.#words[at + HIGH] === high;
  }

  put(slot: number, high: number, low: number, owner: number, dispatch: number, source: number): void {
    const at = slot * PLACE_WORDS;
    this.#words[at + LOW] = low;
    this.#words[at + HIGH] = high;
    this.setOwner(slot, owner);
    this.#doubles[slot * PLACE_DOUBLES + DISPATCH] = dispatch;
    this.#doubles[slot * PLACE_DOUBLES + SOURCE] = source;
  }

  /** Frees the place of this number if it is the owner's and from a dispatch above `floor`; false, and no change, otherwise. */
  settle(high: number, low: number, owner: number, floor: number): boolean {
    const words = this.#words;
    const slot = low & (this.slots - 1);
    const at = slot * PLACE_WORDS;
    if (words[at + LOW] !== low || words[at + HIGH] !== high || words[at + OWNER] !== owner + OWNER_BIAS)
      return false;
    if ((this.#doubles[slot * PLACE_DOUBLES + DISPATCH] as number) <= floor) return false;
    words[at + OWNER] = STORED_FREE;
    return true;
  }

  /** Takes over what is in a smaller ring: what had a place of its own there has one here. */
  takeOver(smaller: UnsettledRing): void {
    for (let slot = 0; slot < smaller.slots; slot++) {
      const owner = smaller.ownerAt(slot);
      if (owner === FREE) continue;
      const [high, low] = [smaller.highAt(slot), smaller.lowAt(slot)];
      this.put(this.slotOf(low), high, low, owner, smaller.dispatchAt(slot), smaller.sourceAt(slot));
    }
  }

  clear(): void {
    this.#words.fill(0);
  }
}

/**
 * The rings of all SAs of a routing host: so many places, used again. An SA gets a small ring with its first packet, a larger one when two
 * of its numbers on their way want one place, and gives it back when it is idle; where there are no places left, packets are opened on the
 * routing host.
 */
export class RingPool {
  /** Places of one ring at the most. */
  readonly slots: number;
  /** Places that there may be. */
  readonly capacity: number;
  readonly #first: number;
  /** By places. */
  readonly #spare = new Map<number, UnsettledRing[]>();
  /** Places of all rings there are, and of those that SAs have. */
  #made = 0;
  #used = 0;

  /** `rings`: so many of the largest size fit in; `first`: places of a new ring. */
  constructor(options: { readonly slots?: number; readonly rings?: number; readonly first?: number } = {}) {
    this.slots = options.slots ?? UNSETTLED_SLOTS;
    this.#first = Math.min(options.first ?? FIRST_SLOTS, this.slots);
    for (const slots of [this.slots, this.#first])
      if (slots < 1 || (slots & (slots - 1)) !== 0) throw new RangeError('slots must be a power of two');
    this.capacity = (options.rings ?? DEFAULT_RINGS) * this.slots;
  }

  /** Places of the rings that SAs have now. */
  get used(): number {
    return this.#used;
  }

  /** `take` would return undefined. */
  get isExhausted(): boolean {
    return !this.#hasRoomFor(this.#first);
  }

  /** An empty ring, or undefined if there is no room. */
  take(): UnsettledRing | undefined {
    return this.isExhausted ? undefined : this.#make(this.#first);
  }

  /** Whether `grow` would do it: a ring in which the two numbers have places of their own. */
  mayGrow(ring: UnsettledRing, low: number, other: number): boolean {
    const slots = slotsFor(ring, low, other);
    return slots <= this.slots && this.#hasRoomFor(slots);
  }

  /** Such a ring in place of this one, with all that is in it. Only if `mayGrow`. */
  grow(ring: UnsettledRing, low: number, other: number): UnsettledRing {
    const larger = this.#make(slotsFor(ring, low, other));
    larger.takeOver(ring);
    this.give(ring);
    return larger;
  }

  give(ring: UnsettledRing): void {
    ring.clear();
    this.#used -= ring.slots;
    const spare = this.#spare.get(ring.slots);
    if (spare === undefined) this.#spare.set(ring.slots, [ring]);
    else spare.push(ring);
  }

  #hasRoomFor(slots: number): boolean {
    return this.#used + slots <= this.capacity;
  }

  #make(slots: number): UnsettledRing {
    this.#used += slots;
    const spare = this.#spare.get(slots)?.pop();
    if (spare !== undefined) return spare;
    if (this.#made + slots > this.capacity) this.#dropSpare();
    this.#made += slots;
    return new UnsettledRing(slots);
  }

  /** Spare ones of other sizes make room. */
  #dropSpare(): void {
    for (const [slots, spare] of this.#spare) this.#made -= slots * spare.length;
    this.#spare.clear();
  }
}

/** Places of the smallest ring, larger than this one, in which two different numbers do not meet; Infinity: they differ in no low half. */
function slotsFor(ring: UnsettledRing, low: number, other: number): number {
  const different = (low ^ other) | 0;
  if (different === 0) return Number.POSITIVE_INFINITY;
  const lowest = 31 - Math.clz32(different & -different);
  return Math.max(2 * ring.slots, 2 ** (lowest + 1));
}

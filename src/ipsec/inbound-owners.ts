import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { mergeSnapshots, type ReplaySnapshot } from './replay-snapshot.ts';
import { ReplayWindow } from './replay-window.ts';

/** Unsettled numbers that one SA can have; more than a report round trip carries. A power of two. */
export const UNSETTLED_SLOTS = 4096;

const REPLAY = verdictOf('replay');
const CONFLICT = verdictOf('replay-conflict');

/** Values of a slot's owner besides target indexes. */
const FREE = -1;
const BURNT = -2;

/** What a replay report of a target did. */
export interface ReportOutcome {
  readonly committed: number;
  /** Numbers that this target was not given: not believed (`coupling-not-granted`). */
  readonly refused: number;
}

/**
 * The routing host's view of one inbound SA (docs/inbound.md): which numbers are spent, and which target
 * has a number that is not settled yet. It verifies nothing itself, so window and top are fed by the
 * targets' replay reports alone (RFC 4303 section 3.4.3); a packet merely passing by changes only the ring
 * of unsettled numbers, where an entry is never overwritten by another number as long as the window would take its own.
 *
 * ```
 *   number s, chosen target t     window refuses s ............................ replay
 *                                 slot free ................................... send; slot := {s, t, dispatch}
 *                                 slot has s at t ............................. send again (its window decides)
 *                                 slot has s at another target, or another
 *                                 unsettled number that the window takes ...... conflict
 * ```
 *
 * A slot is settled by a report that lists its number, by a report whose floor has reached its dispatch
 * (the target will not deliver it any more: bad ICV, or lost), or by the loss of the target: then the
 * number is burnt, because nobody knows whether it was delivered.
 *
 * Conflicts are dropped (`replay-conflict`). To open the packet here instead, so that a forged number
 * does not cost the genuine packet, is the place marked below (docs/inbound.md, steps 4 and 5).
 */
export class InboundOwners {
  readonly #window: ReplayWindow;
  readonly #mask: number;
  /** Made with the first packet: most SAs of a quiet cluster have none. */
  #ring: Ring | undefined;
  /** Per target index: dispatches of this SA up to here are settled. */
  #floors = new Float64Array(0);
  /** Per target: entries that made room for others while a report of them may still come. */
  readonly #evicted = new Map<number, number>();
  #undecided = 0;

  /** `windowPackets` 0: the SA's replay check is off, everything is sent (RFC 4303 section 3.4.3). */
  constructor(windowPackets: number, slots = UNSETTLED_SLOTS) {
    if (slots < 1 || (slots & (slots - 1)) !== 0) throw new RangeError('slots must be a power of two');
    this.#window = new ReplayWindow(windowPackets);
    this.#mask = slots - 1;
  }

  /** Numbers burnt because their target was lost; above 0 the SA should be rekeyed. */
  get undecided(): number {
    return this.#undecided;
  }

  /** Highest authenticated number that was reported. */
  get top(): bigint {
    return this.#window.top;
  }

  /** High half of a number of which the wire carries the low half (RFC 4303 appendix A2.2). */
  inferHigh(low: number): number {
    return this.#window.inferHigh(low);
  }

  /** The read-only pre-check (claim 9): false = `replay`. Changes nothing. */
  check(high: number, low: number): boolean {
    return this.#window.check(high, low);
  }

  /**
   * May this number go to `target` (a small index) under `dispatch` (ascending per target, from 1)? `KEEP`: it
   * is the target's now; otherwise the reason to drop. `source` names the outer address and port that it came from
   * (`OuterSources`), for `moved`. No allocation after the first call.
   */
  decide(high: number, low: number, target: number, dispatch: number, source = 0): Verdict {
    if (!this.#window.check(high, low)) return REPLAY;
    if (this.#window.packets === 0) return KEEP;
    this.#ring ??= new Ring(this.#mask + 1);
    const ring = this.#ring;
    const slot = low & this.#mask;
    const isSame = ring.low[slot] === low && ring.high[slot] === high;
    const owner = ring.owner[slot] as number;

    if (owner === BURNT) {
      if (isSame) return REPLAY;
      if (!this.#window.burn(ring.high[slot] as number, ring.low[slot] as number)) return CONFLICT;
    } else if (owner !== FREE && !this.#isSettled(owner, ring.dispatch[slot] as number)) {
      // Place for opening the packet here (steps 4 and 5): until then both kinds of conflict are dropped.
      if (
        isSame ? owner !== target : this.#window.check(ring.high[slot] as number, ring.low[slot] as number)
      ) {
        return CONFLICT;
      }
      // The window has passed the other number: it is refused without its entry, which guards nothing any more.
      if (!isSame) this.#evicted.set(owner, (this.#evicted.get(owner) ?? 0) + 1);
    }
    // Twice from two places: a target's word says nothing about which of them was genuine.
    const isDoubtful = isSame && owner === target && ring.source[slot] !== source;
    ring.source[slot] = isDoubtful ? 0 : source;
    ring.high[slot] = high;
    ring.low[slot] = low;
    ring.owner[slot] = target;
    ring.dispatch[slot] = dispatch;
    return KEEP;
  }

  /**
   * A report of `target`: numbers it committed (packed 64-bit big endian), and its floor: nothing dispatched
   * to it up to there will be delivered any more, and whatever of it was committed has been reported. Numbers
   * it was not given are not believed. The numbers are taken first, then the floor.
   */
  reported(target: number, numbers: Uint8Array, floor: number): ReportOutcome {
    if (this.#window.packets === 0) return { committed: numbers.byteLength >> 3, refused: 0 }; // nobody owns a number
    const view = new DataView(numbers.buffer, numbers.byteOffset, numbers.byteLength);
    let committed = 0;
    let refused = 0;
    for (let at = 0; at + 8 <= numbers.byteLength; at += 8) {
      if (this.#commit(view.getUint32(at), view.getUint32(at + 4), target)) committed++;
      else refused++;
    }
    if (floor > this.#floorOf(target)) this.#setFloor(target, floor);
    const late = refused === 0 ? 0 : Math.min(refused, this.#evicted.get(target) ?? 0);
    if (late > 0) this.#evicted.set(target, (this.#evicted.get(target) ?? 0) - late);
    return { committed, refused: refused - late };
  }

  /**
   * `target` says that the packet with this number was authenticated, and came from `source`, where the peer was not
   * before. Its report of the number must come later. Changes nothing.
   *
   * ```
   *   number not given to this target, or from elsewhere ... refused (`coupling-not-granted`)
   *   some target has reported this number or a higher one .. late: the peer may have moved on since
   *   sent from two places, the check is off ................ late: not known
   * ```
   */
  moved(high: number, low: number, target: number, source: number): 'moved' | 'late' | 'refused' {
    const ring = this.#ring;
    if (this.#window.packets === 0 || ring === undefined)
      return this.#window.packets === 0 ? 'late' : 'refused';
    if (!this.#window.check(high, low)) return 'late';
    const slot = low & this.#mask;
    if (!this.#isOwner(high, low, target)) return 'refused';
    if (ring.source[slot] === 0) return 'late';
    if (ring.source[slot] !== source) return 'refused';
    const { topHigh, topLow } = this.#window;
    return high > topHigh || (high === topHigh && low > topLow) ? 'moved' : 'late';
  }

  /**
   * The target is lost (its session, or its life): what it had and did not report is burnt. Returns how
   * many; more than 0: count `replay-undecided` and rekey. The index may be used again afterwards.
   */
  targetLost(target: number): number {
    let burnt = 0;
    const ring = this.#ring;
    if (ring !== undefined) {
      for (let slot = 0; slot <= this.#mask; slot++) {
        if (ring.owner[slot] !== target) continue;
        const isSettled = this.#isSettled(target, ring.dispatch[slot] as number);
        ring.owner[slot] = isSettled ? FREE : BURNT;
        if (!isSettled) burnt++;
      }
    }
    this.#setFloor(target, 0);
    this.#evicted.delete(target);
    this.#undecided += burnt;
    return burnt;
  }

  /**
   * The window a joining target starts with: everything reported is marked, and everything burnt up to the
   * top. Burnt numbers beyond the top stay refused here, which is in front of every target.
   */
  snapshot(): ReplaySnapshot {
    const ring = this.#ring;
    if (ring !== undefined) {
      for (let slot = 0; slot <= this.#mask; slot++) {
        if (ring.owner[slot] !== BURNT) continue;
        if (this.#window.burn(ring.high[slot] as number, ring.low[slot] as number)) ring.owner[slot] = FREE;
      }
    }
    return this.#window.snapshot();
  }

  /**
   * After a restart of the routing agent: takes in the window of a target that has fenced the old epoch, so
   * that nothing of it is still on its way. Dispatch resumes when all have answered.
   */
  merge(snapshot: ReplaySnapshot): void {
    if (this.#window.packets === 0) return;
    this.#window.restore(mergeSnapshots(this.#window.snapshot(), snapshot));
  }

  #commit(high: number, low: number, target: number): boolean {
    if (this.#ring === undefined || !this.#isOwner(high, low, target)) return false;
    this.#ring.owner[low & this.#mask] = FREE;
    // False if the window has passed the number meanwhile; then it is refused anyway.
    this.#window.commit(high, low);
    return true;
  }

  /** The number was given to this target and is not settled yet. */
  #isOwner(high: number, low: number, target: number): boolean {
    const ring = this.#ring;
    const slot = low & this.#mask;
    if (ring?.owner[slot] !== target || ring.low[slot] !== low || ring.high[slot] !== high) return false;
    return !this.#isSettled(target, ring.dispatch[slot] as number);
  }

  #isSettled(target: number, dispatch: number): boolean {
    return dispatch <= this.#floorOf(target);
  }

  #floorOf(target: number): number {
    return this.#floors[target] ?? 0;
  }

  #setFloor(target: number, floor: number): void {
    if (target >= this.#floors.length) {
      if (floor === 0) return;
      const grown = new Float64Array(Math.max(target + 1, 8, this.#floors.length * 2));
      grown.set(this.#floors);
      this.#floors = grown;
    }
    this.#floors[target] = floor;
  }
}

/** Parallel arrays of the unsettled numbers; the place of a number is its low bits. */
class Ring {
  readonly high: Uint32Array;
  readonly low: Uint32Array;
  readonly owner: Int32Array;
  readonly dispatch: Float64Array;
  readonly source: Float64Array;

  constructor(slots: number) {
    this.high = new Uint32Array(slots);
    this.low = new Uint32Array(slots);
    this.owner = new Int32Array(slots).fill(FREE);
    this.dispatch = new Float64Array(slots);
    this.source = new Float64Array(slots);
  }
}

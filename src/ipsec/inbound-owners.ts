import { KEEP, OPEN_HERE, type Verdict, verdictOf } from '../base/verdict.ts';
import { mergeSnapshots, type ReplaySnapshot } from './replay-snapshot.ts';
import { ReplayWindow } from './replay-window.ts';
import { BURNT, FREE, RingPool, type UnsettledRing } from './unsettled-ring.ts';

const REPLAY = verdictOf('replay');

/** What a replay report of a target did. */
export interface ReportOutcome {
  readonly committed: number;
  /** Numbers that this target was not given: not believed (`coupling-not-granted`). */
  readonly refused: number;
}

/** What is to be done with a packet whose ICV proved right on the routing host. */
export type OpenedOutcome =
  /** Its number is spent now, and this is the one copy: deliver it as committed. */
  | { readonly kind: 'deliver' }
  | { readonly kind: 'replay' }
  /** `owner` was given another copy and may have delivered it: hold this one and ask (`claimAnswered`). */
  | { readonly kind: 'claim'; readonly owner: number };

const DELIVER: OpenedOutcome = { kind: 'deliver' };
const REPLAYED: OpenedOutcome = { kind: 'replay' };

/** A number that its owner was asked to give up. */
interface Claim {
  readonly high: number;
  readonly low: number;
  readonly owner: number;
  /** The owner reported it after it was asked: it had been delivered by then. */
  isReported: boolean;
}

/**
 * The routing host's view of one inbound SA (docs/inbound.md): which numbers are spent, and which target
 * has a number that is not settled yet. Window and top are fed by authentication alone (RFC 4303 section 3.4.3): by
 * the targets' replay reports, and by what was opened here. A packet merely passing by changes only the ring
 * of unsettled numbers, where an entry is never overwritten by another number as long as the window would take its own.
 *
 * ```
 *   number s, chosen target t     window refuses s ............................ replay
 *                                 slot free ................................... send; slot := {s, t, dispatch}
 *                                 slot has s at t ............................. send again (its window decides)
 *                                 slot has s, and its owner was asked for it .. replay: a copy waits already
 *                                 slot has s at another target, or another
 *                                 unsettled number that the window takes,
 *                                 or there is no ring ......................... open here, then `opened`
 *   opened here                   slot has s unsettled ........................ claim it from its owner
 *                                 else ........................................ commit, deliver
 * ```
 *
 * A slot is settled by a report that lists its number, by a report whose floor has reached its dispatch
 * (the target will not deliver it any more: bad ICV, or lost), by the answer to a claim, or by the loss of the target: then the
 * number is burnt, because nobody knows whether it was delivered.
 */
export class InboundOwners {
  readonly #window: ReplayWindow;
  readonly #mask: number;
  readonly #pool: RingPool;
  /** Taken with the first packet: most SAs of a quiet cluster have none. */
  #ring: UnsettledRing | undefined;
  /** By slot of the ring, which holds nothing else until the answer. */
  readonly #claims = new Map<number, Claim>();
  #isUsed = false;
  /** Per target index: dispatches of this SA up to here are settled. */
  #floors = new Float64Array(0);
  /** Per target: entries that made room for others while a report of them may still come. */
  readonly #evicted = new Map<number, number>();
  #undecided = 0;

  /** `windowPackets` 0: the SA's replay check is off, everything is sent (RFC 4303 section 3.4.3). */
  constructor(windowPackets: number, pool = new RingPool()) {
    this.#window = new ReplayWindow(windowPackets);
    this.#pool = pool;
    this.#mask = pool.slots - 1;
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
   * is the target's now; `OPEN_HERE`: open the packet on this host, then ask `opened`; otherwise the reason to drop. `source`
   * names the outer address and port that it came from (`OuterSources`), for `moved`. No allocation after the first call.
   */
  decide(high: number, low: number, target: number, dispatch: number, source = 0): Verdict {
    const verdict = this.preview(high, low, target);
    if (this.#window.packets === 0 || verdict === REPLAY) return verdict;
    if (this.#ring !== undefined) this.#isUsed = true;
    if (verdict !== KEEP) return verdict;
    this.#ring ??= this.#pool.take() as UnsettledRing; // there is one, or it were `OPEN_HERE`
    const ring = this.#ring;
    this.#isUsed = true;
    const slot = low & this.#mask;
    const isSame = ring.low[slot] === low && ring.high[slot] === high;
    const owner = ring.owner[slot] as number;
    if (owner === BURNT) {
      this.#window.burn(ring.high[slot] as number, ring.low[slot] as number);
    } else if (!isSame && owner !== FREE && !this.#isSettled(owner, ring.dispatch[slot] as number)) {
      // The window has passed the other number: it is refused without its entry, which guards nothing any more.
      this.#evicted.set(owner, (this.#evicted.get(owner) ?? 0) + 1);
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

  /** What `decide` would say; nothing changes. */
  preview(high: number, low: number, target: number): Verdict {
    if (!this.#window.check(high, low)) return REPLAY;
    if (this.#window.packets === 0) return KEEP;
    const ring = this.#ring;
    if (ring === undefined) return this.#pool.isExhausted ? OPEN_HERE : KEEP;
    const slot = low & this.#mask;
    const isSame = ring.low[slot] === low && ring.high[slot] === high;
    const owner = ring.owner[slot] as number;
    if (this.#claims.size > 0 && this.#claims.has(slot)) return isSame ? REPLAY : OPEN_HERE;
    if (owner === BURNT) {
      if (isSame) return REPLAY;
      return this.#window.isBeyondTop(ring.high[slot] as number, ring.low[slot] as number) ? OPEN_HERE : KEEP;
    }
    if (owner === FREE || this.#isSettled(owner, ring.dispatch[slot] as number)) return KEEP;
    const isTaken = isSame
      ? owner !== target
      : this.#window.check(ring.high[slot] as number, ring.low[slot] as number);
    return isTaken ? OPEN_HERE : KEEP;
  }

  /** A target was given the number, and may have delivered it: `opened` would claim it, or has. */
  isOwned(high: number, low: number): boolean {
    const ring = this.#ring;
    const slot = low & this.#mask;
    if (ring === undefined || ring.low[slot] !== low || ring.high[slot] !== high) return false;
    const owner = ring.owner[slot] as number;
    return owner >= 0 && this.#isOwner(high, low, owner);
  }

  /** A packet with this number was opened on this host, and its ICV is right. */
  opened(high: number, low: number): OpenedOutcome {
    if (!this.#window.check(high, low)) return REPLAYED;
    if (this.#window.packets === 0) return DELIVER;
    const ring = this.#ring;
    const slot = low & this.#mask;
    if (ring !== undefined && ring.low[slot] === low && ring.high[slot] === high) {
      const owner = ring.owner[slot] as number;
      if (owner === BURNT || this.#claims.has(slot)) return REPLAYED;
      if (owner !== FREE && !this.#isSettled(owner, ring.dispatch[slot] as number)) {
        this.#claims.set(slot, { high, low, owner, isReported: false });
        return { kind: 'claim', owner };
      }
      ring.owner[slot] = FREE;
    }
    this.#window.commit(high, low);
    return DELIVER;
  }

  /**
   * The owner's answer to a claim. `isGiven`: it has not delivered the number and never will. `deliver`: the number is spent now, for
   * the copy that waits. `refused`: nobody asked it, or it says that it gave up what it had reported (`coupling-not-granted`).
   */
  claimAnswered(
    high: number,
    low: number,
    target: number,
    isGiven: boolean,
  ): 'deliver' | 'replay' | 'refused' {
    const slot = low & this.#mask;
    const claim = this.#claims.get(slot);
    if (claim?.owner !== target || claim.high !== high || claim.low !== low) return 'refused';
    this.#claims.delete(slot);
    const ring = this.#ring as UnsettledRing;
    // Not given: its report says so, or comes still. Until then the number stays its own.
    if (!isGiven && !claim.isReported) return 'replay';
    ring.owner[slot] = FREE;
    if (claim.isReported) return isGiven ? 'refused' : 'replay';
    return this.#window.commit(high, low) ? 'deliver' : 'replay';
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
        // Who was asked for a number and did not answer may have delivered it, whatever its floor said.
        const claim = this.#claims.get(slot);
        this.#claims.delete(slot);
        const isOpen =
          claim === undefined ? !this.#isSettled(target, ring.dispatch[slot] as number) : !claim.isReported;
        ring.owner[slot] = isOpen ? BURNT : FREE;
        if (isOpen) burnt++;
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

  /** Gives the ring back if nothing was dispatched since the last call and nothing in it is open. Call it about once a second. */
  releaseIfIdle(): void {
    const ring = this.#ring;
    const wasUsed = this.#isUsed;
    this.#isUsed = false;
    if (ring === undefined || wasUsed || this.#claims.size > 0) return;
    for (let slot = 0; slot <= this.#mask; slot++) {
      const owner = ring.owner[slot] as number;
      if (owner === FREE) continue;
      if (owner === BURNT) {
        if (!this.#window.burn(ring.high[slot] as number, ring.low[slot] as number)) return;
      } else if (!this.#isSettled(owner, ring.dispatch[slot] as number)) return;
    }
    this.close();
  }

  /** The SA is gone. */
  close(): void {
    if (this.#ring !== undefined) this.#pool.give(this.#ring);
    this.#ring = undefined;
    this.#claims.clear();
  }

  #commit(high: number, low: number, target: number): boolean {
    const ring = this.#ring;
    if (ring === undefined || !this.#isOwner(high, low, target)) return false;
    const slot = low & this.#mask;
    const claim = this.#claims.get(slot);
    if (claim?.isReported === true) return false;
    if (claim === undefined) ring.owner[slot] = FREE;
    else claim.isReported = true;
    // False if the window has passed the number meanwhile; then it is refused anyway.
    this.#window.commit(high, low);
    return true;
  }

  /** The number was given to this target and is not settled yet. */
  #isOwner(high: number, low: number, target: number): boolean {
    const ring = this.#ring;
    const slot = low & this.#mask;
    if (ring?.owner[slot] !== target || ring.low[slot] !== low || ring.high[slot] !== high) return false;
    return this.#claims.has(slot) || !this.#isSettled(target, ring.dispatch[slot] as number);
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

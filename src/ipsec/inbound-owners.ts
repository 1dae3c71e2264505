import { KEEP, OPEN_HERE, type Verdict, verdictOf } from '../base/verdict.ts';
import { DELIVER, type OpenedOutcome, REPLAYED, type ReportOutcome } from './inbound-outcomes.ts';
import { countNumbers, type NumberRange, rangesOf, readRange } from './number-ranges.ts';
import { mergeSnapshots, type ReplaySnapshot } from './replay-snapshot.ts';
import { ReplayWindow } from './replay-window.ts';
import { settleRun } from './settle-run.ts';
import { BURNT, FREE, RingPool, type UnsettledRing } from './unsettled-ring.ts';

const REPLAY = verdictOf('replay');
/** Most SAs never have a floor, a claim or an eviction: what they would be kept in is made with the first. */
const NO_FLOORS = new Float64Array(0);
/** Of a report, while it is read. */
const range: NumberRange = { high: 0, low: 0, count: 0 };

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
 *                                 slot has another unsettled number that the
 *                                 window takes ................................ a larger ring
 *                                 slot has s at another target, or there is
 *                                 no (larger) ring ............................ open here, then `opened`
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
  readonly #pool: RingPool;
  /** Taken with the first packet: most SAs of a quiet cluster have none. */
  #ring: UnsettledRing | undefined;
  /** By slot of the ring, which holds nothing else until the answer; undefined: there were none yet. */
  #claims: Map<number, Claim> | undefined;
  #isUsed = false;
  /** Per target index: dispatches of this SA up to here are settled. */
  #floors = NO_FLOORS;
  /** Per target: entries that made room for others while a report of them may still come. */
  #evicted: Map<number, number> | undefined;
  #undecided = 0;

  /** `windowPackets` 0: the SA's replay check is off, everything is sent (RFC 4303 section 3.4.3). */
  constructor(windowPackets: number, pool = new RingPool()) {
    this.#window = new ReplayWindow(windowPackets);
    this.#pool = pool;
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
    const ring = this.#ring;
    const isPlain = ring?.ownerAt(ring.slotOf(low)) === FREE && this.#claims === undefined;
    if (!isPlain || !this.#window.check(high, low)) return this.#decide(high, low, target, dispatch, source);
    this.#isUsed = true;
    ring.put(ring.slotOf(low), high, low, target, dispatch, source);
    return KEEP;
  }

  /** The same wherever the place of the number is not just free. */
  #decide(high: number, low: number, target: number, dispatch: number, source: number): Verdict {
    const verdict = this.preview(high, low, target);
    if (this.#window.packets === 0 || verdict === REPLAY) return verdict;
    if (this.#ring !== undefined) this.#isUsed = true;
    if (verdict !== KEEP) return verdict;
    const ring = this.#ringFor(high, low, target);
    this.#isUsed = true;
    const slot = ring.slotOf(low);
    const isSame = ring.holds(slot, high, low);
    const owner = ring.ownerAt(slot);
    if (owner === BURNT) {
      this.#window.burn(ring.highAt(slot), ring.lowAt(slot));
    } else if (!isSame && owner !== FREE && !this.#isSettled(owner, ring.dispatchAt(slot))) {
      // The window has passed the other number: it is refused without its entry, which guards nothing any more.
      this.#evicted ??= new Map();
      this.#evicted.set(owner, (this.#evicted.get(owner) ?? 0) + 1);
    }
    // Twice from two places: a target's word says nothing about which of them was genuine.
    const isDoubtful = isSame && owner === target && ring.sourceAt(slot) !== source;
    ring.put(slot, high, low, target, dispatch, isDoubtful ? 0 : source);
    return KEEP;
  }

  /** What `decide` would say; nothing changes. */
  preview(high: number, low: number, target: number): Verdict {
    if (!this.#window.check(high, low)) return REPLAY;
    if (this.#window.packets === 0) return KEEP;
    const ring = this.#ring;
    if (ring === undefined) return this.#pool.isExhausted ? OPEN_HERE : KEEP;
    const slot = ring.slotOf(low);
    const isSame = ring.holds(slot, high, low);
    if (isSame && this.#claimAt(slot) !== undefined) return REPLAY;
    if (!this.#isTaken(ring, slot, high, low, target)) return KEEP;
    if (isSame) return ring.ownerAt(slot) === BURNT ? REPLAY : OPEN_HERE;
    return this.#pool.mayGrow(ring, low, ring.lowAt(slot)) ? KEEP : OPEN_HERE;
  }

  /** The place of the number is another's, or its own already: with another target, or burnt. */
  #isTaken(ring: UnsettledRing, slot: number, high: number, low: number, target: number): boolean {
    const isSame = ring.holds(slot, high, low);
    const owner = ring.ownerAt(slot);
    if (this.#claimAt(slot) !== undefined) return true;
    if (owner === BURNT) return isSame || this.#window.isBeyondTop(ring.highAt(slot), ring.lowAt(slot));
    if (owner === FREE || this.#isSettled(owner, ring.dispatchAt(slot))) return false;
    return isSame ? owner !== target : this.#window.check(ring.highAt(slot), ring.lowAt(slot));
  }

  /** Where the number has, or can be given, a place: `preview` said so. */
  #ringFor(high: number, low: number, target: number): UnsettledRing {
    this.#ring ??= this.#pool.take() as UnsettledRing; // there is one, or it were `OPEN_HERE`
    const slot = this.#ring.slotOf(low);
    // What asks is that the place is another's, or a number is sent again: both are rare.
    const isFresh = this.#ring.ownerAt(slot) === FREE && this.#claims === undefined;
    if (!isFresh && this.#isTaken(this.#ring, slot, high, low, target)) {
      const ring = this.#pool.grow(this.#ring, low, this.#ring.lowAt(slot));
      this.#ring = ring;
      if (this.#claims !== undefined)
        this.#claims = new Map([...this.#claims.values()].map((claim) => [ring.slotOf(claim.low), claim]));
    }
    return this.#ring;
  }

  /** A target was given the number, and may have delivered it: `opened` would claim it, or has. */
  isOwned(high: number, low: number): boolean {
    const ring = this.#ring;
    if (ring === undefined || !ring.holds(ring.slotOf(low), high, low)) return false;
    const owner = ring.ownerAt(ring.slotOf(low));
    return owner >= 0 && this.#isOwner(high, low, owner);
  }

  /** A packet with this number was opened on this host, and its ICV is right. */
  opened(high: number, low: number): OpenedOutcome {
    if (!this.#window.check(high, low)) return REPLAYED;
    if (this.#window.packets === 0) return DELIVER;
    const ring = this.#ring;
    if (ring !== undefined && ring.holds(ring.slotOf(low), high, low)) {
      const slot = ring.slotOf(low);
      const owner = ring.ownerAt(slot);
      if (owner === BURNT || this.#claimAt(slot) !== undefined) return REPLAYED;
      if (owner !== FREE && !this.#isSettled(owner, ring.dispatchAt(slot))) {
        this.#claims ??= new Map();
        this.#claims.set(slot, { high, low, owner, isReported: false });
        return { kind: 'claim', owner };
      }
      ring.setOwner(slot, FREE);
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
    const ring = this.#ring;
    if (ring === undefined) return 'refused';
    const slot = ring.slotOf(low);
    const claim = this.#claimAt(slot);
    if (claim?.owner !== target || claim.high !== high || claim.low !== low) return 'refused';
    this.#claims?.delete(slot);
    // Not given: its report says so, or comes still. Until then the number stays its own.
    if (!isGiven && !claim.isReported) return 'replay';
    ring.setOwner(slot, FREE);
    if (claim.isReported) return isGiven ? 'refused' : 'replay';
    // It came in time, and nobody else could have the number since: what the window has passed meanwhile it refuses to everybody else.
    const isSpentNow = this.#window.commit(high, low) || this.#window.hasPassed(high, low);
    return isSpentNow ? 'deliver' : 'replay';
  }

  /**
   * A report of `target`: numbers it committed (`number-ranges.ts`), and its floor: nothing dispatched
   * to it up to there will be delivered any more, and whatever of it was committed has been reported. Numbers
   * it was not given are not believed. The numbers are taken first, then the floor.
   */
  reported(target: number, numbers: Uint8Array, floor: number): ReportOutcome {
    // Nobody owns a number.
    if (this.#window.packets === 0) return { committed: countNumbers(numbers) ?? 0, refused: 0 };
    let committed = 0;
    let refused = 0;
    for (let i = 0; i < rangesOf(numbers); i++) {
      readRange(numbers, i, range);
      const { count } = range;
      const believed = this.#commitRange(range.high, range.low, count, target);
      committed += believed;
      refused += count - believed;
    }
    if (floor > this.#floorOf(target)) this.#setFloor(target, floor);
    const evicted = this.#evicted?.get(target) ?? 0;
    const late = Math.min(refused, evicted);
    if (late > 0) this.#evicted?.set(target, evicted - late);
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
    if (!this.#isOwner(high, low, target)) return 'refused';
    const known = ring.sourceAt(ring.slotOf(low));
    if (known === 0) return 'late';
    if (known !== source) return 'refused';
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
      for (let slot = 0; slot < ring.slots; slot++) {
        if (ring.ownerAt(slot) !== target) continue;
        // Who was asked for a number and did not answer may have delivered it, whatever its floor said.
        const claim = this.#claimAt(slot);
        this.#claims?.delete(slot);
        const isOpen =
          claim === undefined ? !this.#isSettled(target, ring.dispatchAt(slot)) : !claim.isReported;
        ring.setOwner(slot, isOpen ? BURNT : FREE);
        if (isOpen) burnt++;
      }
    }
    this.#setFloor(target, 0);
    this.#evicted?.delete(target);
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
      for (let slot = 0; slot < ring.slots; slot++) {
        if (ring.ownerAt(slot) !== BURNT) continue;
        if (this.#window.burn(ring.highAt(slot), ring.lowAt(slot))) ring.setOwner(slot, FREE);
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
    if (ring === undefined || wasUsed || (this.#claims?.size ?? 0) > 0) return;
    for (let slot = 0; slot < ring.slots; slot++) {
      const owner = ring.ownerAt(slot);
      if (owner === FREE) continue;
      if (owner === BURNT) {
        if (!this.#window.burn(ring.highAt(slot), ring.lowAt(slot))) return;
      } else if (!this.#isSettled(owner, ring.dispatchAt(slot))) return;
    }
    this.close();
  }

  /** The SA is gone. */
  close(): void {
    if (this.#ring !== undefined) this.#pool.give(this.#ring);
    this.#ring = undefined;
    this.#claims = undefined;
  }

  /** How many of the numbers were this target's to commit. */
  #commitRange(high: number, low: number, count: number, target: number): number {
    const ring = this.#ring;
    if (ring === undefined) return 0;
    const claims = this.#claims?.size ?? 0;
    if (claims === 0) return settleRun(ring, this.#window, high, low, count, target, this.#floorOf(target));
    let committed = 0;
    for (let n = 0; n < count; n++) if (this.#commit(high, low + n, target)) committed++;
    return committed;
  }

  /** Where numbers are claimed. */
  #commit(high: number, low: number, target: number): boolean {
    const ring = this.#ring;
    if (ring === undefined || !this.#isOwner(high, low, target)) return false;
    const slot = ring.slotOf(low);
    const claim = this.#claimAt(slot);
    if (claim?.isReported === true) return false;
    if (claim === undefined) ring.setOwner(slot, FREE);
    else claim.isReported = true;
    // False if the window has passed the number meanwhile; then it is refused anyway.
    this.#window.commit(high, low);
    return true;
  }

  /** The number was given to this target and is not settled yet. */
  #isOwner(high: number, low: number, target: number): boolean {
    const ring = this.#ring;
    if (ring === undefined) return false;
    const slot = ring.slotOf(low);
    if (ring.ownerAt(slot) !== target || !ring.holds(slot, high, low)) return false;
    return this.#claimAt(slot) !== undefined || !this.#isSettled(target, ring.dispatchAt(slot));
  }

  #claimAt(slot: number): Claim | undefined {
    return this.#claims?.get(slot);
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

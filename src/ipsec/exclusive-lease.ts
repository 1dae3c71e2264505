import {
  LEASE_MARGIN_MS,
  LEASE_MAX_GROWTH,
  LEASE_MAX_NUMBERS,
  LEASE_MIN_NUMBERS,
  LEASE_TTL_MS,
} from './numbering-constants.ts';
import type { NumberingMarks } from './numbering-marks.ts';

/** The one lease that may exist on an SA: numbers `first` .. `end - 1`, contiguous, growing at the end. */
export interface Lease {
  readonly id: number;
  readonly target: string;
  readonly incarnation: bigint;
  readonly first: number;
  readonly end: number;
  /** When its holder has certainly stopped using it. */
  readonly expiresAt: number;
}

/** What one grant adds: a new lease, or a piece at the end of the one that is held, and a new life for the whole. */
export interface Grant {
  readonly lease: number;
  readonly first: number;
  readonly count: number;
}

/** Lease ids of consecutive lives of the routing agent differ, so a late record of an old life means nothing. */
const IDS_PER_LIFE = 2 ** 20;
const LIVES = 2 ** 11;

/**
 * Book of the exclusive lease. While a lease is held it reaches up to the next number of the marks
 * (nobody else takes numbers), so a renewal is contiguous and a return leaves no hole: the peer sees
 * no jump as long as leases are returned.
 */
export class ExclusiveLease {
  #held: Lease | undefined;
  #nextId: number;
  #last = { target: '', count: 0 };
  #expired = 0;

  constructor(epoch: number) {
    this.#nextId = (epoch % LIVES) * IDS_PER_LIFE + 1;
  }

  get held(): Lease | undefined {
    return this.#held;
  }

  /** Leases that were never returned, so that their rest was burnt. */
  get expiredCount(): number {
    return this.#expired;
  }

  /**
   * Grants about `wanted` numbers. Undefined if somebody else (an older incarnation too) holds the lease,
   * or the marks have too few numbers: ask again when they have.
   */
  grant(
    target: string,
    incarnation: bigint,
    wanted: number,
    marks: NumberingMarks,
    now: number,
  ): Grant | undefined {
    const held = this.#held;
    if (held !== undefined && (held.target !== target || held.incarnation !== incarnation)) return undefined;
    const lastCount = this.#last.target === target ? this.#last.count : 0;
    const most = Math.min(Math.max(LEASE_MIN_NUMBERS, lastCount * LEASE_MAX_GROWTH), LEASE_MAX_NUMBERS);
    const least = held === undefined ? LEASE_MIN_NUMBERS : 1;
    // A short rest of the stored numbers is better than a wait for the store.
    const count = Math.min(Math.max(wanted, least), most, Math.max(marks.sequenceRoom, least));
    const first = marks.takeSequence(count);
    if (first < 0) return undefined;

    this.#held = {
      id: held?.id ?? this.#nextId++,
      target,
      incarnation,
      first: held?.first ?? first,
      end: first + count,
      expiresAt: now + LEASE_TTL_MS + LEASE_MARGIN_MS,
    };
    if (count >= LEASE_MIN_NUMBERS || lastCount === 0) this.#last = { target, count };
    return { lease: this.#held.id, first, count };
  }

  /**
   * The holder gives the lease back and will use nothing from `firstUnused` on. Returns the number of
   * used ones, or undefined if it does not hold such a lease: believe nothing of it.
   */
  giveBack(
    target: string,
    incarnation: bigint,
    lease: number,
    firstUnused: bigint,
    marks: NumberingMarks,
  ): number | undefined {
    const held = this.#held;
    if (held?.id !== lease || held.target !== target || held.incarnation !== incarnation) return undefined;
    if (firstUnused < BigInt(held.first) || firstUnused > BigInt(held.end)) return undefined;
    this.#held = undefined;
    marks.giveBack(Number(firstUnused));
    return Number(firstUnused) - held.first;
  }

  /** Burns a lease whose time is over; returns it. */
  expire(now: number): Lease | undefined {
    const held = this.#held;
    if (held === undefined || now < held.expiresAt) return undefined;
    this.#held = undefined;
    this.#expired++;
    return held;
  }
}

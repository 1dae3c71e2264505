import { Outbox } from '../base/outbox.ts';
import type { SendWay, SharedWay } from './numbering-actions.ts';
import {
  LEASE_MAX_NUMBERS,
  LEASE_MIN_NUMBERS,
  LEASE_TRAFFIC_MS,
  LEASE_TTL_MS,
  REQUEST_RETRY_MS,
} from './numbering-constants.ts';

/** `take` has no numbers now: queue the packets until a `resume` action (bounded; `queue-timeout`). */
export const TAKE_WAIT = -1;
/** `take` says: send the packets over the trusted link to the routing host, which numbers and seals them. */
export const TAKE_FUNNEL = -2;
/** `take` says: seal the packets for the stamp and send them to the routing host, which numbers them. */
export const TAKE_STAMP = -3;

export type HolderState = 'none' | 'asking' | SendWay;

/** What the holder wants done; the records of the same names, towards the routing host. */
export type HolderAction =
  | { readonly kind: 'lease-request'; readonly count: number }
  | { readonly kind: 'lease-return'; readonly lease: number; readonly firstUnused: bigint }
  | { readonly kind: 'flush'; readonly counter: bigint }
  /** Numbers have come, or the way has changed: try the queued packets again. */
  | { readonly kind: 'resume' };

interface HeldLease {
  readonly id: number;
  /** Next unused number, and the first that is not ours. */
  next: number;
  end: number;
  expiresAt: number;
}

/**
 * A target's numbering of one outbound SA. One object per (SA, sender id); it dies with the process,
 * and nothing needs to survive: a restarted target asks anew. After every input the caller carries
 * out `takeActions()` in order, and calls `tick` at `deadline()`.
 *
 * ```
 *   none --take--> asking --grant--> exclusive --returned (idle, TTL, revoke)--> none
 *     any --way stamping or funnel--> that --way exclusive (FLUSH, asks)--> asking
 * ```
 *
 * A lease is used in ascending order; it is given back at half its life if nothing was taken from it,
 * renewed if something was, and also when half of its numbers are used. Past its TTL nothing of it is
 * used any more. What is given back is only what can no longer be used here: after the last `sent`.
 */
export class NumberingHolder {
  #state: HolderState = 'none';
  #lease: HeldLease | undefined;
  /** A lease that goes back as soon as the last send call has returned. */
  #isReturning = false;
  /** Numbers taken whose send call has not returned. */
  #inFlight = 0;
  /** When the oldest unanswered request of this session was sent. */
  #askedAt: number | undefined;
  #retryAt = 0;
  #highestLease = -1;
  #renewAt = 0;
  #takenSinceAsking = 0;
  #measuredAt = 0;
  /** Numbers per `LEASE_TRAFFIC_MS`, as measured between requests. */
  #traffic = LEASE_MIN_NUMBERS;
  #isWaiting = false;
  #waitingCount = 0;
  readonly #actions = new Outbox<HolderAction>();

  get state(): HolderState {
    return this.#state;
  }

  /** What is to be done now, in order; empties the list. */
  takeActions(): readonly HolderAction[] {
    return this.#actions.take();
  }

  /** For views. */
  get lease(): Readonly<HeldLease> | undefined {
    return this.#lease;
  }

  /** Numbers that one `take` could get now. */
  available(now: number): number {
    const lease = this.#lease;
    return lease === undefined || this.#isReturning || now >= lease.expiresAt ? 0 : lease.end - lease.next;
  }

  /**
   * First of `count` consecutive numbers, or `TAKE_WAIT`, `TAKE_FUNNEL`, `TAKE_STAMP`. The caller seals and sends
   * each at most once and calls `sent(count, now)` when the send call has returned (or the packets were
   * dropped). Take `Math.min(queued, available(now))` to make use of a short rest. Allocates nothing
   * while numbers are there.
   */
  take(count: number, now: number): number {
    if (isShared(this.#state)) return this.#state === 'stamping' ? TAKE_STAMP : TAKE_FUNNEL;
    const lease = this.#lease;
    if (lease === undefined || this.available(now) < count) {
      this.#isWaiting = true;
      this.#waitingCount = count;
      this.#expire(now);
      this.#ask(now);
      return TAKE_WAIT;
    }
    const first = lease.next;
    lease.next += count;
    this.#inFlight += count;
    this.#takenSinceAsking += count;
    if (lease.end - lease.next < this.#traffic / 2) this.#ask(now);
    return first;
  }

  /** The send call for `count` taken numbers has returned. */
  sent(count: number, now: number): void {
    this.#inFlight = Math.max(0, this.#inFlight - count);
    this.#giveBack(now);
  }

  /**
   * Numbers from the owner. Refused (false) if they were not asked for, are of a lease
   * given up before, or do not continue the lease held (that one is given back then).
   */
  granted(lease: number, first: bigint, count: number, ttlMs: number, now: number): boolean {
    const askedAt = this.#askedAt;
    const held = this.#lease;
    if (askedAt === undefined || isShared(this.#state) || count < 1 || first < 1n) return false;
    const from = Number(first);
    if (!Number.isSafeInteger(from + count)) return false;
    if (held?.id === lease) {
      if (this.#isReturning) return false;
      if (held.end !== from) {
        // A grant before this one was lost with its session. Give back and start anew rather than jump.
        this.#askedAt = undefined;
        this.#isReturning = true;
        this.#giveBack(now);
        return false;
      }
      held.end = from + count;
      held.expiresAt = askedAt + ttlMs;
    } else {
      if (lease <= this.#highestLease || held !== undefined) return false;
      this.#highestLease = lease;
      this.#lease = { id: lease, next: from, end: from + count, expiresAt: askedAt + ttlMs };
    }
    this.#askedAt = undefined;
    this.#renewAt = askedAt + ttlMs - LEASE_TTL_MS / 2;
    this.#state = 'exclusive';
    this.#expire(now);
    this.#resume();
    return true;
  }

  /** The owner wants the lease back. Unknown leases were given back already. */
  revoked(lease: number, now: number): void {
    if (this.#lease?.id !== lease) return;
    this.#isReturning = true;
    this.#giveBack(now);
  }

  /** `linkCounter`: the last counter used on the shared way (0 = none yet): of the link on the funnel, of the IVs with stamping. */
  way(way: SendWay, linkCounter: bigint, now: number): void {
    if (isShared(way)) {
      this.#state = way;
      this.#askedAt = undefined;
      this.#isReturning = this.#lease !== undefined;
      this.#giveBack(now);
      this.#resume();
      return;
    }
    if (isShared(this.#state)) this.#state = 'none';
    this.#actions.push({ kind: 'flush', counter: linkCounter });
    this.#ask(now);
  }

  /**
   * A coupling session has begun. With the routing agent's same life the lease lives on; requests of the
   * old session are void. After a restart of it (`isNewEpoch`) the old lease and way are void too: what
   * is left of the lease is dropped, not returned, since the new owner never granted it.
   */
  sessionStarted(isNewEpoch: boolean, now: number): void {
    this.#askedAt = undefined;
    if (isNewEpoch) {
      this.#lease = undefined;
      this.#isReturning = false;
      this.#highestLease = -1;
      this.#state = 'none';
    } else if (this.#state === 'asking') this.#state = 'none';
    if (this.#isWaiting) this.#ask(now);
    this.#resume();
  }

  /** Renews, gives back, or drops at the end of its life. */
  tick(now: number): void {
    this.#expire(now);
    if (this.#askedAt !== undefined && this.#isWaiting && now >= this.#retryAt) this.#ask(now);
    if (this.#lease === undefined || this.#isReturning || this.#askedAt !== undefined || now < this.#renewAt)
      return;
    if (this.#takenSinceAsking > 0) this.#ask(now);
    else {
      this.#isReturning = true;
      this.#giveBack(now);
    }
  }

  /** When `tick` is due; Infinity if nothing waits for time. */
  deadline(): number {
    let at = Number.POSITIVE_INFINITY;
    const lease = this.#lease;
    if (lease !== undefined && !this.#isReturning) {
      at = this.#askedAt === undefined ? Math.min(this.#renewAt, lease.expiresAt) : lease.expiresAt;
    }
    if (this.#askedAt !== undefined && this.#isWaiting && !this.#isReturning)
      at = Math.min(at, this.#retryAt);
    return at;
  }

  #ask(now: number): void {
    if (this.#isReturning || (this.#askedAt !== undefined && now < this.#retryAt)) return;
    // A repeated request keeps the time of the first: the owner's answer may be to that one.
    this.#askedAt ??= now;
    this.#retryAt = now + REQUEST_RETRY_MS;
    if (this.#state === 'none') this.#state = 'asking';
    this.#measure(now);
    const rest = this.#lease === undefined ? 0 : this.#lease.end - this.#lease.next;
    const wanted = Math.max(this.#traffic, this.#waitingCount) - rest;
    const count = Math.min(Math.max(wanted, 1), LEASE_MAX_NUMBERS);
    this.#actions.push({ kind: 'lease-request', count });
  }

  /** Updates the estimate of 100 ms of traffic; at once upwards, slowly downwards. */
  #measure(now: number): void {
    const elapsed = Math.max(now - this.#measuredAt, 1);
    const measured = (this.#takenSinceAsking * LEASE_TRAFFIC_MS) / elapsed;
    const next = Math.max(measured, this.#traffic / 2, LEASE_MIN_NUMBERS);
    this.#traffic = Math.min(Math.ceil(next), LEASE_MAX_NUMBERS);
    this.#takenSinceAsking = 0;
    this.#measuredAt = now;
  }

  #expire(now: number): void {
    const lease = this.#lease;
    if (lease === undefined || now < lease.expiresAt) return;
    this.#isReturning = true;
    this.#giveBack(now);
  }

  #giveBack(now: number): void {
    const lease = this.#lease;
    if (lease === undefined || !this.#isReturning || this.#inFlight > 0) return;
    this.#lease = undefined;
    this.#isReturning = false;
    if (this.#state === 'exclusive') this.#state = this.#askedAt === undefined ? 'none' : 'asking';
    this.#actions.push({ kind: 'lease-return', lease: lease.id, firstUnused: BigInt(lease.next) });
    if (this.#isWaiting && !isShared(this.#state)) this.#ask(now);
  }

  #resume(): void {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    this.#waitingCount = 0;
    this.#actions.push({ kind: 'resume' });
  }
}

function isShared(state: HolderState): state is SharedWay {
  return state === 'stamping' || state === 'funnel';
}

import { Outbox } from '../base/outbox.ts';
import { LeaseDesk } from './lease-desk.ts';
import type {
  NumberingOwnerOptions,
  NumberingRekeyCause,
  OwnerAction,
  OwnerState,
  SharedWay,
} from './numbering-actions.ts';
import {
  ACTIVITY_MS,
  FLUSH_WAIT_MS,
  LEASE_MARGIN_MS,
  LEASE_TTL_MS,
  LINK_LOSS,
  LINK_SLACK,
  MOVE_TIMEOUT_MS,
  REKEY_SENDER_ID,
  REKEY_SEQUENCE,
  REKEY_SEQUENCE_ESN,
  REVIEW_MS,
  SILENCE_MS,
} from './numbering-constants.ts';
import { type Marks, NumberingMarks } from './numbering-marks.ts';
import { RekeyNeed } from './rekey-need.ts';
import { ROUTER, SendGate } from './send-gate.ts';
import { SenderBook } from './sender-book.ts';
import { IvCounter } from './sender-ids.ts';

/**
 * The routing host's numbering of one outbound SA: who may use which sequence number, and which
 * sender id. One object per SA; a rekeyed SA gets a new one. Pure: every input takes `now`
 * (monotonic ms), and after every input the caller carries out `takeActions()` and arms a timer for
 * `deadline()`, at which it calls `tick`.
 *
 * What holds whatever is lost, late or killed: a number is taken at most once, because at most one
 * lease exists, a dead lease is burnt whole, and a holder gives back only what it will never use.
 * A jump (burnt lease, restart) is followed by no packet before `SILENCE_MS` without traffic.
 */
export class NumberingOwner {
  readonly #marks: NumberingMarks | undefined;
  readonly #rekeyAt: number;
  readonly sharedWay: SharedWay;
  #allowsExclusive: boolean;
  readonly #isRestored: boolean;
  readonly #senders = new SenderBook();
  readonly #rekey = new RekeyNeed();
  #state: OwnerState;
  readonly #lease: LeaseDesk;
  readonly #gate: SendGate;
  #reviewAt = Number.POSITIVE_INFINITY;
  #isStarved = false;
  #iv: IvCounter | undefined;
  #starvedCount = 1;
  #now: number;
  readonly #actions = new Outbox<OwnerAction>();

  constructor(options: NumberingOwnerOptions) {
    const { origin, hasEsn, now, blocks } = options;
    this.#now = now;
    this.sharedWay = options.sharedWay;
    this.#allowsExclusive = options.allowsExclusive;
    this.#isRestored = origin === 'restored';
    this.#rekeyAt = hasEsn ? REKEY_SEQUENCE_ESN : REKEY_SEQUENCE;
    this.#marks =
      origin === 'new'
        ? NumberingMarks.forNewSa(hasEsn, blocks)
        : NumberingMarks.restore(options.marks, hasEsn, blocks);
    this.#state = { name: this.#marks === undefined ? 'blocked' : 'idle' };
    // Leases of the life before this one may still be used: everything waits until they are dead and silent.
    this.#gate = new SendGate(origin === 'new' ? now : now + LEASE_TTL_MS + LEASE_MARGIN_MS + SILENCE_MS);
    this.#iv = origin === 'new' && this.sharedWay === 'funnel' ? new IvCounter(0) : undefined;
    this.#lease = new LeaseDesk(options.epoch, this.#gate, this.#senders);
    this.#progress(now);
  }

  get state(): OwnerState {
    return this.#state;
  }

  /** The lowest number never handed out; for views. */
  get nextSequence(): number {
    return this.#marks?.nextSequence ?? 0;
  }

  /** What views read, and nobody changes. `expiredLeases`: never returned, so that their rest was burnt. */
  get books() {
    const { held: lease, expiredCount: expiredLeases } = this.#lease;
    return { marks: this.#marks, lease, expiredLeases, senders: this.#senders };
  }

  /** IVs of what the routing host itself seals: on the funnel only, and when its sender id is stored. */
  get iv(): IvCounter | undefined {
    return this.#iv;
  }

  /** The sender id that this target has now; undefined: it is no sender. */
  senderIdOf(target: string): number | undefined {
    return this.#senders.idOf(target);
  }

  /** What the target can have sealed in this incarnation, with what may be on its way to be stamped. Undefined: not known, of a restored SA. */
  numbersUsableBy(target: string): number | undefined {
    if (this.#isRestored) return undefined;
    const given = this.#senders.givenTo(target);
    return this.sharedWay === 'stamping' ? Math.floor(given * (1 + LINK_LOSS)) + LINK_SLACK : given;
  }

  /** What is to be done now, in order; empties the list. */
  takeActions(): readonly OwnerAction[] {
    return this.#actions.take();
  }

  /** A target incarnation may send on this SA; answered by a `sender-id` action, at once or when one is stored. */
  targetReady(target: string, incarnation: bigint, now: number): void {
    this.targetLost(target, now);
    this.#senders.ready(target, incarnation);
    this.#progress(now);
  }

  /** The coupling session is gone. Its lease lives on to its end: the target may not know yet. */
  targetLost(target: string, now: number): void {
    this.#senders.lost(target);
    const state = this.#state;
    if (state.name === 'drain-to-exclusive' && state.target === target) this.#enterShared(now);
    this.#progress(now);
  }

  /** As `targetLost`, and the target was told to remove the SA: its sender id dies with its counter. */
  targetRemoved(target: string, now: number): void {
    this.#senders.forgetId(target);
    this.targetLost(target, now);
  }

  /**
   * A target wants numbers (first or more). `count` is its own estimate of 100 ms of traffic.
   * False if the target is not one of this SA: refuse the record (`coupling-not-granted`).
   */
  leaseRequest(target: string, count: number, now: number): boolean {
    const peer = this.#senders.lookup(target);
    if (peer === undefined) return false;
    peer.lastActive = now;
    this.#senders.request(target, count, now);
    this.#progress(now);
    return true;
  }

  /**
   * The holder is done with a lease and will never use a number from `firstUnused` on. False if it was
   * not granted that lease (or it has expired here: then its rest is burnt already), nothing changes.
   */
  leaseReturn(target: string, lease: number, firstUnused: bigint, now: number): boolean {
    if (this.#marks === undefined) return false;
    this.#lease.expire(now);
    if (!this.#lease.giveBack(target, lease, firstUnused, this.#marks, now)) return false;
    this.#progress(now);
    return true;
  }

  /** The target has left the shared way; `counter` is the last one it used there (see `sharedArrived`). */
  flush(target: string, counter: bigint, now: number): boolean {
    const peer = this.#senders.lookup(target);
    if (peer === undefined) return false;
    const state = this.#state;
    if (state.name === 'drain-to-exclusive' && state.target === target && state.flushedAt === undefined) {
      peer.flushCounter = Number(counter);
      this.#state = { ...state, flushedAt: now };
    }
    this.#progress(now);
    return true;
  }

  /** Any link packet of the target, of whatever SA, was opened: its counter helps to see the end of a flush. */
  linkCounterSeen(target: string, counter: number, now: number): void {
    const peer = this.#senders.lookup(target);
    if (peer === undefined || counter <= peer.seenCounter) return;
    peer.seenCounter = counter;
    if (this.#state.name === 'drain-to-exclusive') this.#progress(now);
  }

  /**
   * A packet that the routing host shall number came over the link; call it before `takeNumbers`. `counter` ascends as the
   * target sends: of the link on the funnel, of its IVs with stamping. One from before a flush that was already answered
   * by a grant leads back to the shared way. False: it is a stranger's, drop it (`no-number`).
   */
  sharedArrived(target: string, counter: number, now: number): boolean {
    const peer = this.#senders.lookup(target);
    if (peer === undefined) return false;
    if (counter > peer.seenCounter) peer.seenCounter = counter;
    if (this.sharedWay === 'stamping') this.#senders.gave(target, 1);
    const state = this.#state;
    peer.lastActive = now;
    if (state.name === 'idle') this.#enterShared(now);
    else if (state.name === 'exclusive') this.#drainToShared(state.target, now);
    else if (state.name === 'drain-to-exclusive') {
      const isFlushing = state.target === target;
      if (!isFlushing || (state.flushedAt !== undefined && counter > peer.flushCounter))
        this.#enterShared(now);
    }
    // The last packet of a flush takes its number before the way changes: `takeNumbers` goes on from here.
    if (this.#state.name !== 'drain-to-exclusive') this.#progress(now);
    return true;
  }

  /**
   * First of `count` consecutive numbers for packets that the routing host stamps or seals, or -1: queue the
   * packets until `shared-open` (bounded; `queue-overflow`, `queue-timeout`). Each number taken must be
   * stamped or sealed, and sent, at most once, and in order.
   */
  takeNumbers(count: number, now: number): number {
    const first = this.#mayShare(now) ? (this.#marks?.takeSequence(count) ?? -1) : -1;
    if (first < 0) {
      this.#isStarved = true;
      this.#starvedCount = count;
    } else {
      this.#gate.sent(ROUTER, now);
    }
    this.#progress(now);
    return first;
  }

  /** The store has these marks. */
  storeDone(marks: Marks, now: number): void {
    this.#marks?.done(marks);
    this.#progress(now);
  }

  storeFailed(now: number): void {
    this.#marks?.failed(now);
    this.#progress(now);
  }

  /** Whether a target may send alone, from now on. If it may not, one that does goes over to the shared way. */
  allowExclusive(allows: boolean, now: number): void {
    this.#allowsExclusive = allows;
    if (!allows && this.#state.name === 'exclusive') this.#drainToShared(this.#state.target, now);
    else if (!allows && this.#state.name === 'drain-to-exclusive') this.#enterShared(now);
    this.#progress(now);
  }

  /** charon switched to another outbound SA: no more rekey is asked for. */
  replaced(): void {
    this.#rekey.settled();
  }

  tick(now: number): void {
    this.#progress(now);
  }

  /** When `tick` is due; Infinity if nothing waits for time. */
  deadline(): number {
    const state = this.#state;
    const due = [this.#marks?.writeAt ?? Infinity, this.#lease.held?.expiresAt ?? Infinity];
    if (this.#rekey.raised > 0) due.push(this.#rekey.nextAt);
    if (this.#senders.requests.size > 0 || this.#isStarved || state.name === 'drain-to-exclusive')
      due.push(...this.#gate.times);
    if (state.name === 'shared') due.push(this.#reviewAt);
    if (state.name === 'exclusive' && this.#lease.held === undefined) due.push(this.#idleAt(state.target));
    if (state.name === 'drain-to-exclusive')
      due.push(state.flushedAt === undefined ? state.giveUpAt : state.flushedAt + FLUSH_WAIT_MS);
    // What was due by the last input has been done in it; later it may be undone, but never overdue.
    return Math.min(...due.filter((at) => at > this.#now));
  }

  /** Everything that follows from the time and the inputs so far. Idempotent for one `now`. */
  #progress(now: number): void {
    this.#now = now;
    const marks = this.#marks;
    if (marks === undefined) {
      this.#raise('marks-lost', now);
      return;
    }
    this.#lease.expire(now);
    if (this.#iv === undefined && this.sharedWay === 'funnel') {
      const own = marks.takeSenderId();
      if (own >= 0) this.#iv = new IvCounter(own);
    }
    this.#senders.giveIds(marks, (target, incarnation, senderId) => {
      this.#actions.push({ kind: 'sender-id', target, incarnation, senderId });
    });
    this.#step(now);
    for (const target of this.#senders.requests.keys()) {
      // Who has no sender id yet (again) has an old one of another life, and keys of it.
      if (this.#senders.idOf(target) !== undefined) this.#serve(target, now);
    }
    if (this.#isStarved && this.#mayShare(now) && marks.sequenceRoom >= this.#starvedCount) {
      this.#isStarved = false;
      this.#actions.push({ kind: 'shared-open' });
    }
    const write = marks.write(now);
    if (write !== undefined) this.#actions.push({ kind: 'store-marks', marks: write });
    if (marks.nextSequence > this.#rekeyAt) this.#raise('numbers', now);
    else if (marks.nextSenderId > REKEY_SENDER_ID) this.#raise('sender-ids', now);
  }

  #raise(cause: NumberingRekeyCause, now: number): void {
    if (this.#rekey.raise(now)) this.#actions.push({ kind: 'rekey', cause });
  }

  /** Changes of state that time brings. */
  #step(now: number): void {
    const state = this.#state;
    if (state.name === 'drain-to-shared' && this.#lease.held === undefined) this.#enterShared(now);
    else if (
      state.name === 'exclusive' &&
      this.#lease.held === undefined &&
      now >= this.#idleAt(state.target)
    ) {
      this.#state = { name: 'idle' };
    } else if (state.name === 'shared' && now >= this.#reviewAt) this.#review(state.since, now);
    else if (state.name === 'drain-to-exclusive') this.#stepToExclusive(state, now);
  }

  #stepToExclusive(state: OwnerState & { name: 'drain-to-exclusive' }, now: number): void {
    if (state.flushedAt === undefined) {
      if (now >= state.giveUpAt) this.#enterShared(now);
      return;
    }
    const peer = this.#senders.lookup(state.target);
    const isDrained =
      peer === undefined || peer.seenCounter >= peer.flushCounter || now >= state.flushedAt + FLUSH_WAIT_MS;
    if (!isDrained || !this.#gate.isOpenFor(state.target, now)) return;
    this.#state = { name: 'exclusive', target: state.target };
    if (peer !== undefined) peer.lastActive = now;
  }

  /** Has the shared way one sender left, or none? */
  #review(since: number, now: number): void {
    this.#reviewAt = now + REVIEW_MS;
    if (this.#isStarved) return; // packets wait here
    const active = this.#senders.activeAfter(now - ACTIVITY_MS);
    if (now < since + ACTIVITY_MS || active.length > 1) return;
    const [target] = active;
    if (target === undefined) {
      this.#state = { name: 'idle' };
      return;
    }
    if (!this.#allowsExclusive) return;
    this.#state = { name: 'drain-to-exclusive', target, giveUpAt: now + MOVE_TIMEOUT_MS };
    this.#actions.push({ kind: 'way', target, way: 'exclusive' });
  }

  #idleAt(target: string): number {
    return (this.#senders.lookup(target)?.lastActive ?? Number.NEGATIVE_INFINITY) + ACTIVITY_MS;
  }

  #enterShared(now: number): void {
    const state = this.#state;
    if (state.name === 'drain-to-exclusive' && this.#senders.has(state.target)) {
      this.#actions.push({ kind: 'way', target: state.target, way: this.sharedWay });
    }
    this.#state = { name: 'shared', since: now };
    this.#reviewAt = now + REVIEW_MS;
  }

  /** Takes the exclusive way from its holder; the shared way opens when its lease is back or dead. */
  #drainToShared(holder: string, now: number): void {
    this.#state = { name: 'drain-to-shared' };
    if (this.#senders.has(holder)) {
      this.#senders.requests.delete(holder);
      this.#actions.push({ kind: 'way', target: holder, way: this.sharedWay });
      const lease = this.#lease.held;
      if (lease?.target === holder) this.#actions.push({ kind: 'revoke', target: holder, lease: lease.id });
    }
    if (this.#lease.held === undefined) this.#enterShared(now);
  }

  #serve(target: string, now: number): void {
    if (this.#state.name === 'idle') {
      if (!this.#allowsExclusive || this.#senders.requests.size > 1) this.#enterShared(now);
      else if (this.#grant(target, now)) this.#state = { name: 'exclusive', target };
      else return;
    }
    const state = this.#state;
    if (state.name === 'exclusive' && state.target === target) {
      this.#grant(target, now);
      return;
    }
    if (state.name === 'drain-to-exclusive') {
      if (state.target === target) return; // granted when drained
      this.#enterShared(now);
    }
    if (state.name === 'exclusive') this.#drainToShared(state.target, now);
    this.#senders.requests.delete(target);
    this.#actions.push({ kind: 'way', target, way: this.sharedWay });
  }

  /** False: not yet. */
  #grant(target: string, now: number): boolean {
    const grant = this.#marks === undefined ? undefined : this.#lease.grant(target, this.#marks, now);
    if (grant !== undefined) this.#actions.push(grant);
    return grant !== undefined;
  }

  #mayShare(now: number): boolean {
    const { name } = this.#state;
    if ((name !== 'shared' && name !== 'drain-to-exclusive') || this.#lease.held !== undefined) return false;
    return (this.sharedWay === 'stamping' || this.#iv !== undefined) && this.#gate.isOpenFor(ROUTER, now);
  }
}

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
  LEASE_MARGIN_MS,
  LEASE_TTL_MS,
  LINK_LOSS,
  LINK_SLACK,
  REKEY_SENDER_ID,
  REKEY_SEQUENCE,
  REKEY_SEQUENCE_ESN,
  SILENCE_MS,
} from './numbering-constants.ts';
import { type Marks, NumberingMarks } from './numbering-marks.ts';
import { RekeyNeed } from './rekey-need.ts';
import { ROUTER, SendGate } from './send-gate.ts';
import { SenderBook } from './sender-book.ts';
import { IvCounter } from './sender-ids.ts';
import { SendingWay } from './sending-way.ts';

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
  readonly #isRestored: boolean;
  readonly #senders = new SenderBook();
  readonly #rekey = new RekeyNeed();
  readonly #lease: LeaseDesk;
  readonly #gate: SendGate;
  readonly #way: SendingWay;
  #isStarved = false;
  #iv: IvCounter | undefined;
  #starvedCount = 1;
  #now: number;
  readonly #actions = new Outbox<OwnerAction>();

  constructor(options: NumberingOwnerOptions) {
    const { origin, hasEsn, now, blocks, sharedWay, allowsExclusive } = options;
    this.#now = now;
    this.#isRestored = origin === 'restored';
    this.#rekeyAt = hasEsn ? REKEY_SEQUENCE_ESN : REKEY_SEQUENCE;
    this.#marks =
      origin === 'new'
        ? NumberingMarks.forNewSa(hasEsn, blocks)
        : NumberingMarks.restore(options.marks, hasEsn, blocks);
    // Leases of the life before this one may still be used: everything waits until they are dead and silent.
    this.#gate = new SendGate(origin === 'new' ? now : now + LEASE_TTL_MS + LEASE_MARGIN_MS + SILENCE_MS);
    this.#iv = origin === 'new' && sharedWay === 'funnel' ? new IvCounter(0) : undefined;
    this.#lease = new LeaseDesk(options.epoch, this.#gate, this.#senders);
    this.#way = new SendingWay(sharedWay, allowsExclusive, {
      marks: this.#marks,
      senders: this.#senders,
      lease: this.#lease,
      gate: this.#gate,
      actions: this.#actions,
    });
    this.#progress(now);
  }

  get state(): OwnerState {
    return this.#way.state;
  }

  get sharedWay(): SharedWay {
    return this.#way.shared;
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
    this.#way.lost(target, now);
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
    this.#way.flushed(target, Number(counter), peer, now);
    this.#progress(now);
    return true;
  }

  /** Any link packet of the target, of whatever SA, was opened: its counter helps to see the end of a flush. */
  linkCounterSeen(target: string, counter: number, now: number): void {
    const peer = this.#senders.lookup(target);
    if (peer === undefined || counter <= peer.seenCounter) return;
    peer.seenCounter = counter;
    if (this.state.name === 'drain-to-exclusive') this.#progress(now);
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
    peer.lastActive = now;
    this.#way.arrived(target, counter, peer, now);
    // The last packet of a flush takes its number before the way changes: `takeNumbers` goes on from here.
    if (this.state.name !== 'drain-to-exclusive') this.#progress(now);
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
    this.#way.allowExclusive(allows, now);
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
    const due = [this.#marks?.writeAt ?? Infinity, this.#lease.held?.expiresAt ?? Infinity, this.#way.dueAt];
    if (this.#rekey.raised > 0) due.push(this.#rekey.nextAt);
    if (this.#senders.requests.size > 0 || this.#isStarved || this.state.name === 'drain-to-exclusive')
      due.push(...this.#gate.times);
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
    this.#way.step(now, this.#isStarved);
    for (const target of this.#senders.requests.keys()) {
      // Who has no sender id yet (again) has an old one of another life, and keys of it.
      if (this.#senders.idOf(target) !== undefined) this.#way.serve(target, now);
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

  #mayShare(now: number): boolean {
    const hasIvs = this.sharedWay === 'stamping' || this.#iv !== undefined;
    return this.#way.isShared && hasIvs && this.#gate.isOpenFor(ROUTER, now);
  }
}

import type { Outbox } from '../base/outbox.ts';
import type { LeaseDesk } from './lease-desk.ts';
import type { OwnerAction, OwnerState, SharedWay } from './numbering-actions.ts';
import { ACTIVITY_MS, FLUSH_WAIT_MS, MOVE_TIMEOUT_MS, REVIEW_MS } from './numbering-constants.ts';
import type { NumberingMarks } from './numbering-marks.ts';
import type { SendGate } from './send-gate.ts';
import type { Sender, SenderBook } from './sender-book.ts';

type Draining = OwnerState & { readonly name: 'drain-to-exclusive' };

/** What an SA's numbering has besides, and the way looks at or changes. */
export interface SendingWayParts {
  /** Undefined: lost, so the SA is blocked. */
  readonly marks: NumberingMarks | undefined;
  readonly senders: SenderBook;
  readonly lease: LeaseDesk;
  readonly gate: SendGate;
  readonly actions: Outbox<OwnerAction>;
}

/**
 * On which way the packets of one outbound SA get their numbers: the state table of `OwnerState`, with every arrow of it. A part of
 * `NumberingOwner`, which sees to numbers and sender ids; pure as that is.
 */
export class SendingWay {
  readonly shared: SharedWay;
  readonly #parts: SendingWayParts;
  #allowsExclusive: boolean;
  #state: OwnerState;
  #reviewAt = Number.POSITIVE_INFINITY;

  constructor(shared: SharedWay, allowsExclusive: boolean, parts: SendingWayParts) {
    this.shared = shared;
    this.#allowsExclusive = allowsExclusive;
    this.#parts = parts;
    this.#state = { name: parts.marks === undefined ? 'blocked' : 'idle' };
  }

  get state(): OwnerState {
    return this.#state;
  }

  /** Whether numbers are the routing host's to take: on the shared way, and until the last packet of a flush has its own. */
  get isShared(): boolean {
    const { name } = this.#state;
    return (name === 'shared' || name === 'drain-to-exclusive') && this.#parts.lease.held === undefined;
  }

  /** When `step` is due, as far as the way goes; Infinity if it waits for no time. */
  get dueAt(): number {
    const state = this.#state;
    switch (state.name) {
      case 'shared':
        return this.#reviewAt;
      case 'exclusive':
        return this.#parts.lease.held === undefined ? this.#idleAt(state.target) : Infinity;
      case 'drain-to-exclusive':
        return state.flushedAt === undefined ? state.giveUpAt : state.flushedAt + FLUSH_WAIT_MS;
      default:
        return Infinity;
    }
  }

  /** Changes of state that time brings. `isStarved`: packets wait on the routing host for numbers. */
  step(now: number, isStarved: boolean): void {
    const state = this.#state;
    const hasLease = this.#parts.lease.held !== undefined;
    if (state.name === 'drain-to-shared' && !hasLease) this.#enterShared(now);
    else if (state.name === 'exclusive' && !hasLease && now >= this.#idleAt(state.target)) {
      this.#state = { name: 'idle' };
    } else if (state.name === 'shared' && now >= this.#reviewAt) this.#review(state.since, now, isStarved);
    else if (state.name === 'drain-to-exclusive') this.#stepToExclusive(state, now);
  }

  /** A target with a sender id waits for numbers: it gets a lease, or hears of the shared way, or waits on. */
  serve(target: string, now: number): void {
    const { senders, actions } = this.#parts;
    if (this.#state.name === 'idle') {
      if (!this.#allowsExclusive || senders.requests.size > 1) this.#enterShared(now);
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
    senders.requests.delete(target);
    actions.push({ kind: 'way', target, way: this.shared });
  }

  /** A packet came that the routing host shall number. */
  arrived(target: string, counter: number, peer: Sender, now: number): void {
    const state = this.#state;
    if (state.name === 'idle') this.#enterShared(now);
    else if (state.name === 'exclusive') this.#drainToShared(state.target, now);
    else if (state.name === 'drain-to-exclusive') {
      const isFlushing = state.target === target;
      if (!isFlushing || (state.flushedAt !== undefined && counter > peer.flushCounter))
        this.#enterShared(now);
    }
  }

  /** The target that is to send alone says what it sent last on the shared way. */
  flushed(target: string, counter: number, peer: Sender, now: number): void {
    const state = this.#state;
    if (state.name !== 'drain-to-exclusive' || state.target !== target || state.flushedAt !== undefined)
      return;
    peer.flushCounter = counter;
    this.#state = { ...state, flushedAt: now };
  }

  lost(target: string, now: number): void {
    const state = this.#state;
    if (state.name === 'drain-to-exclusive' && state.target === target) this.#enterShared(now);
  }

  allowExclusive(allows: boolean, now: number): void {
    this.#allowsExclusive = allows;
    if (allows) return;
    if (this.#state.name === 'exclusive') this.#drainToShared(this.#state.target, now);
    else if (this.#state.name === 'drain-to-exclusive') this.#enterShared(now);
  }

  #stepToExclusive(state: Draining, now: number): void {
    if (state.flushedAt === undefined) {
      if (now >= state.giveUpAt) this.#enterShared(now);
      return;
    }
    const peer = this.#parts.senders.lookup(state.target);
    const isDrained =
      peer === undefined || peer.seenCounter >= peer.flushCounter || now >= state.flushedAt + FLUSH_WAIT_MS;
    if (!isDrained || !this.#parts.gate.isOpenFor(state.target, now)) return;
    this.#state = { name: 'exclusive', target: state.target };
    if (peer !== undefined) peer.lastActive = now;
  }

  /** Has the shared way one sender left, or none? */
  #review(since: number, now: number, isStarved: boolean): void {
    this.#reviewAt = now + REVIEW_MS;
    if (isStarved) return;
    const active = this.#parts.senders.activeAfter(now - ACTIVITY_MS);
    if (now < since + ACTIVITY_MS || active.length > 1) return;
    const [target] = active;
    if (target === undefined) {
      this.#state = { name: 'idle' };
      return;
    }
    if (!this.#allowsExclusive) return;
    this.#state = { name: 'drain-to-exclusive', target, giveUpAt: now + MOVE_TIMEOUT_MS };
    this.#parts.actions.push({ kind: 'way', target, way: 'exclusive' });
  }

  #idleAt(target: string): number {
    return (this.#parts.senders.lookup(target)?.lastActive ?? Number.NEGATIVE_INFINITY) + ACTIVITY_MS;
  }

  #enterShared(now: number): void {
    const state = this.#state;
    if (state.name === 'drain-to-exclusive' && this.#parts.senders.has(state.target)) {
      this.#parts.actions.push({ kind: 'way', target: state.target, way: this.shared });
    }
    this.#state = { name: 'shared', since: now };
    this.#reviewAt = now + REVIEW_MS;
  }

  /** Takes the exclusive way from its holder; the shared way opens when its lease is back or dead. */
  #drainToShared(holder: string, now: number): void {
    const { senders, actions, lease } = this.#parts;
    this.#state = { name: 'drain-to-shared' };
    if (senders.has(holder)) {
      senders.requests.delete(holder);
      actions.push({ kind: 'way', target: holder, way: this.shared });
      if (lease.held?.target === holder)
        actions.push({ kind: 'revoke', target: holder, lease: lease.held.id });
    }
    if (lease.held === undefined) this.#enterShared(now);
  }

  /** False: not yet. */
  #grant(target: string, now: number): boolean {
    const { marks, lease, actions } = this.#parts;
    const grant = marks === undefined ? undefined : lease.grant(target, marks, now);
    if (grant !== undefined) actions.push(grant);
    return grant !== undefined;
  }
}

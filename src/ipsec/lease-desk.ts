import { ExclusiveLease, type Lease } from './exclusive-lease.ts';
import type { OwnerAction } from './numbering-actions.ts';
import { LEASE_TTL_MS, SILENCE_MS } from './numbering-constants.ts';
import type { NumberingMarks } from './numbering-marks.ts';
import type { SendGate } from './send-gate.ts';
import type { SenderBook } from './sender-book.ts';

/** Gives out and takes back the exclusive lease of an SA, with what that means for the gate and for the book of senders. */
export class LeaseDesk {
  readonly #lease: ExclusiveLease;
  readonly #gate: SendGate;
  readonly #senders: SenderBook;

  constructor(epoch: number, gate: SendGate, senders: SenderBook) {
    this.#lease = new ExclusiveLease(epoch);
    this.#gate = gate;
    this.#senders = senders;
  }

  get held(): Lease | undefined {
    return this.#lease.held;
  }

  get expiredCount(): number {
    return this.#lease.expiredCount;
  }

  /** Answers the target's request with a new lease, or makes its own one longer in numbers and life. Undefined: not yet. */
  grant(target: string, marks: NumberingMarks, now: number): OwnerAction | undefined {
    const incarnation = this.#senders.lookup(target)?.incarnation;
    const request = this.#senders.requests.get(target);
    if (incarnation === undefined || request === undefined) return undefined;
    if (this.#lease.held === undefined && !this.#gate.isOpenFor(target, now)) return undefined;
    const grant = this.#lease.grant(target, incarnation, request.count, marks, now);
    if (grant === undefined) return undefined;
    this.#senders.requests.delete(target);
    this.#senders.gave(target, grant.count);
    return {
      kind: 'grant',
      target,
      lease: grant.lease,
      first: BigInt(grant.first),
      count: grant.count,
      // The holder counts from when it asked, so it is told how long it waited here.
      ttlMs: LEASE_TTL_MS + Math.floor(now - request.since),
    };
  }

  /** False: the target does not hold such a lease; nothing changes. */
  giveBack(target: string, lease: number, firstUnused: bigint, marks: NumberingMarks, now: number): boolean {
    const peer = this.#senders.lookup(target);
    const { held } = this.#lease;
    if (peer === undefined || held === undefined) return false;
    const used = this.#lease.giveBack(target, peer.incarnation, lease, firstUnused, marks);
    if (used === undefined) return false;
    if (used > 0) peer.lastActive = now;
    this.#senders.gave(target, used - (held.end - held.first));
    this.#gate.sent(target, now);
    return true;
  }

  /** A lease that nobody returned: its holder may have sent until now, up to its last number. */
  expire(now: number): void {
    const dead = this.#lease.expire(now);
    if (dead === undefined) return;
    this.#gate.closeUntil(dead.expiresAt + SILENCE_MS);
    this.#gate.sent(dead.target, dead.expiresAt);
  }
}

import type { NumberingMarks } from './numbering-marks.ts';
import { SenderIds } from './sender-ids.ts';

/** One target incarnation that may send on the SA, as the owner sees it. */
export interface Sender {
  readonly incarnation: bigint;
  /** When it last wanted to send or was seen sending. */
  lastActive: number;
  /** Highest link counter seen, and the one given by its last FLUSH (-1 = none). */
  seenCounter: number;
  flushCounter: number;
}

/** An unanswered lease request; `since` is that of the first, if it was repeated. */
export interface LeaseRequest {
  readonly count: number;
  readonly since: number;
}

/** The owner's book of one SA: which targets may send, who has which sender id, who waits for numbers. */
export class SenderBook {
  readonly requests = new Map<string, LeaseRequest>();
  readonly #ids = new SenderIds();
  readonly #senders = new Map<string, Sender>();
  readonly #waitingForId = new Set<string>();
  /** Numbers that the present incarnation of a target was given; it may come back with them. */
  readonly #given = new Map<string, { readonly incarnation: bigint; count: number }>();

  /** Who may send on the SA. */
  targets(): IterableIterator<string> {
    return this.#senders.keys();
  }

  lookup(target: string): Sender | undefined {
    return this.#senders.get(target);
  }

  has(target: string): boolean {
    return this.#senders.has(target);
  }

  /** Undefined: it is no sender, or waits for its id. */
  idOf(target: string): number | undefined {
    const incarnation = this.#senders.get(target)?.incarnation;
    if (incarnation === undefined || this.#waitingForId.has(target)) return undefined;
    return this.#ids.lookup(target, incarnation);
  }

  gave(target: string, count: number): void {
    const given = this.#given.get(target);
    if (given !== undefined) given.count += count;
  }

  givenTo(target: string): number {
    return this.#given.get(target)?.count ?? 0;
  }

  ready(target: string, incarnation: bigint): void {
    this.requests.delete(target);
    if (this.#given.get(target)?.incarnation !== incarnation)
      this.#given.set(target, { incarnation, count: 0 });
    const lastActive = Number.NEGATIVE_INFINITY;
    this.#senders.set(target, { incarnation, lastActive, seenCounter: -1, flushCounter: -1 });
    this.#waitingForId.add(target);
  }

  /** Its sender id is kept: the same incarnation may come back with its counter. */
  lost(target: string): void {
    this.#senders.delete(target);
    this.requests.delete(target);
    this.#waitingForId.delete(target);
  }

  /** Its counter is gone, so its sender id is never used again. */
  forgetId(target: string): void {
    this.#ids.forget(target);
  }

  request(target: string, count: number, now: number): void {
    const since = this.requests.get(target)?.since ?? now;
    this.requests.set(target, { count, since });
  }

  /** Targets that were active after `since`. */
  activeAfter(since: number): string[] {
    return [...this.#senders].filter(([, sender]) => sender.lastActive > since).map(([target]) => target);
  }

  /** Calls back for each target that waited for a sender id and can have one now. */
  giveIds(
    marks: NumberingMarks,
    give: (target: string, incarnation: bigint, senderId: number) => void,
  ): void {
    for (const target of this.#waitingForId) {
      const incarnation = this.#senders.get(target)?.incarnation;
      if (incarnation === undefined) continue;
      const senderId = this.#ids.lookup(target, incarnation) ?? marks.takeSenderId();
      if (senderId < 0) continue; // others may have theirs already: those must never wait
      this.#ids.assign(target, incarnation, senderId);
      this.#waitingForId.delete(target);
      give(target, incarnation, senderId);
    }
  }
}

import { LAST_IV_COUNTER } from './numbering-constants.ts';

/**
 * The 64-bit IV of counter-mode algorithms: sender id (16 bits) | counter (48 bits), big endian
 * (RFC 6054 section 3). It is not the sequence number, so no error in numbering repeats a nonce.
 *
 * One `IvCounter` lives as long as one (SA, sender id) in one process: the counter starts at 1, only
 * ascends and is never stored. Whoever loses the object must take a new sender id.
 */
export class IvCounter {
  readonly senderId: number;
  #next = 1;

  constructor(senderId: number) {
    this.senderId = senderId;
  }

  /** The last one taken, 0: none. */
  get last(): number {
    return this.#next - 1;
  }

  /** No counter is left. */
  get isSpent(): boolean {
    return this.#next > LAST_IV_COUNTER;
  }

  /** First of `count` consecutive counters, or -1 when the 48 bits would run out: then nothing may be sealed. */
  take(count: number): number {
    const first = this.#next;
    if (first + count - 1 > LAST_IV_COUNTER) return -1;
    this.#next = first + count;
    return first;
  }

  /** Upper 32 bits of the IV for a counter from `take`. */
  high(counter: number): number {
    return ((this.senderId << 16) | Math.floor(counter / 0x1_0000_0000)) >>> 0;
  }

  /** Lower 32 bits. */
  low(counter: number): number {
    return counter >>> 0;
  }
}

/** SAs whose sender ids a target remembers; the oldest are forgotten first, long after they are gone. */
const REMEMBERED_SAS = 65_536;

/**
 * A target's counters of all outbound SAs, for the life of the process. A shadow SA may be removed and come
 * again (a snapshot without it, a session that breaks): with the same sender id its counter goes on, and an
 * id below one that was used already is refused. So whatever the routing host does, no IV comes twice.
 */
export class IvCounters {
  readonly #bySa = new Map<string, IvCounter>();

  /** The counter to seal with; undefined: this id must not be used, so nothing is sealed on the SA. */
  get(sa: string, senderId: number): IvCounter | undefined {
    const known = this.#bySa.get(sa);
    if (known?.senderId === senderId) return known;
    if (senderId < 1 || (known !== undefined && senderId < known.senderId)) return undefined;
    const fresh = new IvCounter(senderId);
    this.#bySa.delete(sa);
    this.#bySa.set(sa, fresh);
    for (const oldest of this.#bySa.keys()) {
      if (this.#bySa.size <= REMEMBERED_SAS) break;
      this.#bySa.delete(oldest);
    }
    return fresh;
  }
}

/**
 * Which sender id belongs to which target incarnation on one SA. Ids ascend and are never handed out
 * twice; the same incarnation that comes back over a new coupling session keeps its id (and its
 * counter), a new one gets a new id.
 */
export class SenderIds {
  readonly #byTarget = new Map<string, { incarnation: bigint; senderId: number }>();

  /** The id of this incarnation, or undefined: take a fresh one from the marks and `assign` it. */
  lookup(target: string, incarnation: bigint): number | undefined {
    const entry = this.#byTarget.get(target);
    return entry?.incarnation === incarnation ? entry.senderId : undefined;
  }

  assign(target: string, incarnation: bigint, senderId: number): void {
    this.#byTarget.set(target, { incarnation, senderId });
  }

  /** The target no longer has the SA, so its counter is gone: the id is never used again. */
  forget(target: string): void {
    this.#byTarget.delete(target);
  }
}

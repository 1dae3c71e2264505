/** What an SA's target reports (record `lifesize-report`): cumulative per incarnation and SA. */
export interface LifesizeReport {
  readonly bytes: number;
  readonly packets: number;
  /** Since the last packet, as seen at the last look: milliseconds. */
  readonly idleMs: number;
}

export interface LifesizeCredit {
  readonly bytes: number;
  readonly packets: number;
}

/** While there is traffic a report goes out at least this often, whatever is left of the credit. */
export const REPORT_PERIOD_MS = 1000;
/** Packets for which a message is worth it. */
const PACKETS_PER_MESSAGE = 10_000;
const FULL_PACKET_BYTES = 1500;
/** Part of a credit after whose use more is asked for, so that a busy SA does not stop for a round trip. */
const ASK_AFTER = 3 / 4;
/** Sooner, where what is left then would not last for so many waits like the one before; but not before half is used. */
const WAITS_IN_HAND = 3;
const ASK_NOT_BEFORE = 1 / 2;
/** Asked in vain it asks again when half of what was left is used; with less left than that only when a packet was refused. */
const LEAST_STEP: LifesizeCredit = { bytes: FULL_PACKET_BYTES, packets: 16 };
/** With so much credit and full packets, a target asks once in `PACKETS_PER_MESSAGE`. */
export const QUIET_CREDIT: LifesizeCredit = {
  bytes: Math.ceil((PACKETS_PER_MESSAGE * FULL_PACKET_BYTES) / ASK_AFTER),
  packets: Math.ceil(PACKETS_PER_MESSAGE / ASK_AFTER),
};

/**
 * Counts one SA's packets on a target against the credit it was granted. A unit is enforced if the SA has a
 * hard limit in it: then nothing passes beyond the credit, so the cluster as a whole never passes the limit.
 * Without a hard limit the credit only says when to report. Inbound: count only after the ICV.
 * Totals are exact up to 2^53 - 1 and stay there.
 */
export class LifesizeMeter {
  readonly #enforceBytes: boolean;
  readonly #enforcePackets: boolean;
  #bytes = 0;
  #packets = 0;
  #creditBytes: number;
  #creditPackets: number;
  /** Totals when more was asked for first, while no answer has come. */
  #asked: LifesizeCredit | undefined;
  /** At these totals a report is due. */
  #askBytes = 0;
  #askPackets = 0;
  #reportedBytes = 0;
  #reportedPackets = 0;
  #reportedAt = Number.NEGATIVE_INFINITY;
  #seenPackets = 0;
  #lastUseAt: number | undefined;
  /** A packet was refused since the last grant. */
  #isStarved = false;
  /** And that was not reported yet. */
  #isUntold = false;
  #refused = 0;

  /** `limits`: the SA's hard limits, 0 = none. */
  constructor(credit: LifesizeCredit, limits: { readonly hardBytes: number; readonly hardPackets: number }) {
    this.#enforceBytes = limits.hardBytes > 0;
    this.#enforcePackets = limits.hardPackets > 0;
    this.#creditBytes = credit.bytes;
    this.#creditPackets = credit.packets;
    this.#setThresholds(0, 0);
  }

  get bytes(): number {
    return this.#bytes;
  }

  get packets(): number {
    return this.#packets;
  }

  get credit(): LifesizeCredit {
    return { bytes: this.#creditBytes, packets: this.#creditPackets };
  }

  /** Packets that found no credit. */
  get refused(): number {
    return this.#refused;
  }

  /** Whether `count` would count; nothing changes. */
  covers(packets: number, bytes: number): boolean {
    const isOver =
      (this.#enforceBytes && this.#bytes + bytes > this.#creditBytes) ||
      (this.#enforcePackets && this.#packets + packets > this.#creditPackets);
    return !isOver;
  }

  /** Counts; false (nothing is counted): the credit does not cover it, drop with `hard-limit`. No allocation. */
  count(packets: number, bytes: number): boolean {
    if (!this.covers(packets, bytes)) {
      this.#refused += packets;
      if (!this.#isStarved) this.#isUntold = true; // ask once more, though it was asked for
      this.#isStarved = true;
      return false;
    }
    this.#bytes = Math.min(this.#bytes + bytes, Number.MAX_SAFE_INTEGER);
    this.#packets = Math.min(this.#packets + packets, Number.MAX_SAFE_INTEGER);
    return true;
  }

  /** More credit is wanted: call `report` now and not only at the next look. Cheap, once per vector. */
  get isDue(): boolean {
    return this.#isUntold || this.#bytes >= this.#askBytes || this.#packets >= this.#askPackets;
  }

  /**
   * The report to send now, or undefined. Call it about every 100 ms, and at once when `isDue`. It is
   * cumulative, so one that is lost with its session is made good by the next.
   */
  report(now: number): LifesizeReport | undefined {
    if (this.#packets !== this.#seenPackets) {
      this.#seenPackets = this.#packets;
      this.#lastUseAt = now;
    }
    const isNews = this.#packets !== this.#reportedPackets || this.#bytes !== this.#reportedBytes;
    const isPeriodic = (isNews || this.#asked !== undefined) && now >= this.#reportedAt + REPORT_PERIOD_MS;
    if (!this.isDue && !isPeriodic) return undefined;
    return this.current(now);
  }

  /** The report as of now, sent or not wanted: at a new session, and before the SA is removed. */
  current(now: number): LifesizeReport {
    if (this.isDue) this.#ask();
    this.#reportedBytes = this.#bytes;
    this.#reportedPackets = this.#packets;
    this.#reportedAt = now;
    return {
      bytes: this.#bytes,
      packets: this.#packets,
      idleMs: this.#lastUseAt === undefined ? 0 : Math.floor(now - this.#lastUseAt),
    };
  }

  /** Credit from the owner, absolute since this incarnation began; it never shrinks. */
  granted(credit: LifesizeCredit): void {
    const isMore = credit.bytes > this.#creditBytes || credit.packets > this.#creditPackets;
    const { bytes: waitBytes, packets: waitPackets } = this.#usedWaiting();
    this.#creditBytes = Math.max(this.#creditBytes, credit.bytes);
    this.#creditPackets = Math.max(this.#creditPackets, credit.packets);
    if (!isMore) return;
    this.#asked = undefined;
    this.#isStarved = false;
    this.#isUntold = false;
    this.#setThresholds(waitBytes, waitPackets);
  }

  #ask(): void {
    this.#asked ??= { bytes: this.#bytes, packets: this.#packets };
    this.#isUntold = false;
    this.#askBytes = this.#enforceBytes
      ? againAt(this.#bytes, this.#creditBytes, LEAST_STEP.bytes)
      : Infinity;
    this.#askPackets = this.#enforcePackets
      ? againAt(this.#packets, this.#creditPackets, LEAST_STEP.packets)
      : Infinity;
  }

  /** What was used while more was on its way: the rate times the way there and back. It would have been more where a packet was refused. */
  #usedWaiting(): LifesizeCredit {
    if (this.#asked === undefined) return { bytes: 0, packets: 0 };
    const factor = this.#isStarved ? 2 : 1;
    return {
      bytes: (this.#bytes - this.#asked.bytes) * factor,
      packets: (this.#packets - this.#asked.packets) * factor,
    };
  }

  #setThresholds(waitBytes: number, waitPackets: number): void {
    this.#askBytes = askAt(this.#reportedBytes, this.#creditBytes, waitBytes);
    this.#askPackets = askAt(this.#reportedPackets, this.#creditPackets, waitPackets);
  }
}

/** The total at which more is asked for. */
function askAt(reported: number, credit: number, usedWaiting: number): number {
  const given = credit - reported;
  const inTime = credit - usedWaiting * WAITS_IN_HAND;
  return Math.max(reported + given * ASK_NOT_BEFORE, Math.min(reported + given * ASK_AFTER, inTime));
}

/** The total at which it is asked for once more, while no answer has come; never, if little is left. */
function againAt(used: number, credit: number, leastStep: number): number {
  const step = (credit - used) / 2;
  return step < leastStep ? Infinity : used + step;
}

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
  /** At these totals a report is due. */
  #askBytes = 0;
  #askPackets = 0;
  #reportedBytes = 0;
  #reportedPackets = 0;
  #reportedAt = Number.NEGATIVE_INFINITY;
  #seenPackets = 0;
  #lastUseAt: number | undefined;
  /** More was asked for, and no answer has come. */
  #hasAsked = false;
  /** A packet was refused since the last grant. */
  #isStarved = false;
  #refused = 0;

  /** `limits`: the SA's hard limits, 0 = none. */
  constructor(credit: LifesizeCredit, limits: { readonly hardBytes: number; readonly hardPackets: number }) {
    this.#enforceBytes = limits.hardBytes > 0;
    this.#enforcePackets = limits.hardPackets > 0;
    this.#creditBytes = credit.bytes;
    this.#creditPackets = credit.packets;
    this.#setThresholds();
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
      if (!this.#isStarved) this.#hasAsked = false; // ask once more, though it was asked at three quarters
      this.#isStarved = true;
      return false;
    }
    this.#bytes = Math.min(this.#bytes + bytes, Number.MAX_SAFE_INTEGER);
    this.#packets = Math.min(this.#packets + packets, Number.MAX_SAFE_INTEGER);
    return true;
  }

  /** More credit is wanted: call `report` now and not only at the next look. Cheap, once per vector. */
  get isDue(): boolean {
    return !this.#hasAsked && this.#wantsCredit();
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
    const isPeriodic = (isNews || this.#wantsCredit()) && now >= this.#reportedAt + REPORT_PERIOD_MS;
    if (!this.isDue && !isPeriodic) return undefined;
    return this.current(now);
  }

  /** The report as of now, sent or not wanted: at a new session, and before the SA is removed. */
  current(now: number): LifesizeReport {
    this.#hasAsked = this.#wantsCredit();
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
    this.#creditBytes = Math.max(this.#creditBytes, credit.bytes);
    this.#creditPackets = Math.max(this.#creditPackets, credit.packets);
    if (!isMore) return;
    this.#hasAsked = false;
    this.#isStarved = false;
    this.#setThresholds();
  }

  #setThresholds(): void {
    this.#askBytes = this.#reportedBytes + (this.#creditBytes - this.#reportedBytes) * ASK_AFTER;
    this.#askPackets = this.#reportedPackets + (this.#creditPackets - this.#reportedPackets) * ASK_AFTER;
  }

  #wantsCredit(): boolean {
    return this.#isStarved || this.#bytes >= this.#askBytes || this.#packets >= this.#askPackets;
  }
}

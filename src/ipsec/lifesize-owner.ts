import { Outbox } from '../base/outbox.ts';
import type { LifesizeCredit, LifesizeReport } from './lifesize-meter.ts';
import { LifesizeUnit } from './lifesize-unit.ts';
import { RekeyNeed } from './rekey-need.ts';
import type { SecurityAssociation } from './sa.ts';

/** Until a report has come through and charon has rekeyed: the traffic of this time must fit below the hard limit. */
export const REKEY_DELAY_MS = 500;
/** One full packet, and one packet: less credit than this is none. */
const GRAIN_BYTES = 2048;
const GRAIN_PACKETS = 1;
/** Rates are measured over at least this time. */
const RATE_PERIOD_MS = 500;

export type LifesizeAction =
  /** Absolute since the target's incarnation began; send it, and use it in `sa-install`. */
  | ({ readonly kind: 'credit'; readonly target: string } & LifesizeCredit)
  | { readonly kind: 'rekey'; readonly cause: 'bytes' | 'packets' }
  /** The hard limit is used up: charon deletes the SA. */
  | { readonly kind: 'expire'; readonly hard: true };

/** For the plugin (`counters`) and for people: reported totals of all targets that ever were. */
export interface LifesizeTotals {
  readonly bytes: number;
  readonly packets: number;
  /** Since the last packet anywhere; undefined: none yet. */
  readonly idleMs: number | undefined;
}

export interface LifesizeOwnerOptions {
  readonly lifetime: Pick<SecurityAssociation['lifetime'], 'bytes' | 'packets'>;
  /** A target's credit as a percentage of the SA's total lifesize. */
  readonly percentage: number;
  readonly now: number;
  readonly rekeyDelayMs?: number;
  /** The SA is older than this life of the agent: targets that come may have used it, and their first report says how much. */
  readonly isRestored?: boolean;
}

/**
 * The routing host's lifesize of one SA, one direction: adds up what targets report, grants them credit,
 * asks for a rekey at the soft limit (or earlier, if credit and rate would reach the hard one first) and
 * expires the SA when the hard limit is used up. The routing host's own sealing (the funnel) is accounted
 * like one more target. After every input carry out `takeActions()`.
 */
export class LifesizeOwner {
  readonly #bytes: LifesizeUnit;
  readonly #packets: LifesizeUnit;
  readonly #rekeyDelayMs: number;
  readonly #isRestored: boolean;
  readonly #rekey = new RekeyNeed();
  readonly #actions = new Outbox<LifesizeAction>();
  #percentage: number;
  #lastUseAt: number | undefined;
  #isExpired = false;
  #rate = { at: 0, bytes: 0, packets: 0, bytesPerMs: 0, packetsPerMs: 0 };

  constructor(options: LifesizeOwnerOptions) {
    this.#bytes = new LifesizeUnit(options.lifetime.bytes, GRAIN_BYTES);
    this.#packets = new LifesizeUnit(options.lifetime.packets, GRAIN_PACKETS);
    this.#percentage = options.percentage;
    this.#rekeyDelayMs = options.rekeyDelayMs ?? REKEY_DELAY_MS;
    this.#isRestored = options.isRestored ?? false;
    this.#rate.at = options.now;
  }

  takeActions(): readonly LifesizeAction[] {
    return this.#actions.take();
  }

  /** Of later grants. (To become dynamic: claim 18.) */
  set percentage(percentage: number) {
    this.#percentage = percentage;
  }

  get percentage(): number {
    return this.#percentage;
  }

  /** How often a rekey was asked for. */
  get rekeysRaised(): number {
    return this.#rekey.raised;
  }

  totals(now: number): LifesizeTotals {
    const idleMs = this.#lastUseAt === undefined ? undefined : Math.max(0, Math.floor(now - this.#lastUseAt));
    return { bytes: this.#bytes.reported, packets: this.#packets.reported, idleMs };
  }

  /** What counts against the limits: totals, and the whole credit of lost targets. */
  get charged(): LifesizeCredit {
    return { bytes: this.#bytes.charged, packets: this.#packets.charged };
  }

  /** What the target may use in all; for `sa-install`. */
  creditOf(target: string): LifesizeCredit {
    return { bytes: this.#bytes.creditOf(target), packets: this.#packets.creditOf(target) };
  }

  /** A target incarnation that will serve the SA; it has credit at once (`creditOf`). */
  targetReady(target: string, incarnation: bigint, now: number): void {
    this.#bytes.ready(target, incarnation, this.#isRestored);
    this.#packets.ready(target, incarnation, this.#isRestored);
    this.#topUp(target);
    this.#check(target, now);
  }

  /** Charged its whole credit; that is undone if the same incarnation comes back. */
  targetLost(target: string, now: number): void {
    this.#bytes.lost(target);
    this.#packets.lost(target);
    this.#check(target, now);
  }

  /** False: the target is not one of this SA, or reports more than it was allowed (`coupling-not-granted`). */
  reported(target: string, report: LifesizeReport, now: number): boolean {
    if (!Number.isSafeInteger(report.bytes) || !Number.isSafeInteger(report.packets)) return false;
    const packetsBefore = this.#packets.reported;
    const areBytesAllowed = this.#bytes.report(target, report.bytes);
    const arePacketsAllowed = this.#packets.report(target, report.packets);
    if (this.#packets.reported > packetsBefore) {
      this.#lastUseAt = Math.max(this.#lastUseAt ?? 0, now - Math.max(0, report.idleMs));
    }
    this.#measure(now);
    this.#topUp(target);
    this.#check(target, now);
    return areBytesAllowed && arePacketsAllowed;
  }

  /** charon has switched to another SA, or is deleting this one: no more rekey is asked for. */
  replaced(): void {
    this.#rekey.settled();
  }

  /** Repeats a rekey that did not finish; call it about once a second. */
  tick(now: number): void {
    this.#measure(now);
    this.#check(undefined, now);
  }

  #topUp(target: string): void {
    const bytes = this.#bytes.topUp(target, this.#percentage, this.#reserveBytes);
    const packets = this.#packets.topUp(target, this.#percentage, this.#reservePackets);
    if (bytes === undefined && packets === undefined) return;
    this.#actions.push({ kind: 'credit', target, ...this.creditOf(target) });
  }

  #check(asking: string | undefined, now: number): void {
    const cause = this.#bytes.needsRekey(this.#reserveBytes)
      ? 'bytes'
      : this.#packets.needsRekey(this.#reservePackets)
        ? 'packets'
        : undefined;
    if (cause !== undefined && !this.#isExpired && this.#rekey.raise(now)) {
      this.#actions.push({ kind: 'rekey', cause });
    }
    const isSpent = this.#bytes.isSpent(asking ?? '') || this.#packets.isSpent(asking ?? '');
    if (isSpent && !this.#isExpired) {
      this.#isExpired = true;
      this.#actions.push({ kind: 'expire', hard: true });
    }
  }

  get #reserveBytes(): number {
    return this.#rate.bytesPerMs * this.#rekeyDelayMs;
  }

  get #reservePackets(): number {
    return this.#rate.packetsPerMs * this.#rekeyDelayMs;
  }

  /** Rates follow a rise at once and a fall by a fifth per period: a reserve that is too large costs little. */
  #measure(now: number): void {
    const elapsed = now - this.#rate.at;
    if (elapsed < RATE_PERIOD_MS) return;
    const bytes = this.#bytes.reported;
    const packets = this.#packets.reported;
    this.#rate = {
      at: now,
      bytes,
      packets,
      bytesPerMs: Math.max((bytes - this.#rate.bytes) / elapsed, this.#rate.bytesPerMs * 0.8),
      packetsPerMs: Math.max((packets - this.#rate.packets) / elapsed, this.#rate.packetsPerMs * 0.8),
    };
  }
}

import { Outbox } from '../base/outbox.ts';
import { type Grant, type LedgerOptions, LifesizeLedger } from './lifesize-ledger.ts';
import type { LifesizeMarks } from './lifesize-marks.ts';
import type { LifesizeCredit, LifesizeReport } from './lifesize-meter.ts';
import { LifesizeRate } from './lifesize-rate.ts';
import type { CreditTerms, LifesizeUnit } from './lifesize-unit.ts';
import { RekeyNeed } from './rekey-need.ts';
import { DEFAULT_REKEY_MS } from './rekey-times.ts';

/** From a packet to its place in the total, beyond what credits cover: a look at the meters and the way. */
export const REPORT_DELAY_MS = 150;
/** After a restart of this agent targets have so long to come back, before what is charged to them makes a rekey. */
const RETURN_MS = 3000;
/** A user that finds no credit since others hold it has waited for the rekey in vain: to it the SA is used up. */
const STARVED_MS = 5000;

export type LifesizeAction =
  /** Write to the store, in place of what is there; answer with `storeDone()` or `storeFailed()`. */
  | { readonly kind: 'store-marks'; readonly marks: LifesizeMarks }
  /** The first one: the SA may be installed there now. */
  | ({ readonly kind: 'credit' } & Grant)
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

export interface LifesizeOwnerOptions extends LedgerOptions {
  /** A target's credit as a percentage of the SA's total lifesize. */
  readonly percentage: number;
  readonly now: number;
  /** How long a rekey of this configuration may take: from the request to the outbound switch. */
  readonly rekeyMs?: number;
  /** Who may use the SA at a time: its targets, and the routing host. */
  readonly users?: number;
  /** The SA is older than this life of the agent. Without marks, users that come may have used it: their first report says how much. */
  readonly isRestored?: boolean;
}

/**
 * The routing host's lifesize of one SA, one direction: adds up what targets report, grants them credit,
 * asks for a rekey at the soft limit (or earlier, if credit and rate would reach the hard one first) and
 * expires the SA when the hard limit is used up, or to some user has been so for long. The routing host's own packets
 * are accounted like those of one more target. After every input carry out `takeActions()`.
 */
export class LifesizeOwner {
  readonly #ledger: LifesizeLedger;
  readonly #users: number;
  /** Nothing says what users had of the SA. */
  readonly #isUnknown: boolean;
  readonly #isRestored: boolean;
  readonly #rekey = new RekeyNeed();
  readonly #actions = new Outbox<LifesizeAction>();
  readonly #rate: LifesizeRate;
  #learned: { readonly percentage: number; readonly rekeyMs: number };
  /** What it has of that was learned, here or in an earlier life of the agent; else it is what a new configuration starts with. */
  hasLearned: boolean;
  /** Their next report is of older use, too. */
  readonly #catchingUp = new Set<string>();
  #lastUseAt: number | undefined;
  readonly #awaitsUntil: number;
  #isExpired = false;
  #starvedSince: number | undefined;

  constructor(options: LifesizeOwnerOptions) {
    const { marks } = options;
    this.#ledger = new LifesizeLedger(options);
    this.#users = options.users ?? 1;
    this.#learned = {
      percentage: marks?.percentage ?? options.percentage,
      rekeyMs: marks?.rekeyMs ?? options.rekeyMs ?? DEFAULT_REKEY_MS,
    };
    this.hasLearned = marks !== undefined;
    this.#isRestored = options.isRestored === true;
    this.#isUnknown = this.#isRestored && marks === undefined;
    this.#awaitsUntil = marks === undefined ? Number.NEGATIVE_INFINITY : options.now + RETURN_MS;
    this.#rate = new LifesizeRate(options.now);
    this.#rate.begin(this.bytes.reported, this.packets.reported);
  }

  takeActions(): readonly LifesizeAction[] {
    return this.#actions.take();
  }

  get bytes(): LifesizeUnit {
    return this.#ledger.bytes;
  }

  get packets(): LifesizeUnit {
    return this.#ledger.packets;
  }

  get isLimited(): boolean {
    return this.#ledger.isLimited;
  }

  /** What was learned of the configuration: for later grants, and kept with the marks. */
  learned(percentage: number, rekeyMs: number): void {
    this.hasLearned = true;
    if (percentage === this.percentage && rekeyMs === this.rekeyMs) return;
    if (this.isLimited) this.#ledger.touch();
    this.#learned = { percentage, rekeyMs };
  }

  get percentage(): number {
    return this.#learned.percentage;
  }

  get rekeyMs(): number {
    return this.#learned.rekeyMs;
  }

  totals(now: number): LifesizeTotals {
    const idleMs = this.#lastUseAt === undefined ? undefined : Math.max(0, Math.floor(now - this.#lastUseAt));
    return { bytes: this.bytes.reported, packets: this.packets.reported, idleMs };
  }

  /** What counts against the limits: totals, and the whole credit of lost targets. */
  get charged(): LifesizeCredit {
    return { bytes: this.bytes.charged, packets: this.packets.charged };
  }

  /** What the cluster may use until a report and a rekey have come through. */
  get reserve(): LifesizeCredit {
    return { bytes: this.#rate.bytesPerMs * this.#delayMs, packets: this.#rate.packetsPerMs * this.#delayMs };
  }

  /** What the target may use in all; for `sa-install`. */
  creditOf(target: string): LifesizeCredit {
    return this.#ledger.creditOf(target);
  }

  /** The target's credit is stored, so it can have the SA. Without limits there is nothing to wait for. */
  hasCredit(target: string): boolean {
    return this.#ledger.hasCredit(target);
  }

  /** It has an account, and is not lost. */
  isUser(target: string): boolean {
    return this.bytes.accountOf(target)?.isLost === false;
  }

  /** It has, or had, the SA; or may have had it in an earlier life of the routing host. */
  mayHaveServed(target: string): boolean {
    return this.#isRestored || this.bytes.accountOf(target) !== undefined;
  }

  /** A target incarnation that will serve the SA: it has credit as soon as that is stored. */
  targetReady(target: string, incarnation: bigint, now: number): void {
    if (this.#ledger.ready(target, incarnation, this.#isUnknown)) this.#catchingUp.add(target);
    this.#topUp(target);
    this.#check(target, now);
    const grant = this.#ledger.begin(target, incarnation);
    if (grant !== undefined) this.#actions.push({ kind: 'credit', ...grant });
    this.#write(now);
  }

  /** Charged its whole credit; that is undone if the same incarnation comes back. */
  targetLost(target: string, now: number): void {
    this.#ledger.lost(target);
    this.#check(undefined, now);
  }

  /** False: the target is not one of this SA, or reports more than it was allowed (`coupling-not-granted`). */
  reported(target: string, report: LifesizeReport, now: number): boolean {
    if (!Number.isSafeInteger(report.bytes) || !Number.isSafeInteger(report.packets)) return false;
    const [bytesBefore, packetsBefore] = [this.bytes.reported, this.packets.reported];
    const areBytesAllowed = this.bytes.report(target, report.bytes, now);
    const arePacketsAllowed = this.packets.report(target, report.packets, now);
    if (this.packets.reported > packetsBefore) {
      this.#lastUseAt = Math.max(this.#lastUseAt ?? 0, now - Math.max(0, report.idleMs));
    }
    if (this.#catchingUp.delete(target)) {
      this.#rate.skip(this.bytes.reported - bytesBefore, this.packets.reported - packetsBefore);
    }
    this.#measure(now);
    this.#topUp(target);
    this.#check(target, now);
    this.#write(now);
    return areBytesAllowed && arePacketsAllowed;
  }

  /** The marks that were to be stored are. */
  storeDone(now: number): void {
    for (const grant of this.#ledger.stored()) this.#actions.push({ kind: 'credit', ...grant });
    this.#write(now);
  }

  /** They are not, or nobody knows: they are written again. */
  storeFailed(now: number): void {
    this.#ledger.failed(now);
  }

  /** What people see is to be kept too: totals of those that are over, and the routing host's own. */
  keepTotals(now: number): void {
    this.#ledger.touch();
    this.#write(now);
  }

  /** charon has switched to another SA, or is deleting this one: no more rekey is asked for. */
  replaced(): void {
    this.#rekey.settled();
  }

  /** Repeats a rekey or a write that did not finish; call it about once a second. */
  tick(now: number): void {
    this.#measure(now);
    this.#check(undefined, now);
    this.#write(now);
  }

  get #delayMs(): number {
    return this.rekeyMs + REPORT_DELAY_MS;
  }

  #topUp(target: string): void {
    const { bytesPerMs, packetsPerMs } = this.#rate;
    const isMoreBytes = this.bytes.topUp(target, this.#terms(bytesPerMs));
    const isMorePackets = this.packets.topUp(target, this.#terms(packetsPerMs));
    if (isMoreBytes || isMorePackets) this.#ledger.touch();
  }

  #terms(perMs: number): CreditTerms {
    return {
      percentage: this.percentage,
      reserve: perMs * this.#delayMs,
      inFlight: perMs * REPORT_DELAY_MS,
      answerMs: REPORT_DELAY_MS,
      users: Math.max(this.#ledger.users, this.#users),
    };
  }

  #write(now: number): void {
    const marks = this.#ledger.write(now, this.#learned);
    if (marks !== undefined) this.#actions.push({ kind: 'store-marks', marks });
  }

  #check(asking: string | undefined, now: number): void {
    if (this.#isExpired) return;
    const { reserve, bytes, packets } = this;
    const awaited = (unit: LifesizeUnit) => (now < this.#awaitsUntil ? this.#ledger.awaited(unit) : 0);
    const cause = bytes.needsRekey(reserve.bytes, awaited(bytes))
      ? 'bytes'
      : packets.needsRekey(reserve.packets, awaited(packets))
        ? 'packets'
        : undefined;
    if (cause !== undefined && this.#rekey.raise(now)) this.#actions.push({ kind: 'rekey', cause });
    if (!bytes.isSpent && !packets.isSpent && !this.#isStarvedLong(asking, now)) return;
    this.#isExpired = true;
    this.#actions.push({ kind: 'expire', hard: true });
  }

  /** A rekey is under way: while it is, it is better to wait for it than to delete the SA with credit left in it. */
  #isStarvedLong(asking: string | undefined, now: number): boolean {
    if (asking !== undefined) {
      if (this.#isStarved(asking)) this.#starvedSince ??= now;
      else if (!Array.from(this.bytes.accounts(), ([user]) => user).some((user) => this.#isStarved(user))) {
        this.#starvedSince = undefined;
      }
    }
    return this.#starvedSince !== undefined && now - this.#starvedSince >= STARVED_MS;
  }

  #isStarved(user: string): boolean {
    return this.bytes.isStarved(user) || this.packets.isStarved(user);
  }

  #measure(now: number): void {
    this.#rate.measure(this.bytes.reported, this.packets.reported, now);
  }
}

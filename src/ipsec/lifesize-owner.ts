import { Outbox } from '../base/outbox.ts';
import { type LifesizeMarks, MAX_ACCOUNT_MARKS, userTag } from './lifesize-marks.ts';
import { type LifesizeCredit, type LifesizeReport, QUIET_CREDIT } from './lifesize-meter.ts';
import { LifesizeRate } from './lifesize-rate.ts';
import { type CreditTerms, LifesizeUnit } from './lifesize-unit.ts';
import { RekeyNeed } from './rekey-need.ts';
import { DEFAULT_REKEY_MS } from './rekey-times.ts';
import type { SecurityAssociation } from './sa.ts';

/** From a packet to its place in the total, beyond what credits cover: a look at the meters and the way. */
export const REPORT_DELAY_MS = 150;
/** One full packet, and one packet: less credit than this is none. */
const GRAIN_BYTES = 2048;
const GRAIN_PACKETS = 1;
const STORE_RETRY_MS = 500;
/** A user that finds no credit since others hold it has waited for the rekey in vain: to it the SA is used up. */
const STARVED_MS = 5000;

export type LifesizeAction =
  /** Write to the store, in place of what is there; answer with `storeDone()` or `storeFailed()`. */
  | { readonly kind: 'store-marks'; readonly marks: LifesizeMarks }
  /** Stored, and absolute since the user's incarnation began. The first one: the SA may be installed there now. */
  | ({ readonly kind: 'credit'; readonly target: string; readonly isFirst: boolean } & LifesizeCredit)
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
  /** How long a rekey of this configuration may take: from the request to the outbound switch. */
  readonly rekeyMs?: number;
  /** Who may use the SA at a time: its targets, and the routing host. */
  readonly users?: number;
  /** The routing host's name: its use is kept with the marks, since it reports to nobody again. */
  readonly ownUser?: string;
  /** 0 to 1, another one for each SA: how much earlier than at its soft limit it asks. */
  readonly jitter?: number;
  /** The SA is older than this life of the agent. */
  readonly isRestored?: boolean;
  /** Then: what the store has of it; undefined: users that come may have used it, and their first report says how much. */
  readonly marks?: LifesizeMarks | undefined;
}

interface Write {
  readonly credits: ReadonlyMap<string, { readonly incarnation: bigint } & LifesizeCredit>;
}

/**
 * The routing host's lifesize of one SA, one direction: adds up what targets report, grants them credit,
 * asks for a rekey at the soft limit (or earlier, if credit and rate would reach the hard one first) and
 * expires the SA when the hard limit is used up, or to some user has been so for long. The routing host's own packets are accounted
 * like those of one more target. After every input carry out `takeActions()`.
 *
 * Credit is stored before it is granted. One write is under way at a time; what changes meanwhile goes with the next.
 */
export class LifesizeOwner {
  readonly bytes: LifesizeUnit;
  readonly packets: LifesizeUnit;
  readonly #users: number;
  readonly #ownUser: string | undefined;
  readonly #isRestored: boolean;
  readonly #hasMarks: boolean;
  readonly #rekey = new RekeyNeed();
  readonly #actions = new Outbox<LifesizeAction>();
  readonly #rate: LifesizeRate;
  #rekeyMs: number;
  #percentage: number;
  #lastUseAt: number | undefined;
  #isExpired = false;
  #starvedSince: number | undefined;
  #inFlight: Write | undefined;
  #isDirty = false;
  #retryAt = Number.NEGATIVE_INFINITY;
  readonly #granted = new Map<string, bigint>();

  constructor(options: LifesizeOwnerOptions) {
    const { lifetime, now, users = 1, jitter = 0, marks } = options;
    const sizes = {
      bytes: { grain: GRAIN_BYTES, quiet: QUIET_CREDIT.bytes },
      packets: { grain: GRAIN_PACKETS, quiet: QUIET_CREDIT.packets },
    };
    this.bytes = new LifesizeUnit(lifetime.bytes, sizes.bytes, jitter);
    this.packets = new LifesizeUnit(lifetime.packets, sizes.packets, jitter);
    this.#users = users;
    this.#ownUser = options.ownUser;
    this.#percentage = marks?.percentage ?? options.percentage;
    this.#rekeyMs = marks?.rekeyMs ?? options.rekeyMs ?? DEFAULT_REKEY_MS;
    this.#isRestored = options.isRestored ?? false;
    this.#hasMarks = marks !== undefined;
    this.#rate = new LifesizeRate(now);
    if (marks !== undefined) this.#restore(marks);
    this.#rate.begin(this.bytes.reported, this.packets.reported);
  }

  takeActions(): readonly LifesizeAction[] {
    return this.#actions.take();
  }

  /** What was learned of the configuration; for later grants. */
  learned(percentage: number, rekeyMs: number): void {
    this.#percentage = percentage;
    this.#rekeyMs = rekeyMs;
  }

  get percentage(): number {
    return this.#percentage;
  }

  get rekeyMs(): number {
    return this.#rekeyMs;
  }

  get isLimited(): boolean {
    return this.bytes.isLimited || this.packets.isLimited;
  }

  /** How often a rekey was asked for; more than once: charon did not finish it. */
  get rekeysRaised(): number {
    return this.#rekey.raised;
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
    return { bytes: this.bytes.creditOf(target), packets: this.packets.creditOf(target) };
  }

  /** The target's credit is stored, so it can have the SA. Without limits there is nothing to wait for. */
  hasCredit(target: string): boolean {
    return !this.isLimited || this.#granted.has(target);
  }

  /** A target incarnation that will serve the SA: it has credit as soon as that is stored. */
  targetReady(target: string, incarnation: bigint, now: number): void {
    this.#adopt(target, incarnation);
    const isUnknown = this.#isRestored && !this.#hasMarks;
    const closed = this.packets.closedReported;
    for (const unit of this.#units) unit.ready(target, incarnation, isUnknown);
    if (this.packets.closedReported !== closed) this.#isDirty = true;
    if (this.#granted.get(target) !== incarnation) this.#granted.delete(target);
    this.#topUp(target);
    this.#check(target, now);
    if (this.isLimited && !this.#granted.has(target)) {
      // Needs no more than what is stored: no write will answer.
      if (!this.#isDirty && this.#inFlight === undefined)
        this.#grant(target, incarnation, this.creditOf(target));
      else this.#isDirty = true;
    }
    this.#write(now);
  }

  /** Charged its whole credit; that is undone if the same incarnation comes back. */
  targetLost(target: string, now: number): void {
    for (const unit of this.#units) unit.lost(target);
    this.#granted.delete(target);
    this.#check(target, now);
  }

  /** False: the target is not one of this SA, or reports more than it was allowed (`coupling-not-granted`). */
  reported(target: string, report: LifesizeReport, now: number): boolean {
    if (!Number.isSafeInteger(report.bytes) || !Number.isSafeInteger(report.packets)) return false;
    const packetsBefore = this.packets.reported;
    const areBytesAllowed = this.bytes.report(target, report.bytes);
    const arePacketsAllowed = this.packets.report(target, report.packets);
    if (this.packets.reported > packetsBefore) {
      this.#lastUseAt = Math.max(this.#lastUseAt ?? 0, now - Math.max(0, report.idleMs));
    }
    this.#measure(now);
    this.#topUp(target);
    this.#check(target, now);
    this.#write(now);
    return areBytesAllowed && arePacketsAllowed;
  }

  /** The marks that were to be stored are. */
  storeDone(now: number): void {
    const write = this.#inFlight;
    this.#inFlight = undefined;
    for (const [target, { incarnation, bytes, packets }] of write?.credits ?? []) {
      const isMore = [
        this.bytes.stored(target, incarnation, bytes),
        this.packets.stored(target, incarnation, packets),
      ].includes(true);
      const isHere = this.#isHere(target, incarnation);
      if (isHere && (isMore || !this.#granted.has(target))) {
        this.#grant(target, incarnation, this.creditOf(target));
      }
    }
    this.#write(now);
  }

  /** They are not, or nobody knows: nothing of them is granted, and they are written again. */
  storeFailed(now: number): void {
    this.#inFlight = undefined;
    this.#isDirty = true;
    this.#retryAt = now + STORE_RETRY_MS;
  }

  /** What people see is to be kept too (totals of those that are over, the routing host's own): writes it with the next mark or now. */
  keepTotals(now: number): void {
    this.#isDirty = true;
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
    return this.#rekeyMs + REPORT_DELAY_MS;
  }

  get #units(): readonly LifesizeUnit[] {
    return [this.bytes, this.packets];
  }

  #topUp(target: string): void {
    const { bytesPerMs, packetsPerMs } = this.#rate;
    const isMore = [
      this.bytes.topUp(target, this.#terms(this.bytes, bytesPerMs)),
      this.packets.topUp(target, this.#terms(this.packets, packetsPerMs)),
    ].includes(true);
    if (isMore) this.#isDirty = true;
  }

  #terms(unit: LifesizeUnit, perMs: number): CreditTerms {
    let users = 0;
    for (const [, { isLost }] of unit.accounts()) if (!isLost) users++;
    return {
      percentage: this.#percentage,
      reserve: perMs * this.#delayMs,
      inFlight: perMs * REPORT_DELAY_MS,
      users: Math.max(users, this.#users),
    };
  }

  #grant(target: string, incarnation: bigint, credit: LifesizeCredit): void {
    const isFirst = !this.#granted.has(target);
    this.#granted.set(target, incarnation);
    this.#actions.push({ kind: 'credit', target, isFirst, ...credit });
  }

  #isHere(target: string, incarnation: bigint): boolean {
    for (const [user, account] of this.bytes.accounts()) {
      if (user === target) return account.incarnation === incarnation && !account.isLost;
    }
    return false;
  }

  #check(asking: string | undefined, now: number): void {
    const { reserve } = this;
    const cause = this.bytes.needsRekey(reserve.bytes)
      ? 'bytes'
      : this.packets.needsRekey(reserve.packets)
        ? 'packets'
        : undefined;
    if (cause !== undefined && !this.#isExpired && this.#rekey.raise(now)) {
      this.#actions.push({ kind: 'rekey', cause });
    }
    if (
      (this.bytes.isSpent || this.packets.isSpent || this.#isStarvedLong(asking, now)) &&
      !this.#isExpired
    ) {
      this.#isExpired = true;
      this.#actions.push({ kind: 'expire', hard: true });
    }
  }

  /** A rekey is under way: while it is, it is better to wait for it than to delete the SA with credit left in it. */
  #isStarvedLong(asking: string | undefined, now: number): boolean {
    if (asking !== undefined) {
      const isStarved = this.bytes.isStarved(asking) || this.packets.isStarved(asking);
      if (isStarved) this.#starvedSince ??= now;
      else if (!this.#isAnyStarved()) this.#starvedSince = undefined;
    }
    return this.#starvedSince !== undefined && now - this.#starvedSince >= STARVED_MS;
  }

  #isAnyStarved(): boolean {
    for (const [user] of this.bytes.accounts()) {
      if (this.bytes.isStarved(user) || this.packets.isStarved(user)) return true;
    }
    return false;
  }

  #measure(now: number): void {
    this.#rate.measure(this.bytes.reported, this.packets.reported, now);
  }

  /** Marks go when there is something new, one write after the other. */
  #write(now: number): void {
    if (!this.#isDirty || this.#inFlight !== undefined || now < this.#retryAt) return;
    this.#isDirty = false;
    this.#closeSurplus();
    const credits = new Map<string, { incarnation: bigint } & LifesizeCredit>();
    const packets = new Map(this.packets.accounts());
    for (const [target, { incarnation, credit }] of this.bytes.accounts()) {
      credits.set(target, { incarnation, bytes: credit, packets: packets.get(target)?.credit ?? 0 });
    }
    this.#inFlight = { credits };
    this.#actions.push({ kind: 'store-marks', marks: this.#marks(credits) });
  }

  #marks(credits: Write['credits']): LifesizeMarks {
    const accounts = this.isLimited
      ? Array.from(credits, ([target, { incarnation, bytes, packets }]) => ({
          tag: tagOf(target),
          incarnation,
          credit: { bytes, packets },
        }))
      : [];
    return {
      closedCharged: { bytes: this.bytes.closedCharged, packets: this.packets.closedCharged },
      closedReported: { bytes: this.#keptTotal(this.bytes), packets: this.#keptTotal(this.packets) },
      accounts,
      percentage: this.#percentage,
      rekeyMs: this.#rekeyMs,
    };
  }

  /** What nobody will report again after a restart. */
  #keptTotal(unit: LifesizeUnit): number {
    let own = 0;
    for (const [user, { reported }] of unit.accounts()) if (user === this.#ownUser) own = reported;
    return Math.min(unit.closedReported + own, Number.MAX_SAFE_INTEGER);
  }

  /** Marks hold so many accounts; of more than that, those from the store are of hosts that are not configured any more. */
  #closeSurplus(): void {
    const users = Array.from(this.bytes.accounts(), ([user]) => user);
    const strangers = users.filter((user) => user.startsWith('#'));
    for (const user of strangers.slice(0, Math.max(0, users.length - MAX_ACCOUNT_MARKS))) {
      for (const unit of this.#units) unit.close(user);
    }
  }

  #restore({ closedCharged, closedReported, accounts }: LifesizeMarks): void {
    this.bytes.restoreClosed(closedCharged.bytes, closedReported.bytes);
    this.packets.restoreClosed(closedCharged.packets, closedReported.packets);
    for (const { tag, incarnation, credit } of accounts) {
      this.bytes.restore(nameOfTag(tag), incarnation, credit.bytes);
      this.packets.restore(nameOfTag(tag), incarnation, credit.packets);
    }
  }

  /** What the store has under this user's tag is this user's. */
  #adopt(user: string, incarnation: bigint): void {
    const name = nameOfTag(userTag(user));
    for (const unit of this.#units) {
      if (!unit.rename(name, user)) continue;
      unit.ready(user, incarnation, false);
    }
  }
}

/** Accounts from the store whose user has not come yet. No host is called so. */
const nameOfTag = (tag: number) => `#${tag}`;

function tagOf(user: string): number {
  return user.startsWith('#') ? Number(user.slice(1)) : userTag(user);
}

import type { LifetimeLimit } from './sa.ts';

/** A hard limit without a soft one: the soft one is this part of it. */
const SOFT_OF_HARD = 0.8;
/** A soft limit without a hard one: so far beyond it a hard one is thought, as charon has it without other words (`life = rekey + 10 %`). */
const GAP_WITHOUT_HARD = 0.1;
/** Whatever the rate, a rekey is not asked for before this part of the soft limit: no storm of rekeys. */
const EARLIEST_REKEY = 0.5;
/** SAs with equal limits ask apart from each other, in this last part of the soft limit. */
const JITTER_PART = 0.04;
/** Credits fill so much of what the reserve leaves between the limits: rates rise after credit was given. */
const FILLED = 0.75;
/** However short of room: a credit is not cut below this part of the total, or messages eat the throughput. */
const LEAST_PART = 0.005;
/** A user's pace is measured over at least this time: reports of one burst say little. */
const LEAST_PACE_MS = 10;
/** It falls by no more than a fifth from one report to the next; a rise is followed at once. */
const PACE_FALL = 0.8;
/** Of what nobody has, the fast get no more than this part at a time: others are left something. */
const PACED_PART = 0.5;
/** However small the percentage: all quiet credits together need not be below this part of the total. */
const QUIET_PART = 0.1;
/** Credit without limit. */
export const UNLIMITED = Number.MAX_SAFE_INTEGER;

/** One incarnation of one user, in one unit. */
interface Account {
  incarnation: bigint;
  /** Allowed since the incarnation began, or about to be: counts against the limits. */
  credit: number;
  /** Of that, what is stored and so was granted. */
  usable: number;
  /** Reported since then. */
  reported: number;
  /** The report that its pace is measured from: total and time; undefined: none yet, and the first one is of any time. */
  paced: { readonly total: number; readonly at: number } | undefined;
  /** What it used in a millisecond, as its reports show. */
  pace: number;
  /** Size of the last grant. */
  granted: number;
  isLost: boolean;
  /** It may have used the SA before this owner's life, and no mark says how much: its first report is the base to count from. */
  isUnknown: boolean;
}

/** What the owner knows besides the ledger. */
export interface CreditTerms {
  /** Of the total lifesize. */
  readonly percentage: number;
  /** What the cluster may use until a report and a rekey have come through: rate x delay. */
  readonly reserve: number;
  /** What the cluster may use until a user that asked has an answer: a credit below that makes it stop and wait. */
  readonly inFlight: number;
  /** The time that such an answer may take, in milliseconds. */
  readonly answerMs: number;
  /** Users that a share must be left for. */
  readonly users: number;
}

/** Sum that stays at 2^53 - 1 rather than become inexact. */
const add = (a: number, b: number) => Math.min(a + b, Number.MAX_SAFE_INTEGER);

/**
 * The ledger of one unit (bytes or packets) of one SA: what each user reported, and what it may use.
 * Reports are cumulative per incarnation, so nothing is counted twice; a lost incarnation is charged its
 * whole credit, since nobody knows how much of it was used. At all times
 * `sum of what was charged and of open credits <= hard`, so no packet passes the hard limit.
 */
export class LifesizeUnit {
  readonly soft: number;
  readonly hard: number;
  /** Where a rekey is asked for: the soft limit, or a little below it. */
  readonly #askAt: number;
  /** Least credit worth a message, in units; also what "nothing left" means. */
  readonly #grain: number;
  /** Credit of which a message is worth the packets between two. */
  readonly #quiet: number;
  readonly #accounts = new Map<string, Account>();
  /** Charged to, and reported by, incarnations that are over. */
  #closedCharged = 0;
  #closedReported = 0;

  /** `jitter`: 0 to 1, of the SA. */
  constructor(limit: LifetimeLimit, size: { readonly grain: number; readonly quiet: number }, jitter = 0) {
    this.hard = limit.hard;
    this.soft = limit.soft > 0 ? limit.soft : Math.floor(limit.hard * SOFT_OF_HARD);
    this.#askAt = this.soft * (1 - jitter * JITTER_PART);
    this.#grain = size.grain;
    this.#quiet = size.quiet;
  }

  get isLimited(): boolean {
    return this.soft > 0 || this.hard > 0;
  }

  /** What was reported, for people and charon. */
  get reported(): number {
    let sum = this.#closedReported;
    for (const account of this.#accounts.values()) sum = add(sum, account.reported);
    return sum;
  }

  /** What counts against the limits: lost users have used all they were allowed. */
  get charged(): number {
    let sum = this.#closedCharged;
    for (const { isLost, credit, reported } of this.#accounts.values()) {
      sum = add(sum, isLost && this.isLimited ? Math.max(credit, reported) : reported);
    }
    return sum;
  }

  /** Credit that is out and not reported as used. */
  get open(): number {
    let sum = 0;
    for (const { isLost, credit, reported } of this.#accounts.values()) {
      if (!isLost) sum = add(sum, Math.max(0, credit - reported));
    }
    return sum;
  }

  get closedCharged(): number {
    return this.#closedCharged;
  }

  get closedReported(): number {
    return this.#closedReported;
  }

  /** Half of the way from the soft limit to the hard one, or to where one would be: a switch below it is in time. */
  get inTimeBelow(): number {
    const hard = this.hard > 0 ? this.hard : this.soft * (1 + GAP_WITHOUT_HARD);
    return this.soft + (hard - this.soft) / 2;
  }

  /** What the user may use in all. */
  creditOf(user: string): number {
    return this.isLimited ? (this.#accounts.get(user)?.usable ?? 0) : UNLIMITED;
  }

  accountOf(user: string): Readonly<Account> | undefined {
    return this.#accounts.get(user);
  }

  /** Users with an account: their credit, stored or about to be, and what they reported of it. */
  *accounts(): IterableIterator<[string, Readonly<Account>]> {
    yield* this.#accounts;
  }

  /** Opens an account, or the same one again if this incarnation was here before. `isUnknown`: see there. */
  ready(user: string, incarnation: bigint, isUnknown: boolean): void {
    const account = this.#accounts.get(user);
    if (account?.incarnation === incarnation) {
      account.isLost = false;
      return;
    }
    if (account !== undefined) this.#close(account);
    this.#accounts.set(user, emptyAccount(incarnation, isUnknown));
  }

  /** From the store: it had this credit in an earlier life of the owner, and has used all of it until it says otherwise. */
  restore(user: string, incarnation: bigint, credit: number): void {
    const account = emptyAccount(incarnation, false);
    this.#accounts.set(user, { ...account, credit, usable: credit, isLost: true });
  }

  restoreClosed(charged: number, reported: number): void {
    this.#closedCharged = charged;
    this.#closedReported = reported;
  }

  /** Another name for an account, if there is one: from the store it has only a tag. */
  rename(from: string, to: string): void {
    const account = this.#accounts.get(from);
    if (account === undefined) return;
    this.#accounts.delete(from);
    this.#accounts.set(to, account);
  }

  lost(user: string): void {
    const account = this.#accounts.get(user);
    if (account !== undefined) account.isLost = true;
  }

  /** Its incarnation is over, whoever comes. */
  close(user: string): void {
    const account = this.#accounts.get(user);
    if (account === undefined) return;
    this.#close(account);
    this.#accounts.delete(user);
  }

  /**
   * A cumulative report. Older ones change nothing. False: more than it was allowed under a hard limit, so it
   * is charged all of that and believed no further.
   */
  report(user: string, total: number, now: number): boolean {
    const account = this.#accounts.get(user);
    if (account === undefined) return false;
    if (account.isUnknown) {
      account.isUnknown = false;
      account.usable = Math.max(account.usable, total);
      account.credit = Math.max(account.credit, total);
    }
    const isAllowed = this.hard === 0 || total <= account.usable;
    account.reported = Math.max(account.reported, isAllowed ? total : account.usable);
    measurePace(account, now);
    return isAllowed;
  }

  /** The store has a user's credit up to here. True: it may use more than before. */
  stored(user: string, incarnation: bigint, credit: number): boolean {
    const account = this.#accounts.get(user);
    if (account?.incarnation !== incarnation || credit <= account.usable) return false;
    account.usable = credit;
    return true;
  }

  /** Tops a user's credit up if it is running out; true: there is more of it, to be stored first. */
  topUp(user: string, terms: CreditTerms): boolean {
    const account = this.#accounts.get(user);
    if (account === undefined || account.isLost || !this.isLimited) return false;
    const chunk = this.#chunk(account, terms);
    const left = account.credit - account.reported;
    const isShort = left < account.pace * terms.answerMs;
    if (!isShort && left >= chunk / 2 && left > account.granted / 4) return false;
    const room = this.hard === 0 ? UNLIMITED : this.hard - this.charged - this.open;
    const credit = Math.min(account.reported + chunk, account.credit + Math.max(0, room), UNLIMITED);
    if (credit <= account.credit) return false;
    account.granted = credit - account.credit;
    account.credit = credit;
    return true;
  }

  /**
   * Is a rekey due: soft limit reached, or the hard one would be before a rekey is through? `awaited`: charged to users that
   * may still come back and say how little of it they used.
   */
  needsRekey(reserve: number, awaited = 0): boolean {
    if (!this.isLimited) return false;
    const charged = this.charged - awaited;
    if (charged >= this.#askAt) return true;
    if (this.hard === 0 || charged < this.soft * EARLIEST_REKEY) return false;
    return charged + this.open + reserve >= this.hard;
  }

  get isSpent(): boolean {
    return this.hard > 0 && this.charged >= this.hard;
  }

  /** It has nothing left, and nothing can be granted: what is left is credit of others. */
  isStarved(asking: string): boolean {
    if (this.hard === 0) return false;
    const account = this.#accounts.get(asking);
    if (account === undefined || account.isLost) return false;
    return (
      account.credit - account.reported < this.#grain && this.hard - this.charged - this.open < this.#grain
    );
  }

  #close({ credit, reported }: Account): void {
    const charged = this.isLimited ? Math.max(credit, reported) : reported;
    this.#closedCharged = add(this.#closedCharged, charged);
    this.#closedReported = add(this.#closedReported, reported);
  }

  /**
   * What one user may have open. The percentage (of hard, or of soft without a hard limit), and no less than makes
   * messages rare, where the total is large enough for that; both held to what keeps
   * `sum of credits + reserve <= hard - soft`. Where that leaves too little to work with, a user has a little more
   * all the same, and a fast one what it uses until it has more; the earlier rekey (`needsRekey`) keeps the distance.
   */
  #chunk(account: Account, { percentage, reserve, inFlight, answerMs, users }: CreditTerms): number {
    const total = this.hard > 0 ? this.hard : this.soft;
    const wanted = (total * percentage) / 100;
    const quiet = Math.max(wanted, Math.min(this.#quiet, (total * QUIET_PART) / users));
    if (this.hard === 0) return Math.max(Math.floor(quiet), this.#grain);
    const gap = (this.hard - this.soft - reserve) * FILLED;
    const others = this.open - Math.max(0, account.credit - account.reported);
    const share = Math.min(gap / users, gap - others);
    const least = Math.min(wanted, Math.max(total * LEAST_PART, inFlight));
    const paced = Math.min(account.pace * answerMs, this.#pacedShare(account, others));
    return Math.max(Math.floor(Math.max(Math.min(quiet, share), least, paced)), this.#grain);
  }

  /** Of what others have not, a part as large as its part of all that is used. */
  #pacedShare({ pace }: Account, others: number): number {
    let paces = 0;
    for (const account of this.#accounts.values()) if (!account.isLost) paces += account.pace;
    return paces === 0 ? 0 : (this.hard - this.charged - others) * PACED_PART * (pace / paces);
  }
}

function emptyAccount(incarnation: bigint, isUnknown: boolean): Account {
  return {
    incarnation,
    credit: 0,
    usable: 0,
    reported: 0,
    paced: undefined,
    pace: 0,
    granted: 0,
    isLost: false,
    isUnknown,
  };
}

function measurePace(account: Account, now: number): void {
  const { paced, reported: total } = account;
  if (paced !== undefined) {
    if (now - paced.at < LEAST_PACE_MS) return;
    account.pace = Math.max((total - paced.total) / (now - paced.at), account.pace * PACE_FALL);
  }
  account.paced = { total, at: now };
}

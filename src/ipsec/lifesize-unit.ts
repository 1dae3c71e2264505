import type { LifetimeLimit } from './sa.ts';

/** A hard limit without a soft one: the soft one is this part of it. */
const SOFT_OF_HARD = 0.8;
/** Whatever the rate, a rekey is not asked for before this part of the soft limit: no storm of rekeys. */
const EARLIEST_REKEY = 0.5;
/** However short of room: a credit is not cut below this part of the percentage, or messages eat the throughput. */
const LEAST_SHARE = 1 / 8;
/** Credit without limit. */
export const UNLIMITED = Number.MAX_SAFE_INTEGER;

/** One incarnation of one target, in one unit. */
interface Account {
  incarnation: bigint;
  /** Allowed since the incarnation began. */
  credit: number;
  /** Reported since then. */
  reported: number;
  /** Size of the last grant. */
  granted: number;
  isLost: boolean;
  /** It may have used the SA before this owner's life: its first report is the base to count from. */
  isUnknown: boolean;
}

/** Sum that stays at 2^53 - 1 rather than become inexact. */
const add = (a: number, b: number) => Math.min(a + b, Number.MAX_SAFE_INTEGER);

/**
 * The ledger of one unit (bytes or packets) of one SA: what each target reported, and what it may use.
 * Reports are cumulative per incarnation, so nothing is counted twice; a lost incarnation is charged its
 * whole credit, since nobody knows how much of it was used. At all times
 * `sum of what was charged and of open credits <= hard`, so no packet passes the hard limit.
 */
export class LifesizeUnit {
  readonly soft: number;
  readonly hard: number;
  /** Least credit worth a message, in units; also what "nothing left" means. */
  readonly #grain: number;
  readonly #accounts = new Map<string, Account>();
  /** Charged to, and reported by, incarnations that are over. */
  #closedCharged = 0;
  #closedReported = 0;

  constructor(limit: LifetimeLimit, grain: number) {
    this.hard = limit.hard;
    this.soft = limit.soft > 0 ? limit.soft : Math.floor(limit.hard * SOFT_OF_HARD);
    this.#grain = grain;
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

  /** What counts against the limits: lost targets have used all they were allowed. */
  get charged(): number {
    let sum = this.#closedCharged;
    for (const { isLost, credit, reported } of this.#accounts.values()) {
      sum = add(sum, isLost && this.isLimited ? credit : reported);
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

  creditOf(target: string): number {
    return this.isLimited ? (this.#accounts.get(target)?.credit ?? 0) : UNLIMITED;
  }

  /** Opens an account, or the same one again if this incarnation was here before. `isUnknown`: see there. */
  ready(target: string, incarnation: bigint, isUnknown: boolean): void {
    const account = this.#accounts.get(target);
    if (account?.incarnation === incarnation) {
      account.isLost = false;
      return;
    }
    if (account !== undefined) {
      this.#closedCharged = add(this.#closedCharged, this.isLimited ? account.credit : account.reported);
      this.#closedReported = add(this.#closedReported, account.reported);
    }
    this.#accounts.set(target, { incarnation, credit: 0, reported: 0, granted: 0, isLost: false, isUnknown });
  }

  lost(target: string): void {
    const account = this.#accounts.get(target);
    if (account !== undefined) account.isLost = true;
  }

  /**
   * A cumulative report. Older ones change nothing. False: more than it was allowed under a hard limit, so it
   * is charged all of that and believed no further.
   */
  report(target: string, total: number): boolean {
    const account = this.#accounts.get(target);
    if (account === undefined) return false;
    if (account.isUnknown) {
      account.isUnknown = false;
      account.credit = Math.max(account.credit, total);
    }
    const isAllowed = this.hard === 0 || total <= account.credit;
    account.reported = Math.max(account.reported, isAllowed ? total : account.credit);
    return isAllowed;
  }

  /**
   * Tops a target's credit up if it is running out. `percentage` is that of the total lifesize, `reserve`
   * what the cluster may use before a report and a rekey have come through (rate x delay). Returns the new
   * credit, or undefined if nothing changes.
   */
  topUp(target: string, percentage: number, reserve: number): number | undefined {
    const account = this.#accounts.get(target);
    if (account === undefined || !this.isLimited) return undefined;
    const chunk = this.#chunk(percentage, reserve);
    const left = account.credit - account.reported;
    if (left >= chunk / 2 && left > account.granted / 4) return undefined;
    const room = this.hard === 0 ? UNLIMITED : this.hard - this.charged - this.open;
    const credit = Math.min(account.reported + chunk, account.credit + Math.max(0, room), UNLIMITED);
    if (credit <= account.credit) return undefined;
    account.granted = credit - account.credit;
    account.credit = credit;
    return credit;
  }

  /** Is a rekey due: soft limit reached, or the hard one would be before a rekey is through? */
  needsRekey(reserve: number): boolean {
    if (!this.isLimited) return false;
    const { charged } = this;
    if (charged >= this.soft) return true;
    if (this.hard === 0 || charged < this.soft * EARLIEST_REKEY) return false;
    return charged + this.open + reserve >= this.hard;
  }

  /** Spent: the limit is used up, or some target that asked has nothing left and nothing can be granted. */
  isSpent(asking: string): boolean {
    if (this.hard === 0) return false;
    if (this.charged >= this.hard) return true;
    const account = this.#accounts.get(asking);
    if (account === undefined || account.isLost) return false;
    return (
      account.credit - account.reported < this.#grain && this.hard - this.charged - this.open < this.#grain
    );
  }

  /**
   * The percentage (of hard, or of soft without a hard limit), held to a target's share of
   * `sum of credits + reserve <= hard - soft` where that leaves enough to work with; where it does not, the
   * earlier rekey (`needsRekey`) keeps the distance.
   */
  #chunk(percentage: number, reserve: number): number {
    const wanted = ((this.hard > 0 ? this.hard : this.soft) * percentage) / 100;
    if (this.hard === 0) return Math.max(Math.floor(wanted), this.#grain);
    let targets = 0;
    for (const account of this.#accounts.values()) if (!account.isLost) targets++;
    const share = (this.hard - this.soft - reserve) / Math.max(targets, 1);
    return Math.max(Math.floor(Math.max(Math.min(wanted, share), wanted * LEAST_SHARE)), this.#grain);
  }
}

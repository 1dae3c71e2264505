import { type LifesizeMarks, MAX_ACCOUNT_MARKS, userTag } from './lifesize-marks.ts';
import { type LifesizeCredit, QUIET_CREDIT } from './lifesize-meter.ts';
import { LifesizeUnit } from './lifesize-unit.ts';
import type { SecurityAssociation } from './sa.ts';

/** One full packet, and one packet: less credit than this is none. */
const GRAIN: LifesizeCredit = { bytes: 2048, packets: 1 };
const STORE_RETRY_MS = 500;

export interface LedgerOptions {
  readonly lifetime: Pick<SecurityAssociation['lifetime'], 'bytes' | 'packets'>;
  /** 0 to 1, another one for each SA: how much earlier than at its soft limit it asks. */
  readonly jitter?: number;
  /** The routing host's name: its use is kept with the marks, since it reports to nobody again. */
  readonly ownUser?: string;
  /** What the store has, of a restored SA. */
  readonly marks?: LifesizeMarks | undefined;
}

/** Credit of a user, stored, so that it may have it: absolute since its incarnation began. */
export interface Grant extends LifesizeCredit {
  readonly target: string;
  /** The incarnation has none yet. */
  readonly isFirst: boolean;
}

interface Credit extends LifesizeCredit {
  readonly incarnation: bigint;
}

/**
 * Both units of one SA's lifesize, and what of them is stored: credit is in the store before it is granted, so
 * whatever is killed, no use is forgotten that counts against a limit. One write is under way at a time; what changes
 * meanwhile goes with the next.
 */
export class LifesizeLedger {
  readonly bytes: LifesizeUnit;
  readonly packets: LifesizeUnit;
  readonly #ownUser: string | undefined;
  #inFlight: ReadonlyMap<string, Credit> | undefined;
  #isDirty = false;
  #retryAt = Number.NEGATIVE_INFINITY;
  /** Incarnations that have credit, by user. */
  readonly #granted = new Map<string, bigint>();

  constructor({ lifetime, jitter = 0, ownUser, marks }: LedgerOptions) {
    const size = (unit: 'bytes' | 'packets') => ({ grain: GRAIN[unit], quiet: QUIET_CREDIT[unit] });
    this.bytes = new LifesizeUnit(lifetime.bytes, size('bytes'), jitter);
    this.packets = new LifesizeUnit(lifetime.packets, size('packets'), jitter);
    this.#ownUser = ownUser;
    if (marks !== undefined) this.#restore(marks);
  }

  get isLimited(): boolean {
    return this.bytes.isLimited || this.packets.isLimited;
  }

  /** What the user may use in all. */
  creditOf(user: string): LifesizeCredit {
    return { bytes: this.bytes.creditOf(user), packets: this.packets.creditOf(user) };
  }

  hasCredit(user: string): boolean {
    return !this.isLimited || this.#granted.has(user);
  }

  /**
   * Opens the account of an incarnation, or the one that it has, here or in the store. Top it up, then `begin`. True: it may have used
   * the SA without anybody hearing of it here.
   */
  ready(user: string, incarnation: bigint, isUnknown: boolean): boolean {
    const name = nameOfTag(userTag(user));
    const closed = this.packets.closedReported;
    for (const unit of this.#units) {
      unit.rename(name, user);
    }
    const isBack = isUnknown || this.bytes.accountOf(user)?.incarnation === incarnation;
    for (const unit of this.#units) unit.ready(user, incarnation, isUnknown);
    if (this.packets.closedReported !== closed) this.#isDirty = true;
    if (this.#granted.get(user) !== incarnation) this.#granted.delete(user);
    return isBack;
  }

  /**
   * Its credit, if it need not wait for a write: an incarnation that is back has what it had, at once, since whatever a new session
   * does not name a target gives up, with its window.
   */
  begin(user: string, incarnation: bigint): Grant | undefined {
    if (!this.isLimited || this.#granted.has(user)) return undefined;
    const isBack = this.#units.some((unit) => unit.isLimited && unit.creditOf(user) > 0);
    if (isBack || (!this.#isDirty && this.#inFlight === undefined)) return this.#grant(user, incarnation);
    this.#isDirty = true;
    return undefined;
  }

  lost(user: string): void {
    for (const unit of this.#units) unit.lost(user);
    this.#granted.delete(user);
  }

  /** There is something to be stored. */
  touch(): void {
    this.#isDirty = true;
  }

  /** Charged to users of an earlier life that have not come back, in a unit. */
  awaited(unit: LifesizeUnit): number {
    let sum = 0;
    for (const [user, { credit }] of unit.accounts()) if (user.startsWith('#')) sum += credit;
    return sum;
  }

  /** Accounts that are open, of users that are here. */
  get users(): number {
    let users = 0;
    for (const [, { isLost }] of this.bytes.accounts()) if (!isLost) users++;
    return users;
  }

  /** What is to be written now, in place of what is stored; then `stored` or `failed` must come. */
  write(now: number, learned: { percentage: number; rekeyMs: number }): LifesizeMarks | undefined {
    if (!this.#isDirty || this.#inFlight !== undefined || now < this.#retryAt) return undefined;
    this.#isDirty = false;
    this.#closeSurplus();
    const packets = new Map(this.packets.accounts());
    const credits = new Map<string, Credit>();
    for (const [user, { incarnation, credit }] of this.bytes.accounts()) {
      credits.set(user, { incarnation, bytes: credit, packets: packets.get(user)?.credit ?? 0 });
    }
    this.#inFlight = credits;
    const accounts = Array.from(credits, ([user, { incarnation, ...credit }]) => ({
      tag: tagOf(user),
      incarnation,
      credit,
    }));
    return {
      closedCharged: { bytes: this.bytes.closedCharged, packets: this.packets.closedCharged },
      closedReported: { bytes: this.#keptTotal(this.bytes), packets: this.#keptTotal(this.packets) },
      accounts: this.isLimited ? accounts : [],
      ...learned,
    };
  }

  /** The store has it: credit that may be granted now. */
  stored(): Grant[] {
    const credits = this.#inFlight;
    this.#inFlight = undefined;
    const grants: Grant[] = [];
    for (const [user, { incarnation, bytes, packets }] of credits ?? []) {
      const isMoreBytes = this.bytes.stored(user, incarnation, bytes);
      const isMorePackets = this.packets.stored(user, incarnation, packets);
      const isNew = this.isLimited && !this.#granted.has(user);
      if (this.#isHere(user, incarnation) && (isMoreBytes || isMorePackets || isNew)) {
        grants.push(this.#grant(user, incarnation));
      }
    }
    return grants;
  }

  /** It has not, or nobody knows: nothing of it is granted, and it is written again. */
  failed(now: number): void {
    this.#inFlight = undefined;
    this.#isDirty = true;
    this.#retryAt = now + STORE_RETRY_MS;
  }

  get #units(): readonly LifesizeUnit[] {
    return [this.bytes, this.packets];
  }

  #grant(target: string, incarnation: bigint): Grant {
    const isFirst = !this.#granted.has(target);
    this.#granted.set(target, incarnation);
    return { target, isFirst, ...this.creditOf(target) };
  }

  #isHere(user: string, incarnation: bigint): boolean {
    const account = this.bytes.accountOf(user);
    return account?.incarnation === incarnation && !account.isLost;
  }

  /** What nobody will report again after a restart. */
  #keptTotal(unit: LifesizeUnit): number {
    const own = this.#ownUser === undefined ? 0 : (unit.accountOf(this.#ownUser)?.reported ?? 0);
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
    for (const unit of ['bytes', 'packets'] as const) {
      this[unit].restoreClosed(closedCharged[unit], closedReported[unit]);
      for (const { tag, incarnation, credit } of accounts) {
        this[unit].restore(nameOfTag(tag), incarnation, credit[unit]);
      }
    }
  }
}

/** Accounts from the store whose user has not come yet. No host is called so. */
const nameOfTag = (tag: number) => `#${tag}`;

function tagOf(user: string): number {
  return user.startsWith('#') ? Number(user.slice(1)) : userTag(user);
}

/** Shares are counted over this time. */
const WINDOW_MS = 10;

/** Of one user, in the present window. */
interface Share {
  /** When it asked last, by window. */
  window: number;
  used: number;
}

/**
 * How many packets the routing host opens: a rate for all SAs, shared so that one under attack leaves the others theirs. In
 * each window a user may have a share of the whole that is one for each user of this window or the last, and one more for
 * whoever comes next. Opening is cryptography over all of a packet, where passing it on looks at a few blocks: without a
 * budget forged packets would buy it.
 */
export class VerificationBudget {
  #perSecond = 0;
  #perWindow = 0;
  readonly #shares = new Map<number, Share>();
  #window = 0;
  #used = 0;
  #users = 0;
  #usersBefore = 0;
  granted = 0;
  refused = 0;

  constructor(perSecond: number) {
    this.perSecond = perSecond;
  }

  get perSecond(): number {
    return this.#perSecond;
  }

  /** Another rate, from now on. */
  set perSecond(perSecond: number) {
    this.#perSecond = perSecond;
    this.#perWindow = Math.max(1, Math.floor((perSecond * WINDOW_MS) / 1000));
  }

  /** May one more packet of `user` (an SA's slot) be opened now? */
  allows(user: number, now: number): boolean {
    this.#turn(Math.floor(now / WINDOW_MS));
    const share = this.#shareOf(user);
    const users = Math.max(this.#users, this.#usersBefore);
    const most = Math.max(1, Math.floor(this.#perWindow / (users + 1)));
    if (share.used >= most || this.#used >= this.#perWindow) {
      this.refused++;
      return false;
    }
    share.used++;
    this.#used++;
    this.granted++;
    return true;
  }

  #turn(window: number): void {
    if (window === this.#window) return;
    this.#usersBefore = window === this.#window + 1 ? this.#users : 0;
    if (this.#users === 0 && this.#shares.size > 0) this.#shares.clear();
    this.#window = window;
    this.#used = 0;
    this.#users = 0;
  }

  #shareOf(user: number): Share {
    let share = this.#shares.get(user);
    if (share === undefined) {
      share = { window: -1, used: 0 };
      this.#shares.set(user, share);
    }
    if (share.window !== this.#window) {
      share.window = this.#window;
      share.used = 0;
      this.#users++;
    }
    return share;
  }
}

import { PATH_DIFFERENCE_MS } from './numbering-constants.ts';

/** The routing host itself, as a sender: what it stamps or, on the funnel, seals. */
export const ROUTER = '';

/**
 * When the next number may be taken, and by whom. Two rules: after a jump of the numbers nobody sends before a
 * silence is over (a jump pushes what is still on its way out of the peer's window); and another sender than
 * the last starts "Delta" after it, because ways differ in length.
 */
export class SendGate {
  #notBefore: number;
  #lastSender = ROUTER;
  #lastSentAt = Number.NEGATIVE_INFINITY;

  constructor(notBefore: number) {
    this.#notBefore = notBefore;
  }

  /** `sender` may have sent until `at`. */
  sent(sender: string, at: number): void {
    this.#lastSender = sender;
    this.#lastSentAt = at;
  }

  /** Nobody sends before `until`. */
  closeUntil(until: number): void {
    this.#notBefore = Math.max(this.#notBefore, until);
  }

  isOpenFor(sender: string, now: number): boolean {
    return now >= this.#notBefore && (sender === this.#lastSender || now >= this.#otherAt);
  }

  /** Times after which the answer of `isOpenFor` may change. */
  get times(): readonly number[] {
    return [this.#notBefore, this.#otherAt];
  }

  get #otherAt(): number {
    return this.#lastSentAt + PATH_DIFFERENCE_MS;
  }
}

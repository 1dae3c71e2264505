import type { Clock, Timer } from './clock.ts';

/**
 * Many things with a deadline each, one timer for all. Things without a deadline cost nothing; with one, a
 * linear look when the timer fires. `onDue` may set a new deadline for the thing it is called with.
 */
export class Deadlines<Thing> {
  readonly #clock: Clock;
  readonly #onDue: (thing: Thing, now: number) => void;
  readonly #dueAt = new Map<Thing, number>();
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #isClosed = false;

  constructor(clock: Clock, onDue: (thing: Thing, now: number) => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  /** Infinity: none. A deadline in the past is due on the next turn of the event loop. */
  set(thing: Thing, at: number): void {
    if (this.#isClosed) return;
    if (at === Number.POSITIVE_INFINITY) {
      this.#dueAt.delete(thing);
      return;
    }
    this.#dueAt.set(thing, at);
    if (at < this.#timerAt) this.#arm(at);
  }

  delete(thing: Thing): void {
    this.#dueAt.delete(thing);
  }

  close(): void {
    this.#isClosed = true;
    this.#dueAt.clear();
    this.#timer?.cancel();
  }

  #arm(at: number): void {
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = this.#clock.after(Math.max(0, at - this.#clock.now()), () => this.#fire());
  }

  #fire(): void {
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = this.#clock.now();
    const due = [...this.#dueAt].filter(([, at]) => at <= now).map(([thing]) => thing);
    for (const thing of due) this.#dueAt.delete(thing);
    for (const thing of due) this.#onDue(thing, now);
    let next = Number.POSITIVE_INFINITY;
    for (const at of this.#dueAt.values()) next = Math.min(next, at);
    if (next < this.#timerAt) this.#arm(next);
  }
}

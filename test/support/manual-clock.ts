import type { Clock, Timer } from '../../src/base/clock.ts';

/** A clock that moves when a test says so. Timers of one moment run in the order they were made. */
export class ManualClock implements Clock {
  #now = 0;
  #timers: { readonly at: number; readonly action: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(delayMs: number, action: () => void): Timer {
    const timer = { at: this.#now + delayMs, action };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  /** Timers that wait; 0 when everything was closed as it should. */
  get pending(): number {
    return this.#timers.length;
  }

  /** The process stands still: what is due meanwhile runs afterwards, late. */
  stall(byMs: number): void {
    this.#now += byMs;
    this.advance(0);
  }

  advance(byMs: number): void {
    const end = this.#now + byMs;
    for (let timer = this.#next(end); timer !== undefined; timer = this.#next(end)) {
      this.#now = Math.max(this.#now, timer.at);
      this.#timers = this.#timers.filter((other) => other !== timer);
      timer.action();
    }
    this.#now = end;
  }

  #next(end: number) {
    const due = this.#timers.filter(({ at }) => at <= end);
    return due.length === 0 ? undefined : due.reduce((first, timer) => (timer.at < first.at ? timer : first));
  }
}

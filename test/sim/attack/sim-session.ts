import type { EventQueue, Random } from '../event-queue.ts';

/** A coupling session: records keep their order in each direction, and none outlives it. */
export class SimSession {
  isOpen = true;
  readonly #events: EventQueue;
  readonly #random: Random;
  #toRouterAt = 0;
  #toTargetAt = 0;

  constructor(events: EventQueue, random: Random) {
    this.#events = events;
    this.#random = random;
  }

  toRouter(deliver: () => void): void {
    this.#toRouterAt = Math.max(this.#toRouterAt, this.#events.now + this.#random.between(0.1, 3));
    this.#events.at(this.#toRouterAt, () => this.isOpen && deliver());
  }

  toTarget(deliver: () => void): void {
    this.#toTargetAt = Math.max(this.#toTargetAt, this.#events.now + this.#random.between(0.1, 3));
    this.#events.at(this.#toTargetAt, () => this.isOpen && deliver());
  }
}

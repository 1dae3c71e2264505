import { CouplingError } from './errors.ts';

/** A target may not push the epoch further than this at once: restarts come one by one, liars do not. */
const EPOCH_LEAP_MAX = 65_536;
const EPOCH_MAX = 0xffff_ffff;

/**
 * The routing host's epoch and who has been told. It is above every epoch that a target reports
 * (epoch = 1 + max(stored, reported)); the one exception is a target that had this very epoch from this
 * very life of the routing agent and comes back. A raise is stored before anyone is told.
 */
export class EpochGate {
  #epoch: number;
  readonly #store: (epoch: number) => Promise<void>;
  #announced = new Set<string>();
  /** Hosts that ever had an epoch from this life: they can have seen no higher one since. */
  readonly #told = new Set<string>();
  #raising: Promise<void> = Promise.resolve();
  readonly #listeners: ((epoch: number) => void)[] = [];

  /** `epoch` is stored already and above every epoch used before. `store` resolves when a `kill -9` would not lose it. */
  constructor(epoch: number, store: (epoch: number) => Promise<void>) {
    this.#epoch = epoch;
    this.#store = store;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Called after each raise, with the new epoch, when it is stored. */
  onRaised(listener: (epoch: number) => void): void {
    this.#listeners.push(listener);
  }

  /**
   * The epoch to tell `host`, raised first if it reports one that this agent did not give it. Throws
   * `CouplingError` (`coupling-epoch`) for a leap beyond reason, or a second raise by one host: each raise ends every
   * session, so one lying target could keep all others out. Throws what `store` throws.
   */
  async admit(host: string, epochSeen: number): Promise<number> {
    while (this.#isTooLow(host, epochSeen)) {
      if (this.#told.has(host) || epochSeen >= EPOCH_MAX || epochSeen - this.#epoch > EPOCH_LEAP_MAX) {
        throw new CouplingError(
          'coupling-epoch',
          `target reports epoch ${epochSeen}, ours is ${this.#epoch}`,
        );
      }
      const raise = this.#raising.then(() => this.#raiseAbove(host, epochSeen));
      this.#raising = raise.catch(() => {});
      await raise;
    }
    this.#announced.add(host);
    this.#told.add(host);
    return this.#epoch;
  }

  #isTooLow(host: string, epochSeen: number): boolean {
    return epochSeen > this.#epoch || (epochSeen === this.#epoch && !this.#announced.has(host));
  }

  async #raiseAbove(host: string, epochSeen: number): Promise<void> {
    if (!this.#isTooLow(host, epochSeen)) return; // another target's raise was enough
    const next = epochSeen + 1;
    await this.#store(next);
    this.#epoch = next;
    this.#announced = new Set();
    for (const listener of this.#listeners) listener(next);
  }
}

/** What a target remembers of epochs, over sessions: it refuses all that is older. */
export class EpochMemory {
  #seen: number;

  constructor(seen = 0) {
    this.#seen = seen;
  }

  get seen(): number {
    return this.#seen;
  }

  note(epoch: number): void {
    if (epoch > this.#seen) this.#seen = epoch;
  }
}

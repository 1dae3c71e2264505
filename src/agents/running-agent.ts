/** An agent that has started. */
export interface RunningAgent {
  /** Takes its configuration file again, or says in the log why not. Never rejects. */
  reload(): Promise<void>;
  /** Stops everything it started, in reverse. Twice is harmless. */
  close(): Promise<void>;
  /** Resolves after `close`; rejects if the agent cannot go on. */
  readonly finished: Promise<void>;
}

/**
 * Things to stop, in the order they were started. `close` stops them in reverse, each even if one before it failed,
 * and then throws the first failure.
 */
export class StopList {
  readonly #stops: (() => void | Promise<void>)[] = [];
  #closed: Promise<void> | undefined;
  #finish!: () => void;
  #fail!: (error: unknown) => void;
  readonly finished = new Promise<void>((resolve, reject) => {
    this.#finish = resolve;
    this.#fail = reject;
  });

  /** As an agent that reloads in this way. */
  runningAgent(reload: () => Promise<unknown>): RunningAgent {
    const { finished } = this;
    return { close: () => this.close(), finished, reload: () => reload().then(nothing, nothing) };
  }

  /** What is started while everything is being stopped is stopped at once. */
  add(stop: () => void | Promise<void>): void {
    if (this.#closed === undefined) this.#stops.push(stop);
    else this.#closed = this.#closed.then(async () => stop());
  }

  /** The agent cannot go on. */
  fail(error: unknown): void {
    this.#fail(error);
  }

  close(): Promise<void> {
    this.#closed ??= this.#run();
    return this.#closed;
  }

  async #run(): Promise<void> {
    const failures: unknown[] = [];
    for (const stop of this.#stops.toReversed()) {
      try {
        await stop();
      } catch (error) {
        failures.push(error);
      }
    }
    this.#finish();
    if (failures.length > 0) throw failures[0];
  }
}

function nothing(): void {}

import { BACKLOG_MAX_BYTES, BACKLOG_MAX_RECORDS } from './limits.ts';

interface Entry<R> {
  readonly n: number;
  readonly bytes: number;
  /** Undefined: heartbeat or acknowledgement, nothing to handle. */
  readonly record: R | undefined;
}

export interface InboxActions<R> {
  handle(record: R): void | Promise<void>;
  /** Everything up to `n` is handled. */
  handled(n: number): void;
  failed(cause: unknown): void;
  /** A record that will not be handled: it may hold keys. */
  discard(record: R): void;
}

/**
 * Records in the order they came, handled one at a time: the next waits for the promise of the one before.
 * Bounded by the peer's own bound on what is unacknowledged.
 */
export class Inbox<R> {
  readonly #actions: InboxActions<R>;
  #entries: Entry<R>[] = [];
  /** The next one to handle. */
  #head = 0;
  #bytes = 0;
  #isRunning = false;
  #isClosed = false;

  constructor(actions: InboxActions<R>) {
    this.#actions = actions;
  }

  /** Nothing waits to be handled. */
  get isIdle(): boolean {
    return this.#entries.length === this.#head;
  }

  /** Handles it at once if nothing is before it. False: no room, the peer ignored the bound. */
  add(n: number, bytes: number, record: R | undefined): boolean {
    const waiting = this.#entries.length - this.#head;
    if (this.#isClosed || this.#bytes + bytes > BACKLOG_MAX_BYTES || waiting >= BACKLOG_MAX_RECORDS) {
      if (record !== undefined) this.#actions.discard(record);
      return false;
    }
    this.#bytes += bytes;
    this.#entries.push({ n, bytes, record });
    if (!this.#isRunning) void this.#run();
    return true;
  }

  /** Nothing is handled any more, except the one record whose handler runs already. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const { record } of this.#entries.slice(this.#head)) {
      if (record !== undefined) this.#actions.discard(record);
    }
    this.#entries = [];
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      for (let entry = this.#take(); entry !== undefined; entry = this.#take()) {
        const handling = entry.record === undefined ? undefined : this.#actions.handle(entry.record);
        if (handling !== undefined) await handling; // not otherwise: synchronous handlers stay in the caller's turn
        if (this.#isClosed) return;
        this.#bytes -= entry.bytes;
        this.#actions.handled(entry.n);
      }
    } catch (cause) {
      this.#actions.failed(cause);
    } finally {
      this.#isRunning = false;
    }
  }

  #take(): Entry<R> | undefined {
    const entry = this.#entries[this.#head];
    if (entry === undefined) return undefined;
    this.#head++;
    if (this.#head === this.#entries.length) {
      this.#entries = [];
      this.#head = 0;
    }
    return entry;
  }
}
